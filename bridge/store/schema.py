"""The tables, the same on SQLite and PostgreSQL.

Instants are microseconds since 1970 UTC. Ids of providers are compared byte by byte (Exchange's
differ by case alone) and looked up by a 16-byte hash, since they may be 512 bytes long. JSON is
kept as text that only we read; columns that are read alone stand before the wide ones. Only the
primary keys of the large tables begin with the link: a planner without statistics (PostgreSQL,
first backfill) would else take any index that does, and read the whole link for one row.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

HEAD = "0008"
"""The newest migration, which these tables are the result of."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware instant as microseconds since 1970 UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """To aware UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


def digest(identifier: str) -> bytes:
    """The 16-byte BLAKE2b hash by which a provider's id is looked up."""
    return hashlib.blake2b(identifier.encode(), digest_size=16).digest()


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_Exact = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER by itself


def _link(**options: Any) -> Column[int]:
    target = ForeignKey("links.id", ondelete="CASCADE")
    return Column("link_id", _Number, target, nullable=False, **options)


settings = Table(
    "settings",
    metadata,
    Column("name", _Exact, primary_key=True),
    Column("value", Text, nullable=False),
)

links = Table(
    "links",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("uid", _Exact, nullable=False, unique=True),
    Column("name", _Exact, nullable=False),
    Column("user", _Exact, nullable=False),
    *(
        Column(f"{side}_{part}", _Exact, nullable=False)
        for side in "ab"
        for part in ("connector", "account", "calendar")
    ),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("policy_digest", _Exact, nullable=False),
    sqlite_autoincrement=True,  # a number is never used again
)

units = Table(
    "units",
    metadata,
    _link(primary_key=True),
    Column("id", _Exact, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("a_hash", LargeBinary),
    Column("b_hash", LargeBinary),
    Column("a_ref", _Exact),
    Column("b_ref", _Exact),
    Column("retry_at", Instant),
    Column("extend_at", Instant),
    Column("policy_digest", _Exact, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("home", String(1)),
    Column("attempts", Integer, nullable=False),
    Column("rewrites", Integer, nullable=False),
    Column("titles", Text, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("losses", Text),
    Column("a", Text),
    Column("b", Text),
    Column("restored", Text),
    Column("a_former", Text),
    Column("b_former", Text),
    Index("ix_units_state", "state", "link_id"),
)
for _side in "ab":
    _hash = units.c[f"{_side}_hash"]
    Index(f"ix_units_{_side}_hash", _hash, units.c.link_id)
    # An id belongs to one unit at most, or an event could be written twice. Tombstones keep theirs.
    _standing = text(f"{_side}_hash IS NOT NULL AND state <> 'done'")
    Index(
        f"uq_units_{_side}_hash",
        _hash,
        units.c.link_id,
        unique=True,
        sqlite_where=_standing,
        postgresql_where=_standing,
    )
for _name in ("retry_at", "extend_at"):
    _waiting = text(f"{_name} IS NOT NULL")
    Index(
        f"ix_units_{_name}",
        units.c[_name],
        units.c.link_id,
        sqlite_where=_waiting,
        postgresql_where=_waiting,
    )

members = Table(
    "members",
    metadata,
    _link(primary_key=True),
    Column("unit_id", _Exact, primary_key=True),
    Column("side", String(1), primary_key=True),
    Column("id_hash", LargeBinary, primary_key=True),
    Index("ix_members_id_hash", "id_hash", "link_id", "side"),
    sqlite_with_rowid=False,
)

cursors = Table(
    "cursors",
    metadata,
    _link(primary_key=True),
    Column("side", String(1), primary_key=True),
    Column("cursor", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Number, primary_key=True),
    _link(index=True),
    Column("kind", String(16), nullable=False),
    Column("started", Instant, nullable=False),
    Column("ended", Instant),
    Column("outcome", Text, nullable=False),
    Column("counts", Text),
    sqlite_autoincrement=True,
)

intents = Table(
    "intents",
    metadata,
    Column("id", _Number, primary_key=True),
    _link(index=True),
    Column("run_id", _Number, nullable=False),
    Column("unit_id", _Exact, nullable=False),
    Column("side", String(1), nullable=False),
    Column("op", String(16), nullable=False),
    Column("key", _Exact, nullable=False),
    Column("at", Instant, nullable=False),
    Column("desired", Text),
    sqlite_autoincrement=True,
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("run_id", _Number, nullable=False, index=True),
    Column("link_id", _Number, nullable=False),
    Column("unit_id", _Exact, nullable=False),
    Column("side", String(1)),
    Column("op", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("lost", Text),
    Index("ix_journal_link_id_unit_id", "link_id", "unit_id"),
    Index("ix_journal_link_id_id", "link_id", "id"),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    _link(primary_key=True, autoincrement=False),
    Column("dirty", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("run_at", Instant, index=True),
    Column("not_before", Instant),
    Column("owner", _Exact),
    Column("attempts", Integer, nullable=False),
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("parked", Boolean, nullable=False),
    Column("error", Text, nullable=False),
)

pushes = Table(
    "pushes",
    metadata,
    Column("connector", _Exact, primary_key=True),
    Column("id_hash", LargeBinary, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

calendars = Table(
    "calendars",
    metadata,
    Column("connector", _Exact, primary_key=True),
    Column("account", _Exact, primary_key=True),
    Column("id", _Exact, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("primary", Boolean, nullable=False),
    Column("zone", Text),
    Column("foreign", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("connector", _Exact, primary_key=True),
    Column("account", _Exact, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("connector", _Exact, primary_key=True),
    Column("id", _Exact, primary_key=True),
    Column("account", _Exact, nullable=False),
    Column("calendar", _Exact, nullable=False),
    Column("address", Text, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("opened", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("resource", _Exact, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("heard", Boolean, nullable=False),
    Index("ix_channels_connector_account_calendar", "connector", "account", "calendar"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("connector", _Exact, primary_key=True),
    Column("account", _Exact, primary_key=True),
    Column("calendar", _Exact, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("announced", Instant),
    Column("suspected", Instant),
)

budgets = Table(
    "budgets",
    metadata,
    Column("name", _Exact, primary_key=True),
    Column("operation", _Exact, primary_key=True),
    Column("spent", Text, nullable=False),
    Column("barred", BigInteger),
    Column("permits", Integer),
)

calls = Table(
    "calls",
    metadata,
    Column("connector", _Exact, primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("outcome", String(32), primary_key=True),
    Column("hour", Instant, primary_key=True, autoincrement=False),
    Column("calls", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    *(Column(f"within_{number}", BigInteger, nullable=False) for number in range(9)),
)

circuits = Table(
    "circuits",
    metadata,
    Column("connector", _Exact, primary_key=True),
    Column("account", _Exact, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("probing", Instant),
    Column("error", Text, nullable=False),
)
