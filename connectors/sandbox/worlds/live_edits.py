"""What people do in their calendars while the bridge is running."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.sandbox.worlds.hands import Hands, first
from connectors.sandbox.worlds.trial import Edit

SERIES = "Weekly check-in 每周例会"
LUNCH = "Lunch with {who} 🍜"
DINNER = "Dinner with {who} 🍷"
ZONE, SERIES_ZONE = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
MONDAY, THURSDAY = 0, 3


@dataclass(frozen=True)
class Desk:
    """One person in front of one calendar, and everywhere their edits have to arrive.

    `series` is a weekly one, on Mondays at 10:00 in Berlin, that nobody else changes.
    """

    who: str
    by: str
    hands: Hands
    arrivals: Sequence[Hands]
    series: str = SERIES


def live_edits(desks: Sequence[Desk], monday: date) -> list[Edit]:
    """The edits of all desks, in the order in which each has to make them."""
    return [
        Edit(
            what, desk.who, desk.by, act, {hands.name: _at(hands, check) for hands in desk.arrivals}
        )
        for desk in desks
        for what, act, check in _day(desk, monday)
    ]


def weekly_start(monday: date, weeks: int) -> datetime:
    """When the occurrence of the series starts, so many weeks from now."""
    return datetime.combine(monday + timedelta(weeks=weeks), time(10), SERIES_ZONE)


Check = Callable[[Hands], bool]


def _at(hands: Hands, check: Check) -> Callable[[], bool]:
    return lambda: check(hands)


def _day(desk: Desk, monday: date) -> list[tuple[str, Callable[[], None], Check]]:
    hands, series = desk.hands, desk.series
    lunch, dinner = LUNCH.format(who=desk.who), DINNER.format(who=desk.who)
    noon = datetime.combine(monday + timedelta(days=8), time(12), ZONE)
    evening = noon.replace(hour=18, minute=30)
    dropped = weekly_start(monday, 3).astimezone(UTC)

    def lacks(there: Hands) -> bool:
        starts = there.starts(series)
        return bool(starts) and dropped not in starts

    def on_thursdays(there: Hands) -> bool:
        return any(start.weekday() == THURSDAY for start in there.starts(series))

    return [
        ("create an event", lambda: hands.put(lunch, noon, 60), lambda w: first(w, lunch) == noon),
        ("move it", lambda: hands.move(lunch, evening, 90), lambda w: first(w, lunch) == evening),
        ("rename it", lambda: hands.rename(lunch, dinner), lambda w: first(w, dinner) == evening),
        ("cancel one occurrence", lambda: hands.cancel(series, dropped), lacks),
        (
            "change a series' rule",
            lambda: hands.repeat_on(series, (MONDAY, THURSDAY)),
            on_thursdays,
        ),
        ("delete the event", lambda: hands.remove(dinner), lambda w: first(w, dinner) is None),
    ]
