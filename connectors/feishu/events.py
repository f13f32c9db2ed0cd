"""What Feishu's change events (schema 2.0) amount to: hints, whatever way they came."""

from collections.abc import Mapping
from typing import Any

from connectors.contract import Hint

_EVENTS_OF_CALENDAR = "calendar.calendar.event.changed_v4"
_LIST_OF_CALENDARS = frozenset(
    {
        "calendar.calendar.changed_v4",
        "calendar.calendar.acl.created_v4",
        "calendar.calendar.acl.deleted_v4",
    }
)
_CONSENT_WITHDRAWN = "auth.user_access_token.revoked_v4"


def hints_of(connector: str, payload: Mapping[str, Any]) -> tuple[Hint, ...]:
    """The hints in one event; none for a type that we do not know.

    A change inside a calendar names the calendar (docs: event changed), a change of somebody's
    list of calendars or rights names the users (docs: calendar changed, ACL created / deleted), a
    withdrawn consent its user (docs: user access token revoked): a look at his calendars shows
    whether it has been given anew since. All other fields are a grey release and may be missing:
    they are not looked at.
    """
    header, event = _mapping(payload.get("header")), _mapping(payload.get("event"))
    kind, id_ = header.get("event_type"), str(header.get("event_id") or "")
    if kind == _EVENTS_OF_CALENDAR and event.get("calendar_id"):
        return (Hint(connector=connector, calendar=str(event["calendar_id"]), id=id_),)
    if kind in _LIST_OF_CALENDARS:
        users = (_mapping(user).get("open_id") for user in event.get("user_id_list") or ())
        return tuple(
            Hint(connector=connector, account=str(user), id=f"{id_}/{user}")
            for user in users
            if user
        )
    if kind == _CONSENT_WITHDRAWN and event.get("open_id"):
        return (Hint(connector=connector, account=str(event["open_id"]), id=id_),)
    return ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
