"""The CalDAV connector keeps the contract, against a real Radicale and a real Xandikos."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import requests

from connectors.caldav import PLUGIN
from connectors.contract import Connector, Context
from connectors.sandbox.caldav import CaldavServer, Wire, radicale, xandikos
from connectors.sandbox.faults import Fault
from connectors.testing.contract import Breakage, ConnectorContract, OtherParty
from mappings.model import Event, Key
from mappings.recurrence import format_rule

SERVERS = {"radicale": radicale, "xandikos": xandikos}
WRITES = "^(PUT|DELETE) "
CREATED = itertools.count(1)


ZONES = {
    "Europe/Berlin": """BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
DTSTART:19810329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
""",
    "Asia/Shanghai": """BEGIN:VTIMEZONE
TZID:Asia/Shanghai
BEGIN:STANDARD
DTSTART:19920101T000000
TZOFFSETFROM:+0800
TZOFFSETTO:+0800
END:STANDARD
END:VTIMEZONE
""",
}
"""As a client defines zones. Radicale keeps the first definition of a TZID for all objects."""


@dataclass
class Place:
    """A server with a wire to it."""

    server: CaldavServer
    wire: Wire
    session: requests.Session

    def make_calendar(self, name: str) -> str:
        """Through the wire, where the connector knows it."""
        path = self.server.home.removeprefix(self.server.url) + name + "/"
        body = (
            '<c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:set><d:prop>'
            f"<d:displayname>{name}</d:displayname></d:prop></d:set></c:mkcalendar>"
        )
        answer = self.session.request(
            "MKCALENDAR",
            self.server.url + path,
            data=body,
            headers={"Content-Type": "application/xml"},
            timeout=60,
        )
        assert answer.status_code == 201, answer.text
        return self.wire.url + path


class PersonAtCaldav:
    """Somebody with a client of his own, which speaks to the server itself."""

    def __init__(self, place: Place, calendar: str) -> None:
        self.place = place
        self.url = calendar.replace(place.wire.url, place.server.url)
        self.numbers = itertools.count(1)

    def put_event(self, event: Event) -> str:
        return self.put(self.vevent(event))

    def edit(self, ref: str, *, title: str | None = None, start: str | None = None) -> None:
        def change(calendar: Any) -> None:
            alter(calendar.walk("VEVENT")[0], title, start)

        self.alter(ref, change)

    def delete(self, ref: str) -> None:
        assert self.send("DELETE", ref).status_code < 300

    def edit_occurrence(
        self, ref: str, key: Key, *, title: str | None = None, start: str | None = None
    ) -> None:
        def change(calendar: Any) -> None:
            master, *others = calendar.walk("VEVENT")
            original = moment(key, master["DTSTART"])
            part = next((o for o in others if o["RECURRENCE-ID"].dt == original), None)
            if part is None:
                part = deepcopy(master)
                for name in ("RRULE", "EXDATE", "RDATE"):
                    part.pop(name, None)
                length = master["DTEND"].dt - master["DTSTART"].dt
                for name in ("DTSTART", "DTEND"):
                    del part[name]
                part.add("recurrence-id", original)
                part.add("dtstart", original)
                part.add("dtend", original + length)
                calendar.add_component(part)
            alter(part, title, start)

        self.alter(ref, change)

    def cancel_occurrence(self, ref: str, key: Key) -> None:
        def change(calendar: Any) -> None:
            master, *others = calendar.walk("VEVENT")
            original = moment(key, master["DTSTART"])
            for part in others:
                if part["RECURRENCE-ID"].dt == original:
                    calendar.subcomponents.remove(part)
            master.add("exdate", [original])

        self.alter(ref, change)

    def put_invitation(self, event: Event) -> tuple[str, str] | None:
        component = self.vevent(event)
        component.add("organizer", "mailto:boss@example.com")
        component.add("attendee", "mailto:ann@example.com")
        return self.url.replace(self.place.server.url, self.place.wire.url), self.put(component)

    def put_unreadable(self) -> str | None:
        component = icalendar.Event()
        component.add("uid", "two-rules")
        component.add("dtstamp", datetime(2026, 1, 1, tzinfo=UTC))
        component.add("dtstart", datetime(2026, 3, 2, 9, tzinfo=UTC))
        component.add("rrule", {"freq": "weekly", "count": 3})
        component.add("exrule", {"freq": "weekly", "count": 1})
        return self.put(component)

    def void_cursors(self) -> None:
        self.place.wire.void_tokens()

    def break_next_write(self, how: Breakage) -> None:
        match how:
            case Breakage.REQUEST_LOST:
                fault = Fault(WRITES, "drop_before")
            case Breakage.ANSWER_LOST:
                fault = Fault(WRITES, "drop_after")
            case Breakage.UNAVAILABLE:
                fault = Fault(WRITES, "status", status=503)
        self.place.wire.faults.add(fault)

    def sent_mails(self) -> int:
        return 0  # neither server can send any

    def vevent(self, event: Event) -> Any:
        component = icalendar.Event()
        component.add("uid", f"person-{next(CREATED)}")
        component.add("dtstamp", datetime(2026, 1, 1, tzinfo=UTC))
        component.add("summary", event.details.title)
        start: Any = event.when.start
        if not event.when.all_day:
            start = start.replace(tzinfo=ZoneInfo(event.when.zone or "UTC"))
        component.add("dtstart", start)
        component.add("dtend", start + event.when.duration)
        if event.rule:
            text = format_rule(event.rule, event.when, count=True)
            component.add("rrule", icalendar.vRecur.from_ical(text))
        return component

    def put(self, component: Any) -> str:
        ref = f"person-{next(self.numbers)}.ics"
        calendar = icalendar.Calendar()
        calendar.add("version", "2.0")
        calendar.add("prodid", "-//person//EN")
        calendar.add_component(component)
        for zone in ZONES.values():
            calendar.add_component(icalendar.Timezone.from_ical(zone))
        self.store(ref, calendar)
        return ref

    def alter(self, ref: str, change: Callable[[Any], None]) -> None:
        calendar = icalendar.Calendar.from_ical(self.send("GET", ref).text)
        change(calendar)
        self.store(ref, calendar)

    def store(self, ref: str, calendar: Any) -> None:
        answer = self.send("PUT", ref, calendar.to_ical())
        assert answer.status_code < 300, answer.text

    def send(self, method: str, ref: str, body: bytes | None = None) -> requests.Response:
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        return self.place.session.request(
            method, self.url + ref, data=body, headers=headers, timeout=60
        )


def moment(key: Key, like: Any) -> Any:
    """The time that a key names, in the way the series says its own."""
    if not isinstance(like.dt, datetime):
        return date.fromisoformat(key)
    return datetime.fromisoformat(key).replace(tzinfo=like.dt.tzinfo)


def alter(component: Any, title: str | None, start: str | None) -> None:
    if title is not None:
        component["SUMMARY"] = icalendar.vText(title)
    if start is not None:
        length: timedelta = component["DTEND"].dt - component["DTSTART"].dt
        first = moment(Key(start), component["DTSTART"])
        for name, at in (("DTSTART", first), ("DTEND", first + length)):
            del component[name]
            component.add(name.lower(), at)


WEAKNESSES = {
    "radicale-in-the-gap": "Radicale expands what falls into a skipped hour an hour too early",
    "xandikos-in-the-gap": "Xandikos measures lengths by the wall clock when it expands",
    "xandikos-in-the-fold": "Xandikos measures lengths by the wall clock when it expands",
}
TELLING = "gap|fold|saving|several|void|answer-lost|threads|extra|unreadable|persons"


@pytest.fixture(
    scope="module",
    params=["radicale", pytest.param("xandikos", marks=pytest.mark.telling(TELLING))],
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp(request.param)
        server = stack.enter_context(SERVERS[request.param](folder))
        wire = stack.enter_context(Wire(server.url))
        session = stack.enter_context(requests.Session())
        session.auth = (server.user, server.password)
        yield Place(server, wire, session)


@pytest.fixture(scope="module")
def caldav(place: Place, context: Context) -> Iterator[Connector]:
    account = {
        "username": place.server.user,
        "password": place.server.password,
        "addresses": ["ann@example.com"],
    }
    settings = PLUGIN.settings(url=place.wire.url, accounts={"ann@example.com": account})
    provider = PLUGIN.open("caldav", settings, context)
    yield provider.connect("ann@example.com")
    provider.close()


class TestCaldav(ConnectorContract):
    @pytest.fixture
    def connector(self, caldav: Connector, request: pytest.FixtureRequest) -> Connector:
        for case, reason in WEAKNESSES.items():
            if request.node.name.endswith(f"_exactly_when_asked[{case}]"):
                request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
        return caldav

    @pytest.fixture
    def calendar(self, place: Place) -> str:
        return place.make_calendar(f"calendar-{next(CREATED)}")

    @pytest.fixture
    def other_party(self, place: Place, calendar: str) -> OtherParty:
        return PersonAtCaldav(place, calendar)
