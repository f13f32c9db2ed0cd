"""A change that breaks off in the middle, and what people want next: never the same again."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from connectors.contract import Gone, Whole
from connectors.errors import ConnectorError
from connectors.testing import builders
from connectors.testing.builders import cancelled, edited, moved
from mappings import recurrence
from mappings.model import Event, Key, Override

from .conftest import Exchange, _open, expected, listed

KEY = "ab" * 32


def event(*args: Any, **details: Any) -> Event:
    return builders.event(*args, reminders=(), **details)


def ruled(of: Event, rule: str) -> Event:
    return replace(of, rule=recurrence.parse_rule(rule, of.when), overrides=())


ONE = event("Review", "2026-03-03T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=12")
EXCEPTIONS = cancelled(
    edited(moved(ONE, Key("2026-03-31T10:00:00"), start="2026-04-01T12:00"),
           Key("2026-03-17T10:00:00"), title="With guests"),
    Key("2026-03-24T10:00:00"),
)  # fmt: skip
TWO = ruled(ONE, "FREQ=MONTHLY;BYMONTHDAY=3,17;COUNT=9")
THREE = edited(
    moved(ruled(ONE, "FREQ=MONTHLY;BYMONTHDAY=3,13,23;COUNT=12"),
          Key("2026-04-13T10:00:00"), start="2026-05-20T10:00"),
    Key("2026-04-23T10:00:00"), title="Beside the others",
)  # fmt: skip
"""Three series, and an occurrence that has to stand alone."""
PAST_NEXT = moved(ONE, Key("2026-03-17T10:00:00"), start="2026-04-02T09:00")
SINGLE = event("Review", "2026-03-03T10:00", "Europe/Berlin")
LATER = moved(EXCEPTIONS, start="2026-03-03T14:00")
NO_PART = replace(
    TWO, overrides=tuple(Override(key=Key(f"2026-{month:02}-17T10:00:00"), cancelled=True)
                         for month in range(3, 7)),
)  # fmt: skip
"""One of its two series has nothing left."""

STORIES = {
    "two-to-three-and-singles": (TWO, THREE, EXCEPTIONS),
    "three-and-singles-to-two": (THREE, TWO, PAST_NEXT),
    "exceptions-on-a-new-time": (EXCEPTIONS, LATER, THREE),
    "one-to-three": (EXCEPTIONS, THREE, SINGLE),
    "three-to-single": (THREE, SINGLE, TWO),
    "past-the-next-to-two": (PAST_NEXT, TWO, EXCEPTIONS),
    "single-to-three": (SINGLE, THREE, edited(SINGLE, title="Renamed")),
    "to-a-part-less": (TWO, NO_PART, THREE),
    "from-a-part-less": (NO_PART, edited(NO_PART, title="Renamed"), TWO),
}
MOST = 40


@pytest.fixture(scope="module")
def shared() -> Iterator[Exchange]:
    opened = _open()
    yield opened
    assert opened.sandbox.mails == []
    opened.close()


def half_done(shared: Exchange, calendar: str, old: Event, new: Event, number: int) -> Any:
    """The unit's ref, and whether its change broke off at that write."""
    connector = shared.connect()
    made = connector.create(calendar, old, KEY)
    assert made.event == old
    shared.break_write(number, "drop_after")
    broke = False
    try:
        connector.update(calendar, made, new)
    except ConnectorError:
        broke = True
    shared.mend()
    return made.ref, broke


@pytest.mark.parametrize("name", STORIES)
def test_another_change_after_half_a_change_is_carried_out(shared: Exchange, name: str) -> None:
    old, new, newest = STORIES[name]
    for number in range(MOST):
        calendar = shared.calendar(f"{name}-{number}")
        ref, broke = half_done(shared, calendar, old, new, number)
        # Half of the time nothing is late enough to be taken for a leftover.
        shared.sandbox.clock.advance(3600 * (number % 2))
        after = shared.connect()
        for wanted in (newest, newest, new):
            now = after.fetch(calendar, ref)
            changed = after.update(calendar, now, wanted)
            assert changed.event == wanted
            assert shared.shown(calendar) == expected(wanted), f"write {number}"
            assert changed.ref == ref
        shared.sandbox.clock.advance(3600)
        final = shared.connect().fetch(calendar, ref)
        assert shared.shown(calendar) == expected(new)
        assert listed(shared.connect(), calendar)[0] == [Whole(copy=final)]
        assert shared.connect().find(calendar, KEY) == final
        if not broke:
            return
    raise AssertionError("the change never came to its end")


@pytest.mark.parametrize("name", STORIES)
def test_a_deletion_after_half_a_change_leaves_nothing(shared: Exchange, name: str) -> None:
    old, new, _newest = STORIES[name]
    for number in range(MOST):
        calendar = shared.calendar(f"delete-{name}-{number}")
        ref, broke = half_done(shared, calendar, old, new, number)
        _, cursor = listed(shared.connect(), calendar)
        after = shared.connect()
        shared.break_write(number % 3, "drop_after")
        with suppress(ConnectorError):
            after.delete(calendar, after.fetch(calendar, ref))
        shared.mend()
        again = after.fetch(calendar, ref)
        if again is not None:
            after.delete(calendar, again)
        assert shared.items(calendar) == [], f"write {number}"
        assert set(listed(shared.connect(), calendar, cursor)[0]) == {Gone(ref=ref)}
        assert shared.connect().find(calendar, KEY) is None
        if not broke:
            return
    raise AssertionError("the change never came to its end")
