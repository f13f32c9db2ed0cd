"""Cases about other people's events: what the account may say to them, and how it sees them."""

# ruff: noqa: D102 (the name of a case is its claim)

from contextlib import suppress
from typing import Any

import pytest

from connectors.contract import Connector, Copy
from connectors.errors import ConflictError
from connectors.testing.builders import edited, event
from connectors.testing.cases.base import Cases, fetched, read
from connectors.testing.party import OtherParty
from mappings.limits import TargetLimits
from mappings.model import Busy, Event, Response, Visibility

MEETINGS = {
    "meeting": event("Board", "2026-03-03T09:00", "Europe/Berlin"),
    "series": event("Sync", "2026-03-03T09:00", "Europe/Berlin", rule="FREQ=DAILY;COUNT=5"),
}

Place = tuple[str, Copy]


class InvitationCases(Cases):
    """What the bridge relies on in meetings that somebody else organises."""

    @pytest.fixture(params=MEETINGS)
    def invitation(
        self, request: pytest.FixtureRequest, connector: Connector, other_party: OtherParty
    ) -> Place:
        """A meeting to which the account was invited, and its calendar."""
        place = other_party.put_invitation(MEETINGS[request.param])
        if place is None:
            pytest.skip("nobody can invite the account")
        calendar, ref = place
        copy = connector.fetch(calendar, ref)
        assert copy is not None
        return calendar, copy

    def test_an_invitation_is_not_organized_and_not_answered(
        self, connector: Connector, invitation: Place
    ) -> None:
        _calendar, copy = _answerable(connector, invitation)
        assert not copy.organized
        assert copy.event.details.response is Response.NEEDS_ACTION

    @pytest.mark.parametrize("answer", [Response.ACCEPTED, Response.TENTATIVE])
    def test_an_answer_is_given_and_found_in_every_way_of_reading(
        self, connector: Connector, invitation: Place, answer: Response
    ) -> None:
        calendar, copy = _answerable(connector, invitation)
        before = read(connector, calendar, None)
        answered = connector.update(calendar, copy, edited(copy.event, response=answer))
        assert _apart_from_guests(answered) == edited(_apart_from_guests(copy), response=answer)
        assert fetched(connector, calendar, answered).event == answered.event
        after = read(connector, calendar, before.cursor, before.copies)
        assert after.copies[answered.ref].event.details.response is answer

    def test_a_declined_meeting_shows_that_or_leaves_the_calendar(
        self, connector: Connector, invitation: Place
    ) -> None:
        calendar, copy = _answerable(connector, invitation)
        before = read(connector, calendar, None)
        wanted = edited(copy.event, response=Response.DECLINED)
        assert connector.update(calendar, copy, wanted).event.details.response is Response.DECLINED
        after = read(connector, calendar, before.cursor, before.copies)
        if copy.ref in after.copies:
            assert after.copies[copy.ref].event.details.response is Response.DECLINED
        else:
            assert after.gone == [copy.ref]
            assert connector.fetch(calendar, copy.ref) is None

    def test_an_answer_can_be_changed_and_given_again(
        self, connector: Connector, invitation: Place
    ) -> None:
        calendar, copy = _answerable(connector, invitation)
        accepted = edited(copy.event, response=Response.ACCEPTED)
        first = connector.update(calendar, copy, accepted)
        with suppress(ConflictError):  # a strict provider sees that something has changed
            assert connector.update(calendar, copy, accepted).event == first.event
        doubtful = edited(first.event, response=Response.TENTATIVE)
        connector.update(calendar, fetched(connector, calendar, first), doubtful)
        found = fetched(connector, calendar, first)
        assert found.event.details.response is Response.TENTATIVE

    @pytest.mark.parametrize("field", ["visibility", "busy", "color", "reminders"])
    def test_a_participant_may_change_his_own_view(
        self, connector: Connector, invitation: Place, field: str
    ) -> None:
        calendar, copy = invitation
        limits = connector.capabilities.limits
        value = _view(limits)[field]
        if field not in limits.own_view or value is None:
            pytest.skip("declared as not his own")
        wanted = edited(copy.event, **{field: value})
        assert connector.update(calendar, copy, wanted).event == wanted
        assert fetched(connector, calendar, copy).event == wanted

    def test_an_answer_and_a_view_travel_together(
        self, connector: Connector, invitation: Place
    ) -> None:
        calendar, copy = _answerable(connector, invitation)
        wanted = edited(copy.event, busy=Busy.FREE, response=Response.ACCEPTED)
        changed = connector.update(calendar, copy, wanted)
        assert _apart_from_guests(changed) == edited(wanted, attendees=())
        assert fetched(connector, calendar, changed).event == changed.event


def _apart_from_guests(copy: Copy) -> Event:
    """What the copy shows; among the guests, an answer may stand too."""
    return edited(copy.event, attendees=())


def _answerable(connector: Connector, invitation: Place) -> Place:
    if not connector.capabilities.limits.responses:
        pytest.skip("declared as unable to answer")
    return invitation


def _view(limits: TargetLimits) -> dict[str, Any]:
    """Another value of each field, None where the side holds none."""
    color = limits.palette[0][1] if limits.palette else "#112233"
    return {
        "visibility": Visibility.PRIVATE,
        "busy": Busy.FREE,
        "color": color if limits.colors else None,
        "reminders": (30,),
    }
