"""The complaint: "every third Thursday but one, except in summer: my mailbox shows other days".

Random series are written over the wire, changed over the wire, and what Exchange itself shows is
compared with what Feishu shows, occurrence by occurrence over ten years. Neither side is asked for
the project's own view of a rule: each expands it by itself.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from connectors.contract import Connector, Context
from connectors.exchange import PLUGIN
from connectors.pacing import FreePacer
from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.feishu.expansion import starts
from connectors.sandbox.feishu.state import Event as Series
from connectors.sandbox.feishu.state import User
from connectors.sandbox.feishu.switches import FeishuSwitches
from connectors.sandbox.feishu.times import Span
from mappings.errors import UnmappableError
from mappings.merge import changes
from mappings.model import WEEKDAYS, Details, Event, Override, When
from mappings.patterns import EWS, plan
from mappings.recurrence import keys, parse_rule, tidy, when_of
from mappings.series import rebase

ADDRESS, MAILBOX = "ann@office.example", "Europe/Berlin"
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
DETAILS, CHANGED = Details(title="as planned", reminders=()), Details(title="other", reminders=())
YEARS, EDGE = 10, timedelta(days=40)
NOBODY = User("ou_", "on_", "id", "Ann", "ann@feishu.example")
Shown = list[tuple[object, object, str]]


@dataclass
class Outlook:
    """A mailbox, and the connector that writes into it."""

    sandbox: ExchangeSandbox
    connector: Connector
    examples: int = 0

    def calendar(self) -> str:
        self.examples += 1
        return self.sandbox.add_calendar(ADDRESS, f"Example {self.examples}")

    def shows(self, calendar: str, since: datetime, until: datetime) -> Shown:
        found = self.sandbox.occurrences(ADDRESS, since, until, folder=calendar)
        zone = ZoneInfo(MAILBOX)
        return sorted(
            (each.start.astimezone(zone).date(), each.end.astimezone(zone).date(), each.subject)
            if each.all_day
            else (each.start, each.end, each.subject)
            for each in found
            if since <= each.start < until
        )


class NoTokens:
    """Nobody consents at Exchange."""

    def lock(self, connector: str, account: str) -> Any:
        return nullcontext()


@pytest.fixture(scope="module")
def outlook() -> Iterator[Outlook]:
    clock = Clock(lambda: NOW.timestamp())
    with ExchangeSandbox(clock=clock, limits=False, zone=MAILBOX) as sandbox:
        assert isinstance(sandbox, ExchangeSandbox)
        sandbox.add_mailbox(ADDRESS)
        provider = PLUGIN.open(
            "exchange",
            PLUGIN.settings(
                endpoint=sandbox.ews_url, auth="basic", username=ADDRESS, password="secret",
                zone=MAILBOX,
            ),
            Context(
                now=clock.now, sleep=lambda _seconds: None, random=lambda: 0.5,
                tokens=NoTokens(), pacer=lambda _name, _facts: FreePacer(),
            ),
        )  # fmt: skip
        yield Outlook(sandbox, provider.connect(ADDRESS))
        provider.close()
        assert sandbox.mails == []


@dataclass(frozen=True)
class AtFeishu:
    """An event, and the words in which Feishu holds its rule."""

    event: Event
    rule: str = ""

    def shows(self, since: datetime, until: datetime) -> Shown:
        """What Feishu shows: the rule by Feishu's own expansion, and what was changed of it."""
        event = self.event
        changed = event.overrides_by_key
        whens = [item.when or event.when for item in event.overrides if not item.cancelled]
        titles = [item.details.title for item in event.overrides if item.details]
        found = list(zip(map(begin, whens), whens, titles, strict=True))
        if self.rule:
            originals = {begin(when_of(event, key)) for key in changed}
            low, high = (
                int((at + way * EDGE).timestamp()) for at, way in ((since, -1), (until, 1))
            )
            for stamp in starts(self._held(), low, high, FeishuSwitches()):
                at = datetime.fromtimestamp(stamp, UTC)
                if at not in originals:
                    start = at.date() if event.when.all_day else at.replace(tzinfo=None)
                    zone = None if event.when.all_day else "UTC"
                    when = When(start=start, duration=event.when.duration, zone=zone)
                    found.append((at, when, event.details.title))
        else:
            found = [(begin(event.when), event.when, event.details.title)]
        lines: Shown = []
        for at, when, title in found:
            seen = at
            if not isinstance(when.start, datetime):
                seen = datetime.combine(when.start, time(), ZoneInfo(MAILBOX))
            if since <= seen < until:
                first: Any = at if isinstance(when.start, datetime) else when.start
                lines.append((first, first + when.duration, title))
        return sorted(lines)

    def _held(self) -> Series:
        when = self.event.when
        start = int(begin(when).timestamp())
        zone = when.zone or "UTC"
        end = start + int(when.duration.total_seconds())
        return Series(
            uid="series", original=0, organizer_calendar="", organizer=NOBODY, created=0,
            content={}, span=Span(start, end, when.all_day, zone, zone), recurrence=self.rule,
        )  # fmt: skip


def begin(when: When) -> datetime:
    """The instant at which it begins, of whole days as Feishu counts them."""
    if not isinstance(when.start, datetime):
        return datetime.combine(when.start, time(), UTC)
    return when.start.replace(tzinfo=ZoneInfo(when.zone or "UTC"), fold=when.fold).astimezone(UTC)


def span(event: Event) -> tuple[datetime, datetime]:
    """Ten years, or what is written of a series that has to be continued from time to time."""
    made = plan(event, EWS, NOW)
    assume(made.parts or made.singles)
    if made.rolling is None:
        start = datetime.fromisoformat(event.when.key[:10]).replace(tzinfo=UTC)
        return start - EDGE, start + timedelta(days=366 * YEARS)
    low, high = (datetime.combine(day, time(), UTC) for day in made.rolling)
    return low + EDGE, high - EDGE


weekdays = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3, unique=True)
month_days = st.lists(
    st.one_of(st.integers(1, 31), st.sampled_from([29, 30, 31, -1])), min_size=1, max_size=2,
    unique=True,
)  # fmt: skip
ORDINALS = st.sampled_from([1, 2, 3, 4, 5, -1])


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules as Feishu knows them."""
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.sampled_from([1, 1, 1, 2, 3, 5, 12]))}"]
    if freq == "WEEKLY":
        parts += [f"BYDAY={','.join(draw(weekdays))}", f"WKST={draw(st.sampled_from(WEEKDAYS))}"]
    elif freq == "MONTHLY":
        kind = draw(st.sampled_from(["", "days", "nth", "set"]))
        if kind == "days":
            parts.append(f"BYMONTHDAY={','.join(map(str, draw(month_days)))}")
        elif kind == "nth":
            parts.append(f"BYDAY={draw(ORDINALS)}{draw(st.sampled_from(WEEKDAYS))}")
        elif kind == "set":
            parts += ["BYDAY=MO,TU,WE,TH,FR", f"BYSETPOS={draw(ORDINALS)}"]
    if freq in ("DAILY", "YEARLY") and draw(st.integers(0, 4)) == 0:
        months = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True))
        parts.append(f"BYMONTH={','.join(map(str, months))}")
    match draw(st.sampled_from(["", "COUNT", "COUNT", "UNTIL"])):
        case "COUNT":
            parts.append(f"COUNT={draw(st.integers(1, 40))}")
        case "UNTIL":
            last = date(2027, 1, 1) + timedelta(days=draw(st.integers(0, 1500)))
            parts.append(f"UNTIL={last:%Y%m%d}")
    return ";".join(parts)


CHANGES = tuple(
    date.fromisoformat(day) + timedelta(days=before)
    for day in ("2025-11-02", "2026-03-08", "2026-03-29", "2026-04-05", "2026-10-25", "2027-10-03")
    for before in (-7, -2, -1, 0)
)
"""Days on which clocks change in one of the zones, and some before them."""


@st.composite
def events(draw: st.DrawFn, *, timed: bool = False) -> AtFeishu:
    """A series with cancelled, moved and otherwise changed occurrences, also across clock
    changes; sometimes one event alone."""
    day = date(2025, 1, 1) + timedelta(days=draw(st.integers(0, 1000)))
    if draw(st.integers(0, 2)) == 0:
        day = draw(st.sampled_from(CHANGES))
    if not timed and draw(st.integers(0, 4)) == 0:
        when = When(start=day, duration=timedelta(days=draw(st.integers(1, 2))))
    else:
        clock = draw(st.sampled_from([time(9), time(2, 30), time(1, 45), time(0), time(23, 30)]))
        zone = draw(st.sampled_from(ZONES))
        local = datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)  # no skipped hour
        when = When(
            start=local.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0),
            duration=timedelta(
                minutes=draw(st.sampled_from([30, 60, 90, 5 * 60, 24 * 60, 36 * 60]))
            ),
            zone=zone,
        )
    if draw(st.integers(0, 9)) == 0:
        return AtFeishu(Event(details=DETAILS, when=when))
    words = draw(rules())
    try:
        rule = parse_rule(words, when, until_date="whole_day")
        event = Event(details=DETAILS, when=when, rule=rule)
        members = list(keys(rule, (), when, limit=30))
    except UnmappableError:
        assume(False)
        raise
    overrides = []
    for key in sorted(draw(st.lists(st.sampled_from(members), max_size=4, unique=True))):
        ruled = when_of(event, key)
        kind = draw(st.sampled_from(["cancel", "cancel", "title", "hours", "days", "long"]))
        shift = timedelta(0)
        if kind == "hours" and not when.all_day:
            shift = timedelta(hours=draw(st.integers(-8, 8)))
        elif kind == "days":
            shift = timedelta(days=draw(st.integers(-20, 20)))
        length = when.duration * (2 if kind == "long" else 1)
        moved = replace(ruled, start=ruled.start + shift, duration=length)
        overrides.append(
            Override(key=key, cancelled=True)
            if kind == "cancel"
            else Override(key=key, details=CHANGED if kind == "title" else DETAILS, when=moved)
        )
    event = tidy(replace(event, overrides=tuple(overrides)))
    gone = {item.key for item in event.overrides if item.cancelled}
    assume(not gone or not gone.issuperset(members))  # such a series is not copied at all
    return AtFeishu(event, words)


def check(outlook: Outlook, first: AtFeishu, second: AtFeishu) -> None:
    """The first is made, then turned into the second; Exchange shows each exactly, and each reads
    back as what it is."""
    spans = [span(each.event) for each in (first, second)]
    calendar = outlook.calendar()
    copy = outlook.connector.create(calendar, first.event, "ab" * 32)
    assert outlook.shows(calendar, *spans[0]) == first.shows(*spans[0])
    assert read_back(copy.event, first.event)
    copy = outlook.connector.update(calendar, copy, second.event)
    assert outlook.shows(calendar, *spans[1]) == second.shows(*spans[1])
    assert read_back(copy.event, second.event)


def read_back(found: Event, event: Event) -> bool:
    """True if nobody would see a change of what was written. (What is written as single events
    does not tell what none of them shows: cancelled long ago, or a name that each has changed.)"""
    made = plan(event, EWS, NOW)
    whole = made.rolling is None and (made.parts or not event.recurring)
    return not whole or changes(rebase(event), found) == {}


PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
COMMON: dict[str, Any] = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "phases": PHASES,
}  # fmt: skip


@pytest.mark.timeout(1200)
@given(first=events(), second=events())
@settings(max_examples=150, **COMMON)
def test_exchange_shows_the_days_that_feishu_shows(
    outlook: Outlook, first: AtFeishu, second: AtFeishu
) -> None:
    check(outlook, first, second)


@pytest.mark.timeout(1200)
@given(first=events(timed=True), second=events(timed=True))
@settings(max_examples=30, **COMMON)
def test_exchange_shows_them_too_if_its_occurrences_keep_their_length(
    outlook: Outlook, first: AtFeishu, second: AtFeishu
) -> None:
    outlook.sandbox.switches.occurrence_end = "exact"
    try:
        check(outlook, first, second)
    finally:
        outlook.sandbox.switches.occurrence_end = "wall"


@pytest.mark.nightly
@pytest.mark.timeout(5400)
@given(first=events(), second=events())
@settings(max_examples=10_000, **COMMON)
def test_exchange_shows_the_days_of_thousands_of_series(
    outlook: Outlook, first: AtFeishu, second: AtFeishu
) -> None:
    check(outlook, first, second)
