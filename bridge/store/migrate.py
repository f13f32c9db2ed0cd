"""Bringing a database to the schema of this program, once, whoever starts first."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from bridge.store.database import Database
from bridge.store.errors import OutdatedError
from bridge.store.schema import HEAD


def migrate(database: Database) -> None:
    """Bring the schema to `HEAD`. Other processes that start meanwhile wait for it.

    Raises `OutdatedError` if a newer program has been here: its rows are not ours to read.
    """
    with database.reading() as connection:
        if _version(connection) == HEAD:
            return
    with database.lock("migrate"), database.writing() as connection:
        found = _version(connection)
        if found != HEAD:
            if found is not None and connection.dialect.name == "postgresql":
                # Whoever writes by the former schema ends first, and then finds it changed.
                connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
            _upgrade(connection)


def assert_current(connection: Connection) -> None:
    """Fence of a program that has been running for long: the schema is still its own, and stays
    so until this transaction ends. Raises `OutdatedError`."""
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found != HEAD:
        raise OutdatedError(
            f"the database was brought to schema {found} while this program, which knows schema "
            f"{HEAD}, was running; nothing more is written. Start the newer program instead"
        )


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection) -> None:
    # Alembic is slow to import and seldom needed.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    found = _version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise OutdatedError(
            f"the database has schema {found}, written by a newer version of this program, which "
            f"knows schemas up to {HEAD}; update the program"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
