"""A link that was parked stands in `status`, and `resume` lets it run again."""

from datetime import UTC, datetime


def test_a_parked_link_is_shown_with_its_reason_until_it_is_resumed(calbridge) -> None:
    calbridge("backfill")
    with calbridge.store() as store:
        link = store.link("ann/other")
        with store.begin() as tx:
            tx.hint([link.id], datetime.now(UTC))
            tx.claim("w", 1, datetime.now(UTC), 30)
            tx.fail(link.id, "w", "8 processes in a row ended while they ran it", None)
    shown = calbridge("--json", "status")
    row = next(row for row in shown.json["links"] if row["link"] == "ann/other")
    assert (shown.code, row["state"]) == (1, "parked")
    assert "8 processes in a row" in row["reason"]
    assert "calbridge resume ann/other" in row["advice"]
    assert shown.json["jobs"]["parked"] == 1
    assert calbridge("resume", "ann/other").code == 0
    resumed = calbridge("--json", "status")
    assert resumed.code == 0
    assert (resumed.json["jobs"]["parked"], resumed.json["jobs"]["due"]) == (0, 1)
