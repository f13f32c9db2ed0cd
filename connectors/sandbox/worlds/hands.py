"""One person in front of one calendar: what they do there, and what they see.

Events are found by their titles. Times are aware; the zone of a new series is that of its start.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox

Json = dict[str, Any]
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Hands(Protocol):
    """The person. Looking at what is not there gives None or False, changing it KeyError."""

    name: str

    def put(self, title: str, start: datetime, minutes: int, *, weekly: bool = False) -> None:
        """Make an event, or a series on its day of the week."""

    def rename(self, title: str, new: str) -> None:
        """Another title."""

    def place(self, title: str, where: str) -> None:
        """Another place."""

    def move(self, title: str, start: datetime, minutes: int) -> None:
        """Another time."""

    def cancel(self, title: str, at: datetime) -> None:
        """The occurrence at that instant does not take place."""

    def repeat_on(self, title: str, days: tuple[int, ...]) -> None:
        """A weekly series takes place on these days of the week, 0 = Monday."""

    def remove(self, title: str) -> None:
        """Delete the event or series."""

    def titles(self) -> list[str]:
        """Those of all events, sorted."""

    def where(self, title: str) -> str | None:
        """The event's place."""

    def starts(self, title: str) -> list[datetime]:
        """When the event or its occurrences start, in the weeks around now."""

    def agenda(self) -> list[tuple[str, datetime, datetime]]:
        """Title, start and end of all that takes place in these weeks and has times, sorted."""


def first(hands: Hands, title: str) -> datetime | None:
    """When an event first starts, None if there is none."""
    return min(hands.starts(title), default=None)


class AtFeishu:
    """Somebody in the Feishu client."""

    def __init__(self, name: str, sandbox: FeishuSandbox, user: Any, around: datetime) -> None:
        self.name = name
        self._sandbox = sandbox
        self._user = user
        self._around = _around(around)

    def put(self, title: str, start: datetime, minutes: int, *, weekly: bool = False) -> None:
        """See `Hands`."""
        rule = {"recurrence": f"FREQ=WEEKLY;BYDAY={WEEKDAYS[start.weekday()]}"} if weekly else {}
        body = {"summary": title, "vchat": {"vc_type": "no_meeting"}, **_feishu(start, minutes)}
        self._person.create(self._calendar, body | rule)

    def rename(self, title: str, new: str) -> None:
        """See `Hands`."""
        self._patch(title, {"summary": new})

    def place(self, title: str, where: str) -> None:
        """See `Hands`."""
        self._patch(title, {"location": {"name": where}})

    def move(self, title: str, start: datetime, minutes: int) -> None:
        """See `Hands`."""
        self._patch(title, _feishu(start, minutes))

    def cancel(self, title: str, at: datetime) -> None:
        """See `Hands`."""
        uid = self._event(title)["event_id"].rpartition("_")[0]
        self._person.delete(self._calendar, f"{uid}_{int(at.timestamp())}")

    def repeat_on(self, title: str, days: tuple[int, ...]) -> None:
        """See `Hands`."""
        names = ",".join(WEEKDAYS[day] for day in days)
        self._patch(title, {"recurrence": f"FREQ=WEEKLY;BYDAY={names}"})

    def remove(self, title: str) -> None:
        """See `Hands`."""
        self._person.delete(self._calendar, self._event(title)["event_id"])

    def titles(self) -> list[str]:
        """See `Hands`."""
        return sorted(item.get("summary", "") for item in self._events())

    def where(self, title: str) -> str | None:
        """See `Hands`."""
        for item in self._events():
            if item.get("summary") == title:
                return str((item.get("location") or {}).get("name", ""))
        return None

    def starts(self, title: str) -> list[datetime]:
        """See `Hands`."""
        return [start for shown, start, _end in self.agenda() if shown == title]

    def agenda(self) -> list[tuple[str, datetime, datetime]]:
        """See `Hands`."""
        return sorted(
            (item.get("summary", ""), _instant(item["start_time"]), _instant(item["end_time"]))
            for item in self._person.instances(self._calendar, *self._around)
            if "timestamp" in item["start_time"]
        )

    def event_id(self, title: str) -> str:
        """The id of an event."""
        return str(self._event(title)["event_id"])

    @property
    def _person(self) -> Any:
        return self._sandbox.as_user(self._user)

    @property
    def _calendar(self) -> str:
        return str(self._user.primary)

    def _patch(self, title: str, body: Json) -> None:
        self._person.patch(self._calendar, self._event(title)["event_id"], body)

    def _events(self) -> list[Json]:
        return [
            item
            for item in self._person.events(self._calendar)
            if item["event_id"].endswith("_0") and item["status"] != "cancelled"
        ]

    def _event(self, title: str) -> Json:
        return _named(self._events(), "summary", title)


class AtGoogle:
    """Somebody in Google Calendar."""

    def __init__(self, name: str, sandbox: GoogleSandbox, email: str, around: datetime) -> None:
        self.name = name
        self._sandbox = sandbox
        self._email = email
        self._around = _around(around)

    def put(self, title: str, start: datetime, minutes: int, *, weekly: bool = False) -> None:
        """See `Hands`."""
        rule = [f"RRULE:FREQ=WEEKLY;BYDAY={WEEKDAYS[start.weekday()]}"]
        more = {"recurrence": rule} if weekly else {}
        self._edit("create", {"summary": title, **_google(start, minutes), **more})

    def rename(self, title: str, new: str) -> None:
        """See `Hands`."""
        self._change(title, {"summary": new})

    def place(self, title: str, where: str) -> None:
        """See `Hands`."""
        self._change(title, {"location": where})

    def move(self, title: str, start: datetime, minutes: int) -> None:
        """See `Hands`."""
        self._change(title, _google(start, minutes))

    def cancel(self, title: str, at: datetime) -> None:
        """See `Hands`."""
        base = self._event(title)["id"]
        self._edit("remove", f"{base}_{at.astimezone(UTC):%Y%m%dT%H%M%SZ}")

    def repeat_on(self, title: str, days: tuple[int, ...]) -> None:
        """See `Hands`."""
        names = ",".join(WEEKDAYS[day] for day in days)
        self._change(title, {"recurrence": [f"RRULE:FREQ=WEEKLY;BYDAY={names}"]})

    def remove(self, title: str) -> None:
        """See `Hands`."""
        self._edit("remove", self._event(title)["id"])

    def titles(self) -> list[str]:
        """See `Hands`."""
        return sorted(item.get("summary", "") for item in self._events())

    def where(self, title: str) -> str | None:
        """See `Hands`."""
        for item in self._events():
            if item.get("summary") == title:
                return str(item.get("location", ""))
        return None

    def starts(self, title: str) -> list[datetime]:
        """See `Hands`."""
        return [start for shown, start, _end in self.agenda() if shown == title]

    def agenda(self) -> list[tuple[str, datetime, datetime]]:
        """See `Hands`."""
        return sorted(
            (item.get("summary", ""), _moment(item["start"]), _moment(item["end"]))
            for item in self._sandbox.instances(self._email, *self._around)
            if "dateTime" in item["start"]
        )

    def _edit(self, action: str, *values: Any) -> None:
        self._sandbox.edit(self._email, action, self._email, *values)

    def _change(self, title: str, fields: Json) -> None:
        self._edit("change", self._event(title)["id"], fields)

    def _events(self) -> list[Json]:
        found = self._sandbox.events(self._email)
        return [item for item in found if "recurringEventId" not in item]

    def _event(self, title: str) -> Json:
        return _named(self._events(), "summary", title)


class AtExchange:
    """Somebody in Outlook. `zone` is that of the mailbox."""

    def __init__(
        self, name: str, sandbox: ExchangeSandbox, address: str, around: datetime, zone: str
    ) -> None:
        self.name = name
        self._sandbox = sandbox
        self._address = address
        self._around = _around(around)
        self._zone = zone

    def put(self, title: str, start: datetime, minutes: int, *, weekly: bool = False) -> None:
        """See `Hands`."""
        day = start.astimezone(ZoneInfo(self._zone)).date()
        fields: Json = {"subject": title, "zone": self._zone, **self._times(start, minutes)}
        if weekly:
            fields["recurrence"] = _weekly((day.weekday(),), day.isoformat())
        self._edit("create", fields)

    def rename(self, title: str, new: str) -> None:
        """See `Hands`."""
        self._change(title, {"subject": new})

    def place(self, title: str, where: str) -> None:
        """See `Hands`."""
        self._change(title, {"location": where})

    def move(self, title: str, start: datetime, minutes: int) -> None:
        """See `Hands`."""
        self._change(title, {"zone": self._zone, **self._times(start, minutes)})

    def cancel(self, title: str, at: datetime) -> None:
        """See `Hands`."""
        event = self._event(title)
        since, until = at - timedelta(hours=1), at + timedelta(hours=1)
        (found,) = [
            item
            for item in self._sandbox.occurrences(self._address, since, until)
            if item.item == event["id"] and item.start == at
        ]
        self._edit("remove", found.id)

    def repeat_on(self, title: str, days: tuple[int, ...]) -> None:
        """See `Hands`."""
        begins = self._event(title)["recurrence"]["start"]
        self._change(title, {"recurrence": _weekly(days, begins)})

    def remove(self, title: str) -> None:
        """See `Hands`."""
        self._edit("remove", self._event(title)["id"])

    def titles(self) -> list[str]:
        """See `Hands`."""
        return sorted(str(item["subject"]) for item in self._events())

    def where(self, title: str) -> str | None:
        """See `Hands`."""
        for item in self._events():
            if item["subject"] == title:
                return str(item["location"] or "")
        return None

    def starts(self, title: str) -> list[datetime]:
        """See `Hands`."""
        return [start for shown, start, _end in self.agenda() if shown == title]

    def agenda(self) -> list[tuple[str, datetime, datetime]]:
        """See `Hands`."""
        found = self._sandbox.occurrences(self._address, *self._around)
        return sorted((item.subject, item.start, item.end) for item in found if not item.all_day)

    def _edit(self, action: str, *values: Any) -> Any:
        return self._sandbox.edit(self._address, action, *values)

    def _change(self, title: str, fields: Json) -> None:
        self._edit("change", self._event(title)["id"], fields)

    def _events(self) -> list[Json]:
        found: list[Json] = self._edit("events")
        return found

    def _event(self, title: str) -> Json:
        return _named(self._events(), "subject", title)

    def _times(self, start: datetime, minutes: int) -> Json:
        begin = start.astimezone(ZoneInfo(self._zone)).replace(tzinfo=None)
        end = begin + timedelta(minutes=minutes)
        return {"start": begin.isoformat(), "end": end.isoformat()}


def _around(now: datetime) -> tuple[datetime, datetime]:
    return now - timedelta(days=1), now + timedelta(days=38)


def _named(events: list[Json], field: str, title: str) -> Json:
    for event in events:
        if event.get(field) == title:
            return event
    raise KeyError(title)


def _instant(point: Json) -> datetime:
    return datetime.fromtimestamp(int(point["timestamp"]), UTC)


def _moment(point: Json) -> datetime:
    return datetime.fromisoformat(point["dateTime"]).astimezone(UTC)


def _feishu(start: datetime, minutes: int) -> Json:
    stamp, zone = int(start.timestamp()), str(start.tzinfo)
    return {
        "start_time": {"timestamp": str(stamp), "timezone": zone},
        "end_time": {"timestamp": str(stamp + 60 * minutes), "timezone": zone},
    }


def _google(start: datetime, minutes: int) -> Json:
    zone, end = str(start.tzinfo), start + timedelta(minutes=minutes)
    return {
        "start": {"dateTime": start.isoformat(), "timeZone": zone},
        "end": {"dateTime": end.isoformat(), "timeZone": zone},
    }


def _weekly(days: tuple[int, ...], begins: str) -> Json:
    return {"kind": "WeeklyRecurrence", "interval": 1, "days": [NAMES[day] for day in days],
            "first_day": "Monday", "start": begins}  # fmt: skip
