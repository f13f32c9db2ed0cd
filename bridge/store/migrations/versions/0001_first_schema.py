"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "calendars",
        sa.Column("connector", EXACT, nullable=False),
        sa.Column("account", EXACT, nullable=False),
        sa.Column("id", EXACT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("primary", sa.Boolean(), nullable=False),
        sa.Column("zone", sa.Text()),
        sa.Column("foreign", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connector", "account", "id", name="pk_calendars"),
    )
    op.create_table(
        "journal",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("run_id", NUMBER, nullable=False),
        sa.Column("link_id", NUMBER, nullable=False),
        sa.Column("unit_id", EXACT, nullable=False),
        sa.Column("side", sa.String(length=1)),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        sa.Column("lost", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_at", "journal", ["at"])
    op.create_index("ix_journal_link_id_id", "journal", ["link_id", "id"])
    op.create_index("ix_journal_link_id_unit_id", "journal", ["link_id", "unit_id"])
    op.create_index("ix_journal_run_id", "journal", ["run_id"])
    op.create_table(
        "links",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("uid", EXACT, nullable=False),
        sa.Column("name", EXACT, nullable=False),
        sa.Column("user", EXACT, nullable=False),
        sa.Column("a_connector", EXACT, nullable=False),
        sa.Column("a_account", EXACT, nullable=False),
        sa.Column("a_calendar", EXACT, nullable=False),
        sa.Column("b_connector", EXACT, nullable=False),
        sa.Column("b_account", EXACT, nullable=False),
        sa.Column("b_calendar", EXACT, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("policy_digest", EXACT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_links"),
        sa.UniqueConstraint("uid", name="uq_links_uid"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pushes",
        sa.Column("connector", EXACT, nullable=False),
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connector", "id_hash", name="pk_pushes"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pushes_at", "pushes", ["at"])
    op.create_table(
        "settings",
        sa.Column("name", EXACT, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )
    op.create_table(
        "tokens",
        sa.Column("connector", EXACT, nullable=False),
        sa.Column("account", EXACT, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("connector", "account", name="pk_tokens"),
    )
    op.create_table(
        "cursors",
        sa.Column("link_id", NUMBER, nullable=False),
        sa.Column("side", sa.String(length=1), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"], ["links.id"], name="fk_cursors_link_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("link_id", "side", name="pk_cursors"),
    )
    op.create_table(
        "intents",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("link_id", NUMBER, nullable=False),
        sa.Column("run_id", NUMBER, nullable=False),
        sa.Column("unit_id", EXACT, nullable=False),
        sa.Column("side", sa.String(length=1), nullable=False),
        sa.Column("op", sa.String(length=16), nullable=False),
        sa.Column("key", EXACT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("desired", sa.Text()),
        sa.ForeignKeyConstraint(
            ["link_id"], ["links.id"], name="fk_intents_link_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_intents"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_intents_link_id", "intents", ["link_id"])
    op.create_table(
        "jobs",
        sa.Column("link_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("dirty", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("run_at", sa.BigInteger()),
        sa.Column("not_before", sa.BigInteger()),
        sa.Column("owner", EXACT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"], ["links.id"], name="fk_jobs_link_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("link_id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_run_at", "jobs", ["run_at"])
    op.create_table(
        "members",
        sa.Column("link_id", NUMBER, nullable=False),
        sa.Column("unit_id", EXACT, nullable=False),
        sa.Column("side", sa.String(length=1), nullable=False),
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"], ["links.id"], name="fk_members_link_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("link_id", "unit_id", "side", "id_hash", name="pk_members"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_members_id_hash", "members", ["id_hash", "link_id", "side"])
    op.create_table(
        "runs",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("link_id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text()),
        sa.ForeignKeyConstraint(
            ["link_id"], ["links.id"], name="fk_runs_link_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_link_id", "runs", ["link_id"])
    op.create_table(
        "units",
        sa.Column("link_id", NUMBER, nullable=False),
        sa.Column("id", EXACT, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("a_hash", sa.LargeBinary()),
        sa.Column("b_hash", sa.LargeBinary()),
        sa.Column("a_ref", EXACT),
        sa.Column("b_ref", EXACT),
        sa.Column("retry_at", sa.BigInteger()),
        sa.Column("extend_at", sa.BigInteger()),
        sa.Column("policy_digest", EXACT, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("rewrites", sa.Integer(), nullable=False),
        sa.Column("titles", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("losses", sa.Text()),
        sa.Column("a", sa.Text()),
        sa.Column("b", sa.Text()),
        sa.ForeignKeyConstraint(
            ["link_id"], ["links.id"], name="fk_units_link_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("link_id", "id", name="pk_units"),
    )
    op.create_index("ix_units_a_hash", "units", ["a_hash", "link_id"])
    op.create_index("ix_units_b_hash", "units", ["b_hash", "link_id"])
    for name in ("retry_at", "extend_at"):
        op.create_index(
            f"ix_units_{name}", "units", [name, "link_id"], **_where(f"{name} IS NOT NULL")
        )
    op.create_index("ix_units_state", "units", ["state", "link_id"])
    op.create_index(
        "uq_units_a_hash",
        "units",
        ["a_hash", "link_id"],
        unique=True,
        **_where("a_hash IS NOT NULL AND state <> 'done'"),
    )
    op.create_index(
        "uq_units_b_hash",
        "units",
        ["b_hash", "link_id"],
        unique=True,
        **_where("b_hash IS NOT NULL AND state <> 'done'"),
    )


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
