"""Where each unit is at home: until now every link copied from A to B."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is known already was first seen on A."""
    op.add_column("units", sa.Column("home", sa.String(length=1)))
    op.execute("UPDATE units SET home = 'a'")
