"""A person in front of the Feishu client: the same code path as the API, without the wire."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.sandbox.feishu.attendees import add_attendees
from connectors.sandbox.feishu.calls import Call, Caller, Handler
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.events import (
    create_event,
    delete_event,
    get_event,
    patch_event,
    reply,
)
from connectors.sandbox.feishu.listing import instance_view, list_events
from connectors.sandbox.feishu.state import ALL_SCOPES, User

if TYPE_CHECKING:
    from connectors.sandbox.feishu.server import FeishuSandbox


class Person:
    """Edits as `user`. `calendar` is an id or `primary`; `event` an event or occurrence id.

    Bodies are the wire's. What people send each other is not counted as mail: the count shows
    what programs caused. Raises `RefusalError` as the API would.
    """

    def __init__(self, sandbox: "FeishuSandbox", user: User) -> None:
        self._sandbox = sandbox
        self.user = user

    def create(
        self, calendar: str, body: Json, attendees: list[Json] | None = None, **query: str
    ) -> Json:
        """Make an event; returns it as the wire shows it."""
        event: Json = self._call(create_event, {"calendar_id": calendar}, body, query)["event"]
        if attendees:
            self.invite(calendar, event["event_id"], attendees)
            event = self.get(calendar, event["event_id"])
        return event

    def get(self, calendar: str, event: str) -> Json:
        """The event as it stands."""
        shown: Json = self._on(get_event, calendar, event, {})["event"]
        return shown

    def patch(self, calendar: str, event: str, body: Json) -> Json:
        """Change an event, or one occurrence of a series."""
        shown: Json = self._on(patch_event, calendar, event, body)["event"]
        return shown

    def delete(self, calendar: str, event: str) -> None:
        """Delete an event, or remove one occurrence of a series."""
        self._on(delete_event, calendar, event, {})

    def reply(self, calendar: str, event: str, answer: str) -> None:
        """`accept`, `decline` or `tentative`."""
        self._on(reply, calendar, event, {"rsvp_status": answer})

    def invite(self, calendar: str, event: str, lines: list[Json]) -> list[Json]:
        """Add attendees."""
        body = {"attendees": lines}
        added: list[Json] = self._on(add_attendees, calendar, event, body)["attendees"]
        return added

    def events(self, calendar: str) -> list[Json]:
        """Everything that a full listing shows."""
        found: list[Json] = []
        query = {"page_size": "1000", "anchor_time": "1"}
        while True:
            page = self._call(list_events, {"calendar_id": calendar}, {}, query)
            found += page["items"]
            if not page["has_more"]:
                return found
            query["page_token"] = page["page_token"]

    def instances(self, calendar: str, since: datetime, until: datetime) -> list[Json]:
        """What takes place within at most 40 days, series expanded."""
        query = {"start_time": since, "end_time": until}
        seconds = {name: str(int(at.timestamp())) for name, at in query.items()}
        found: list[Json] = self._call(instance_view, {"calendar_id": calendar}, {}, seconds)[
            "items"
        ]
        return found

    def _on(self, handler: Handler, calendar: str, event: str, body: Json) -> Json:
        return self._call(handler, {"calendar_id": calendar, "event_id": event}, body, {})

    def _call(
        self, handler: Handler, args: dict[str, str], body: Json, query: dict[str, str]
    ) -> dict[str, Any]:
        sandbox = self._sandbox
        caller = Caller(sandbox.app, self.user, "user", ALL_SCOPES)
        with sandbox.lock, sandbox.world.unmailed():
            return handler(Call(sandbox.world, caller, args, body, query, at_once=True))
