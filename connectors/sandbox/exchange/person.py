"""A person in Outlook: the same operations as any client, from plain values.

An event is a dict: `subject`, `start` and `end` (local `YYYY-MM-DDTHH:MM:SS` in `zone`; for
`all_day` dates, `end` exclusive), `zone` (IANA or Windows name), `location`, `body` or `html`,
`categories`, `sensitivity`, `status`, `reminder` (minutes or None), `attendees` (addresses) and
`recurrence`: the fields of `Pattern` with `start`, and `until` or `number`.
"""

from dataclasses import replace
from datetime import date
from typing import Any

from connectors.sandbox.exchange import attachments, ids, occurrences, operations
from connectors.sandbox.exchange.call import Call
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.occurrences import View
from connectors.sandbox.exchange.recurrence import Pattern, Recurrence
from connectors.sandbox.exchange.soap import Element, child, m, need, parse, t, text, written
from connectors.sandbox.exchange.state import Folder, Item, Mailbox, World
from connectors.sandbox.exchange.values import utc_text
from connectors.sandbox.exchange.zones import windows_name

Fields = dict[str, Any]
ORDER = (
    "subject", "sensitivity", "body", "html", "categories", "importance", "reminder", "extended",
    "uid", "start", "end", "all_day", "status", "location", "attendees", "recurrence", "zone",
)  # fmt: skip
ANSWERS = {"accepted": "Accept", "tentative": "Tentative"}
TEXTS = {
    "subject": "item:Subject",
    "sensitivity": "item:Sensitivity",
    "importance": "item:Importance",
    "uid": "calendar:UID",
    "status": "calendar:LegacyFreeBusyStatus",
    "location": "calendar:Location",
}


class Person:
    """One mailbox's owner in front of Outlook. Refusals raise EwsError."""

    def __init__(self, world: World, mailbox: Mailbox) -> None:
        self._world = world
        self._mailbox = mailbox

    def create(self, fields: Fields, *, folder: str = "calendar", mails: bool = False) -> Fields:
        """Make an event in a folder, named by role or id; as `show` has it."""
        place = self._folder(folder)
        body = m(
            "CreateItem",
            m("SavedItemFolderId", t("FolderId", Id=place.id)),
            m("Items", t("CalendarItem", *(line for _uri, line in self._lines(fields)))),
            SendMeetingInvitations="SendToAllAndSaveCopy" if mails else "SendToNone",
        )
        return self.show(self._run(body))

    def receive(self, organizer: str, fields: Fields) -> Fields:
        """An invitation from somebody else lands in the calendar."""
        item = self._mailbox.item(self.create(fields)["id"]).draft()
        item.values["organizer"] = (organizer.partition("@")[0].title(), organizer)
        return self.show(self._mailbox.put(item).id)

    def answer(self, event: str, answer: str) -> Fields:
        """Answer an invitation without sending the answer: accepted, declined or tentative. What
        is declined goes to the Deleted Items."""
        view = self._view(event)
        if view.item.values.get("organizer") is None:
            raise EwsError("ErrorCalendarIsOrganizerForAccept")
        if answer == "declined":
            self.remove(event)
            return {}
        item = view.item.draft()
        item.values["calendar:MyResponseType"] = ANSWERS[answer]
        return self.show(self._mailbox.put(item).id)

    def cancelled(self, event: str) -> Fields:
        """The organizer of a received meeting cancels it; it stays in the calendar."""
        item = self._view(event).item.draft()
        item.values["calendar:IsCancelled"] = True
        item.values["item:Subject"] = f"Canceled: {item.values.get('item:Subject', '')}"
        return self.show(self._mailbox.put(item).id)

    def copies(self, event: str, count: int) -> list[str]:
        """Many more events like this one, each with an own UID; their ids."""
        made = []
        for number in range(count):
            item = self._view(event).item.draft()
            item.id, item.created = self._mailbox.new_id(), None
            item.values["calendar:UID"] = f"{item.values['calendar:UID']}{number:08X}"
            made.append(self._mailbox.put(item).id)
        return made

    def change(self, event: str, fields: Fields, *, mails: bool = False) -> Fields:
        """Change some fields of an event, of a series or (by its id) of one occurrence."""
        view = self._view(event)
        known = {"zone": view.value("calendar:StartTimeZone")} if _TIMES & fields.keys() else {}
        updates = []
        for uri, line in self._lines(known | fields):
            if line is None:
                updates.append(t("DeleteItemField", t("FieldURI", FieldURI=uri)))
            else:
                name = line[0] if uri == "extended" else t("FieldURI", FieldURI=uri)
                copy = _bare(name) if uri == "extended" else name
                updates.append(t("SetItemField", copy, t("CalendarItem", line)))
        key = t("ItemId", Id=view.id, ChangeKey=view.item.change_key)
        body = m(
            "UpdateItem",
            m("ItemChanges", t("ItemChange", key, t("Updates", *updates))),
            ConflictResolution="AlwaysOverwrite",
            SendMeetingInvitationsOrCancellations="SendToAllAndSaveCopy" if mails else "SendToNone",
        )
        return self.show(self._run(body))

    def remove(self, event: str, *, how: str = "MoveToDeletedItems", mails: bool = False) -> None:
        """Delete an event, a series or one occurrence."""
        view = self._view(event)
        body = m(
            "DeleteItem",
            m("ItemIds", t("ItemId", Id=view.id, ChangeKey=view.item.change_key)),
            DeleteType=how,
            SendMeetingCancellations="SendToAllAndSaveCopy" if mails else "SendToNone",
        )
        self._run(body)

    def move(self, event: str, folder: str) -> Fields:
        """Drag an event into another folder, also out of the Deleted Items; it gets a new id."""
        body = m(
            "MoveItem",
            m("ToFolderId", t("FolderId", Id=self._folder(folder).id)),
            m("ItemIds", t("ItemId", Id=event)),
        )
        return self.show(self._run(body))

    def every_years(self, series: str, years: int) -> Fields:
        """Make a yearly series "every n years", which Outlook can and EWS cannot say."""
        item = self._view(series).item.draft()
        assert item.recurrence is not None
        pattern = replace(item.recurrence.pattern, years=years)
        item.recurrence = replace(item.recurrence, pattern=pattern)
        return self.show(self._mailbox.put(item).id)

    def touch(self, event: str) -> Fields:
        """Dismiss the reminder: a new change key without a change of content."""
        item = self._view(event).item.draft()
        return self.show(self._mailbox.put(item).id)

    def attach(self, event: str, name: str, content: str) -> Fields:
        """Attach a file to an event, a series or one occurrence."""
        view = self._view(event)
        attachments.attached(view, name, content.encode())
        return self.show(event)

    def occurrence(self, series: str, day: str) -> str:
        """The id of the occurrence that the pattern puts on that local date."""
        item = self._view(series).item
        return occurrences.occurrence(self._world, item, date.fromisoformat(day)).id

    def split(self, series: str, day: str, fields: Fields) -> Fields:
        """Change "this and following": the series ends before that occurrence, a new one begins
        with it. The new series."""
        item = self._view(series).item
        assert item.recurrence is not None
        pivot = date.fromisoformat(day)
        dates, rule = occurrences.dates_of(item.recurrence), item.recurrence
        position = dates.position(pivot)
        if not position:
            raise EwsError("ErrorItemNotFound")
        begin, end = occurrences.regular(self._world, item, pivot)
        wall = self._world.zones.wall
        left = None if rule.number is None else rule.number - position
        new = self._described(item) | {
            "start": wall(begin, item.zone).isoformat(),
            "end": wall(end, item.zone).isoformat(),
            "recurrence": _plain(Recurrence(rule.pattern, pivot, rule.until, left)),
        }
        before = dates.at(position - 1)
        assert before is not None
        self.change(series, {"recurrence": _plain(Recurrence(rule.pattern, rule.start, before))})
        return self.create(new | fields, folder=item.folder.id)

    def events(self, folder: str = "calendar") -> list[Fields]:
        """Everything stored in a folder."""
        return [self.show(item_id) for item_id in self._folder(folder).items]

    def show(self, event: str) -> Fields:
        """An event, series or occurrence in plain values; instants as UTC texts."""
        if not event:
            return {}
        view = self._view(event)
        item = view.item
        shown: Fields = {
            "id": view.id,
            "change_key": view.item.change_key,
            "type": view.kind,
            "uid": item.values.get("calendar:UID"),
            "subject": view.value("item:Subject"),
            "start": utc_text(view.start),
            "end": utc_text(view.end),
            "zone": view.value("calendar:StartTimeZone"),
            "all_day": view.value("calendar:IsAllDayEvent"),
            "location": view.value("calendar:Location"),
            "body": (view.value("item:Body") or ("", ""))[1],
            "categories": list(view.value("item:Categories") or ()),
            "sensitivity": view.value("item:Sensitivity"),
            "status": view.value("calendar:LegacyFreeBusyStatus"),
            "reminder": view.value("item:ReminderMinutesBeforeStart")
            if view.value("item:ReminderIsSet")
            else None,
            "files": [file.name for file in view.files],
            "organizer": (view.value("organizer") or ("", None))[1],
            "attendees": [guest[1] for guest in view.value("calendar:RequiredAttendees") or ()],
            "extended": {key.name: list(found) for key, found in view.extended.items()},
        }  # fmt: skip
        if item.recurrence is not None and view.original is None:
            shown["recurrence"] = _plain(item.recurrence)
            shown["deleted"] = [day.isoformat() for day in sorted(item.deleted)]
            shown["exceptions"] = {
                day.isoformat(): self.show(ids.of_occurrence(item.id, day))
                for day in sorted(item.exceptions)
            }
        return shown

    def _described(self, item: Item) -> Fields:
        """What a new series needs to look like the old one."""
        shown = self.show(item.id)
        kept = ("subject", "location", "categories", "sensitivity", "status", "reminder", "zone",
                "all_day")  # fmt: skip
        body = item.values.get("item:Body")
        described = {name: shown[name] for name in kept if shown[name] not in (None, [])}
        if body:
            described["html" if body[0] == "HTML" else "body"] = body[1]
        return described

    def _folder(self, name: str) -> Folder:
        by_role = {folder.role: folder for folder in self._mailbox.folders.values()}
        return by_role.get(name) or self._mailbox.folder(name)

    def _view(self, event: str) -> View:
        call = Call(self._world, self._mailbox, self._mailbox, m("GetItem"))
        return call.view(t("ItemId", Id=event))

    def _run(self, body: Element) -> str:
        """The id of the item that the answer names, "" if none. Raises EwsError."""
        _header, operation = parse(_wrapped(body))
        zone = windows_name(self._mailbox.zone)
        answer = operations.run(Call(self._world, self._mailbox, self._mailbox, operation, zone))
        message = need(answer, "m:ResponseMessages")[0]
        if message.get("ResponseClass") == "Error":
            raise EwsError(text(message, "m:ResponseCode"), text(message, "m:MessageText"))
        found = child(message, "m:Items/t:CalendarItem/t:ItemId")
        return "" if found is None else str(found.get("Id"))

    def _lines(self, fields: Fields) -> list[tuple[str, Element | None]]:
        """The property of each field with its element, None = delete; in the schema's order."""
        if unknown := set(fields) - set(ORDER):
            raise ValueError(f"an event has no {sorted(unknown)}; it has {ORDER}")
        lines: list[tuple[str, Element | None]] = []
        for name in ORDER:
            if name in fields:
                lines += self._line(name, fields[name], fields)
        return lines

    def _line(self, name: str, value: Any, fields: Fields) -> list[tuple[str, Element | None]]:
        if name in TEXTS:
            uri = TEXTS[name]
            return [(uri, None if value is None else t(uri.partition(":")[2], value))]
        match name:
            case "body" | "html":
                kind = "Text" if name == "body" else "HTML"
                return [("item:Body", None if value is None else t("Body", value, BodyType=kind))]
            case "categories":
                words = t("Categories", *(t("String", word) for word in value)) if value else None
                return [("item:Categories", words)]
            case "reminder":
                wanted = "false" if value is None else "true"
                made: list[tuple[str, Element | None]] = [
                    ("item:ReminderIsSet", t("ReminderIsSet", wanted))
                ]
                if value is not None:
                    minutes = t("ReminderMinutesBeforeStart", str(value))
                    made.append(("item:ReminderMinutesBeforeStart", minutes))
                return made
            case "start" | "end":
                element = name.title()
                written_as = value if "T" in value else f"{value}T00:00:00"
                return [(f"calendar:{element}", t(element, written_as))]
            case "all_day":
                return [("calendar:IsAllDayEvent", t("IsAllDayEvent", str(value).lower()))]
            case "attendees":
                guests = [t("Attendee", t("Mailbox", t("EmailAddress", who))) for who in value]
                made_of = t("RequiredAttendees", *guests) if guests else None
                return [("calendar:RequiredAttendees", made_of)]
            case "recurrence":
                rule = None if value is None else _rule(value).element("")
                return [("calendar:Recurrence", rule)]
            case "extended":
                return [("extended", _extended(key, text_)) for key, text_ in value.items()]
            case _:
                zone = windows_name(value)
                return [
                    ("calendar:StartTimeZone", t("StartTimeZone", Id=zone)),
                    ("calendar:EndTimeZone", t("EndTimeZone", Id=zone)),
                ]


_TIMES = {"start", "end"}


def _bare(element: Element) -> Element:
    """The same element once more, without a parent."""
    return t("ExtendedFieldURI", **dict(element.attrib))


def _extended(key: str, value: str) -> Element:
    """`key` is `GUID/name`, a String property."""
    guid, _, name = key.partition("/")
    uri = t("ExtendedFieldURI", PropertySetId=guid, PropertyName=name, PropertyType="String")
    return t("ExtendedProperty", uri, t("Value", value))


def _rule(raw: Fields) -> Recurrence:
    """A recurrence from plain values."""
    bound = {name: raw[name] for name in ("start", "until", "number") if name in raw}
    pattern = {name: value for name, value in raw.items() if name not in bound}
    return Recurrence(
        Pattern(**pattern | {"days": tuple(pattern.get("days", ()))}),
        date.fromisoformat(bound["start"]),
        date.fromisoformat(bound["until"]) if bound.get("until") else None,
        bound.get("number"),
    )


def _plain(rule: Recurrence) -> Fields:
    pattern = rule.pattern
    shown: Fields = {"kind": pattern.kind, "interval": pattern.interval,
                     "days": list(pattern.days), "first_day": pattern.first_day,
                     "day": pattern.day, "index": pattern.index,
                     "month": pattern.month, "start": rule.start.isoformat()}  # fmt: skip
    if rule.until is not None:
        shown["until"] = rule.until.isoformat()
    if rule.number is not None:
        shown["number"] = rule.number
    return shown


def _wrapped(body: Element) -> bytes:
    soap = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    return soap + written(body) + b"</s:Body></s:Envelope>"
