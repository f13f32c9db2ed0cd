"""What a client wrote, checked and brought to the form that is stored ("Events" reference)."""

import json
import re
from typing import Any

from connectors.sandbox.google.errors import ApiError, bad_request, invalid, required
from connectors.sandbox.google.expansion import Reading, invalid_rule, series
from connectors.sandbox.google.palette import EVENT_COLORS
from connectors.sandbox.google.times import Moment, parse_span

ID = re.compile(r"[a-v0-9]{5,1024}")
MAX_DESCRIPTION = 8192
MAX_KEY, MAX_VALUE, MAX_PROPERTIES, MAX_PROPERTY_BYTES = 44, 1024, 300, 32 * 1024
MAX_OVERRIDES, MAX_MINUTES = 5, 40320
TEXTS = ("summary", "description", "location", "hangoutLink")
OBJECTS = (
    "source", "conferenceData", "workingLocationProperties", "outOfOfficeProperties",
    "focusTimeProperties", "birthdayProperties",
)  # fmt: skip
FLAGS = {
    "guestsCanInviteOthers": True, "guestsCanModify": False, "guestsCanSeeOtherGuests": True,
    "anyoneCanAddSelf": False, "endTimeUnspecified": False,
}  # fmt: skip
CHOICES = {
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
    "eventType": (
        "default", "outOfOffice", "focusTime", "workingLocation", "birthday", "fromGmail",
    ),
}  # fmt: skip
STATUS = ("confirmed", "tentative", "cancelled")
RESPONSES = ("needsAction", "declined", "tentative", "accepted")


def check_id(value: Any) -> str:
    """An id that a client chose. Raises 400."""
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise invalid("Invalid resource id value.")
    return value


def merged(old: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`patch` over `old`: objects merge, arrays are replaced whole, null deletes."""
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            below = result.get(name)
            result[name] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[name] = value
    return result


def without_nulls(body: Any) -> dict[str, Any]:
    """The body of an insert or update: null means absent. Raises 400 if it is no object."""
    if not isinstance(body, dict):
        raise bad_request("Parse Error")
    return merged({}, body)


def normalized(
    body: dict[str, Any], zone: str, reading: Reading, *, exception: bool = False
) -> tuple[dict[str, Any], Moment, Moment, str]:
    """Fields, start, end and status of a complete event body. Raises the API's 400s.

    `zone` is the calendar's. An `exception` takes no recurrence.
    """
    start, end = parse_span(body, zone)
    fields = _simple(body)
    if not exception and (lines := _recurrence(body, start, reading)):
        fields["recurrence"] = lines
    if guests := _attendees(body):
        fields["attendees"] = guests
    if properties := _properties(body):
        fields["extendedProperties"] = properties
    if (reminders := _reminders(body)) is not None:
        fields["reminders"] = reminders
    if files := _typed(body, "attachments", list):
        fields["attachments"] = _attachments(files)
    return fields, start, end, _choice(body, "status", STATUS) or "confirmed"


def _simple(body: dict[str, Any]) -> dict[str, Any]:
    """Texts, flags and choices, without those that have their default."""
    texts = {name: _typed(body, name, str) for name in TEXTS}
    texts["description"] = (texts["description"] or "")[:MAX_DESCRIPTION]
    fields = {name: text for name, text in texts.items() if text}
    fields |= {name: value for name in OBJECTS if (value := _typed(body, name, dict))}
    for name, default in FLAGS.items():
        value = _typed(body, name, bool)
        if value is not None and value is not default:
            fields[name] = value
    for name, choices in CHOICES.items():
        choice = _choice(body, name, choices)
        if choice is not None and choice != choices[0]:
            fields[name] = choice
    if color := _typed(body, "colorId", str):
        if color not in EVENT_COLORS:
            raise invalid("Invalid color id value.")
        fields["colorId"] = color
    _check_source(fields.get("source"))
    return fields


def check_event_type(fields: dict[str, Any], start: Moment, *, primary: bool) -> None:
    """The demands of special event types ("Manage focus time, out of office ..."). Raises 400."""
    kind = fields.get("eventType", "default")
    if kind == "default":
        return
    broken = (
        kind == "fromGmail"
        or (kind != "birthday" and not primary)
        or (kind in ("outOfOffice", "focusTime") and (start.all_day or "transparency" in fields))
        or (kind == "workingLocation" and fields.get("visibility") != "public")
        or (kind in ("workingLocation", "birthday") and fields.get("transparency") is None)
        or (kind != "birthday" and f"{kind}Properties" not in fields)
    )
    if broken:
        raise ApiError(
            400, "eventTypeRestriction", f"Event type {kind} cannot be written like this.",
            domain="calendar",
        )  # fmt: skip


def _typed(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise bad_request(f"Invalid value for field {name}.")
    return value


def _choice(body: dict[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value: str | None = _typed(body, name, str)
    if value is not None and value not in choices:
        raise invalid(f"Invalid value for: {value} is not a valid value", name)
    return value


def _recurrence(body: dict[str, Any], start: Moment, reading: Reading) -> list[str]:
    lines = _typed(body, "recurrence", list) or []
    if not lines:
        return []
    if not all(isinstance(line, str) for line in lines):
        raise invalid_rule()
    if not start.all_day and not body["start"].get("timeZone"):
        raise required("Missing time zone definition for start time.")
    series(start, tuple(lines), reading)
    return list(lines)


def _attendees(body: dict[str, Any]) -> list[dict[str, Any]]:
    guests: dict[str, dict[str, Any]] = {}
    for raw in _typed(body, "attendees", list) or []:
        email = raw.get("email") if isinstance(raw, dict) else None
        if not isinstance(email, str) or not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise invalid("Invalid attendee email.")
        response = raw.get("responseStatus", "needsAction")
        if response not in RESPONSES:
            raise invalid("Invalid attendee response status.")
        guest: dict[str, Any] = {"email": email.lower()}
        for name in ("displayName", "comment", "additionalGuests", "optional", "resource"):
            if raw.get(name):
                guest[name] = raw[name]
        guests[guest["email"]] = guest | {"responseStatus": response}
    return list(guests.values())


def _properties(body: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Keys that are too long are dropped, values cut, both without a word."""
    raw = _typed(body, "extendedProperties", dict) or {}
    kept: dict[str, dict[str, str]] = {}
    for kind in ("private", "shared"):
        values = _typed(raw, kind, dict) or {}
        if not all(isinstance(value, str) for value in values.values()):
            raise bad_request("Extended property values must be strings.")
        short = {key: text[:MAX_VALUE] for key, text in values.items() if len(key) <= MAX_KEY}
        if short:
            kept[kind] = short
    count = sum(len(values) for values in kept.values())
    if count > MAX_PROPERTIES or len(json.dumps(kept).encode()) > MAX_PROPERTY_BYTES:
        raise invalid("The extended properties of the event are too large.")
    return kept


def _reminders(body: dict[str, Any]) -> dict[str, Any] | None:
    raw = _typed(body, "reminders", dict)
    if raw is None:
        return None
    overrides = _typed(raw, "overrides", list) or []
    use_default = bool(raw.get("useDefault", False))
    if use_default and overrides:
        raise ApiError(
            400, "cannotUseDefaultRemindersAndSpecifyOverride",
            "Cannot specify both default reminders and overrides at the same time.",
            domain="calendar",
        )  # fmt: skip
    if len(overrides) > MAX_OVERRIDES:
        raise invalid("An event can have at most 5 reminder overrides.")
    kept = []
    for override in overrides:
        minutes = override.get("minutes") if isinstance(override, dict) else None
        if not isinstance(minutes, int) or not 0 <= minutes <= MAX_MINUTES:
            raise invalid("Invalid reminder minutes.")
        if override.get("method") not in ("email", "popup"):
            raise invalid("Invalid reminder method.")
        kept.append({"method": override["method"], "minutes": minutes})
    if use_default:
        return None
    return {"useDefault": False} | ({"overrides": kept} if kept else {})


def _attachments(files: list[Any]) -> list[Any]:
    if len(files) > 25 or not all(isinstance(item, dict) and item.get("fileUrl") for item in files):
        raise invalid("Invalid attachments.")
    return files


def _check_source(source: dict[str, Any] | None) -> None:
    if source is not None and not str(source.get("url", "")).startswith(("http://", "https://")):
        raise invalid("Invalid source url.")
