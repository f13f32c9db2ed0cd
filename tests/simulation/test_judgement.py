"""The judge sees what he is there for: each kind of harm, done on purpose, is complained about."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from bridge.records import Side, UnitState
from bridge.simulation.history import History, Step, history
from bridge.simulation.invariants import judge
from bridge.simulation.ledger import name_of
from bridge.simulation.office import Office
from bridge.simulation.shrinking import shrunk
from bridge.simulation.worlds import CALENDAR, LIKENESSES
from connectors.memory import MemoryCalendar
from connectors.testing.builders import edited
from mappings.model import Attendee, Person
from mappings.policy import Policy

PASS = Step(do="pass", n=0)


@pytest.fixture
def office() -> Iterator[Office]:
    """Two calendars with the same three events, one of them a series."""
    kinds = {Side.A: LIKENESSES["feishu-like"], Side.B: LIKENESSES["google-like"]}
    place = Office(kinds, Policy())
    for n, (do, side) in enumerate(
        [("create", Side.A), ("create series", Side.A), ("create", Side.B)], start=1
    ):
        place.happen(Step(do=do, n=n, side=side, seed=n))
    for _round in range(3):
        place.run(PASS)
    assert judge(place) == []
    yield place
    place.close()


def ref_of(calendar: MemoryCalendar, name: int) -> str:
    return next(ref for ref in calendar.refs() if name_of(calendar.event(ref)) == name)


def doubles(office: Office) -> None:
    b = office.calendar(Side.B)
    b.person_puts(b.event(ref_of(b, 1)))


def deletes(office: Office) -> None:
    b = office.calendar(Side.B)
    b.person_deletes(ref_of(b, 1))


def deletes_everywhere(office: Office) -> None:
    for side in Side:
        calendar = office.calendar(side)
        calendar.person_deletes(ref_of(calendar, 1))


def loses_an_edit(office: Office) -> None:
    for side in Side:
        calendar = office.calendar(side)
        calendar.person_edits(ref_of(calendar, 1), title="U1")


def shifts(office: Office) -> None:
    b = office.calendar(Side.B)
    b.person_moves(ref_of(b, 1), "2026-03-03T03:33")


def mails(office: Office) -> None:
    guest = Attendee(person=Person(email="guest@example.com"))
    content = edited(office.calendar(Side.B).event("c-1"), attendees=(guest,))
    office.connectors()[Side.B].create(CALENDAR, content, "0" * 32)


def parks_without_a_word(office: Office) -> None:
    with office.store() as store:
        unit = next(store.units(office.link(store).id))
        with store.begin() as tx:
            tx.put_units([replace(unit, state=UnitState.PARKED)])


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (doubles, "stands 2 times"),
        (deletes, "has lost it"),
        (deletes_everywhere, "is gone though nobody deleted it"),
        (loses_an_edit, "is nowhere"),
        (shifts, "differs"),
        (mails, "mailed"),
        (parks_without_a_word, "without a reason"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_judge_complains(
    office: Office, harm: Callable[[Office], None], complaint: str
) -> None:
    harm(office)
    assert any(complaint in text for text in judge(office)), judge(office)


def test_a_failing_history_is_cut_down_to_what_it_needs() -> None:
    story = history(7)
    culprits = {story.steps[1].n, story.steps[-1].n}

    def fails(tried: History) -> bool:
        return culprits <= {step.n for step in tried.steps}

    assert {step.n for step in shrunk(story, fails).steps} == culprits
