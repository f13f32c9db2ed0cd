"""Details that a listing leaves out are asked for when they are needed, and ahead of that."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event as Flag
from typing import Any

import pytest

from bridge.completion import AHEAD, Completion, Sight
from bridge.records import Side
from bridge.simulation.memory import SameThread
from connectors.capabilities import Capabilities
from connectors.contract import Copy, Member, Page, Whole
from connectors.testing.builders import event
from mappings.model import Attendee, Person
from mappings.policy import Direction, Policy

PATIENCE = 60


class Asked:
    """A connector that tells what it was asked."""

    left_out = frozenset({"attendees"})
    capabilities = Capabilities(parallel_reads=2)

    def __init__(self, before: Callable[[str], None] = lambda _ref: None) -> None:
        self.refs: list[str] = []
        self._before = before

    def complete(self, _calendar: str, copy: Copy, _parts: Collection[str]) -> Copy:
        self._before(copy.ref)
        self.refs.append(copy.ref)
        return copy


def copy(number: int) -> Copy:
    ref = f"r{number}"
    return Copy(ref=ref, event=event(f"E{number}"), members=(Member(part="main", id=ref),))


def completion(connector: object, *, workers: object = None, patient: bool = False) -> Completion:
    return Completion(
        connector,  # type: ignore[arg-type]
        "c",
        detailed=True,
        wanted=lambda each: each.ref != "r1",
        trusting=True,
        workers=workers or (lambda _width: SameThread()),  # type: ignore[arg-type]
        patient=patient,
    )


def sights(count: int) -> Iterator[Sight]:
    return (Sight(None, copy(number), {"main"}) for number in range(count))


def test_the_next_details_are_asked_for_while_the_caller_is_busy_with_one() -> None:
    connector = Asked()
    found = completion(connector).complete(sights(100), listing_complete=True)

    assert next(found).ref == "r0"

    assert 1 < len(connector.refs) <= 2 * AHEAD + 1
    assert [each.ref for each in found] == [f"r{number}" for number in range(1, 100)]
    assert "r1" not in connector.refs


def test_a_caller_that_stops_half_way_asks_no_more() -> None:
    release = Flag()
    connector = Asked(lambda ref: None if ref == "r0" else release.wait(PATIENCE) and None)
    pools: list[ThreadPoolExecutor] = []

    def workers(width: int) -> ThreadPoolExecutor:
        pools.append(ThreadPoolExecutor(width))
        return pools[-1]

    found = completion(connector, workers=workers).complete(sights(100), listing_complete=True)
    assert next(found).ref == "r0"
    release.set()
    found.close()  # type: ignore[attr-defined]

    assert len(connector.refs) <= 2 * AHEAD + 1
    with pytest.raises(RuntimeError):
        pools[0].submit(print)


def test_what_a_patient_one_puts_off_is_asked_once_when_it_is_finished() -> None:
    connector = Asked()
    patient = completion(connector, patient=True)
    seen = list(patient.complete(sights(3), listing_complete=True))
    assert connector.refs == []
    assert [patient.is_put_off(each) for each in seen] == [True, False, True]

    assert list(patient.finish(seen)) == seen
    assert list(patient.finish(seen)) == seen

    assert connector.refs == ["r0", "r2"]


GUESTS = (Attendee(person=Person(email="ann@example.com", name="Ann")),)


class Withholding:
    """A memory connector whose listings show nobody."""

    left_out = frozenset({"attendees"})

    def __init__(self, real: Any) -> None:
        self._real = real
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        for page in self._real.changes(calendar, cursor):
            yield replace(page, changes=tuple(map(_alone, page.changes)))

    def complete(self, calendar: str, copy: Copy, _parts: Collection[str]) -> Copy:
        self.asked.append(copy.ref)
        found = self._real.fetch(calendar, copy.ref)
        assert isinstance(found, Copy)
        return found


def _alone(change: Any) -> Any:
    if not isinstance(change, Whole):
        return change
    details = replace(change.copy.event.details, attendees=())
    shown = replace(change.copy, event=replace(change.copy.event, details=details))
    return replace(change, copy=shown)


@pytest.fixture
def withholding(pair: Any, monkeypatch: pytest.MonkeyPatch) -> dict[Side, Withholding]:
    """A two-way link of two sides whose listings show nobody."""
    pair.policy = Policy(direction=Direction.TWO_WAY)
    sides = {side: Withholding(real) for side, real in pair.connectors().items()}
    monkeypatch.setattr(pair, "connectors", lambda: sides)
    return sides


def test_in_both_directions_each_new_event_is_asked_about_once_and_shows_its_guests(
    pair: Any, withholding: dict[Side, Withholding]
) -> None:
    here = pair.a.person_puts(event("Board", attendees=GUESTS))
    there = pair.b.person_puts(event("Choir", "2026-03-02T19:00", attendees=GUESTS))
    pair.run()

    assert withholding[Side.A].asked == [here]
    assert withholding[Side.B].asked == [there]
    for calendar in (pair.a, pair.b):
        footers = [calendar.event(ref).details.footer for ref in calendar.refs()]
        assert sorted(map(bool, footers)) == [False, True]


def test_a_meeting_takes_the_copy_s_place_although_its_listing_shows_nobody(
    pair: Any, withholding: dict[Side, Withholding]
) -> None:
    meeting = replace(event("Board", attendees=GUESTS), uid="u@x")
    pair.a.person_puts(meeting, organized=False)
    pair.run()
    arrived = pair.b.person_puts(meeting)
    withholding[Side.B].asked.clear()

    assert pair.run().counts.deleted == 1

    assert pair.b.refs() == [arrived]
    assert len(pair.a.refs()) == 1
    assert arrived in withholding[Side.B].asked
