"""How often in a row a link's run ended with its process."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has died yet."""
    op.add_column("jobs", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
