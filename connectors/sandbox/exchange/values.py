"""Property values between XML and Python.

Instants stay as they were written (naive or with an offset) until the item's zone is known;
bodies are `(BodyType, text)`, attendees `(name, address, response, mailbox type)`.
"""

import base64
import re
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.fields import Field
from connectors.sandbox.exchange.recurrence import parsed
from connectors.sandbox.exchange.soap import Element, child, need, t, text
from connectors.sandbox.exchange.state import ExtendedKey

GUIDS = {
    "meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "appointment": "00062002-0000-0000-c000-000000000046",
    "common": "00062008-0000-0000-c000-000000000046",
    "publicstrings": "00020329-0000-0000-c000-000000000046",
    "address": "00062004-0000-0000-c000-000000000046",
    "internetheaders": "00020386-0000-0000-c000-000000000046",
    "calendarassistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "task": "00062003-0000-0000-c000-000000000046",
}
PROPERTY_TYPES = {
    "ApplicationTime", "Binary", "Boolean", "CLSID", "Currency", "Double", "Float", "Integer",
    "Long", "Short", "String", "SystemTime",
}  # fmt: skip


def instant(raw: str) -> datetime:
    """An xs:dateTime: naive, or with its offset. Python's years end at 9999, as Exchange's do."""
    found = re.fullmatch(r"([^.Z+]+?)(\.\d+)?(Z|[+-]\d{2}:\d{2})?", raw.strip())
    assert found is not None
    return datetime.fromisoformat(found[1] + (found[3] or "").replace("Z", "+00:00"))


def utc_text(value: datetime) -> str:
    """An instant as it stands in answers: UTC, whole seconds."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(field: Field, element: Element, first_day: str) -> Any:
    """The value of a property's element. Raises EwsError."""
    raw = element.text or ""
    match field.kind:
        case "boolean":
            return raw.strip() in ("1", "true")
        case "integer":
            return _number(field, raw)
        case "instant":
            return instant(raw)
        case "words":
            return tuple(line.text or "" for line in element)
        case "body":
            return element.get("BodyType"), raw
        case "attendees":
            return tuple(_attendee(line) for line in element)
        case "zone":
            return element.get("Id") or ""
        case "recurrence":
            return parsed(element, first_day)
        case "text" | "choice" | "other":
            return _text(field, raw)


def _text(field: Field, raw: str) -> str:
    if field.longest is not None and len(raw) > field.longest:
        said = f"Property {field.name} is longer than {field.longest} characters."
        raise EwsError("ErrorPropertyValidationFailure", said)
    return raw


def _number(field: Field, raw: str) -> int:
    number = int(raw)
    if field.name == "ReminderMinutesBeforeStart" and not 0 <= number <= 2_629_800:
        raise EwsError("ErrorInvalidValueForProperty")
    return number


def _attendee(element: Element) -> tuple[str, str, str, str]:
    address = text(element, "t:Mailbox/t:EmailAddress")
    if "@" not in address and text(element, "t:Mailbox/t:RoutingType", "SMTP") == "SMTP":
        raise EwsError("ErrorInvalidRecipients", "At least one recipient isn't valid.")
    return (
        text(element, "t:Mailbox/t:Name", address),
        address,
        text(element, "t:ResponseType", "Unknown"),
        text(element, "t:Mailbox/t:MailboxType", "Mailbox"),
    )


def write(field: Field, value: Any) -> Element | None:
    """The element of a property whose value says it all; None if there is nothing to say."""
    if value is None:
        return None
    match field.kind:
        case "boolean":
            return t(field.name, "true" if value else "false")
        case "instant":
            return t(field.name, utc_text(value))
        case "words":
            return t(field.name, *(t("String", word) for word in value)) if value else None
        case "attendees":
            return t(field.name, *(_written(guest) for guest in value)) if value else None
        case _:
            return t(field.name, str(value))


def _written(guest: tuple[str, str, str, str]) -> Element:
    name, address, response, kind = guest
    return t("Attendee", mailbox(name, address, kind), t("ResponseType", response))


def mailbox(name: str, address: str, kind: str = "Mailbox") -> Element:
    """A Mailbox element."""
    return t("Mailbox", t("Name", name), t("EmailAddress", address), t("RoutingType", "SMTP"),
             t("MailboxType", kind))  # fmt: skip


def extended_key(element: Element) -> ExtendedKey:
    """The property that an ExtendedFieldURI names. Raises EwsError."""
    kind = element.get("PropertyType").removesuffix("Array")
    if kind not in PROPERTY_TYPES:
        raise EwsError("ErrorInvalidExtendedProperty")
    tag, name, number = (
        element.get(mark) for mark in ("PropertyTag", "PropertyName", "PropertyId")
    )
    space = (element.get("PropertySetId") or "").lower()
    space = space or GUIDS.get((element.get("DistinguishedPropertySetId") or "").lower(), "")
    if tag is not None:
        if name or number or space:
            raise EwsError("ErrorInvalidExtendedProperty")
        return ExtendedKey("", f"0x{int(tag, 0):04x}", element.get("PropertyType"))
    if not space or (name is None) == (number is None):
        raise EwsError("ErrorInvalidExtendedProperty")
    return ExtendedKey(space, name or f"#{int(number, 0)}", element.get("PropertyType"))


def extended(element: Element) -> tuple[ExtendedKey, tuple[str, ...]]:
    """An ExtendedProperty's name and values. Raises EwsError."""
    key = extended_key(need(element, "t:ExtendedFieldURI"))
    several = child(element, "t:Values")
    if (several is not None) != key.type.endswith("Array"):
        raise EwsError("ErrorInvalidExtendedPropertyValue")
    lines = [need(element, "t:Value")] if several is None else list(several)
    values = tuple(line.text or "" for line in lines)
    kind = key.type.removesuffix("Array")
    try:
        for value in values:
            if kind == "Binary":
                base64.b64decode(value, validate=True)
            elif kind in ("Integer", "Long", "Short"):
                int(value)
    except ValueError:
        raise EwsError("ErrorInvalidExtendedPropertyValue") from None
    return key, values


def write_extended(uri: Element, values: tuple[str, ...]) -> Element:
    """An ExtendedProperty; `uri` is the request's own ExtendedFieldURI."""
    name = t("ExtendedFieldURI", **dict(uri.attrib))
    lines = [t("Value", value) for value in values]
    if uri.get("PropertyType").endswith("Array"):
        return t("ExtendedProperty", name, t("Values", *lines))
    return t("ExtendedProperty", name, lines[0])
