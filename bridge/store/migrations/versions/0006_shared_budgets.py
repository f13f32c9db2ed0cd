"""Rate budgets that processes share, and accounts that do not answer."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Nothing is spent yet, and every account is taken for alive."""
    op.create_table(
        "budgets",
        sa.Column("name", EXACT, nullable=False),
        sa.Column("operation", EXACT, nullable=False),
        sa.Column("spent", sa.Text(), nullable=False),
        sa.Column("barred", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", "operation", name="pk_budgets"),
    )
    op.create_table(
        "circuits",
        sa.Column("connector", EXACT, nullable=False),
        sa.Column("account", EXACT, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("probing", sa.BigInteger()),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connector", "account", name="pk_circuits"),
    )
