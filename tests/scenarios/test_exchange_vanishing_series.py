"""The complaint: "my repeating meeting just stopped two years later"."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.records import UnitState
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

TITLE = "Friday the thirteenth"
DAY = 86_400


def test_what_outlook_can_only_hold_piece_by_piece_is_continued_before_it_ends(
    mailbox: Any,
) -> None:
    clock = mailbox.feishu.clock
    first = next(
        day
        for number in range(900)
        if (day := monday_of(clock) + timedelta(days=number)).day == 13 and day.weekday() == 4
    )
    body = timed(
        TITLE, first, 12, 0, 30, "Asia/Shanghai", recurrence="FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR"
    )  # fmt: skip
    mailbox.alice.create(mailbox.primary, body)
    mailbox.run()

    def starts() -> list[datetime]:
        now = datetime.fromtimestamp(clock.time(), UTC)
        found = mailbox.exchange.occurrences(
            "alice@office.example", now - timedelta(days=60), now + timedelta(days=720)
        )
        return [item.start for item in found if item.subject == TITLE]

    assert all((start.day, start.weekday()) == (13, 4) for start in starts())
    before = starts()
    for _season in range(2):
        clock.advance(220 * DAY)
        mailbox.consent()
        mailbox.run()
    after = starts()
    assert max(after) > max(before) + timedelta(days=200)
    assert mailbox.verify().differences == []
    assert mailbox.run().counts.writes == 0
    assert not list(mailbox.units(state=UnitState.PARKED))
