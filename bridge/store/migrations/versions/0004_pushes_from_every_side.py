"""Channels that outlive a process, and how well each calendar is pushed about."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Both begin empty: subscribing fills them."""
    op.create_table(
        "channels",
        sa.Column("connector", EXACT, nullable=False),
        sa.Column("id", EXACT, nullable=False),
        sa.Column("account", EXACT, nullable=False),
        sa.Column("calendar", EXACT, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("resource", EXACT, nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("heard", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("connector", "id", name="pk_channels"),
    )
    op.create_index(
        "ix_channels_connector_account_calendar",
        "channels",
        ["connector", "account", "calendar"],
    )
    op.create_table(
        "subscriptions",
        sa.Column("connector", EXACT, nullable=False),
        sa.Column("account", EXACT, nullable=False),
        sa.Column("calendar", EXACT, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("announced", sa.BigInteger()),
        sa.Column("suspected", sa.BigInteger()),
        sa.PrimaryKeyConstraint("connector", "account", "calendar", name="pk_subscriptions"),
    )
