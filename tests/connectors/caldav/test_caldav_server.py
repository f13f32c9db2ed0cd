"""What the connector does about servers that lack something, lie, break off or mail people."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from connectors.caldav import PLUGIN
from connectors.contract import Connector, Context, Gone, Listing, Provider, Role, Whole
from connectors.errors import (
    ConnectorError,
    FatalError,
    OutcomeUnknownError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)
from connectors.metering import Called, Meter
from connectors.pacing import FreePacer
from connectors.sandbox.caldav import CaldavServer, Wire, radicale
from connectors.sandbox.faults import Fault
from connectors.testing.builders import edited, event

ANN = "ann@example.com"
KEYS = [f"{number:064x}" for number in range(99)]
RESPONSE = re.compile(rb"<response>.*?</response>", re.DOTALL)
TOKEN = re.compile(rb"<sync-token>[^<]*</sync-token>")
MEETING = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//person//EN
BEGIN:VEVENT
UID:meeting
DTSTAMP:20260101T000000Z
DTSTART:20260302T090000Z
DTEND:20260302T100000Z
SUMMARY:Board
ORGANIZER:mailto:{organizer}
ATTENDEE:mailto:ann@example.com
ATTENDEE:mailto:bob@example.com
END:VEVENT
END:VCALENDAR
"""


@dataclass
class Desk:
    """A connector, the wire between it and Radicale, and a calendar there."""

    wire: Wire
    server: CaldavServer
    provider: Provider
    connector: Connector
    calendar: str

    def put(self, name: str, text: str) -> None:
        """A person stores an object."""
        url = self.calendar.replace(self.wire.url, self.server.url) + name
        answer = requests.put(
            url,
            data=text.replace("\n", "\r\n").encode(),
            headers={"Content-Type": "text/calendar"},
            auth=(self.server.user, self.server.password),
            timeout=60,
        )
        assert answer.status_code < 300

    def listing(self, cursor: str | None = None) -> tuple[list[Any], str]:
        pages = list(self.connector.changes(self.calendar, cursor))
        assert {page.listing for page in pages} == {Listing.DELTA if cursor else Listing.COMPLETE}
        assert pages[-1].cursor
        return [change for page in pages for change in page.changes], pages[-1].cursor

    def create(self, number: int, title: str = "Lunch") -> Any:
        return self.connector.create(self.calendar, event(title, reminders=()), KEYS[number])


class Tokens:
    """A CalDAV login has no tokens."""


def context(naps: list[float], calls: list[Called] | None = None) -> Context:
    told = [] if calls is None else calls
    return Context(
        now=lambda: datetime(2026, 2, 1, tzinfo=UTC),
        sleep=naps.append,
        random=lambda: 0.5,
        tokens=Tokens(),  # type: ignore[arg-type]
        pacer=lambda _name, _capabilities: FreePacer(),
        meter=lambda name: Meter(name, monotonic=time.monotonic, report=told.append),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaldavServer]:
    with radicale(tmp_path_factory.mktemp("radicale")) as running:
        yield running


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def calls() -> list[Called]:
    """The calls as the meter was told of them."""
    return []


@pytest.fixture
def desk(
    server: CaldavServer,
    settings: dict[str, Any],
    naps: list[float],
    calls: list[Called],
    request: Any,
) -> Iterator[Desk]:
    with Wire(server.url) as wire:
        name = re.sub(r"\W", "-", request.node.name)[-60:].lower()
        auth = (server.user, server.password)
        answer = requests.request("MKCALENDAR", f"{server.home}{name}/", auth=auth, timeout=60)
        assert answer.status_code == 201
        login = {"username": server.user, "password": server.password, "addresses": [ANN]}
        known = PLUGIN.settings(**{"url": wire.url, "accounts": {ANN: login}} | settings)
        provider = PLUGIN.open("dav", known, context(naps, calls))
        calendar = f"{wire.url}{server.user}/{name}/"
        yield Desk(wire, server, provider, provider.connect(ANN), calendar)
        provider.close()


def test_calls_are_as_few_as_they_can_be(desk: Desk) -> None:
    made = [desk.create(number) for number in range(3)]
    assert desk.wire.count() == 3 + 1  # the calendar's zone is asked for once
    changes, cursor = desk.listing()
    assert len(changes) == 3
    before = desk.wire.count()
    assert desk.listing(cursor)[0] == []
    assert desk.wire.count() - before == 1
    changed = desk.connector.update(desk.calendar, made[0], edited(made[0].event, title="Dinner"))
    desk.connector.delete(desk.calendar, made[1])
    assert desk.wire.count() - before == 3
    changes, _ = desk.listing(cursor)
    assert desk.wire.count() - before == 4
    assert changes == [Whole(copy=changed), Gone(ref=made[1].ref)] or changes == [
        Gone(ref=made[1].ref),
        Whole(copy=changed),
    ]


def test_calls_are_counted_as_they_arrive(desk: Desk, calls: list[Called]) -> None:
    desk.wire.faults.add(Fault("^PUT ", "drop_after", times=1))
    made = desk.create(1)
    _, cursor = desk.listing()
    desk.wire.faults.add(Fault("^REPORT ", "status", status=503, times=1))
    desk.listing(cursor)
    desk.connector.delete(desk.calendar, made)
    assert desk.connector.fetch(desk.calendar, made.ref) is None
    writes = desk.wire.count("PUT", "DELETE")
    assert Counter(call.kind for call in calls) == {
        "read": desk.wire.count() - writes,
        "write": writes,
    }
    assert Counter((call.kind, call.outcome) for call in calls if call.outcome != "ok") == {
        ("write", "RetryableError"): 1,  # the answer that was lost
        ("write", "ConflictError"): 1,  # the repetition, which finds the object there
        ("read", "RetryableError"): 1,
        ("read", "FatalError"): 1,  # what was deleted
    }
    assert {call.connector for call in calls} == {"dav"}


def test_a_server_without_sync_tokens_is_followed_by_etags(desk: Desk) -> None:
    desk.wire.rewrite = lambda _method, _path, body: TOKEN.sub(b"", body)
    made = [desk.create(number) for number in range(3)]
    changes, cursor = desk.listing()
    assert len(changes) == 3
    assert desk.listing(cursor)[0] == []
    desk.connector.update(desk.calendar, made[0], edited(made[0].event, title="Dinner"))
    desk.connector.delete(desk.calendar, made[1])
    changes, following = desk.listing(cursor)
    assert {change.ref for change in changes} == {made[0].ref, made[1].ref}
    assert Gone(ref=made[1].ref) in changes
    assert desk.listing(following)[0] == []
    with pytest.raises(ResyncError):
        list(desk.connector.changes(desk.calendar, cursor[:-9]))


def test_an_answer_that_is_cut_short_by_the_server_is_continued(desk: Desk) -> None:
    _, cursor = desk.listing()
    desk.create(1)
    half = TOKEN.search(_sync(desk, cursor))
    desk.create(2)

    def truncated(method: str, path: str, body: bytes) -> bytes:
        if method != "REPORT" or desk.wire.count("REPORT") > before + 1:
            return body
        assert half is not None
        note = (
            f"<response><href>{path}</href><status>HTTP/1.1 507 Insufficient Storage</status>"
            "</response></multistatus>"
        )
        kept = [each for each in RESPONSE.findall(body) if KEYS[2].encode() not in each]
        shortened = b"<multistatus xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'>"
        return shortened + half[0] + b"".join(kept) + note.encode()

    before = desk.wire.count("REPORT")
    desk.wire.rewrite = truncated
    pages = list(desk.connector.changes(desk.calendar, cursor))
    assert [len(page.changes) for page in pages] == [1, 1]
    assert [page.cursor is None for page in pages] == [True, False]


def _sync(desk: Desk, cursor: str) -> bytes:
    """What the server answers to that cursor now."""
    found: list[bytes] = []
    desk.wire.rewrite = lambda _method, _path, body: found.append(body) or body
    desk.listing(cursor)
    desk.wire.rewrite = lambda _method, _path, body: body
    return found[-1]


@pytest.mark.parametrize("what", ["truncate", "html"])
def test_half_an_answer_is_never_a_short_listing(desk: Desk, what: str) -> None:
    for number in range(3):
        desk.create(number)
    if what == "truncate":
        desk.wire.faults.add(Fault("^PROPFIND ", "truncate", times=0))
    else:
        desk.wire.rewrite = lambda _method, _path, _body: b"<html>Please log in</html>"
    with pytest.raises(RetryableError):
        desk.listing()


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (401, {}, ReauthorizeError),
        (403, {}, FatalError),
        (404, {}, FatalError),
        (429, {"Retry-After": "7200"}, RateLimitedError),
        (503, {"Retry-After": "7200"}, RateLimitedError),
        (500, {}, RetryableError),
        (301, {"Location": "https://elsewhere.example.net/"}, FatalError),
    ],
)
def test_a_refused_listing_is_an_error_by_its_consequence(
    desk: Desk, status: int, headers: dict[str, str], error: type[ConnectorError]
) -> None:
    fault = Fault("^(PROPFIND|REPORT) ", "status", status=status, headers=headers, times=0)
    desk.wire.faults.add(fault)
    with pytest.raises(error):
        desk.listing()


def test_a_write_whose_answers_are_all_lost_is_unknown_and_found_by_its_key(desk: Desk) -> None:
    desk.wire.faults.add(Fault("^PUT ", "drop_after", times=0))
    desk.wire.faults.add(Fault("^GET ", "status", status=500, times=8))
    with pytest.raises((OutcomeUnknownError, RetryableError)):
        desk.create(1)
    desk.wire.faults.clear()
    found = desk.connector.find(desk.calendar, KEYS[1])
    assert found is not None
    assert desk.create(1).ref == found.ref
    assert len(desk.listing()[0]) == 1


def test_a_login_goes_to_no_other_host(desk: Desk, server: CaldavServer) -> None:
    fault = Fault("^PROPFIND ", "status", status=302, headers={"Location": "http://127.0.0.2/x/"})
    desk.wire.faults.add(fault)
    with pytest.raises(FatalError) as refused:
        desk.listing()
    assert "127.0.0.2" in refused.value.message
    assert server.password not in str(refused.value.facts)


def test_calendars_are_found_from_the_address_of_the_server(desk: Desk) -> None:
    found = {calendar.id: calendar for calendar in desk.connector.calendars()}
    assert found[desk.calendar].role is Role.OWNER


def test_a_server_that_mails_by_itself_is_not_made_to(desk: Desk) -> None:
    desk.wire.features = "1, calendar-access, calendar-auto-schedule"
    desk.put("meeting.ics", MEETING.format(organizer=ANN))
    copy = desk.connector.fetch(desk.calendar, "meeting.ics")
    assert copy is not None
    assert copy.organized
    for write in (
        lambda: desk.connector.update(desk.calendar, copy, edited(copy.event, title="Other")),
        lambda: desk.connector.delete(desk.calendar, copy),
    ):
        with pytest.raises(RejectedError) as refused:
            write()
        assert refused.value.code == "would-mail"
    assert desk.wire.count("PUT", "DELETE") == 0
    assert desk.wire.count("OPTIONS") == 1
    made = desk.create(1)
    desk.connector.update(desk.calendar, made, edited(made.event, title="Other"))


@pytest.mark.parametrize("settings", [{"mail_guests": True}])
def test_mail_to_guests_can_be_permitted(desk: Desk) -> None:
    desk.wire.features = "1, calendar-access, calendar-auto-schedule"
    desk.put("meeting.ics", MEETING.format(organizer=ANN))
    copy = desk.connector.fetch(desk.calendar, "meeting.ics")
    assert copy is not None
    changed = desk.connector.update(desk.calendar, copy, edited(copy.event, title="Other"))
    assert changed.event.details.title == "Other"


def test_somebody_elses_meeting_is_not_organized(desk: Desk) -> None:
    desk.put("meeting.ics", MEETING.format(organizer="boss@example.org"))
    copy = desk.connector.fetch(desk.calendar, "meeting.ics")
    assert copy is not None
    assert not copy.organized


@pytest.mark.parametrize("settings", [{"expansion": "bridge"}])
def test_the_bridge_can_expand_where_a_server_cannot(desk: Desk) -> None:
    series = event(rule="FREQ=DAILY;COUNT=4", reminders=())
    desk.connector.create(desk.calendar, series, KEYS[1])
    since, until = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    assert len(list(desk.connector.occurrences(desk.calendar, since, until))) == 4


def test_examining_an_account_says_what_works_and_what_to_do(desk: Desk) -> None:
    findings = {finding.subject: finding for finding in desk.provider.examine(ANN)}
    assert findings["login"].ok
    assert findings["write access"].ok
    assert f"{desk.wire.url}ann/" in findings["write access"].detail
    (finding,) = desk.provider.examine("nobody@example.com")
    assert not finding.ok
    assert "accounts" in finding.advice
    desk.wire.faults.add(Fault(".", "status", status=401, times=0))
    (finding,) = desk.provider.examine(ANN)
    assert (finding.ok, finding.code) == (False, "401")
    assert "password" in finding.advice


def test_settings_take_no_login_over_an_open_line() -> None:
    login = {"password": "secret"}
    for url in ("http://dav.example.com/", "https://ann:secret@dav.example.com/", "ftp://x/"):
        with pytest.raises(ValueError):
            PLUGIN.settings(url=url, accounts={ANN: login})
    known = PLUGIN.settings(url="https://dav.example.com/dav", accounts={ANN: login})
    assert "secret" not in repr(known)
