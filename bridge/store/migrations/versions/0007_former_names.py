"""The names that units had before something else was put in their place."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("units", sa.Column("a_former", sa.Text()))
    op.add_column("units", sa.Column("b_former", sa.Text()))
