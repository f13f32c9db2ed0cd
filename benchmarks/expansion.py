"""Expanding series into occurrences, near their start and far from it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from benchmarks.measuring import Case, Row, row, scaled, seconds_per
from connectors.testing.builders import at, event
from mappings import recurrence
from mappings.errors import UnmappableError
from mappings.model import Event

YEAR = timedelta(days=365)
RULES = (
    "FREQ=DAILY",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=YEARLY;BYMONTH=10;BYDAY=1SU",
)


def cases(_full: bool) -> dict[str, Case]:
    return {"all": _measure}


def _measure() -> list[Row]:
    near = [event(start="2026-01-05T09:00", zone="Europe/Berlin", rule=rule) for rule in RULES]
    far = [event(start="1971-01-04T09:00", zone="Europe/Berlin", rule=rule) for rule in RULES]
    return [
        row("an occurrence, in the series' first year", _each(near), "µs"),
        row("an occurrence, 55 years after the start", _each(far), "µs", "about the same"),
        row("to see that a rule never matches", scaled(seconds_per(_never), 1e3),
            "ms"),
    ]  # fmt: skip


def _each(series: list[Event]) -> list[float]:
    since = datetime(2026, 1, 1, tzinfo=UTC)

    def run() -> int:
        return sum(
            sum(1 for _ in recurrence.expand(item, since, since + YEAR)) for item in series * 10
        )

    return scaled(seconds_per(run), 1e6)


def _never() -> int:
    """The 30th of February: refused when it is read."""
    with suppress(UnmappableError):
        recurrence.parse_rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", at("2026-01-01T09:00"))
        raise AssertionError("a rule without any date was accepted")
    return 1
