"""Items as answers show them: the shape that was asked, in the order of the schema."""

import base64
import binascii
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from connectors.sandbox.exchange import occurrences, values
from connectors.sandbox.exchange.errors import EwsError, EwsFaultError
from connectors.sandbox.exchange.fields import BY_URI, FIELDS, Field
from connectors.sandbox.exchange.mime import calendar_text
from connectors.sandbox.exchange.occurrences import View
from connectors.sandbox.exchange.recur_blob import recur_blob
from connectors.sandbox.exchange.soap import PREFIXES, Element, local, t, text
from connectors.sandbox.exchange.state import ExtendedKey, Mailbox

LISTED = 255
OUTLOOK_UID = "040000008200E00074C5B7101A82E008"
GLOBAL_ID = ExtendedKey(values.GUIDS["meeting"], "#3", "Binary")
CLEAN_GLOBAL_ID = ExtendedKey(values.GUIDS["meeting"], "#35", "Binary")
RECUR_BLOB = ExtendedKey(values.GUIDS["appointment"], "#33302", "Binary")
RECURRING = ExtendedKey(values.GUIDS["appointment"], "#33315", "Boolean")


@dataclass(frozen=True)
class Shape:
    """What was asked: properties, extended properties as the request named them."""

    fields: tuple[Field, ...]
    extended: tuple[tuple[ExtendedKey, Element], ...]
    body: str = "Best"
    listing: bool = False

    @classmethod
    def of(cls, element: Element, listing: Literal["", "refuse", "omit"] = "") -> "Shape":
        """From an ItemShape; `listing`: for FindItem, which refuses properties that only GetItem
        returns, or for SyncFolderItems, which leaves them out. Raises EwsFaultError."""
        base = text(element, "t:BaseShape")
        wanted = {
            field.uri
            for field in FIELDS
            if field.name == "ItemId"
            or (base == "Default" and field.default)
            or (base == "AllProperties" and field.name not in ("MimeContent", "TextBody"))
        }
        if text(element, "t:IncludeMimeContent") in ("true", "1"):
            wanted.add("item:MimeContent")
        extended = []
        for line in element.iterfind("t:AdditionalProperties/*", PREFIXES):
            if local(line) == "ExtendedFieldURI":
                try:
                    extended.append((values.extended_key(line), line))
                except EwsError as error:
                    raise EwsFaultError(error.code, error.message) from None
            else:
                wanted.add(_asked(line.get("FieldURI"), listing == "refuse"))
        fields = tuple(
            field for field in FIELDS if field.uri in wanted and (field.find or not listing)
        )
        return cls(fields, tuple(extended), text(element, "t:BodyType", "Best"), bool(listing))


def _asked(uri: str, strict: bool) -> str:
    field = BY_URI.get(uri)
    if field is None:
        if re.fullmatch(
            r"(item|calendar|message|meeting|meetingRequest|contacts|task|conversation|distributionlist|postitem):[\w:]+",
            uri,
        ):
            return uri
        raise EwsFaultError("ErrorInvalidPropertyRequest", f"Property {uri} is not known.")
    if strict and not field.find:
        raise EwsFaultError("ErrorInvalidPropertyRequest", f"Property {uri} is not valid here.")
    return uri


def render(view: View, mailbox: Mailbox, shape: Shape) -> Element:
    """The item's element."""
    name = "CalendarItem" if view.item.is_event else "Message"
    children = []
    for field in shape.fields:
        if field.name == "ExtendedProperty":
            continue
        maker = _COMPUTED.get(field.name)
        if maker is not None:
            children.append(maker(view, mailbox, shape))
        else:
            children.append(values.write(field, view.value(field.uri)))
    # A listing shows the first 255 characters of a text ("FindItem operation").
    longest = LISTED if shape.listing else None
    shown = [
        values.write_extended(uri, tuple(value[:longest] for value in found))
        for key, uri in shape.extended
        if (found := extended_values(view, key))
    ]
    return t(name, *_with_extended(children, shape.fields, shown))


def _with_extended(children: list[Any], fields: tuple[Field, ...], shown: list[Element]) -> Any:
    """The extended properties at their place in the sequence."""
    asked = [field for field in fields if field.name != "ExtendedProperty"]
    before = sum(1 for field in asked if field.uri not in _AFTER_EXTENDED)
    return [*children[:before], *shown, *children[before:]]


_AFTER_EXTENDED = {
    field.uri for field in FIELDS[[field.uri for field in FIELDS].index("item:ExtendedProperty") :]
}


def identity(view: View) -> Element:
    """ItemId."""
    return t("ItemId", Id=view.id, ChangeKey=view.item.change_key)


def extended_values(view: View, key: ExtendedKey) -> tuple[str, ...]:
    """The values of an extended property, stored or computed; empty = it has none."""
    if key in (GLOBAL_ID, CLEAN_GLOBAL_ID):
        return (base64.b64encode(global_id(str(view.item.values["calendar:UID"]))).decode(),)
    if key == RECUR_BLOB and view.item.recurrence and view.original is None:
        return (base64.b64encode(recur_blob(view.world, view.item)).decode(),)
    if key == RECURRING:
        return ("true" if view.item.recurrence else "false",)
    return view.extended.get(key, ())


def global_id(uid: str) -> bytes:
    """The binary form of a UID; a foreign one is wrapped ([MS-OXCICAL] UID)."""
    if uid.upper().startswith(OUTLOOK_UID):
        try:
            return binascii.unhexlify(uid)
        except ValueError:
            pass
    data = b"vCal-Uid\x01\x00\x00\x00" + uid.encode("utf-8") + b"\x00"
    return bytes.fromhex(OUTLOOK_UID) + bytes(20) + len(data).to_bytes(4, "little") + data


def plain(view: View) -> str:
    """The body as text."""
    kind, body = view.value("item:Body") or ("Text", "")
    if kind == "Text":
        return str(body)
    bare = re.sub(r"(?is)<(head|style|script).*?</\1>", "", body)
    bare = re.sub(r"(?i)<br\s*/?>|</p>|</div>", "\r\n", bare)
    return html.unescape(re.sub(r"<[^>]+>", "", bare)).strip()


def _body(view: View, _mailbox: Mailbox, shape: Shape) -> Element | None:
    kind, body = view.value("item:Body") or ("Text", "")
    if shape.body == "Text" and kind == "HTML":
        kind, body = "Text", plain(view)
    elif shape.body == "HTML" and kind == "Text":
        kind, body = "HTML", f"<html><body><pre>{html.escape(body)}</pre></body></html>"
    return t("Body", body, BodyType=kind)


def _attachments(view: View, _mailbox: Mailbox, _shape: Shape) -> Element | None:
    lines = [
        t("FileAttachment", t("AttachmentId", Id=file.id), t("Name", file.name))
        for file in view.files
    ]
    return t("Attachments", *lines) if lines else None


def _text_body(view: View, _mailbox: Mailbox, _shape: Shape) -> Element | None:
    found = plain(view)
    return t("TextBody", found, BodyType="Text") if found else None


def _zone(uri: str) -> Callable[[View, Mailbox, Shape], Element | None]:
    def made(view: View, _mailbox: Mailbox, _shape: Shape) -> Element | None:
        name = view.value(uri)
        return t(uri.partition(":")[2], Id=name, Name=name) if name else None

    return made


def _recurrence(view: View, _mailbox: Mailbox, _shape: Shape) -> Element | None:
    rule, zones = view.item.recurrence, view.world.zones
    if rule is None or view.original is not None:
        return None
    if view.world.switches.twelve_months == "yearly":
        rule = rule.as_yearly()
    return rule.element(zones.suffix(occurrences.midnight(rule.start), view.item.zone))


def _end_of_series(name: str) -> Callable[[View, Mailbox, Shape], Element | None]:
    def made(view: View, _mailbox: Mailbox, _shape: Shape) -> Element | None:
        if view.kind != "RecurringMaster":
            return None
        find = occurrences.first if name == "FirstOccurrence" else occurrences.last
        found = find(view.world, view.item)
        return None if found is None else t(name, *_occurrence_info(found))

    return made


def _occurrence_info(view: View) -> list[Element]:
    assert view.original_start is not None
    return [
        identity(view),
        t("Start", values.utc_text(view.start)),
        t("End", values.utc_text(view.end)),
        t("OriginalStart", values.utc_text(view.original_start)),
    ]


def _modified(view: View, _mailbox: Mailbox, _shape: Shape) -> Element | None:
    if view.original is not None or not view.item.exceptions:
        return None
    lines = [
        t("Occurrence", *_occurrence_info(View(view.world, view.item, day)))
        for day in sorted(view.item.exceptions)
    ]
    return t("ModifiedOccurrences", *lines)


def _deleted(view: View, _mailbox: Mailbox, _shape: Shape) -> Element | None:
    if view.original is not None or not view.item.deleted:
        return None
    starts = (occurrences.regular(view.world, view.item, d)[0] for d in sorted(view.item.deleted))
    lines = [t("DeletedOccurrence", t("Start", values.utc_text(start))) for start in starts]
    return t("DeletedOccurrences", *lines)


def _duration(view: View) -> str:
    minutes = int((view.end - view.start) / timedelta(minutes=1))
    days, rest = divmod(minutes, 1440)
    clock = "".join(f"{n}{unit}" for n, unit in zip(divmod(rest, 60), "HM", strict=True) if n)
    return (
        f"P{f'{days}D' if days else ''}"
        + (f"T{clock}" if clock or not days else "")
        + ("0S" if not clock and not days else "")
    )


def _organizer(view: View, mailbox: Mailbox, shape: Shape) -> Element:
    name, address = view.value("organizer") or (mailbox.name, mailbox.address)
    if shape.listing:
        return t("Organizer", t("Mailbox", t("Name", name)))
    return t("Organizer", values.mailbox(name, address))


def _own_response(view: View, _mailbox: Mailbox) -> str:
    if view.value("organizer") is not None:
        return view.value("calendar:MyResponseType") or "NoResponseReceived"
    return "Organizer" if is_meeting(view) else "Unknown"


def _state(view: View, _mailbox: Mailbox) -> int:
    """AppointmentState: 1 meeting, 2 received, 4 cancelled."""
    received = view.value("organizer") is not None
    cancelled = bool(view.value("calendar:IsCancelled"))
    return int(is_meeting(view)) | 2 * received | 4 * cancelled


def _reminder_due(view: View, _mailbox: Mailbox, _shape: Shape) -> Element:
    due = view.value("item:ReminderDueBy") or view.start
    return t("ReminderDueBy", values.utc_text(due))


def _text(name: str, of: Callable[[View, Mailbox], Any]) -> Any:
    def made(view: View, mailbox: Mailbox, _shape: Shape) -> Element | None:
        found = of(view, mailbox)
        if isinstance(found, bool):
            found = "true" if found else "false"
        return None if found is None else t(name, str(found))

    return name, made


def is_meeting(view: View) -> bool:
    """Whether somebody is invited."""
    return view.value("organizer") is not None or any(
        view.value(f"calendar:{name}")
        for name in ("RequiredAttendees", "OptionalAttendees", "Resources")
    )


def _uid(view: View, _mailbox: Mailbox) -> str:
    uid = str(view.item.values["calendar:UID"])
    if view.world.switches.foreign_uid == "wrap":
        return global_id(uid).hex().upper()
    return uid


def _written_at(view: View, _mailbox: Mailbox) -> str:
    assert view.item.modified is not None
    return values.utc_text(view.item.modified)


def _created_at(view: View, _mailbox: Mailbox) -> str:
    assert view.item.created is not None
    return values.utc_text(view.item.created)


def _original_start(view: View, _mailbox: Mailbox) -> str | None:
    original = view.original_start
    return None if original is None else values.utc_text(original)


def _wall(uri: str, zone: str) -> Callable[[View, Mailbox], str]:
    def made(view: View, _mailbox: Mailbox) -> str:
        name = view.value(zone)
        wall = view.world.zones.wall(view.value(uri), name)
        return f"{wall:%Y-%m-%dT%H:%M:%S}{view.world.zones.suffix(wall, name)}"

    return made


def _mime(view: View, mailbox: Mailbox, _shape: Shape) -> Element:
    text_ = calendar_text(view, mailbox, _uid(view, mailbox))
    return t("MimeContent", base64.b64encode(text_.encode()).decode(), CharacterSet="UTF-8")


_COMPUTED: dict[str, Callable[[View, Mailbox, Shape], Element | None]] = dict(
    [
        ("ItemId", lambda view, _m, _s: identity(view)),
        (
            "ParentFolderId",
            lambda view, _m, _s: t(
                "ParentFolderId", Id=view.item.folder.id, ChangeKey=view.item.folder.change_key
            ),
        ),
        ("MimeContent", _mime),
        ("Body", _body),
        ("Attachments", _attachments),
        ("Organizer", _organizer),
        ("Recurrence", _recurrence),
        ("FirstOccurrence", _end_of_series("FirstOccurrence")),
        ("LastOccurrence", _end_of_series("LastOccurrence")),
        ("ModifiedOccurrences", _modified),
        ("DeletedOccurrences", _deleted),
        ("StartTimeZone", _zone("calendar:StartTimeZone")),
        ("EndTimeZone", _zone("calendar:EndTimeZone")),
        ("ReminderDueBy", _reminder_due),
        ("TextBody", _text_body),
        _text("UID", _uid),
        _text("ItemClass", lambda view, _m: view.value("item:ItemClass") or "IPM.Appointment"),
        _text("Size", lambda view, _m: 1000 + len((view.value("item:Body") or ("", ""))[1])),
        _text("HasAttachments", lambda view, _m: bool(view.files)),
        _text("IsDraft", lambda _v, _m: False),
        _text("IsFromMe", lambda _v, _m: False),
        _text("IsResend", lambda _v, _m: False),
        _text("IsSubmitted", lambda _v, _m: False),
        _text("IsUnmodified", lambda _v, _m: False),
        _text("IsAssociated", lambda _v, _m: False),
        _text("DateTimeReceived", _created_at),
        _text("DateTimeSent", _created_at),
        _text("DateTimeCreated", _created_at),
        _text("DateTimeStamp", _written_at),
        _text("LastModifiedTime", _written_at),
        _text("LastModifiedName", lambda _v, mailbox: mailbox.name),
        _text("RecurrenceId", _original_start),
        _text("OriginalStart", _original_start),
        _text("IsMeeting", lambda view, _m: is_meeting(view)),
        _text("IsCancelled", lambda view, _m: bool(view.value("calendar:IsCancelled"))),
        _text("IsRecurring", lambda view, _m: view.kind != "Single"),
        _text(
            "MeetingRequestWasSent", lambda v, _m: bool(v.value("calendar:MeetingRequestWasSent"))
        ),
        _text("CalendarItemType", lambda view, _m: view.kind),
        _text("MyResponseType", _own_response),
        _text("ConflictingMeetingCount", lambda _v, _m: 0),
        _text("AdjacentMeetingCount", lambda _v, _m: 0),
        _text("Duration", lambda view, _m: _duration(view)),
        _text("AppointmentSequenceNumber", lambda _v, _m: 0),
        _text("AppointmentState", _state),
        _text("StartWallClock", _wall("calendar:Start", "calendar:StartTimeZone")),
        _text("EndWallClock", _wall("calendar:End", "calendar:EndTimeZone")),
        _text("StartTimeZoneId", lambda view, _m: view.value("calendar:StartTimeZone")),
        _text("EndTimeZoneId", lambda view, _m: view.value("calendar:EndTimeZone")),
        _text("IsOrganizer", lambda view, _m: view.value("organizer") is None),
    ]
)
