"""The complaint: "after an hour it said that some token had expired, and that was it"."""

from pathlib import Path

from benchmarks.proofs.hour import prove


def test_an_hour_in_which_everything_ends_at_least_once_loses_nothing(tmp_path: Path) -> None:
    report = prove(tmp_path, links=3, edits=1)
    assert report.complaints == [], report
