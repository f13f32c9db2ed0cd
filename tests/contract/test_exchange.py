"""The Exchange connector keeps the contract, with exchangelib against the sandbox."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest

from connectors.contract import Connector, Context, Provider
from connectors.exchange import PLUGIN
from connectors.sandbox.exchange import ExchangeSandbox, ExchangeSwitches
from connectors.sandbox.faults import Fault
from connectors.testing import builders
from connectors.testing.contract import Breakage, ConnectorContract, OtherParty
from mappings.model import Event, Freq, Key, Rule, When

ANN = "ann@office.example"
WRITES = "op=(CreateItem|UpdateItem|DeleteItem)$"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class PersonInOutlook:
    """Somebody with Outlook at the same mailbox."""

    def __init__(self, sandbox: ExchangeSandbox, calendar: str) -> None:
        self.sandbox = sandbox
        self.calendar = calendar

    def put_event(self, event: Event) -> str:
        fields = {"subject": event.details.title, "reminder": None, **times(event.when)}
        if event.rule:
            fields["recurrence"] = recurrence(event.rule, event.when)
        return str(self.act("create", fields, folder=self.calendar)["id"])

    def edit(self, ref: str, *, title: str | None = None, start: str | None = None) -> None:
        fields: dict[str, Any] = {} if title is None else {"subject": title}
        if start is not None:
            shown = self.act("show", ref)
            length = instant(shown["end"]) - instant(shown["start"])
            begin = datetime.fromisoformat(start)
            fields |= {"start": begin.isoformat(), "end": (begin + length).isoformat()}
        self.act("change", ref, fields)

    def delete(self, ref: str) -> None:
        self.act("remove", ref)

    def edit_occurrence(
        self, ref: str, key: Key, *, title: str | None = None, start: str | None = None
    ) -> None:
        self.edit(self.act("occurrence", ref, key[:10]), title=title, start=start)

    def cancel_occurrence(self, ref: str, key: Key) -> None:
        self.act("remove", self.act("occurrence", ref, key[:10]))

    def put_invitation(self, event: Event) -> tuple[str, str] | None:
        guests = [ANN, "guest@example.org"]
        fields = {"subject": event.details.title, "attendees": guests, **times(event.when)}
        if event.rule:
            fields["recurrence"] = recurrence(event.rule, event.when)
        shown = self.act("receive", "boss@office.example", fields)
        place = self.sandbox.world.mailbox(ANN).folder_of_role("calendar")
        return place.id, str(shown["id"])

    def put_unreadable(self) -> str | None:
        series = builders.event("Imported", zone="Europe/Berlin", rule="FREQ=DAILY")
        ref = self.put_event(series)
        self.sandbox.control("custom_zone", {"address": ANN, "event": ref})
        return ref

    def void_cursors(self) -> None:
        self.sandbox.void_sync_states(ANN)

    def break_next_write(self, how: Breakage) -> None:
        match how:
            case Breakage.REQUEST_LOST:
                self.sandbox.faults.add(Fault(WRITES, "drop_before"))
            case Breakage.ANSWER_LOST:
                self.sandbox.faults.add(Fault(WRITES, "drop_after"))
            case Breakage.UNAVAILABLE:
                self.sandbox.faults.add(Fault(WRITES, "status", status=503, body=""))

    def sent_mails(self) -> int:
        return len(self.sandbox.mails)

    def act(self, action: str, *values: Any, **options: Any) -> Any:
        return self.sandbox.edit(ANN, action, *values, **options)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def times(when: When) -> dict[str, Any]:
    end = when.start + when.duration
    if when.all_day:
        days = {"start": when.start.isoformat(), "end": end.isoformat()}
        return {"all_day": True, "zone": "Europe/Berlin", **days}
    return {"zone": when.zone, "start": when.start.isoformat(), "end": end.isoformat()}


def recurrence(rule: Rule, when: When) -> dict[str, Any]:
    first = date.fromisoformat(when.key[:10])
    found: dict[str, Any] = {"start": first.isoformat(), "interval": rule.interval}
    if rule.count:
        found["number"] = rule.count
    elif rule.until:
        found["until"] = rule.until[:10]
    if rule.freq is Freq.WEEKLY:
        days = [DAYS[CODES.index(day)] for _, day in rule.by_day] or [DAYS[first.weekday()]]
        return found | {"kind": "WeeklyRecurrence", "days": days, "first_day": "Monday"}
    assert rule.freq is Freq.DAILY
    return found | {"kind": "DailyRecurrence"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ExchangeSandbox]:
    switches = ExchangeSwitches(sync_page_limit=4)
    with ExchangeSandbox(limits=False, switches=switches) as sandbox:
        assert isinstance(sandbox, ExchangeSandbox)
        sandbox.add_mailbox(ANN, zone="Europe/Berlin")
        yield sandbox


@pytest.fixture(scope="module")
def organization(sandbox: ExchangeSandbox, context: Context) -> Iterator[Provider]:
    settings = PLUGIN.settings(
        endpoint=sandbox.ews_url,
        auth="basic",
        username=ANN,
        password="secret",
        zone="Europe/Berlin",
    )
    provider = PLUGIN.open("exchange", settings, context)
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def exchange(organization: Provider) -> Connector:
    return organization.connect(ANN)


class TestExchange(ConnectorContract):
    @pytest.fixture
    def provider(self, organization: Provider) -> Provider:
        return organization

    @pytest.fixture
    def connector(self, exchange: Connector) -> Connector:
        return exchange

    @pytest.fixture
    def calendar(self, sandbox: ExchangeSandbox, request: pytest.FixtureRequest) -> str:
        return sandbox.add_calendar(ANN, request.node.name[:100])

    @pytest.fixture
    def other_party(self, sandbox: ExchangeSandbox, calendar: str) -> OtherParty:
        return PersonInOutlook(sandbox, calendar)
