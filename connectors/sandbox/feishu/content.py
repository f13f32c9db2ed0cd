"""The fields of an event: what a request may say, and what a reader is shown.

Source: the field tables of "Create event", "Update event" and "Get event".
"""

import struct
from typing import Any

from connectors.sandbox.feishu.calls import Call
from connectors.sandbox.feishu.errors import violation, wrong_type
from connectors.sandbox.feishu.state import PERSONAL, Calendar, Entry
from connectors.sandbox.feishu.switches import FeishuSwitches
from connectors.sandbox.feishu.times import Span, write_span

Json = dict[str, Any]

_CHOICES = {
    "visibility": ("default", "public", "private"),
    "attendee_ability": (
        "none", "can_see_others", "can_invite_others", "can_modify_event",
    ),
    "free_busy_status": ("busy", "free"),
}  # fmt: skip
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
    for name, limit in (("summary", 1000), ("description", 40_960)):
        if (text := _text(body, name, limit)) is not None:
            found[name] = text
    if switches.trim_description and "description" in found:
        found["description"] = found["description"].replace("\r\n", "\n").rstrip()
    for name, allowed in _CHOICES.items():
        if (value := body.get(name)) is not None:
            if value not in allowed:
                raise violation(name, value, f"one of {', '.join(allowed)}")
            found[name] = value
    if (color := body.get("color")) is not None:
        found["color"] = _whole("color", color, -(2**31), 2**31 - 1)
    if (reminders := body.get("reminders")) is not None:
        found["reminders"] = [
            {"minutes": _whole("reminders.minutes", item.get("minutes"), -20160, 20160)}
            for item in _objects("reminders", reminders)
        ]
    if (vchat := body.get("vchat")) is not None:
        found["vchat"] = _vchat(vchat)
    if (location := body.get("location")) is not None:
        found["location"] = _location(location)
    if (schemas := body.get("schemas")) is not None:
        found["schemas"] = [_schema(item) for item in _objects("schemas", schemas)]
    for name in ("attachments", "event_check_in"):
        if body.get(name) is not None:
            found[name] = body[name]
    return found


def _text(body: Json, name: str, limit: int, least: int = 0, prefix: str = "") -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong_type(prefix + name, value, "a string is expected")
    if not least <= len(value) <= limit:
        raise violation(prefix + name, f"{len(value)} characters", f"{least} to {limit} characters")
    return value


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "a number is expected")
    if not low <= value <= high:
        raise violation(name, value, f"{low} to {high}")
    return value


def _objects(name: str, value: Any) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise wrong_type(name, value, "a list of objects is expected")
    return value


def _vchat(value: Any) -> Json:
    if not isinstance(value, dict):
        raise wrong_type("vchat", value, "an object is expected")
    kind = value.get("vc_type") or ""
    if kind not in ("", "vc", "third_party", "no_meeting"):
        raise violation("vchat.vc_type", kind, "vc, third_party or no_meeting")
    shown: Json = {"vc_type": kind} if kind else {}
    icon = value.get("icon_type")
    if icon is not None:
        if icon not in ("vc", "live", "default"):
            raise violation("vchat.icon_type", icon, "vc, live or default")
        shown["icon_type"] = icon
    if (text := _text(value, "description", 500, prefix="vchat.")) is not None:
        shown["description"] = text
    url = _text(value, "meeting_url", 2000, 1, "vchat.")
    if kind == "third_party" and url is not None:
        shown["meeting_url"] = url
    return shown


def _location(value: Any) -> Json:
    if not isinstance(value, dict):
        raise wrong_type("location", value, "an object is expected")
    shown: Json = {}
    for name, limit in (("name", 512), ("address", 255)):
        if (text := _text(value, name, limit, 1, "location.")) is not None:
            shown[name] = text
    for name, limit in (("latitude", 90), ("longitude", 180)):
        if (number := value.get(name)) is not None:
            if not isinstance(number, int | float) or abs(number) > limit:
                raise violation(f"location.{name}", number, f"-{limit} to {limit}")
            shown[name] = struct.unpack("f", struct.pack("f", number))[0]
    return shown


def _schema(item: Json) -> Json:
    if item.get("ui_name") not in _UI_NAMES or item.get("ui_status", "hide") != "hide":
        raise violation("schemas", item, "a known ui_name with ui_status hide")
    return {"ui_name": item["ui_name"], "ui_status": "hide"}


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
