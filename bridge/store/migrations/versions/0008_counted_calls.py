"""Calls by how long they took and how they ended, and what a budget permits."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Nothing is counted yet; budgets learn their limit with the next slice."""
    op.create_table(
        "calls",
        sa.Column("connector", EXACT, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        *(sa.Column(f"within_{number}", sa.BigInteger(), nullable=False) for number in range(9)),
        sa.PrimaryKeyConstraint("connector", "kind", "outcome", "hour", name="pk_calls"),
    )
    op.add_column("budgets", sa.Column("permits", sa.Integer()))
