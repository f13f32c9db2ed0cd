"""The complaint: "every few days it has to be restarted, because it has eaten all memory"."""

from pathlib import Path

import pytest

from benchmarks.proofs.day import prove


@pytest.mark.nightly
def test_hours_go_by_and_nothing_is_left_over(tmp_path: Path) -> None:
    report = prove(tmp_path, links=3, hours=6, step=1800, edits=1)
    assert report.complaints == [], report
