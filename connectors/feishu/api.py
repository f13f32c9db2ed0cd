"""Calendar v4 as methods on wire objects (parsed JSON), in the name of one identity.

Source: docs "Calendar v4", one page per call; the comments name what they leave out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.errors import OutcomeUnknownError, RejectedError, RetryableError
from connectors.feishu.client import CALENDAR_API, Call
from connectors.feishu.errors import (
    ATTENDEE_GONE,
    ATTENDEES_HIDDEN,
    EVENT_GONE,
    NOT_SUBSCRIBED,
    PROVIDER,
)
from connectors.feishu.session import Session

Wire = Mapping[str, Any]

_CALENDARS = f"{CALENDAR_API}/calendars"
_EVENTS = f"{_CALENDARS}/:calendar_id/events"
_EVENT = f"{_EVENTS}/:event_id"
_OPEN_ID = {"user_id_type": "open_id"}
_DELETED = "193003"


class CalendarApi:
    """The calls that this connector needs. Every write says that nobody is to be notified."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- calendars -----------------------------------------------------------------------------

    def calendars(self) -> Iterator[Wire]:
        """The identity's list of calendars, without removed ones."""
        position: dict[str, str] = {}
        while True:
            query = {"page_size": 500, **position}
            data = self._session.call(Call(method="GET", path=_CALENDARS, query=query))
            for item in data.get("calendar_list") or ():
                if not item.get("is_deleted"):
                    yield item
            if not data.get("has_more"):
                return
            position = {"page_token": _onward(data, position.get("page_token"), "GET /calendars")}

    def calendar(self, calendar: str) -> Wire:
        """One calendar."""
        ids = {"calendar_id": calendar}
        return self._session.call(Call(method="GET", path=f"{_CALENDARS}/:calendar_id", ids=ids))

    def primary(self, open_id: str | None) -> str:
        """The id of a user's primary calendar; of the caller's own without `open_id`."""
        path = f"{_CALENDARS}/primarys" if open_id else f"{_CALENDARS}/primary"
        body = {"user_ids": [open_id]} if open_id else None
        data = self._session.call(Call(method="POST", path=path, query=_OPEN_ID, body=body))
        for entry in data.get("calendars") or ():
            if entry.get("calendar", {}).get("calendar_id"):
                return str(entry["calendar"]["calendar_id"])
        raise RejectedError("Feishu names no primary calendar", provider=PROVIDER)

    # -- reading events ------------------------------------------------------------------------

    def page(self, calendar: str, position: Mapping[str, str], size: int) -> Wire:
        """One page of the listing of a calendar."""
        query = {"page_size": size, **_OPEN_ID, **position}
        call = Call(method="GET", path=_EVENTS, ids={"calendar_id": calendar}, query=query)
        data = self._session.call(call)
        return {**data, "items": _events(data, call.operation)}

    def event(self, calendar: str, event_id: str, *, attendees: bool) -> Wire | None:
        """One event, None if there is none; a deleted one has status `cancelled`."""
        query = {"need_attendee": "true", "max_attendee_num": 100} if attendees else {}
        call = Call(
            method="GET",
            path=_EVENT,
            ids={"calendar_id": calendar, "event_id": event_id},
            query={**_OPEN_ID, **query},
        )
        try:
            event = _event(self._session.call(call), call)
        except RejectedError as error:
            if error.code == _DELETED:
                return {"event_id": event_id, "status": "cancelled"}
            if error.code in EVENT_GONE:
                return None
            raise
        if event.get("has_more_attendee"):
            return {**event, "attendees": self.attendees(calendar, event_id)}
        return event

    def attendees(self, calendar: str, event_id: str) -> list[Wire]:
        """All attendees, none if they are hidden from the caller."""
        path, ids = f"{_EVENT}/attendees", {"calendar_id": calendar, "event_id": event_id}
        try:
            return list(self._paged(path, ids, {"page_size": 100, **_OPEN_ID}))
        except RejectedError as error:
            if error.code in ATTENDEES_HIDDEN:
                return []
            raise

    def instances(self, calendar: str, series_id: str, since: int, until: int) -> Iterator[Wire]:
        """The occurrences of a series between two instants at most two years apart."""
        ids = {"calendar_id": calendar, "event_id": series_id}
        query = {"start_time": since, "end_time": until, "page_size": 500}
        return self._paged(f"{_EVENT}/instances", ids, query)

    def instance_view(self, calendar: str, since: int, until: int) -> list[Wire]:
        """All occurrences of all events in a window of less than 40 days, without paging."""
        call = Call(
            method="GET",
            path=f"{_EVENTS}/instance_view",
            ids={"calendar_id": calendar},
            query={"start_time": since, "end_time": until, **_OPEN_ID},
        )
        return _events(self._session.call(call), call.operation)

    def _paged(self, path: str, ids: Mapping[str, str], query: Mapping[str, Any]) -> Iterator[Wire]:
        position: dict[str, str] = {}
        while True:
            call = Call(method="GET", path=path, ids=ids, query={**query, **position})
            data = self._session.call(call)
            yield from data.get("items") or ()
            if not data.get("has_more"):
                return
            onward = _onward(data, position.get("page_token"), call.operation)
            position = {"page_token": onward}

    # -- writing events ------------------------------------------------------------------------

    def create(self, calendar: str, body: Wire, key: str) -> Wire:
        """Make an event, or get the one that was made with this key."""
        call = Call(
            method="POST",
            path=_EVENTS,
            ids={"calendar_id": calendar},
            query={"idempotency_key": key, **_OPEN_ID},
            body={**body, "need_notification": False},
            writes=True,
        )
        return _event(self._session.call(call), call)

    def patch(self, calendar: str, event_id: str, body: Wire) -> Wire:
        """Change what the body names, of an event or of one occurrence."""
        call = Call(
            method="PATCH",
            path=_EVENT,
            ids={"calendar_id": calendar, "event_id": event_id},
            query=_OPEN_ID,
            body={**body, "need_notification": False},
            writes=True,
        )
        return _event(self._session.call(call), call)

    def delete(self, calendar: str, event_id: str) -> None:
        """Delete an event or remove one occurrence. Gone already = done."""
        call = Call(
            method="DELETE",
            path=_EVENT,
            ids={"calendar_id": calendar, "event_id": event_id},
            query={"need_notification": "false"},
            writes=True,
        )
        try:
            self._session.call(call)
        except RejectedError as error:
            if error.code not in EVENT_GONE:
                raise

    def invite(self, calendar: str, event_id: str, attendees: Sequence[Wire]) -> None:
        """Add attendees. Feishu mails outside addresses whatever we say."""
        self._attendee_write("attendees", calendar, event_id, {"attendees": attendees})

    def disinvite(self, calendar: str, event_id: str, attendees: Sequence[Wire]) -> None:
        """Remove attendees. Gone already = done."""
        try:
            self._attendee_write(
                "attendees/batch_delete", calendar, event_id, {"delete_ids": attendees}
            )
        except RejectedError as error:
            if error.code not in ATTENDEE_GONE:
                raise

    def _attendee_write(self, path: str, calendar: str, event_id: str, body: Wire) -> None:
        self._session.call(
            Call(
                method="POST",
                path=f"{_EVENT}/{path}",
                ids={"calendar_id": calendar, "event_id": event_id},
                query=_OPEN_ID,
                body={**body, "need_notification": False},
                writes=True,
            )
        )

    def reply(self, calendar: str, event_id: str, answer: str) -> None:
        """Answer an invitation in the caller's own name, as often as one likes."""
        self._session.call(
            Call(
                method="POST",
                path=f"{_EVENT}/reply",
                ids={"calendar_id": calendar, "event_id": event_id},
                body={"rsvp_status": answer},
                writes=True,
            )
        )

    # -- pushes --------------------------------------------------------------------------------

    def subscribe(self, calendar: str | None) -> None:
        """Ask for pushes. The SDK would also take the app's token; Feishu's docs do not."""
        self._session.call(_subscription(calendar, "subscription"))

    def unsubscribe(self, calendar: str | None) -> None:
        """No longer ask for them."""
        try:
            self._session.call(_subscription(calendar, "unsubscription"))
        except RejectedError as error:
            if error.code not in NOT_SUBSCRIBED:
                raise


def _subscription(calendar: str | None, verb: str) -> Call:
    if calendar is None:
        return Call(method="POST", path=f"{_CALENDARS}/{verb}")
    return Call(method="POST", path=f"{_EVENTS}/{verb}", ids={"calendar_id": calendar})


def _event(data: Wire, call: Call) -> Wire:
    """The event in an answer. Without one nobody knows what Feishu did."""
    event = data.get("event")
    if isinstance(event, Mapping) and event.get("event_id"):
        return event
    kind = OutcomeUnknownError if call.writes else RetryableError
    raise kind("the answer shows no event", provider=PROVIDER, operation=call.operation)


def _events(data: Wire, operation: str) -> list[Wire]:
    """The events of a page; one without id could not even be named, so the page is broken."""
    items = data.get("items") or []
    if isinstance(items, list) and all(isinstance(i, Mapping) and i.get("event_id") for i in items):
        return items
    raise RetryableError("the page cannot be read", provider=PROVIDER, operation=operation)


def _onward(data: Wire, before: str | None, operation: str) -> str:
    """The next page's token. A page may be empty, but a token that repeats would never end."""
    token = str(data.get("page_token") or "")
    if not token or token == before:
        raise RetryableError("the listing does not go on", provider=PROVIDER, operation=operation)
    return token
