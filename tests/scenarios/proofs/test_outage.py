"""The complaint: "their outage lasted ten minutes, ours the whole afternoon"."""

from pathlib import Path

from benchmarks.proofs.outage import prove


def test_ten_minutes_without_an_answer_lose_nothing_and_are_soon_made_up_for_at_the_permitted_rate(
    tmp_path: Path,
) -> None:
    report = prove(tmp_path, links=2, edits=40, rate=10)
    assert report.complaints == [], report
