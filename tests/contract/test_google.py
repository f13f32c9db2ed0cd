"""The Google connector keeps the contract, with the real client library against the sandbox."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.contract import Connector, Context
from connectors.google import PLUGIN
from connectors.sandbox.faults import Fault
from connectors.sandbox.google import GoogleSandbox, GoogleSwitches
from connectors.testing.contract import Breakage, ConnectorContract, OtherParty
from mappings.model import Event, Key, When
from mappings.recurrence import format_rule

ANN = "ann@example.com"
BOSS = "boss@example.com"


class PersonAtGoogle:
    """Somebody at Google's web interface."""

    def __init__(self, sandbox: GoogleSandbox, calendar: str) -> None:
        self.sandbox = sandbox
        self.calendar = calendar

    def put_event(self, event: Event) -> str:
        body: dict[str, Any] = {"summary": event.details.title, **times(event.when)}
        if event.rule:
            body["recurrence"] = [f"RRULE:{format_rule(event.rule, event.when, count=True)}"]
        return str(self.act("create", body)["id"])

    def edit(self, ref: str, *, title: str | None = None, start: str | None = None) -> None:
        fields: dict[str, Any] = {} if title is None else {"summary": title}
        if start is not None:
            shown = self.act("get", ref)
            fields |= moved(shown, start)
        self.act("change", ref, fields)

    def delete(self, ref: str) -> None:
        self.act("remove", ref)

    def edit_occurrence(
        self, ref: str, key: Key, *, title: str | None = None, start: str | None = None
    ) -> None:
        self.edit(self.instance(ref, key), title=title, start=start)

    def cancel_occurrence(self, ref: str, key: Key) -> None:
        self.act("remove", self.instance(ref, key))

    def put_invitation(self, event: Event) -> tuple[str, str] | None:
        guests = [{"email": ANN}, {"email": "guest@example.org"}]
        body = {"summary": event.details.title, "attendees": guests, **times(event.when)}
        if event.rule:
            body["recurrence"] = [f"RRULE:{format_rule(event.rule, event.when, count=True)}"]
        return ANN, str(self.sandbox.edit(BOSS, "create", BOSS, body)["id"])

    def put_unreadable(self) -> str | None:
        rules = ["RRULE:FREQ=WEEKLY;COUNT=3", "RRULE:FREQ=DAILY;COUNT=2"]
        start = {"dateTime": "2026-03-02T09:00:00", "timeZone": "Europe/Berlin"}
        end = {"dateTime": "2026-03-02T10:00:00", "timeZone": "Europe/Berlin"}
        body = {"summary": "Two rules", "start": start, "end": end, "recurrence": rules}
        return str(self.act("create", body)["id"])

    def void_cursors(self) -> None:
        self.sandbox.expire(calendar=self.calendar)

    def break_next_write(self, how: Breakage) -> None:
        match how:
            case Breakage.REQUEST_LOST:
                fault = Fault(WRITES, "drop_before")
            case Breakage.ANSWER_LOST:
                fault = Fault(WRITES, "drop_after")
            case Breakage.UNAVAILABLE:
                error = {"code": 503, "message": "Backend Error", "errors": []}
                fault = Fault(WRITES, "status", status=503, body={"error": error})
        self.sandbox.faults.add(fault)

    def sent_mails(self) -> int:
        return len(self.sandbox.mails)

    def act(self, action: str, *values: Any) -> Any:
        return self.sandbox.edit(ANN, action, self.calendar, *values)

    def instance(self, ref: str, key: Key) -> str:
        if "T" not in key:
            return f"{ref}_{key.replace('-', '')}"
        zone = ZoneInfo(self.act("get", ref)["start"]["timeZone"])
        at = datetime.fromisoformat(key).replace(tzinfo=zone).astimezone(UTC)
        return f"{ref}_{at:%Y%m%dT%H%M%SZ}"


WRITES = r"^(POST|PUT|PATCH|DELETE) /calendar/v3/calendars/"


def times(when: When) -> dict[str, Any]:
    if when.all_day:
        end = when.start + when.duration
        return {"start": {"date": when.start.isoformat()}, "end": {"date": end.isoformat()}}
    zone = ZoneInfo(when.zone or "UTC")
    first = datetime.fromisoformat(when.start.isoformat()).replace(tzinfo=zone)
    last = (first.astimezone(UTC) + when.duration).astimezone(zone)
    return {
        name: {"dateTime": at.isoformat(), "timeZone": when.zone}
        for name, at in (("start", first), ("end", last))
    }


def moved(shown: dict[str, Any], start: str) -> dict[str, Any]:
    """Start and end after a move that keeps the duration."""
    if "date" in shown["start"]:
        days = date.fromisoformat(shown["end"]["date"]) - date.fromisoformat(shown["start"]["date"])
        return times(When(start=date.fromisoformat(start), duration=days))
    first, last = (datetime.fromisoformat(shown[name]["dateTime"]) for name in ("start", "end"))
    length: timedelta = last - first
    zone = shown["start"]["timeZone"]
    return times(When(start=datetime.fromisoformat(start), duration=length, zone=zone))


def unverified(name: str, pattern: str, **switches: Any) -> Any:
    """A guess about Google turned round; `pattern` finds the cases that could notice."""
    return pytest.param(switches, id=name, marks=pytest.mark.telling(pattern))


VARIANTS = [
    pytest.param({"page_limit": 4}, id="documented"),
    unverified("exceptions-end", "move|become|rule_can", exceptions_on_time_change="drop_all"),
    unverified("exceptions-stay", "move|become|rule_can", exceptions_on_time_change="keep_all"),
    unverified("same-version-if-same", "nothing|edit", noop_write_touches=False),
    unverified("offset-of-the-event", "fold|gap|saving", offset_of="event"),
    unverified("deletion-lists-exceptions", "delete", master_delete_lists_exceptions=True),
    unverified("deleted-can-be-revived", "gone|delete", revive_after_ui_delete=True),
    unverified("first-page-empty", "full_listing|delta", empty_first_page=True),
    unverified("pages-of-three", "full_listing|delta", page_limit=3),
]


@pytest.fixture(scope="module", params=VARIANTS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[GoogleSandbox]:
    with GoogleSandbox(limits=False, switches=GoogleSwitches(**request.param)) as sandbox:
        assert isinstance(sandbox, GoogleSandbox)
        sandbox.add_user(ANN)
        sandbox.add_user(BOSS)
        yield sandbox


@pytest.fixture(scope="module")
def google(sandbox: GoogleSandbox, context: Context) -> Iterator[Connector]:
    settings = PLUGIN.settings(
        service_account=sandbox.service_account(),
        api_root=sandbox.url,
        token_uri=f"{sandbox.url}/token",
    )
    # The client library signs its tokens by the machine's clock.
    provider = PLUGIN.open("google", settings, replace(context, now=lambda: datetime.now(UTC)))
    yield provider.connect(ANN)
    provider.close()


class TestGoogle(ConnectorContract):
    @pytest.fixture
    def connector(self, google: Connector) -> Connector:
        return google

    @pytest.fixture
    def calendar(self, sandbox: GoogleSandbox, request: pytest.FixtureRequest) -> str:
        return sandbox.add_calendar(ANN, request.node.name[:100], zone="Europe/Berlin")

    @pytest.fixture
    def other_party(self, sandbox: GoogleSandbox, calendar: str) -> OtherParty:
        return PersonAtGoogle(sandbox, calendar)
