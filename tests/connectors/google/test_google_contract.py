"""The Google connector keeps the contract, against the sandbox over real sockets."""

import pytest

from connectors.sandbox.faults import Fault
from connectors.testing.contract import Breakage, ConnectorContract
from mappings.model import Event, Key
from mappings.zones import instant

ALICE = "alice@example.com"
WRITE = r"^(POST|PUT|PATCH|DELETE) /calendar/v3/calendars/"


class Person:
    """Somebody at Google's web interface; speaks the wire's words, not the connector's."""

    def __init__(self, google, calendar):
        self.google = google
        self.sandbox = google.sandbox
        self.calendar = calendar

    def put_event(self, event: Event) -> str:
        body = {
            "summary": event.details.title,
            "start": _time(event.when.start, event.when.zone),
            "end": _time(event.when.start + event.when.duration, event.when.zone),
        }
        if event.rule is not None:
            text = f"FREQ={event.rule.freq}"
            text += f";INTERVAL={event.rule.interval}" if event.rule.interval > 1 else ""
            text += f";COUNT={event.rule.count}" if event.rule.count else ""
            days = ",".join(f"{n or ''}{day}" for n, day in event.rule.by_day)
            text += f";BYDAY={days}" if days else ""
            body["recurrence"] = [f"RRULE:{text}"]
        return self.sandbox.seed_event(self.calendar, body)["id"]

    def edit(self, ref, *, title=None, start=None):
        self._change(ref, title, start)

    def delete(self, ref):
        self.sandbox.edit(ALICE, "remove", self.calendar, ref)

    def edit_occurrence(self, ref, key, *, title=None, start=None):
        self._change(self._occurrence(ref, key), title, start)

    def cancel_occurrence(self, ref, key):
        self.sandbox.edit(ALICE, "remove", self.calendar, self._occurrence(ref, key))

    def put_unreadable(self):
        return self.sandbox.seed_event(
            self.calendar,
            {
                "summary": "Two rules",
                "start": _time(_parse("2026-03-02T09:00"), "Asia/Shanghai"),
                "end": _time(_parse("2026-03-02T10:00"), "Asia/Shanghai"),
                "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3", "RRULE:FREQ=MONTHLY;COUNT=3"],
            },
        )["id"]

    def void_cursors(self):
        self.sandbox.expire(calendar=self.calendar)

    def break_next_write(self, how):
        match how:
            case Breakage.REQUEST_LOST:
                fault = Fault(match=WRITE, action="drop_before")
            case Breakage.ANSWER_LOST:
                fault = Fault(match=WRITE, action="drop_after")
            case _:
                fault = Fault(match=WRITE, action="status", status=503, body={"error": {}})
        self.sandbox.faults.add(fault)

    def sent_mails(self):
        return len(self.sandbox.mails)

    def _occurrence(self, ref: str, key: Key) -> str:
        shown = self.sandbox.edit(ALICE, "get", self.calendar, ref)
        if "T" not in key:
            return f"{ref}_{key.replace('-', '')}"
        return f"{ref}_{instant(_parse(key), shown['start']['timeZone']):%Y%m%dT%H%M%SZ}"

    def _change(self, id_, title, start):
        fields = {"summary": title} if title is not None else {}
        if start is not None:
            shown = self.sandbox.edit(ALICE, "get", self.calendar, id_)
            zone = shown["start"].get("timeZone")
            first = _parse(start)
            length = _read(shown["end"]) - _read(shown["start"])
            fields |= {"start": _time(first, zone), "end": _time(first + length, zone)}
        self.sandbox.edit(ALICE, "change", self.calendar, id_, fields)


def _parse(text):
    from datetime import date, datetime

    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _read(time):
    return _parse(time.get("dateTime") or time["date"])


def _time(at, zone):
    from datetime import datetime

    if not isinstance(at, datetime):
        return {"date": at.isoformat()}
    return {"dateTime": at.isoformat(), "timeZone": zone}


@pytest.fixture(scope="module")
def world(open_google):
    google = open_google(limits=False)
    return google, google.connect(), google.sandbox.add_calendar(ALICE, "Contract")


class TestGoogleConnector(ConnectorContract):
    """Every case of the shipped suite."""

    @pytest.fixture
    def connector(self, world):
        return world[1]

    @pytest.fixture
    def calendar(self, world):
        return world[2]

    @pytest.fixture
    def other_party(self, world):
        google, _, calendar = world
        yield Person(google, calendar)
        google.sandbox.faults.clear()
