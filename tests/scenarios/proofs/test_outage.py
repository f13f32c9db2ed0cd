"""The complaint: "their outage lasted ten minutes, ours the whole afternoon"."""

import math
from pathlib import Path

from benchmarks.proofs.outage import prove


def test_ten_minutes_without_an_answer_lose_nothing_and_no_rate_is_exceeded_afterwards(
    tmp_path: Path,
) -> None:
    report = prove(tmp_path, links=2, edits=40, rate=20, limit=math.inf)
    assert report.complaints == [], report
