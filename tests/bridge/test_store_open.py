"""Opening, migrating, and what a crash leaves."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import bridge.store.migrate
from bridge.records import Endpoint, Link
from bridge.store import OutdatedError, Store, StoreError, open_store
from bridge.store.database import open_database
from bridge.store.migrate import migrate
from bridge.store.schema import HEAD, metadata
from bridge.vault import Vault

END = Endpoint(connector="feishu", account="ann", calendar="c1")
LINK = Link(id=0, uid="u1", name="ann/google", user="ann", a=END, b=END)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database without even a table."""
    return str(request.getfixturevalue(f"{request.param}_url"))


def test_an_empty_database_gets_the_tables_of_this_program(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    folder = Path(bridge.store.migrate.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_database_of_a_newer_program_is_refused_unchanged(
    store: Store, open_again: Callable[[], Store]
) -> None:
    with store.begin() as tx:
        tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"schema 9999.*newer.*update the program"):
        open_again()
    assert store.links() == []


OPENER = """
import sys
from datetime import UTC, datetime
from bridge.store import open_store
from bridge.vault import Vault

sys.stdin.readline()
store = open_store(sys.argv[1], vault=Vault([sys.argv[2]]), now=lambda: datetime.now(UTC))
print(store.instance)
"""


@pytest.mark.parametrize(
    ("database_url", "old"), [("sqlite", None), ("postgresql", "0001")], indirect=["database_url"]
)
def test_processes_that_start_together_migrate_once(database_url: str, old: str | None) -> None:
    if old is not None:
        _migrate_to(database_url, old)
    opener = [sys.executable, "-c", OPENER, database_url, Vault.generate_key()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    starting = [subprocess.Popen(opener, text=True, **pipes) for _ in range(2)]
    told = [process.communicate("go\n", timeout=120) for process in starting]
    assert [process.returncode for process in starting] == [0, 0], told
    assert len({instance for instance, _errors in told}) == 1
    database = open_database(database_url)
    with database.reading() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == HEAD
    database.close()


def _migrate_to(url: str, revision: str) -> None:
    config = Config()
    folder = Path(bridge.store.migrate.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    database = open_database(url)
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()


def test_a_program_whose_database_was_migrated_meanwhile_writes_nothing_more(
    store: Store, open_again: Callable[[], Store]
) -> None:
    running = open_again()
    with store.begin() as tx:
        tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert running.halt is None
    for _time in range(2):
        with pytest.raises(OutdatedError, match=r"9999.*nothing more is written"), running.begin():
            pytest.fail("the transaction must not begin")
    assert "9999" in str(running.halt)
    assert running.links() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_migration_waits_for_who_writes_and_who_comes_then_finds_it_done(
    store: Store, open_again: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that began by the old schema ends by it."""
    running, upgraded = open_again(), threading.Event()

    def upgrade(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        upgraded.set()

    monkeypatch.setattr(bridge.store.migrate, "_upgrade", upgrade)
    monkeypatch.setattr(bridge.store.migrate, "HEAD", "9999")
    migrating = threading.Thread(target=lambda: migrate(store._database))
    with running._database.writing() as connection:
        connection.execute(text("SELECT version_num FROM alembic_version"))
        migrating.start()
        assert not upgraded.wait(0.3)
    assert upgraded.wait(20)
    migrating.join()
    monkeypatch.undo()
    with pytest.raises(OutdatedError), running.begin():
        pytest.fail("the transaction must not begin")


def test_many_may_open_an_empty_database_at_once(open_again: Callable[[], Store]) -> None:
    opened: list[str] = []
    starters = [
        threading.Thread(target=lambda: opened.append(open_again().instance)) for _ in range(6)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len(opened) == 6
    assert len(set(opened)) == 1


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.begin() as tx:
            tx.put_link(LINK)
            assert [link.uid for link in tx.links()] == ["u1"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.links() == []


def test_what_is_not_committed_is_not_seen_outside(store: Store) -> None:
    with store.begin() as tx:
        tx.put_link(LINK)
        assert store.links() == []
    assert [link.uid for link in store.links()] == ["u1"]


def test_a_transaction_inside_another_is_refused_instead_of_waiting_for_ever(store: Store) -> None:
    with store.begin(), pytest.raises(StoreError, match="open already"), store.begin():
        pass
    with store.begin() as tx:
        tx.put_link(LINK)
    assert len(store.links()) == 1


KILLED = """
import os, sys
from datetime import UTC, datetime
from bridge.records import Endpoint, Link
from bridge.store import open_store
from bridge.vault import Vault

end = Endpoint(connector="feishu", account="ann", calendar="c1")
store = open_store(sys.argv[1], vault=Vault([sys.argv[2]]), now=lambda: datetime.now(UTC))
with store.begin() as tx:
    tx.put_link(Link(id=0, uid="kept", name="kept", user="ann", a=end, b=end))
with store.begin() as tx:
    tx.put_link(Link(id=0, uid="lost", name="lost", user="ann", a=end, b=end))
    os.kill(os.getpid(), 9)
"""


def test_killed_inside_a_transaction_only_the_committed_stays(
    database_url: str, open_again: Callable[[], Store]
) -> None:
    killed = [sys.executable, "-c", KILLED, database_url, Vault.generate_key()]
    assert subprocess.run(killed, check=False).returncode == -9
    store = open_again()
    assert [link.uid for link in store.links()] == ["kept"]
    with store.begin() as tx:
        tx.put_link(LINK)
    assert [link.uid for link in store.links()] == ["kept", "u1"]


def test_a_named_lock_excludes_threads_and_other_openers(
    store: Store, open_again: Callable[[], Store]
) -> None:
    other = open_again()
    order: list[str] = []
    entered = threading.Event()

    def wait() -> None:
        entered.set()
        with other.lock("token", "feishu", "ann"):
            order.append("second")

    with store.lock("token", "feishu", "ann"):
        waiter = threading.Thread(target=wait)
        waiter.start()
        entered.wait()
        with other.lock("token", "feishu", "bob"):
            order.append("another name")
        order.append("first")
    waiter.join()
    assert order == ["another name", "first", "second"]


def test_the_instance_id_stays(store: Store, open_again: Callable[[], Store]) -> None:
    assert len(store.instance) == 32
    assert open_again().instance == store.instance


def test_a_sqlite_file_is_for_its_owner_alone(sqlite_url: str, vault: Vault) -> None:
    from datetime import UTC, datetime

    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with open_store(sqlite_url, vault=vault, now=lambda: datetime.now(UTC)) as store:
        with store.begin() as tx:
            tx.put_link(LINK)
        files = [path, *path.parent.glob(path.name + "-*")]
        assert len(files) >= 3
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_sqlite_keeps_its_promises_on_every_connection(sqlite_url: str) -> None:
    database = open_database(sqlite_url)

    def pragma(connection: object, name: str) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()  # type: ignore[attr-defined]

    with database.writing() as writer, database.reading() as reader:
        for connection in (writer, reader):
            assert pragma(connection, "journal_mode") == "wal"
            assert pragma(connection, "synchronous") == 2
            assert pragma(connection, "foreign_keys") == 1
        assert pragma(reader, "query_only") == 1
    database.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://host/name", "not supported"),
        ("a folder", "cannot be read"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason):
        open_database(url)


def test_a_server_that_does_not_answer_is_named_without_its_password(vault: Vault) -> None:
    url = "postgresql://bridge:hunter2@127.0.0.1:1/calendars"
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as caught:
        open_store(url, vault=vault, now=lambda: None)  # type: ignore[arg-type,return-value]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("durable", [True, False])
def test_a_commit_that_need_not_survive_a_power_cut_waits_for_no_disk(
    tmp_path: Path, durable: bool
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'd.db'}")
    levels = []
    for each in (durable, True):
        with database.writing(durable=each) as connection:
            levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    database.close()

    assert levels == [2 if durable else 1, 2]


def test_a_connection_in_use_while_the_store_closes_is_closed_when_it_comes_back(
    database_url: str,
) -> None:
    """Runs that outlast the patience of `stop` still hold one."""
    database = open_database(database_url)
    with database.reading() as reading:
        read_by = reading.connection.driver_connection
        with database.writing() as writing:
            written_by = writing.connection.driver_connection
            database.close()
            writing.execute(text("SELECT 1"))
        reading.execute(text("SELECT 1"))
    for connection in (read_by, written_by):
        assert connection is not None
        with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
            connection.execute("SELECT 1")
