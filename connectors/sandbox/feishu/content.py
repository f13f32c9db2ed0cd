"""The fields of an event: what a request may say, and what a reader is shown.

Source: the field tables of "Create event", "Update event" and "Get event".
"""

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from connectors.sandbox.feishu.calls import Call
from connectors.sandbox.feishu.errors import violation, wrong_type
from connectors.sandbox.feishu.state import PERSONAL, Calendar, Entry
from connectors.sandbox.feishu.switches import FeishuSwitches
from connectors.sandbox.feishu.times import Span, write_span

Json = dict[str, Any]

_UI_NAMES = (
    "ForwardIcon", "MeetingChatIcon", "MeetingMinutesIcon", "MeetingVideo", "RSVP", "Attendee",
    "OrganizerOrCreator",
)  # fmt: skip
_SECRET = ("summary", "description", "location", "vchat", "attachments", "reminders")


def read_content(body: Json, switches: FeishuSwitches) -> Json:
    """The valid fields of a create or patch body except times and recurrence.

    null counts as absent, unknown and read-only fields are ignored. Raises 190014 or 99992402.
    """
    found: Json = {}
    for name, read in _READERS.items():
        if body.get(name) is not None:
            found[name] = read(name, body[name])
    if switches.trim_description and "description" in found:
        found["description"] = found["description"].replace("\r\n", "\n").rstrip()
    return found


def _text(name: str, value: Any, least: int, limit: int) -> str:
    if not isinstance(value, str):
        raise wrong_type(name, value, "a string is expected")
    if not least <= len(value) <= limit:
        raise violation(name, f"{len(value)} characters", f"{least} to {limit} characters")
    return value


def _choice(name: str, value: Any, *allowed: str) -> str:
    if value not in allowed:
        raise violation(name, value, f"one of {', '.join(allowed)}")
    return str(value)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "a number is expected")
    if not low <= value <= high:
        raise violation(name, value, f"{low} to {high}")
    return value


def _object(name: str, value: Any) -> Json:
    if not isinstance(value, dict):
        raise wrong_type(name, value, "an object is expected")
    return value


def _objects(name: str, value: Any) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise wrong_type(name, value, "a list of objects is expected")
    return value


def _reminders(name: str, value: Any) -> list[Json]:
    minutes = [item.get("minutes") for item in _objects(name, value)]
    return [{"minutes": _whole(f"{name}.minutes", item, -20160, 20160)} for item in minutes]


def _vchat(name: str, value: Any) -> Json:
    value = _object(name, value)
    kind = value.get("vc_type") or ""
    _choice(f"{name}.vc_type", kind, "", "vc", "third_party", "no_meeting")
    shown: Json = {"vc_type": kind} if kind else {}
    if (icon := value.get("icon_type")) is not None:
        shown["icon_type"] = _choice(f"{name}.icon_type", icon, "vc", "live", "default")
    if (text := value.get("description")) is not None:
        shown["description"] = _text(f"{name}.description", text, 0, 500)
    if kind == "third_party" and (url := value.get("meeting_url")) is not None:
        shown["meeting_url"] = _text(f"{name}.meeting_url", url, 1, 2000)
    return shown


def _location(field: str, value: Any) -> Json:
    value = _object(field, value)
    shown: Json = {}
    for name, limit in (("name", 512), ("address", 255)):
        if (text := value.get(name)) is not None:
            shown[name] = _text(f"{field}.{name}", text, 1, limit)
    for name, limit in (("latitude", 90), ("longitude", 180)):
        if (number := value.get(name)) is not None:
            if not isinstance(number, int | float) or abs(number) > limit:
                raise violation(f"{field}.{name}", number, f"-{limit} to {limit}")
            shown[name] = struct.unpack("f", struct.pack("f", number))[0]
    return shown


def _schemas(name: str, value: Any) -> list[Json]:
    return [_schema(item) for item in _objects(name, value)]


def _schema(item: Json) -> Json:
    if item.get("ui_name") not in _UI_NAMES or item.get("ui_status", "hide") != "hide":
        raise violation("schemas", item, "a known ui_name with ui_status hide")
    return {"ui_name": item["ui_name"], "ui_status": "hide"}


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "summary": partial(_text, least=0, limit=1000),
    "description": partial(_text, least=0, limit=40_960),
    "visibility": lambda name, value: _choice(name, value, "default", "public", "private"),
    "attendee_ability": lambda name, value: _choice(
        name, value, "none", "can_see_others", "can_invite_others", "can_modify_event"
    ),
    "free_busy_status": lambda name, value: _choice(name, value, "busy", "free"),
    "color": partial(_whole, low=-(2**31), high=2**31 - 1),
    "reminders": _reminders,
    "vchat": _vchat,
    "location": _location,
    "schemas": _schemas,
    "attachments": _objects,
    "event_check_in": _object,
}


# -- reading -------------------------------------------------------------------------------------


def show_event(call: Call, calendar: Calendar, entry: Entry) -> Json:
    """The event as this caller sees it in this calendar; a tombstone if it is gone."""
    switches, event = call.world.switches, entry.event
    shown: Json = {
        "event_id": event.id,
        "organizer_calendar_id": event.organizer_calendar,
        "status": "cancelled" if entry.gone else event.status,
        "is_exception": event.master is not None,
        "create_time": str(event.created),
    }
    if event.master is not None:
        shown["recurring_event_id"] = event.uid + ("_0" if switches.recurring_id_suffix else "")
    if entry.gone and switches.tombstones == "few":
        return shown | (write_span(event.span, switches) if event.master is not None else {})
    shown |= write_span(event.span, switches)
    shown["recurrence"] = _shown_rule(event.recurrence, switches)
    shown |= _details(calendar, entry, calendar.role(call.user))
    shown["event_organizer"] = {
        **call.visible_id(event.organizer),
        "display_name": event.organizer.name,
    }
    if entry.rsvp:
        shown["self_rsvp_status"] = entry.rsvp
    shown["app_link"] = f"https://applink.feishu.cn/client/calendar/event/detail?key={event.id}"
    return shown


def show_occurrence(call: Call, calendar: Calendar, entry: Entry, start: int, span: Span) -> Json:
    """One occurrence of a master as `instances` and `instance_view` list it."""
    shown = show_event(call, calendar, entry) | write_span(span, call.world.switches)
    shown["event_id"] = f"{entry.event.uid}_{start}"
    suffix = "_0" if call.world.switches.recurring_id_suffix else ""
    shown["recurring_event_id"] = entry.event.uid + suffix
    return as_instance(shown)


def as_instance(shown: Json) -> Json:
    """Without the fields that instances do not have."""
    for name in ("recurrence", "create_time", "reminders"):
        shown.pop(name, None)
    return shown


def _shown_rule(rule: str, switches: FeishuSwitches) -> str:
    return f"RRULE:{rule}" if rule and switches.rrule_prefix else rule


def _details(calendar: Calendar, entry: Entry, role: str) -> Json:
    content = {
        "summary": "",
        "description": "",
        "visibility": "default",
        "attendee_ability": "none",
        "free_busy_status": "busy",
        "color": -1,
        "reminders": [],
        "vchat": {},
        **entry.event.content,
        **entry.personal,
    }
    hidden = content["visibility"] == "private" and role not in ("writer", "owner")
    if hidden or role == "free_busy_reader":
        return {name: value for name, value in content.items() if name not in _SECRET}
    return content


def split_personal(fields: Json) -> tuple[Json, Json]:
    """What everybody sees, and what belongs to the caller's own view."""
    personal = {name: value for name, value in fields.items() if name in PERSONAL}
    return {n: v for n, v in fields.items() if n not in PERSONAL}, personal
