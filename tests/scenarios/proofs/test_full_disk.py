"""The complaint: "the disk was full for an hour, and the calendars were never the same again"."""

from pathlib import Path

from benchmarks.proofs.full_disk import prove


def test_on_a_full_disk_it_stops_says_so_and_loses_nothing(tmp_path: Path) -> None:
    report = prove(tmp_path, links=3, edits=40, room=12)
    assert report.complaints == [], report
