"""From changes to push messages: aggregation, recipients, payload ("Calendar changed" pages)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from connectors.sandbox.feishu.state import App, Calendar, Change, User
from connectors.sandbox.feishu.subscriptions import ACLS, EVENTS, LISTS

if TYPE_CHECKING:
    from connectors.sandbox.feishu.server import FeishuSandbox

EVENT_CHANGED = "calendar.calendar.event.changed_v4"
LIST_CHANGED = "calendar.calendar.changed_v4"
ACL_CHANGED = "calendar.calendar.acl.{}_v4"
REVOKED = "auth.user_access_token.revoked_v4"

Kind = Literal["create", "update", "delete", "rsvp"]


@dataclass(frozen=True)
class Push:
    """One message; `id` stays the same over all redeliveries."""

    id: str
    app_id: str
    type: str
    created_ms: int
    tenant_key: str
    event: dict[str, Any]

    def payload(self, token: str) -> dict[str, Any]:
        """Schema 2.0 with the app's verification token."""
        header = {
            "event_id": self.id,
            "event_type": self.type,
            "create_time": str(self.created_ms),
            "token": token,
            "app_id": self.app_id,
            "tenant_key": self.tenant_key,
        }
        return {"schema": "2.0", "header": header, "event": self.event}


class Pushes:
    """Collects changes per calendar and event for the aggregation window, then sends."""

    def __init__(self, sandbox: "FeishuSandbox") -> None:
        self._sandbox = sandbox
        self._pending: dict[tuple[str, str], Kind | None] = {}
        world = sandbox.world
        world.on_change = self.changed
        world.on_list_change = self.list_changed
        world.on_acl_change = self.acl_changed

    def changed(self, change: Change) -> None:
        """An event changed in a calendar: the window begins, or the change joins it."""
        key = change.calendar, change.event_id
        if key in self._pending:
            self._pending[key] = merged(self._pending[key], change.kind)
            return
        self._pending[key] = change.kind
        world = self._sandbox.world
        world.later(world.switches.aggregation_seconds, lambda: self._close(key))

    def list_changed(self, user: User) -> None:
        """A person's list of calendars changed."""
        self._send(LIST_CHANGED, LISTS, user.open_id, {})

    def acl_changed(self, calendar: Calendar, verb: str, user: User, role: str) -> None:
        """Somebody's role on a calendar changed."""
        scope = {"type": "user", "user_id": {"open_id": user.open_id, "union_id": user.union_id}}
        event = {"acl_id": f"user_{user.open_id}", "role": role, "scope": scope}
        self._send(ACL_CHANGED.format(verb), ACLS, calendar.id, event)

    def revoked(self, user: User) -> None:
        """A person withdrew consent; every app hears of its own."""
        for app in self._sandbox.world.apps.values():
            ids = self._ids(app, user)
            event = {**ids, "revoke_token_type": "user_access_token", "revoke_reason": "user"}
            self._sandbox.delivery.send(self._push(app, REVOKED, event))

    def _close(self, key: tuple[str, str]) -> None:
        kind = self._pending.pop(key, None)
        if kind is None:
            return
        calendar_id, event_id = key
        event: dict[str, Any] = {"calendar_id": calendar_id}
        if self._sandbox.world.switches.grey_fields:
            event |= {"calendar_event_id": event_id, "change_type": kind}
        self._send(EVENT_CHANGED, EVENTS, calendar_id, event)

    def _send(self, type_: str, kind: str, subject: str, event: dict[str, Any]) -> None:
        world = self._sandbox.world
        for app in world.apps.values():
            subscribed = self._sandbox.subscriptions.who(app.id, kind, subject)
            if subscribed:
                users = [self._ids(app, world.users[open_id]) for open_id in subscribed]
                push = self._push(app, type_, {**event, "user_id_list": users})
                self._sandbox.delivery.send(push)

    def _push(self, app: App, type_: str, event: dict[str, Any]) -> Push:
        world = self._sandbox.world
        now = int(world.clock.time() * 1000)
        return Push(world.hex(128), app.id, type_, now, app.tenant_key, event)

    @staticmethod
    def _ids(app: App, user: User) -> dict[str, str]:
        ids = {"open_id": user.open_id, "union_id": user.union_id}
        if "contact:user.employee_id:readonly" in app.scopes:
            ids["user_id"] = user.user_id
        return ids


def merged(first: Kind | None, second: Kind) -> Kind | None:
    """One change type for two within the window; None = nothing to tell."""
    match first, second:
        case "create", "delete":
            return None
        case "create", _:
            return "create"
        case "delete", _:
            return "delete"
        case _:
            return second
