"""An event that comes back changed after every write is left alone, until a person edits it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bridge.churn import CHURN, REWRITES
from bridge.records import Side, Unit, UnitState
from bridge.simulation.history import Step
from bridge.simulation.office import Office
from bridge.simulation.worlds import PLAIN
from connectors.testing.builders import edited, event
from mappings.policy import Policy

PASS = Step(do="pass", n=0)


@pytest.fixture
def office() -> Iterator[Office]:
    place = Office({Side.A: PLAIN, Side.B: PLAIN}, Policy())
    place.calendar(Side.A).person_puts(event("Lunch", "2026-03-03T12:00"))
    place.run(PASS)
    yield place
    place.close()


def only_unit(office: Office) -> Unit:
    with office.store() as store:
        (unit,) = store.units(office.link(store).id)
    return unit


def meddle(office: Office, passes: int) -> int:
    """Another synchroniser between the same calendars, which knows only two titles; what the
    bridge writes meanwhile."""
    writes = 0
    for number in range(passes):
        title = ("Lunch", "lunch")[number % 2]
        ref = office.calendar(Side.B).refs()[0]
        office.calendar(Side.B).person_edits(ref, title=title)
        writes += office.run(PASS).writes
    return writes


def test_it_is_parked_with_a_reason_and_written_no_more(office: Office) -> None:
    assert meddle(office, 4 * REWRITES) <= 2 * REWRITES
    unit = only_unit(office)
    assert (unit.state, unit.error_code, unit.retry_at) == (UnitState.PARKED, CHURN, None)
    assert "nobody edited it" in unit.error
    assert meddle(office, 6) == 0


def test_a_person_who_edits_it_sets_it_going_again(office: Office) -> None:
    meddle(office, 4 * REWRITES)
    ref = office.calendar(Side.A).refs()[0]
    office.calendar(Side.A).person_edits(ref, title="Dinner")
    assert office.run(PASS).writes == 1
    assert only_unit(office).state is UnitState.LIVE
    assert office.calendar(Side.B).event("c-1").details.title == "Dinner"


def test_somebody_who_edits_often_is_no_churn(office: Office) -> None:
    for number in range(4 * REWRITES):
        ref = office.calendar(Side.A).refs()[0]
        office.calendar(Side.A).person_edits(ref, lambda now, n=number: edited(now, title=f"T{n}"))
        assert office.run(PASS).writes == 1
    assert only_unit(office).state is UnitState.LIVE


def test_one_that_a_person_sends_on_is_tried_again(office: Office) -> None:
    meddle(office, 4 * REWRITES)
    with office.store() as store:
        unit = replace(only_unit(office), retry_at=office.now)
        with store.begin() as tx:
            tx.put_units([unit])
    office.run(PASS)
    assert only_unit(office).state is UnitState.LIVE
