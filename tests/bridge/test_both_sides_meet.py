"""Two people change one event at once: both calendars end the same, and nothing is lost unsaid."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.decision import GONE, Action, Decision, Rules
from bridge.reconcile import decide
from bridge.records import Op, Side, Unit, UnitState
from connectors.contract import Copy, Member
from connectors.testing.builders import cancelled, edited, event, moved, reverted
from mappings import merge, recurrence
from mappings.limits import TargetLimits
from mappings.model import Attendee, Event, Key, Person
from mappings.policy import Conflict, Content, Policy

A, B = Side.A, Side.B
LIMITS = TargetLimits(meeting_url=True, attachments=True, responses=True, zero_duration=True)
DAILY = event("Standup", rule="FREQ=DAILY;COUNT=6")
SECOND, THIRD = Key("2026-03-03T09:00:00"), Key("2026-03-04T09:00:00")


def rules(winner: Conflict = Conflict.A) -> Rules:
    return Rules(policy=Policy(conflict=winner), limits=dict.fromkeys(Side, LIMITS), digest="d")


def copy(side: Side, content: Event, *, organized: bool = True) -> Copy:
    ref = f"{side.value}-1"
    members = (Member(part="main", id=ref),)
    return Copy(ref=ref, event=content, members=members, organized=organized)


def known(content: Event, **facts: object) -> Unit:
    row = Unit(id="u", link_id=1, policy_digest="d", **facts)  # type: ignore[arg-type]
    return row.with_copy(A, copy(A, content)).with_copy(B, copy(B, content))


def meet(before: Event, a: Event, b: Event, winner: Conflict = Conflict.A) -> tuple[Event, Event]:
    """What both sides hold after both have been changed."""
    decision = decide(known(before), {A: copy(A, a), B: copy(B, b)}, rules(winner))
    return _after(decision, A, a), _after(decision, B, b)


def _after(decision: Decision, side: Side, now: Event) -> Event:
    desired = [action.desired for action in decision.actions if action.side is side]
    return recurrence.tidy(desired[0]) if desired and desired[0] else recurrence.tidy(now)


def renamed(content: Event, title: str) -> Event:
    return edited(content, title=title)


def weekly(content: Event) -> Event:
    return replace(content, rule=recurrence.parse_rule("FREQ=WEEKLY;COUNT=3", content.when))


SPECIAL = edited(DAILY, SECOND, title="Special")
AWAY = moved(DAILY, SECOND, start="2026-03-03T16:00")
LATER = "2026-03-02T10:30"
MEETINGS = {
    "a revived occurrence does not undo the other's move of it": (
        cancelled(DAILY, SECOND), DAILY, AWAY,
    ),
    "a restored occurrence follows the other's new title": (
        SPECIAL, reverted(SPECIAL, SECOND), renamed(SPECIAL, "Sprint"),
    ),
    "an occurrence keeps its time and follows the other's new title": (
        DAILY, AWAY, renamed(DAILY, "Sprint"),
    ),
    "a moved occurrence follows a title that was new before it moved": (
        DAILY, edited(DAILY, SECOND, busy="free"), moved(renamed(DAILY, "Sprint"), SECOND,
        start="2026-03-03T16:00"),
    ),
    "a revived and moved occurrence follows the other's new title": (
        cancelled(DAILY, SECOND), moved(cancelled(DAILY, SECOND), SECOND,
        start="2026-03-03T16:00"), renamed(cancelled(DAILY, SECOND), "Sprint"),
    ),
    "a revived occurrence is no exception where the series has moved": (
        cancelled(DAILY, SECOND), DAILY, moved(cancelled(DAILY, SECOND), start=LATER),
    ),
    "a cancelled occurrence is the edited one although its series has moved": (
        DAILY, edited(DAILY, SECOND, title="Special"), cancelled(moved(DAILY, start=LATER),
        Key("2026-03-03T10:30:00")),
    ),
    "two moves of a series with an exception": (
        cancelled(DAILY, SECOND), moved(cancelled(DAILY, SECOND), start=LATER),
        replace(moved(DAILY, start="2026-03-12T09:00"), overrides=()),
    ),
    "an occurrence that kept the old title when the new one does not stand": (
        DAILY, renamed(AWAY, "Sprint"), renamed(DAILY, "Review"),
    ),
    "an occurrence that was given back to a series without its date": (
        AWAY, reverted(AWAY, SECOND), weekly(AWAY),
    ),
    "exceptions dropped with a move that does not stand, on dates that the rule has not": (
        AWAY, weekly(AWAY), replace(moved(DAILY, start=LATER), overrides=()),
    ),
    "a single event out of a series whose occurrence was edited": (
        DAILY, replace(DAILY, rule=None), edited(DAILY, SECOND, title="Special"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("winner", [Conflict.A, Conflict.B], ids=["a wins", "b wins"])
@pytest.mark.parametrize("turned", [False, True], ids=["", "turned round"])
@pytest.mark.parametrize("name", MEETINGS)
def test_both_end_the_same(name: str, winner: Conflict, turned: bool) -> None:
    before, a, b = MEETINGS[name]
    one, other = meet(before, b, a, winner) if turned else meet(before, a, b, winner)
    assert one == other


def test_a_cancelled_and_an_edited_occurrence_clash_although_one_side_moved_the_series() -> None:
    before, a, b = MEETINGS[
        "a cancelled occurrence is the edited one although its series has moved"
    ]
    decision = decide(known(before), {A: copy(A, a), B: copy(B, b)}, rules(Conflict.A))
    assert [clash.lost for clash in decision.clashes] == [False]


@pytest.mark.parametrize("winner", [Conflict.A, Conflict.B], ids=["stands", "does not stand"])
def test_an_exception_that_a_move_left_behind_is_not_lost(winner: Conflict) -> None:
    left = replace(moved(DAILY, start=LATER), overrides=SPECIAL.overrides)
    longer = replace(SPECIAL, rule=recurrence.parse_rule("FREQ=DAILY;COUNT=9", DAILY.when))
    a, b = meet(SPECIAL, left, longer, winner)
    assert a == b
    assert "Special" in {item.details.title for item in a.overrides if item.details}


def test_an_occurrence_of_what_became_a_single_event_is_lost_in_so_many_words() -> None:
    before, a, b = MEETINGS["a single event out of a series whose occurrence was edited"]
    decision = decide(known(before), {A: copy(A, a), B: copy(B, b)}, rules(Conflict.A))
    assert [clash.lost for clash in decision.clashes] == ["Special"]


def test_what_only_the_organiser_may_change_is_put_back_and_told() -> None:
    row = known(DAILY, home=A).with_copy(A, copy(A, DAILY, organized=False))
    seen = {B: copy(B, renamed(DAILY, "Mine"))}
    decision = decide(row, seen, rules())
    (action,) = decision.actions
    assert (action.side, action.desired) == (B, DAILY)
    assert [(clash.winner, clash.lost) for clash in decision.clashes] == [(A, "Mine")]


def test_an_original_that_is_made_anew_invites_nobody() -> None:
    guest = Attendee(person=Person(email="guest@example.com"))
    meeting = edited(DAILY, attendees=(guest,), organizer=Person(email="host@example.com"))
    row = known(meeting, home=B)
    decision = decide(row, {A: copy(A, renamed(meeting, "Kept")), B: GONE}, rules())
    action: Action = next(item for item in decision.actions if item.op is Op.CREATE)
    assert action.desired is not None
    assert (action.side, action.desired.details.title) == (B, "Kept")
    assert action.desired.details.attendees == ()
    assert any("guest@example.com" in line for line in action.desired.details.footer)


def test_what_was_edited_while_masked_leaves_a_copy_whose_original_was_made_anew() -> None:
    row = known(DAILY, home=B)
    now = copy(A, edited(DAILY, title="Kept", description="masked"))
    masking = replace(rules(), policy=Policy(content=Content.TITLE), digest="masking")
    anew = decide(row, {A: now, B: GONE}, masking)
    (created,) = anew.actions
    assert anew.unit is not None
    assert created.desired is not None
    made = anew.unit.with_copy(B, copy(B, created.desired))
    (action,) = decide(made, {A: now}, rules()).actions
    assert action.desired is not None
    assert (action.side, action.desired.details) == (A, created.desired.details)


def test_what_left_the_window_while_waiting_waits_no_more() -> None:
    past = Rules(
        policy=Policy(),
        limits=dict.fromkeys(Side, LIMITS),
        since=datetime(2027, 1, 1, tzinfo=UTC),
        digest="d",
    )
    waiting = Unit(
        id="u", link_id=1, ref_a="a-1", state=UnitState.PARKED, error="503",
        retry_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    decision = decide(waiting, {A: copy(A, DAILY)}, past)
    assert decision.actions == ()
    assert decision.unit is not None
    assert (decision.unit.state, decision.unit.retry_at) == (UnitState.DONE, None)


# -- any two changes -------------------------------------------------------------------------------


RULES = st.sampled_from(
    ["FREQ=DAILY;COUNT=6", "FREQ=DAILY;INTERVAL=2;COUNT=4", "FREQ=WEEKLY;COUNT=3"]
)
TITLES = st.sampled_from(["Standup", "Review", "Sprint"])


def occurrence_edit(draw: st.DrawFn, content: Event) -> Event:
    key = draw(st.sampled_from((SECOND, THIRD)))
    match draw(st.integers(0, 4)):
        case 0:
            return renamed(content, draw(TITLES))
        case 1:
            return edited(content, key, title=draw(TITLES))
        case 2:
            return cancelled(content, key)
        case 3:
            return moved(content, key, start=f"{key[:10]}T{draw(st.integers(15, 20))}:00")
        case _:
            return reverted(content, key)


@st.composite
def changed(draw: st.DrawFn, content: Event) -> Event:
    """The series after a few edits of one person."""
    for _ in range(draw(st.integers(0, 3))):
        content = occurrence_edit(draw, content)
    return recurrence.tidy(content)


@st.composite
def reshaped(draw: st.DrawFn, content: Event) -> Event:
    """The series with another rule or another time, as clients do it that keep its exceptions,
    and as those that drop them."""
    if draw(st.booleans()):
        rule = recurrence.parse_rule(draw(RULES), content.when)
        return recurrence.tidy(replace(content, rule=rule))
    day = draw(st.sampled_from(["2026-03-02", "2026-03-04"]))
    content = moved(content, start=f"{day}T{draw(st.integers(8, 11)):02}:30")
    return recurrence.tidy(replace(content, overrides=()) if draw(st.booleans()) else content)


@st.composite
def changed_once(draw: st.DrawFn, content: Event) -> Event:
    """The series after one edit of any kind."""
    if draw(st.booleans()):
        return draw(reshaped(content))
    return recurrence.tidy(occurrence_edit(draw, content))


@settings(max_examples=200)
@given(st.data(), st.sampled_from([Conflict.A, Conflict.B]))
def test_whatever_two_people_change_both_end_the_same(
    data: st.DataObject, winner: Conflict
) -> None:
    before = data.draw(changed(DAILY))
    a, b = data.draw(changed(before)), data.draw(changed(before))
    # Whether an occurrence that both gave the same new value has it from its series or for itself
    # cannot be seen.
    both = merge.changes(before, a).keys() & merge.changes(before, b).keys()
    assume(not any(len(path) == 3 for path in both))
    one, other = meet(before, a, b, winner)
    assert one == other


@settings(max_examples=200)
@given(st.data(), st.sampled_from([Conflict.A, Conflict.B]), st.booleans())
def test_whatever_meets_a_new_schedule_both_end_the_same(
    data: st.DataObject, winner: Conflict, turned: bool
) -> None:
    before = DAILY
    for _ in range(data.draw(st.integers(0, 2))):
        before = data.draw(changed_once(before))
    a, b = data.draw(reshaped(before)), data.draw(changed_once(before))
    both = merge.changes(before, a).keys() & merge.changes(before, b).keys()
    assume(not any(len(path) == 3 for path in both))
    one, other = meet(before, b, a, winner) if turned else meet(before, a, b, winner)
    assert one == other
