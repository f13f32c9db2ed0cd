"""The complaint: "we put last night's backup back, and nobody could log in and nothing fitted". The
database is backed up while the bridge runs, by the documented command, and put back later."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.records import LinkState
from connectors.errors import ReauthorizeError
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

ALICE = "alice@office.example"
ROOT = Path(__file__).resolve().parents[2]


def lunch(desk: Any, title: str, hour: int) -> dict[str, Any]:
    day = monday_of(desk.feishu.clock) + timedelta(days=2)
    return timed(title, day, hour, 0, 60, "Asia/Shanghai")


def back_up(desk: Any, target: Path) -> None:
    """What `sqlite3 calbridge.db ".backup copy.db"` does."""
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert re.search(r'sqlite3 \S+ "\.backup \S+"', guide)
    (path,) = desk.path.parent.glob("config.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def put_back(desk: Any, backup: Path) -> None:
    """With the bridge stopped; the files beside the database belong to what it was."""
    desk.restart()
    for path in desk.path.parent.glob("config.db*"):
        if path.is_file():
            path.unlink()
    backup.rename(desk.path.with_name("config.db"))


def test_a_backup_taken_while_it_runs_can_be_put_back_later(desk: Any, tmp_path: Path) -> None:
    desk.silent()
    backup = tmp_path / "backup.sqlite"
    with desk.serving():
        back_up(desk, backup)
    desk.alice.create(desk.primary, lunch(desk, "After the backup", 12))
    desk.alice.patch(desk.primary, desk.find(desk.source_titles()[0]), {"summary": "Renamed"})
    desk.run()
    before = desk.stored()
    put_back(desk, backup)
    assert desk.run().held == ""
    assert desk.stored() == before
    assert desk.titles().count("After the backup") == 1
    assert desk.verify().differences == []
    assert desk.run(full=True).counts.writes == 0


def test_logins_that_were_renewed_since_are_given_anew(desk: Any, tmp_path: Path) -> None:
    """A refresh token of Feishu works once; the backup has one that was used."""
    desk.silent()
    desk.run()
    backup = tmp_path / "backup.sqlite"
    with desk.runtime() as runtime:  # the access token runs out, and is renewed
        token = runtime.store.tokens.load("feishu", ALICE)
        past = runtime.system.now() - timedelta(hours=1)
        runtime.store.tokens.save("feishu", ALICE, replace(token, access_expires=past))
    back_up(desk, backup)
    desk.alice.create(desk.primary, lunch(desk, "After the backup", 12))
    desk.restart()
    desk.run()
    desk.feishu.clock.advance(61)
    before = desk.stored()
    put_back(desk, backup)
    with pytest.raises(ReauthorizeError):
        desk.run()
    assert desk.stored() == before
    desk.consent()
    assert desk.run().counts.deleted == 0
    assert desk.stored() == before
    assert desk.link().state is LinkState.ACTIVE
    assert desk.verify().differences == []
