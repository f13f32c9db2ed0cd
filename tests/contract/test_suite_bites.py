"""The suite notices a connector that breaks the contract: each defect fails the case named."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.contract import Connector, Copy, Fragment, Listing, Page
from connectors.errors import ConflictError, ConnectorError
from connectors.memory import LOSSLESS, MemoryConnector, MemoryWorld
from connectors.testing.builders import edited, moved
from connectors.testing.contract import ConnectorContract
from mappings.model import Event, Key, Occurrence

ANN = "ann@example.com"


class Person:
    """As much of the other party as the cases below need."""

    def __init__(self, world: MemoryWorld) -> None:
        self.store = world.add_calendar(ANN, "team")

    def put_event(self, made: Event) -> str:
        return self.store.person_puts(made)

    def edit(self, ref: str, *, title: str) -> None:
        self.store.person_edits(ref, title=title)

    def delete(self, ref: str) -> None:
        self.store.person_deletes(ref)

    def edit_occurrence(
        self, ref: str, key: Key, *, title: str | None = None, start: str | None = None
    ) -> None:
        if title is not None:
            self.store.person_edits(ref, lambda before: edited(before, key, title=title))
        if start is not None:
            self.store.person_edits(ref, lambda before: moved(before, key, start=start))

    def cancel_occurrence(self, ref: str, key: Key) -> None:
        self.store.person_cancels_occurrence(ref, key)

    def void_cursors(self) -> None:
        self.store.void_cursors()


class ForgetsKeys(MemoryConnector):
    def create(self, calendar: str, wanted: Event, key: str) -> Copy:
        number = self.world.calls["create"]
        return super().create(calendar, wanted, f"{number:064x}")


class NeverAdvances(MemoryConnector):
    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        for page in super().changes(calendar, cursor):
            yield replace(page, cursor=page.cursor and (cursor or page.cursor))


class ClaimsCompleteness(MemoryConnector):
    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        for page in super().changes(calendar, cursor):
            yield replace(page, listing=Listing.COMPLETE)


class EndsQuietly(MemoryConnector):
    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        try:
            yield from super().changes(calendar, cursor)
        except ConnectorError:
            yield Page(changes=(), listing=Listing.COMPLETE, cursor="fresh")


class ListsNoExceptions(MemoryConnector):
    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        for page in super().changes(calendar, cursor):
            kept = (each for each in page.changes if not isinstance(each, Fragment))
            yield replace(page, changes=tuple(kept))


class SkipsThePrecondition(MemoryConnector):
    def update(self, calendar: str, copy: Copy, wanted: Event) -> Copy:
        return super().update(calendar, self.fetch(calendar, copy.ref) or copy, wanted)


class DropsCancellations(MemoryConnector):
    def create(self, calendar: str, wanted: Event, key: str) -> Copy:
        kept = tuple(each for each in wanted.overrides if not each.cancelled)
        return super().create(calendar, replace(wanted, overrides=kept), key)


class KeepsTheFirstOffset(MemoryConnector):
    def occurrences(self, *args: Any) -> Iterator[tuple[str, Occurrence]]:
        found = list(super().occurrences(*args))
        first: Any = found[0][1].start
        for ref, each in found:
            start: Any = each.start
            fixed = start.replace(hour=first.hour)
            yield ref, replace(each, start=fixed, end=fixed + (each.end - start))


class Mails(MemoryConnector):
    def create(self, calendar: str, wanted: Event, key: str) -> Copy:
        self.world.mails.append("somebody@example.com")
        return super().create(calendar, wanted, key)


class LeaksItsOwnErrors(MemoryConnector):
    def fetch(self, calendar: str, ref: str, keys: Any = ()) -> Copy | None:
        return self.world.calendar(self.account, calendar).copy(ref) or {}[ref]


class RefusesTheAbsent(MemoryConnector):
    def delete(self, calendar: str, copy: Copy) -> None:
        if self.fetch(calendar, copy.ref) is None:
            raise ConflictError("already gone", current=None)
        super().delete(calendar, copy)


class AnswersWhatItWasGiven(MemoryConnector):
    def update(self, calendar: str, copy: Copy, wanted: Event) -> Copy:
        super().update(calendar, copy, wanted)
        return replace(copy, event=wanted)


DEFECTS: list[tuple[type[MemoryConnector], str]] = [
    (ForgetsKeys, "creating_again_with_the_same_key_makes_no_second_event"),
    (NeverAdvances, "a_persons_new_event_arrives_in_the_delta"),
    (ClaimsCompleteness, "without_changes_a_delta_is_empty_and_leads_nowhere_else"),
    (EndsQuietly, "a_void_cursor_asks_for_a_new_listing"),
    (EndsQuietly, "an_unknown_calendar_is_an_error_and_never_an_empty_listing"),
    (ListsNoExceptions, "a_full_listing_shows_every_unit_as_a_fetch_does"),
    (SkipsThePrecondition, "an_update_leaves_alone_what_it_was_not_asked_to_change"),
    (DropsCancellations, "a_created_series_takes_place_exactly_when_asked"),
    (KeepsTheFirstOffset, "the_wall_clock_of_a_series_stands_over_daylight_saving"),
    (Mails, "what_the_bridge_made_comes_back_in_the_delta_as_it_was_answered"),
    (LeaksItsOwnErrors, "what_was_never_there_is_not_found"),
    (RefusesTheAbsent, "a_deleted_event_is_gone_and_deleting_it_again_is_done"),
    (AnswersWhatItWasGiven, "a_reader_of_deltas_follows_exceptions_that_come_change_and_go"),
]


def run(case: str, connector: Connector, world: MemoryWorld) -> None:
    """One case of the suite, with what its fixtures would give it."""
    suite: Any = ConnectorContract()
    person = Person(world)
    mails = len(world.mails)
    name = next(name for name in dir(suite) if name.startswith(f"test_{case}"))
    given = {
        "connector": connector,
        "calendar": "team",
        "other_party": person,
        "key": "ab" * 32,
        "name": "cancelled",
        "cursor": [*MemoryConnector(world, ANN).changes("team", None)][-1].cursor,
    }
    method: Callable[..., None] = getattr(suite, name)
    wanted = inspect.signature(method).parameters
    method(**{name: value for name, value in given.items() if name in wanted})
    assert len(world.mails) == mails


@pytest.fixture
def world() -> MemoryWorld:
    world = MemoryWorld(capabilities=replace(LOSSLESS, whole_changes=False))
    world.add_calendar(ANN, "team")
    return world


@pytest.mark.parametrize(("defect", "case"), DEFECTS)
def test_a_broken_connector_fails_the_case_that_is_about_it(
    world: MemoryWorld, defect: type[MemoryConnector], case: str
) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(case, defect(world, ANN), world)


@pytest.mark.parametrize("case", sorted({case for _, case in DEFECTS}))
def test_the_reference_passes_the_same_case(world: MemoryWorld, case: str) -> None:
    run(case, MemoryConnector(world, ANN), world)
