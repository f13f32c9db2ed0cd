"""How decisions are carried out when the world does not hold still."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.config import EndpointConfig, LinkConfig
from bridge.records import Endpoint, Link, RunKind, Side, UnitState
from bridge.runtime import rules
from bridge.store import LeaseLostError, Store, Tx
from bridge.sync import LinkPass, Outcome, Surroundings
from connectors.errors import ConnectorError, OutcomeUnknownError, RejectedError, RetryableError
from connectors.memory import LOSSLESS, Call, MemoryProvider, MemoryWorld
from connectors.testing.builders import edited, event, moved
from mappings import identity
from mappings.model import Key
from mappings.policy import Conflict, Direction, Filters, Policy

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDS = {side: Endpoint(connector=side.value, account="ann", calendar="c") for side in Side}
ONE_WAY = Policy(direction=Direction.TO_TARGET)
TWO_WAY = Policy(conflict=Conflict.A)


@dataclass
class Pair:
    """A link between two services."""

    store: Store
    policy: Policy
    worlds: dict[Side, MemoryWorld]
    now: datetime = START
    fence: Callable[[Tx], None] = lambda _tx: None

    def __post_init__(self) -> None:
        self.a, self.b = (self.worlds[side].add_calendar("ann", "c") for side in Side)
        a, b = ((end.connector, end.account, end.calendar) for end in ENDS.values())
        link = Link(
            id=0, uid=identity.link_uid(a, b), name="l", user="ann", a=ENDS[Side.A], b=ENDS[Side.B]
        )
        with self.store.begin() as tx:
            self.link = tx.put_link(link)

    def run(self) -> Outcome:
        self.now += timedelta(hours=1)
        a, b = (
            EndpointConfig(connector=end.connector, account=end.account, calendar=end.calendar)
            for end in ENDS.values()
        )
        config = LinkConfig(name="l", user="ann", a=a, b=b, policy=self.policy, place="", line=None)
        limits = {side: world.capabilities.limits for side, world in self.worlds.items()}
        link = self.store.link("l")
        assert link is not None
        connectors = {s: MemoryProvider(s.value, self.worlds[s]).connect("ann") for s in Side}
        around = Surroundings(
            store=self.store, now=lambda: self.now, log=lambda *_a, **_f: None, fence=self.fence
        )
        chosen = rules(config, limits, self.now)
        return LinkPass(link, chosen, connectors, around).run(RunKind.SYNC)

    def titles(self, side: Side) -> list[str]:
        calendar = self.a if side is Side.A else self.b
        return sorted(calendar.event(ref).details.title for ref in calendar.refs())


@pytest.fixture
def pair(store: Store) -> Pair:
    return make(store, ONE_WAY)


@pytest.fixture
def equal(store: Store) -> Pair:
    return make(store, TWO_WAY)


def make(store: Store, policy: Policy) -> Pair:
    capabilities = replace(LOSSLESS, parallel_writes=1)
    worlds = {side: MemoryWorld(capabilities, page_size=5) for side in Side}
    return Pair(store, policy, worlds)


def at_first(operation: str, act: Callable[[], None]) -> Callable[[Call], None]:
    """Do something once, when that call comes by."""
    left = [act]

    def hook(call: Call) -> None:
        if call.operation == operation and left:
            left.pop()()

    return hook


def failing(error: ConnectorError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_an_edit_made_between_our_two_writes_reaches_the_other_side(equal: Pair) -> None:
    ref = equal.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    equal.run()
    (twin,) = equal.b.refs()
    equal.a.person_edits(ref, title="Dinner")
    equal.b.person_edits(twin, lambda content: moved(content, start="2026-03-03T18:00"))
    equal.policy = replace(TWO_WAY, conflict=Conflict.B)
    # B is written first; before A is, somebody renames the event there once more.
    equal.worlds[Side.A].before = at_first(
        "update", lambda: equal.a.person_edits(ref, title="Late dinner", color="#ff0000")
    )
    equal.run()
    equal.run()
    assert equal.a.event(ref) == equal.b.event(twin)
    assert equal.a.event(ref).details.title == "Late dinner"
    assert equal.a.event(ref).details.color == "#ff0000"
    assert equal.a.event(ref).when.start == datetime(2026, 3, 3, 18)  # noqa: DTZ001 wall clock
    assert equal.run().counts.writes == 0


def test_a_value_that_lost_is_in_the_journal_although_a_write_was_repeated(equal: Pair) -> None:
    ref = equal.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    equal.run()
    (twin,) = equal.b.refs()
    equal.a.person_edits(ref, title="Dinner")
    equal.b.person_edits(twin, title="Brunch", color="#00ff00")
    equal.worlds[Side.A].before = at_first(
        "update", lambda: equal.a.person_edits(ref, description="bring cake")
    )
    equal.run()
    equal.run()
    assert equal.a.event(ref) == equal.b.event(twin)
    assert equal.a.event(ref).details.title == "Dinner"
    assert equal.a.event(ref).details.description == "bring cake"
    lost = [entry.lost for entry in equal.store.journal(equal.link.id) if entry.lost]
    assert {"title": "Brunch"} in lost


def test_a_pass_leaves_no_write_open(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    gone = pair.a.person_puts(event("Dinner", "2026-03-03T18:00"))
    for act in (
        lambda: None,
        lambda: pair.a.person_edits(ref, title="Brunch"),
        lambda: pair.a.person_deletes(gone),
    ):
        act()
        assert pair.run().counts.writes > 0
        assert pair.store.intents(pair.link.id) == []


def test_a_copy_deleted_before_its_creation_was_known_is_made_anew(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.worlds[Side.B].after = at_first("create", failing(OutcomeUnknownError("no answer")))
    pair.run()
    (twin,) = pair.b.refs()
    pair.b.person_deletes(twin)
    pair.run()
    assert pair.titles(Side.B) == ["Lunch"]
    assert pair.run().counts.writes == 0
    assert pair.store.intents(pair.link.id) == []


def test_a_copy_that_the_bridge_took_away_is_made_again_with_one_call(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.policy = replace(ONE_WAY, filters=Filters(skip_titles=("secret",)))
    pair.a.person_edits(ref, title="secret lunch")
    pair.run()
    assert pair.b.refs() == []
    pair.a.person_edits(ref, title="Lunch")
    calls: list[str] = []
    pair.worlds[Side.B].before = lambda call: calls.append(call.operation)
    pair.run()
    assert pair.titles(Side.B) == ["Lunch"]
    assert calls.count("create") == 1


def test_a_listing_that_breaks_off_keeps_what_was_done_and_goes_on_from_there(pair: Pair) -> None:
    for number in range(23):
        pair.a.person_puts(event(f"E{number:02}", "2026-03-03T12:00"))
    pages = [None, None, None, RetryableError("the line is dead")]

    def third_page(call: Call) -> None:
        error = pages.pop(0) if call.operation == "changes" and pages else None
        if error is not None:
            raise error

    pair.worlds[Side.A].before = third_page
    pair.worlds[Side.B].before = lambda call: time.sleep(0.01)
    with pytest.raises(RetryableError):
        pair.run()
    done = len(pair.b.refs())
    assert sum(unit.b is not None for unit in pair.store.units(pair.link.id)) == done > 0
    assert pair.store.intents(pair.link.id) == []
    assert pair.store.cursor(pair.link.id, Side.A) is None
    assert pair.run().counts.created == 23 - done
    assert len(pair.b.refs()) == 23


def test_an_event_that_became_unreadable_while_waiting_stops_nobody(pair: Pair) -> None:
    bad = pair.a.person_puts(event("Bad", "2026-03-03T12:00"))
    pair.worlds[Side.B].before = at_first("create", failing(RetryableError("not now")))
    pair.run()
    pair.a.person_spoils(bad)
    pair.a.person_puts(event("Good", "2026-03-03T12:00"))
    outcome = pair.run()
    assert (outcome.counts.created, pair.titles(Side.B)) == (1, ["Good"])
    (parked,) = pair.store.units(pair.link.id, state=UnitState.PARKED)
    assert (parked.error_code, parked.retry_at) == ("MALFORMED", None)
    pair.a.person_edits(bad, title="Mended")
    pair.run()
    assert pair.titles(Side.B) == ["Good", "Mended"]
    assert {unit.error for unit in pair.store.units(pair.link.id)} == {""}


def test_an_open_write_to_what_became_unreadable_stops_nobody(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    (twin,) = pair.b.refs()
    pair.a.person_edits(ref, title="Dinner")
    pair.worlds[Side.B].after = at_first("update", failing(OutcomeUnknownError("no answer")))
    pair.run()
    pair.b.person_spoils(twin)
    pair.a.person_puts(event("Good", "2026-03-03T12:00"))
    outcome = pair.run()
    assert outcome.counts.created == 1
    assert pair.store.intents(pair.link.id) == []


def bare(pair: Pair) -> None:
    """A looks nothing up and guards no write."""
    world = pair.worlds[Side.A]
    world.capabilities = replace(world.capabilities, find_by_key=False, write_guard=False)


def test_a_write_that_never_arrived_is_not_repeated_over_somebody_s_edit(equal: Pair) -> None:
    bare(equal)
    ref = equal.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    equal.run()
    (twin,) = equal.b.refs()
    equal.b.person_edits(twin, title="Brunch", color="#00ff00")
    equal.worlds[Side.A].before = at_first("update", failing(OutcomeUnknownError("no answer")))
    equal.run()
    equal.a.person_edits(ref, title="Dinner")
    equal.run()
    assert equal.titles(Side.A) == equal.titles(Side.B) == ["Dinner"]
    assert equal.a.event(ref).details.color == "#00ff00"
    lost = [entry.lost for entry in equal.store.journal(equal.link.id) if entry.lost]
    assert {"title": "Brunch"} in lost


def test_a_write_of_several_steps_is_not_repeated_over_somebody_s_edit(equal: Pair) -> None:
    bare(equal)
    ref = equal.a.person_puts(event("Lunch", rule="FREQ=DAILY;COUNT=6"))
    equal.run()
    (twin,) = equal.b.refs()
    equal.b.person_edits(twin, lambda content: edited(replace(content, rule=None), title="Brunch"))
    equal.worlds[Side.A].before = at_first("update", failing(OutcomeUnknownError("no answer")))
    equal.run()
    equal.a.person_edits(ref, title="Dinner")
    equal.run()
    assert equal.titles(Side.A) == equal.titles(Side.B) == ["Dinner"]
    assert not equal.a.event(ref).recurring


def test_what_another_worker_made_meanwhile_is_brought_up_to_date(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    world = pair.worlds[Side.B]
    left = [event("An older lunch", "2026-03-03T12:00")]

    def rival(call: Call) -> None:
        if call.operation == "create" and left:
            MemoryProvider("b", world).connect("ann").create("c", left.pop(), call.key)

    world.before = rival
    pair.run()
    pair.run()
    assert pair.titles(Side.B) == ["Lunch"]
    assert pair.run().counts.writes == 0


def test_what_was_written_to_one_side_overrules_nobody_when_the_other_one_refused(
    equal: Pair,
) -> None:
    ref = equal.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    equal.run()
    (twin,) = equal.b.refs()
    equal.policy = replace(TWO_WAY, conflict=Conflict.B)
    equal.run()
    equal.a.person_edits(ref, title="Dinner")
    equal.b.person_edits(twin, color="#00ff00")
    # B is written first.
    equal.worlds[Side.A].before = at_first("update", failing(RejectedError("not today")))
    equal.run()
    equal.a.person_edits(ref, title="Supper")
    equal.run()
    assert equal.titles(Side.A) == equal.titles(Side.B) == ["Supper"]
    assert equal.a.event(ref).details.color == "#00ff00"
    assert [entry.lost for entry in equal.store.journal(equal.link.id) if entry.lost] == []


def test_what_the_rest_of_a_broken_off_write_overrules_is_told(equal: Pair) -> None:
    bare(equal)
    series = event("Standup", rule="FREQ=DAILY;COUNT=6")
    ref = equal.a.person_puts(series)
    equal.run()
    (twin,) = equal.b.refs()
    equal.b.person_edits(twin, lambda content: replace(content, rule=None))
    equal.worlds[Side.A].before = at_first("update", failing(OutcomeUnknownError("no answer")))
    equal.run()
    key = Key("2026-03-03T09:00:00")
    equal.a.person_edits(ref, lambda content: edited(content, key, title="Special"))
    equal.run()
    assert equal.a.event(ref) == equal.b.event(twin) == replace(series, rule=None)
    lost = [entry.lost for entry in equal.store.journal(equal.link.id) if entry.lost]
    assert {f"occurrence/{key}/title": "Special"} in lost


def test_an_edit_of_an_occurrence_that_goes_away_meanwhile_is_not_lost_unsaid(equal: Pair) -> None:
    bare(equal)
    ref = equal.a.person_puts(event("Standup", rule="FREQ=DAILY;COUNT=6"))
    equal.run()
    (twin,) = equal.b.refs()
    key = Key("2026-03-03T09:00:00")
    equal.b.person_edits(twin, lambda content: edited(content, key, title="Special"))
    equal.worlds[Side.A].before = at_first(
        "update",
        lambda: equal.a.person_edits(ref, lambda content: replace(content, rule=None)),
    )
    equal.run()
    equal.run()
    assert equal.a.event(ref) == equal.b.event(twin)
    assert not equal.a.event(ref).recurring
    lost = [entry.lost for entry in equal.store.journal(equal.link.id) if entry.lost]
    assert {f"occurrence/{key}/title": "Special"} in lost


def test_whoever_lost_the_lease_sends_nothing_more(pair: Pair) -> None:
    for number in range(40):
        pair.a.person_puts(event(f"E{number:02}", "2026-03-03T12:00"))
    lost, refused = threading.Event(), threading.Event()

    def fence(_tx: Tx) -> None:
        if lost.is_set():
            refused.set()
            raise LeaseLostError("another worker has it")

    def hesitate(call: Call) -> None:
        if call.operation == "create" and lost.is_set():
            refused.wait(10)
            time.sleep(0.05)

    pair.fence = fence
    pair.worlds[Side.B].after = at_first("create", lost.set)
    pair.worlds[Side.B].before = hesitate
    with pytest.raises(LeaseLostError):
        pair.run()
    # The one that told us, and what was on its way by then; the rest of the queue never goes.
    assert len(pair.b.refs()) <= 3
    pair.fence = lambda _tx: None
    pair.worlds[Side.B].before = lambda call: None
    pair.run()
    assert len(pair.b.refs()) == 40
    assert pair.run().counts.writes == 0


def test_what_each_recovery_leaves_is_a_quiet_link(pair: Pair) -> None:
    for number in range(6):
        pair.a.person_puts(event(f"E{number}", "2026-03-03T12:00"))
    pair.worlds[Side.B].after = lambda call: (
        failing(OutcomeUnknownError("no answer"))() if call.operation == "create" else None
    )
    with pytest.raises(OutcomeUnknownError):
        pair.run()
    pair.worlds[Side.B].after = lambda call: None
    for _pass in range(3):
        pair.run()
    assert pair.titles(Side.B) == [f"E{number}" for number in range(6)]
    assert pair.store.intents(pair.link.id) == []


def make_batching(store: Store, size: int) -> Pair:
    """B makes so many units with one call."""
    pair = make(store, ONE_WAY)
    batching = replace(LOSSLESS, parallel_writes=2, batch_size=size, find_by_key=True)
    pair.worlds[Side.B].capabilities = batching
    return pair


def test_creates_go_out_together_as_far_as_the_provider_takes_them(store: Store) -> None:
    pair = make_batching(store, 20)
    for number in range(101):
        pair.a.person_puts(event(f"Event {number:03}"))
    outcome = pair.run()
    calls = pair.worlds[Side.B].calls
    assert outcome.counts.created == 101
    assert pair.titles(Side.B) == pair.titles(Side.A)
    assert calls["create_many"] + calls["create"] <= 8
    assert pair.run().counts.writes == 0


def test_a_dead_key_in_a_batch_is_replaced_and_keeps_nobody_back(store: Store) -> None:
    pair = make_batching(store, 20)
    refs = [pair.a.person_puts(event(f"Event {number}")) for number in range(5)]
    unit = identity.unit_id(pair.link.uid, "a", refs[2])
    spent = identity.create_key(pair.link.uid, unit, "b", 0)
    b = MemoryProvider("b", pair.worlds[Side.B]).connect("ann")
    pair.b.person_deletes(b.create("c", event("Event 2"), spent).ref)
    pair.run()
    assert pair.titles(Side.B) == pair.titles(Side.A)
    assert pair.run().counts.writes == 0


def test_a_batch_whose_answer_was_lost_makes_nothing_twice(store: Store) -> None:
    pair = make_batching(store, 20)
    for number in range(30):
        pair.a.person_puts(event(f"Event {number:02}"))
    lost = OutcomeUnknownError("the answer was lost")
    pair.worlds[Side.B].after = at_first("create_many", failing(lost))
    with contextlib.suppress(OutcomeUnknownError):
        pair.run()
    for _ in range(3):
        pair.run()
    assert pair.titles(Side.B) == pair.titles(Side.A)
    assert pair.store.intents(pair.link.id) == []


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("winner", Side)
def test_what_a_decision_made_anew_overrules_is_told_after_a_crash(
    equal: Pair, winner: Side
) -> None:
    bare(equal)
    equal.policy = replace(TWO_WAY, conflict=Conflict(winner.value))
    ref = equal.a.person_puts(event("Standup", rule="FREQ=DAILY;COUNT=6"))
    equal.run()
    (twin,) = equal.b.refs()
    equal.b.person_moves(twin, "2026-03-02T15:00")
    equal.worlds[Side.A].before = at_first(
        "fetch", lambda: equal.a.person_moves(ref, "2026-03-02T18:00")
    )

    def crash() -> None:
        raise Crash

    equal.worlds[winner.other].after = at_first("update", crash)
    with pytest.raises(Crash):
        equal.run()
    for _ in range(3):
        equal.run()
    assert equal.a.event(ref) == equal.b.event(twin)
    assert equal.a.event(ref).when.start.hour == (18 if winner is Side.A else 15)
    lost = [entry.lost for entry in equal.store.journal(equal.link.id) if entry.lost]
    assert len(lost) == 1
    assert equal.store.intents(equal.link.id) == []


def test_an_unguarded_write_loses_nobody_s_edit_that_came_before_it(store: Store) -> None:
    pair = make(store, TWO_WAY)
    pair.worlds[Side.B].capabilities = replace(pair.worlds[Side.B].capabilities, write_guard=False)
    refs = [pair.a.person_puts(event(title, "2026-03-03T12:00")) for title in ("One", "Two")]
    pair.run()
    twins = pair.b.refs()
    for ref, title in zip(refs, ("First", "Second"), strict=True):
        pair.a.person_edits(ref, title=title)

    pair.worlds[Side.B].before = at_first(
        "update", lambda: pair.b.person_edits(twins[1], title="Other")
    )
    pair.run()
    assert pair.titles(Side.A) == pair.titles(Side.B) == ["First", "Second"]
    lost = [entry.lost for entry in store.journal(link_id=pair.link.id) if entry.lost]
    assert lost == [{"title": "Other"}]
    assert pair.run().counts.writes == 0
