"""A Feishu calendar and one at a real CalDAV server, both ways, over real sockets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest
import requests
import yaml

from bridge.records import LinkState
from connectors.sandbox.caldav import Wire, radicale
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

ALICE = "alice@office.example"
RESPONSE = re.compile(rb"<response>.*?</response>", re.DOTALL)


@dataclass
class Shelf:
    """The calendar at the CalDAV server, the wire to it, and a person with a client there."""

    desk: Any
    wire: Wire
    url: str
    session: requests.Session

    def objects(self) -> dict[str, Any]:
        """Every object that stands there, by its address."""
        query = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
        answer = self.session.request("PROPFIND", self.url, data=query, headers={"Depth": "1"})
        paths = re.findall(r"<href>([^<]+\.ics)</href>", answer.text)
        return {path: self.get(path) for path in paths}

    def get(self, path: str) -> Any:
        answer = self.session.get(requests.compat.urljoin(self.url, path), timeout=60)
        return icalendar.Calendar.from_ical(answer.text)

    def put(self, path: str, calendar: Any) -> None:
        url = requests.compat.urljoin(self.url, path)
        headers = {"Content-Type": "text/calendar"}
        answer = self.session.put(url, data=calendar.to_ical(), headers=headers, timeout=60)
        assert answer.status_code < 300

    def add(self, name: str, title: str, start: datetime) -> None:
        """The person makes an event of an hour."""
        calendar, event = icalendar.Calendar(), icalendar.Event()
        calendar.add("version", "2.0")
        calendar.add("prodid", "-//person//EN")
        for key, value in (("uid", name), ("dtstamp", start), ("summary", title)):
            event.add(key, value)
        event.add("dtstart", start)
        event.add("dtend", start + timedelta(hours=1))
        event["X-PERSONAL"] = "keep me"
        calendar.add_component(event)
        self.put(f"{name}.ics", calendar)

    def find(self, title: str) -> tuple[str, Any]:
        """The only object whose event or master has that title."""
        ((path, found),) = [
            (path, calendar)
            for path, calendar in self.objects().items()
            if calendar.walk("VEVENT")[0]["SUMMARY"] == title
        ]
        return path, found

    def titles(self) -> list[str]:
        return sorted(
            str(calendar.walk("VEVENT")[0].get("SUMMARY", ""))
            for calendar in self.objects().values()
        )


@pytest.fixture
def shelf(desk: Any, tmp_path: Path) -> Iterator[Shelf]:
    with radicale(tmp_path / "radicale") as server, Wire(server.url) as wire:
        session = requests.Session()
        session.auth = (server.user, server.password)
        url = f"{server.home}bridged/"
        body = (
            '<c:mkcalendar xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><set><prop>'
            "<displayname>Bridged</displayname></prop></set></c:mkcalendar>"
        )
        assert session.request("MKCALENDAR", url, data=body).status_code == 201
        content = yaml.safe_load(desk.path.read_text())
        login = {"username": server.user, "password": server.password, "addresses": [ALICE]}
        content["connectors"]["dav"] = {
            "type": "caldav",
            "url": wire.url,
            "accounts": {ALICE: login},
        }
        content["users"]["alice"]["links"] = [
            {"to": "dav", "account": ALICE, "calendar": "Bridged", "direction": "two-way"}
        ]
        desk.restart()
        desk.path.write_text(yaml.safe_dump(content))
        yield Shelf(desk, wire, url, session)
        desk.restart()
        session.close()


def test_both_calendars_become_and_stay_the_same(desk: Any, shelf: Shelf) -> None:
    monday = monday_of(desk.feishu.clock)
    start = datetime.combine(monday + timedelta(days=8), datetime.min.time(), UTC)
    shelf.add("lunch", "Lunch", start + timedelta(hours=4))

    # Backfill, both ways; then nothing is left, at one request for the CalDAV side.
    counts = desk.run().counts
    assert (counts.created, counts.parked) == (32, 0)
    assert shelf.titles() == desk.source_titles()
    before = shelf.wire.count()
    assert desk.run().counts.writes == 0
    assert shelf.wire.count() - before == 1

    # Different fields of one event, edited on both sides: one more request than there are writes.
    path, calendar = shelf.find("Lunch")
    calendar.walk("VEVENT")[0]["LOCATION"] = icalendar.vText("Canteen")
    shelf.put(path, calendar)
    desk.alice.patch(desk.primary, desk.find("Lunch"), {"summary": "Dinner"})
    before = shelf.wire.count()
    assert desk.run().counts.writes == 2
    assert shelf.wire.count() - before == 2
    _, calendar = shelf.find("Dinner")
    (event,) = calendar.walk("VEVENT")
    assert event["LOCATION"] == "Canteen"
    assert event["X-PERSONAL"] == "keep me"
    assert event["UID"] == "lunch"
    item = next(i for i in desk.alice.events(desk.primary) if i.get("summary") == "Dinner")
    assert item["location"]["name"] == "Canteen"
    assert desk.run().counts.writes == 0

    # Occurrences: one moved by hand at the CalDAV server, the next one removed there.
    path, calendar = shelf.find("Weekly check-in 每周例会")
    master = calendar.walk("VEVENT")[0]
    first = master["DTSTART"].dt
    moved = icalendar.Event()
    for name, value in (("uid", str(master["UID"])), ("dtstamp", start), ("summary", "Moved")):
        moved.add(name, value)
    moved.add("recurrence-id", first + timedelta(weeks=1))
    moved.add("dtstart", first + timedelta(weeks=1, hours=3))
    moved.add("dtend", first + timedelta(weeks=1, hours=4))
    calendar.add_component(moved)
    master.add("exdate", [first + timedelta(weeks=2)])
    shelf.put(path, calendar)
    assert desk.run().counts.writes == 1
    assert "Moved" in [item.get("summary") for item in desk.alice.events(desk.primary)]

    # Deletions travel both ways, and only they.
    path, _ = shelf.find("Weekly check-in 每周例会")
    assert shelf.session.delete(requests.compat.urljoin(shelf.url, path)).status_code < 300
    desk.alice.delete(desk.primary, desk.find("Dinner"))
    counts = desk.run().counts
    assert (counts.deleted, counts.writes) == (2, 2)
    assert shelf.titles() == desk.source_titles()
    assert "Dinner" not in shelf.titles()
    assert desk.run(full=True).counts.writes == 0
    assert desk.verify().differences == []


def test_a_listing_that_loses_all_but_one_item_deletes_nothing(desk: Any, shelf: Shelf) -> None:
    desk.run()
    before, titles = shelf.titles(), desk.source_titles()

    def lossy(method: str, _path: str, body: bytes) -> bytes:
        answers = RESPONSE.findall(body) if method == "PROPFIND" else []
        for answer in [each for each in answers if b".ics<" in each][1:]:
            body = body.replace(answer, b"")
        return body

    shelf.wire.rewrite = lossy
    shelf.wire.void_tokens()
    outcome = desk.run()
    assert "shrank" in outcome.held
    assert desk.link().state is LinkState.HELD
    # Even a person who approves without looking deletes nothing that is still there.
    assert desk.run(full=True, approved=True).counts.writes == 0
    assert (shelf.titles(), desk.source_titles()) == (before, titles)

    shelf.wire.rewrite = lambda _method, _path, body: body
    day = monday_of(desk.feishu.clock) + timedelta(days=9)
    desk.alice.create(desk.primary, timed("Tea", day, 15, 0, 30, "Asia/Shanghai"))
    assert desk.run(full=True).counts.writes == 1
    assert shelf.titles() == sorted([*before, "Tea"])
