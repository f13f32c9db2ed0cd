"""The complaint: "their outage lasted ten minutes, ours the whole afternoon"."""

from pathlib import Path

from benchmarks.proofs.outage import prove


def test_after_ten_minutes_without_an_answer_nothing_is_lost_and_the_rest_soon_there(
    tmp_path: Path,
) -> None:
    report = prove(tmp_path, links=2, edits=60, rate=6)
    assert report.complaints == [], report
