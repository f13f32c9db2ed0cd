"""The Feishu connector keeps the contract, with the real SDK against the sandbox."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.contract import Connector, Context
from connectors.feishu import PLUGIN
from connectors.sandbox.clock import Clock
from connectors.sandbox.faults import Fault
from connectors.sandbox.feishu import FeishuSandbox, FeishuSwitches
from connectors.sandbox.feishu.state import User
from connectors.testing.contract import Breakage, ConnectorContract, OtherParty
from mappings.model import Event, Key, When
from mappings.recurrence import format_rule

WRITES = r"^(POST|PATCH|DELETE) /open-apis/calendar/v4/calendars/[^/]+/events"


class PersonAtFeishu:
    """Somebody in front of the Feishu client."""

    def __init__(self, sandbox: FeishuSandbox, user: User, calendar: str) -> None:
        self.sandbox = sandbox
        self.person = sandbox.as_user(user)
        self.calendar = calendar

    def put_event(self, event: Event) -> str:
        body: dict[str, Any] = {"summary": event.details.title, **times(event.when)}
        if event.rule:
            body["recurrence"] = format_rule(event.rule, event.when, count=True)
        return str(self.person.create(self.calendar, body)["event_id"])

    def edit(self, ref: str, *, title: str | None = None, start: str | None = None) -> None:
        self.change(ref, self.person.get(self.calendar, ref), title, start)

    def delete(self, ref: str) -> None:
        """The client, unlike the API, takes the exceptions of a series along."""
        for shown in self.person.events(self.calendar):
            exception = shown["event_id"].startswith(ref.removesuffix("0"))
            if exception and shown["event_id"] != ref and shown["status"] != "cancelled":
                self.person.delete(self.calendar, shown["event_id"])
        self.person.delete(self.calendar, ref)

    def edit_occurrence(
        self, ref: str, key: Key, *, title: str | None = None, start: str | None = None
    ) -> None:
        self.change(self.occurrence(ref, key), self.person.get(self.calendar, ref), title, start)

    def cancel_occurrence(self, ref: str, key: Key) -> None:
        self.person.delete(self.calendar, self.occurrence(ref, key))

    def put_invitation(self, event: Event) -> tuple[str, str] | None:
        boss, ann = self.sandbox.add_user("Boss"), self.person.user
        person = self.sandbox.as_user(boss)
        body: dict[str, Any] = {"summary": event.details.title, **times(event.when)}
        if event.rule:
            body["recurrence"] = format_rule(event.rule, event.when, count=True)
        guests = [{"type": "user", "user_id": ann.open_id}]
        return ann.primary, str(person.create(boss.primary, body, guests)["event_id"])

    def put_unreadable(self) -> str | None:
        never = "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"
        when = When(start=datetime(2026, 3, 2, 9), duration=timedelta(hours=1), zone="Asia/Tokyo")  # noqa: DTZ001
        body = {"summary": "30 February", "recurrence": never, **times(when)}
        return str(self.person.create(self.calendar, body)["event_id"])

    def void_cursors(self) -> None:
        self.sandbox.expire_sync_tokens()

    def break_next_write(self, how: Breakage) -> None:
        match how:
            case Breakage.REQUEST_LOST:
                fault = Fault(WRITES, "drop_before")
            case Breakage.ANSWER_LOST:
                fault = Fault(WRITES, "drop_after")
            case Breakage.UNAVAILABLE:
                fault = Fault(WRITES, "status", status=500, body={"code": 190003, "msg": "later"})
        self.sandbox.faults.add(fault)

    def sent_mails(self) -> int:
        return len(self.sandbox.mails)

    def change(self, id_: str, like: dict[str, Any], title: str | None, start: str | None) -> None:
        """Patch one object; it keeps the duration and zone of `like`."""
        body: dict[str, Any] = {} if title is None else {"summary": title}
        if start is not None:
            zone = like["start_time"]["timezone"]
            ends = (int(like[name]["timestamp"]) for name in ("end_time", "start_time"))
            length = timedelta(seconds=next(ends) - next(ends))
            body |= times(When(start=datetime.fromisoformat(start), duration=length, zone=zone))
        self.person.patch(self.calendar, id_, body)

    def occurrence(self, ref: str, key: Key) -> str:
        zone = ZoneInfo(self.person.get(self.calendar, ref)["start_time"]["timezone"])
        at = datetime.fromisoformat(key).replace(tzinfo=zone)
        return f"{ref.removesuffix('0')}{int(at.timestamp())}"


def times(when: When) -> dict[str, Any]:
    """Start and end as the client sends them: all-day ends name the last day."""
    if when.all_day:
        assert isinstance(when.start, date)
        last = when.start + when.duration - timedelta(days=1)
        return {"start_time": {"date": str(when.start)}, "end_time": {"date": str(last)}}
    first = datetime.fromisoformat(when.start.isoformat())
    start = first.replace(tzinfo=ZoneInfo(when.zone or "UTC")).astimezone(UTC)
    return {
        name: {"timestamp": str(int(at.timestamp())), "timezone": when.zone}
        for name, at in (("start_time", start), ("end_time", start + when.duration))
    }


def unverified(name: str, pattern: str, **switches: Any) -> Any:
    """A guess about Feishu turned round; `pattern` finds the cases that could notice."""
    return pytest.param(switches, id=name, marks=pytest.mark.telling(pattern))


VARIANTS = [
    pytest.param({"short_pages": 4, "empty_pages": True}, id="documented"),
    unverified("moving-drops-exceptions", "move|edit", master_move_drops_exceptions=True),
    unverified("deleting-cascades", "delete", cascade=True),
    unverified("series-id-without-suffix", "delta", recurring_id_suffix=False),
    unverified("regular-occurrence-shown", "exception", get_unmaterialised="mirror"),
    unverified("deleted-shown", "deleted|gone", get_deleted="shown"),
    unverified("delta-by-page-token", "delta", delta_pages_by="page_token", short_pages=2),
    unverified("all-day-with-timestamp", "all.day", all_day_timestamp=True),
    unverified("tombstones-with-fields", "tombstone|deleted", tombstones="all"),
    unverified(
        "removals-hidden",
        "delta|removed|full_listing|cancelled|exceptions_survive",
        cancelled_in_full_listing="none",
    ),
    unverified("all-cancelled-listed", "tombstone|deleted", cancelled_in_full_listing="all"),
    unverified("deleted-key-makes-new", "single_again|after_all", key_of_deleted_event="new"),
    unverified("rules-with-prefix", "weekly-until|rule_can_change", rrule_prefix=True),
    unverified("page-size-clamped", "full_listing", page_size="clamped"),
    unverified("pages-of-three", "full_listing|delta", short_pages=3),
    unverified("text-trimmed", "created_event|updated_event", trim_description=True),
]


@pytest.fixture(scope="module", params=VARIANTS)
def sandbox(request: pytest.FixtureRequest, clock: Clock) -> Iterator[FeishuSandbox]:
    switches = FeishuSwitches(**request.param)
    with FeishuSandbox(clock=clock, limits=False, switches=switches) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def ann(sandbox: FeishuSandbox) -> User:
    return sandbox.add_user("Ann", "ann@example.com")


@pytest.fixture(scope="module")
def feishu(sandbox: FeishuSandbox, ann: User, context: Context, tokens: Any) -> Iterator[Connector]:
    grant = sandbox.grant(ann)
    tokens.give("feishu", ann.open_id, refresh=grant.refresh, access=grant.access)
    removals_hidden = sandbox.switches.cancelled_in_full_listing == "none"
    settings = PLUGIN.settings(
        app_id=sandbox.app.id,
        app_secret=sandbox.app.secret,
        domain=sandbox.url,
        dialect={"cancelled_in_listing": "hidden" if removals_hidden else "shown"},
    )
    provider = PLUGIN.open("feishu", settings, context)
    yield provider.connect(ann.open_id)
    provider.close()


class TestFeishu(ConnectorContract):
    @pytest.fixture
    def connector(self, feishu: Connector) -> Connector:
        return feishu

    @pytest.fixture
    def calendar(self, sandbox: FeishuSandbox, ann: User) -> str:
        return sandbox.add_calendar(ann, "Team").id

    @pytest.fixture
    def other_party(self, sandbox: FeishuSandbox, ann: User, calendar: str) -> OtherParty:
        return PersonAtFeishu(sandbox, ann, calendar)
