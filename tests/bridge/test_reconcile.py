"""What one unit needs, case by case: rows and observations in, actions out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.decision import GONE, Action, Decision, Rules, Seen
from bridge.reconcile import decide
from bridge.records import Op, Side, Unit, UnitState
from connectors.contract import Copy, Member
from connectors.testing.builders import cancelled, edited, event, moved
from mappings.limits import TargetLimits
from mappings.model import Attendee, Busy, Event, Key, Person
from mappings.policy import Conflict, Content, Direction, EditVersusDelete, Filters, Policy

A, B = Side.A, Side.B
LIMITS = TargetLimits(meeting_url=True, attachments=True, responses=True, zero_duration=True)
EARLY, LATE = (datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in (9, 18))
LUNCH = event("Lunch", "2026-03-03T12:00")
SERIES = event("Standup", rule="FREQ=DAILY;COUNT=9")
KEY = Key("2026-03-03T09:00:00")
ONE_WAY = Policy(direction=Direction.TO_TARGET)
TWO_WAY = Policy()
TITLE, PLAIN = ("title",), ("low",)


def rules(policy: Policy = ONE_WAY, *, digest: str = "d", **more: object) -> Rules:
    return Rules(policy=policy, limits=dict.fromkeys(Side, LIMITS), digest=digest, **more)  # type: ignore[arg-type]


def copy(
    side: Side, content: Event, *, updated: datetime | None = None, origin: str | None = None
) -> Copy:
    ref = f"{side.value}-1"
    members = (Member(part="main", id=ref, version="1"),)
    return Copy(ref=ref, event=content, members=members, updated=updated, origin=origin)


def unit(a: Event | None = None, b: Event | None = None, **facts: object) -> Unit:
    """A row with these shadows; without any, as a side first sees it."""
    row = Unit(id="u", link_id=1, policy_digest="d", **facts)  # type: ignore[arg-type]
    for side, content in ((A, a), (B, b)):
        if content is not None:
            row = row.with_copy(side, copy(side, content))
    return row


def only(decision: Decision) -> Action:
    (action,) = decision.actions
    return action


def title(action: Action) -> str:
    assert action.desired is not None
    return action.desired.details.title


# -- one side only ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "policy"), [(A, ONE_WAY), (A, TWO_WAY), (B, TWO_WAY)], ids=["to", "a", "b"]
)
def test_what_is_new_on_one_side_is_made_on_the_other(source: Side, policy: Policy) -> None:
    decision = decide(unit(), {source: copy(source, LUNCH)}, rules(policy))
    action = only(decision)
    assert (action.op, action.side, action.desired) == (Op.CREATE, source.other, LUNCH)
    assert (action.base, action.generation, action.risk) == (None, 0, "low")
    assert decision.unit is not None
    assert decision.unit.copy(source) == copy(source, LUNCH)
    assert decision.unit.copy(source.other) is None


@pytest.mark.parametrize(
    ("source", "direction"), [(B, Direction.TO_TARGET), (A, Direction.FROM_TARGET)]
)
def test_nothing_travels_against_the_direction(source: Side, direction: Direction) -> None:
    policy = Policy(direction=direction)
    decision = decide(unit(), {source: copy(source, LUNCH)}, rules(policy))
    assert (decision.unit, decision.actions, decision.skipped) == (None, (), "direction")


@pytest.mark.parametrize("side", Side)
def test_a_copy_that_a_bridge_made_is_not_copied_on(side: Side) -> None:
    marked = copy(side, LUNCH, origin="0" * 32)
    decision = decide(unit(), {side: marked}, rules(TWO_WAY))
    assert (decision.unit, decision.actions) == (None, ())
    assert "bridge" in decision.skipped


def test_a_mark_on_what_is_known_to_be_ours_changes_nothing() -> None:
    row = unit(LUNCH)
    decision = decide(row, {A: copy(A, LUNCH, origin="0" * 32)}, rules())
    assert only(decision).op is Op.CREATE


def test_what_the_filters_keep_out_is_neither_copied_nor_remembered() -> None:
    private = rules(replace(ONE_WAY, filters=Filters(skip_titles=("lunch",))))
    decision = decide(unit(), {A: copy(A, LUNCH)}, private)
    assert (decision.unit, decision.actions) == (None, ())
    assert decision.skipped


def test_what_ended_before_the_window_is_not_copied() -> None:
    after = rules(since=datetime(2026, 4, 1, tzinfo=UTC))
    decision = decide(unit(), {A: copy(A, LUNCH)}, after)
    assert (decision.unit, decision.actions, decision.skipped) == (None, (), "outside the window")
    endless = event("Standup", rule="FREQ=WEEKLY")
    assert only(decide(unit(), {A: copy(A, endless)}, after)).op is Op.CREATE


def test_what_begins_after_the_window_is_not_copied() -> None:
    before = rules(until=datetime(2026, 3, 1, tzinfo=UTC))
    assert decide(unit(), {A: copy(A, LUNCH)}, before).skipped == "outside the window"


def test_leaving_the_window_is_no_deletion() -> None:
    after = rules(since=datetime(2026, 4, 1, tzinfo=UTC))
    decision = decide(unit(LUNCH, LUNCH), {A: copy(A, edited(LUNCH, title="Dinner"))}, after)
    assert only(decision).op is Op.UPDATE


def test_a_failed_creation_is_decided_again() -> None:
    parked = unit(state=UnitState.PARKED, ref_a="a-1", error="boom", error_code="X", attempts=3)
    decision = decide(parked, {A: copy(A, LUNCH)}, rules())
    assert only(decision).op is Op.CREATE
    assert decision.unit is not None
    assert (decision.unit.state, decision.unit.error, decision.unit.attempts) == (
        UnitState.LIVE,
        "",
        0,
    )


def test_a_copy_that_we_deleted_is_made_anew_under_another_key() -> None:
    row = replace(unit(LUNCH), generation=1)
    assert only(decide(row, {A: copy(A, LUNCH)}, rules())).generation == 1


# -- both sides ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [ONE_WAY, TWO_WAY], ids=["one-way", "two-way"])
@pytest.mark.parametrize("sides", [(A,), (B,), (A, B), ()], ids=str)
def test_an_echo_of_our_own_write_needs_nothing(policy: Policy, sides: tuple[Side, ...]) -> None:
    row = unit(SERIES, SERIES)
    seen = {side: replace(copy(side, SERIES), updated=LATE) for side in sides}
    decision = decide(row, seen, rules(policy))
    assert (decision.actions, decision.clashes) == ((), ())
    assert decision.unit is not None
    assert decision.unit.state is UnitState.LIVE


def test_a_new_version_without_a_new_content_is_remembered() -> None:
    newer = replace(copy(A, LUNCH), members=(Member(part="main", id="a-1", version="2"),))
    decision = decide(unit(LUNCH, LUNCH), {A: newer}, rules())
    assert decision.actions == ()
    assert decision.unit is not None
    assert decision.unit.a == newer


@pytest.mark.parametrize(
    ("source", "policy"), [(A, ONE_WAY), (A, TWO_WAY), (B, TWO_WAY)], ids=["to", "a", "b"]
)
def test_an_edit_travels_as_an_update_of_what_changed(source: Side, policy: Policy) -> None:
    dinner = edited(LUNCH, title="Dinner")
    decision = decide(unit(LUNCH, LUNCH), {source: copy(source, dinner)}, rules(policy))
    action = only(decision)
    assert (action.op, action.side, action.fields) == (Op.UPDATE, source.other, TITLE)
    assert action.base == copy(source.other, LUNCH)
    assert action.desired == dinner


def test_an_edit_of_the_target_stays_there_where_only_the_source_travels() -> None:
    decision = decide(unit(LUNCH, LUNCH), {B: copy(B, edited(LUNCH, title="Mine"))}, rules())
    assert decision.actions == ()


def test_only_the_delta_is_written_over_what_the_target_holds() -> None:
    held = edited(LUNCH, color="#ff0000", description="B's own words")
    decision = decide(unit(LUNCH, held), {A: copy(A, edited(LUNCH, title="Dinner"))}, rules())
    assert only(decision).desired == edited(held, title="Dinner")


def test_edits_of_different_fields_cross() -> None:
    seen = {
        A: copy(A, edited(LUNCH, title="Dinner")),
        B: copy(B, moved(LUNCH, start="2026-03-03T18:00")),
    }
    decision = decide(unit(LUNCH, LUNCH), seen, rules(TWO_WAY))
    both = moved(edited(LUNCH, title="Dinner"), start="2026-03-03T18:00")
    assert {action.side: action.desired for action in decision.actions} == {A: both, B: both}
    assert decision.clashes == ()


@pytest.mark.parametrize(
    ("conflict", "updated", "winner"),
    [
        (Conflict.A, (EARLY, LATE), A),
        (Conflict.B, (LATE, EARLY), B),
        (Conflict.NEWEST, (EARLY, LATE), B),
        (Conflict.NEWEST, (LATE, EARLY), A),
        (Conflict.NEWEST, (None, LATE), A),
        (Conflict.NEWEST, (EARLY, EARLY), A),
    ],
)
def test_of_two_values_the_policy_s_stands_and_the_other_is_kept_in_the_journal(
    conflict: Conflict, updated: tuple[datetime | None, ...], winner: Side
) -> None:
    names = {A: "Dinner", B: "Brunch"}
    seen = {
        side: copy(side, edited(LUNCH, title=names[side]), updated=at)
        for side, at in zip(Side, updated, strict=True)
    }
    decision = decide(unit(LUNCH, LUNCH), seen, rules(replace(TWO_WAY, conflict=conflict)))
    action = only(decision)
    assert (action.side, title(action), action.risk) == (winner.other, names[winner], "conflict")
    (clash,) = decision.clashes
    assert (clash.path, clash.winner) == (TITLE, winner)
    assert (clash.kept, clash.lost) == (names[winner], names[winner.other])


def test_the_same_edit_on_both_sides_is_agreement() -> None:
    seen = {side: copy(side, edited(LUNCH, title="Dinner")) for side in Side}
    decision = decide(unit(LUNCH, LUNCH), seen, rules(TWO_WAY))
    assert (decision.actions, decision.clashes) == ((), ())
    assert decision.unit is not None
    assert decision.unit.a == seen[A]


def test_a_series_renamed_here_and_an_occurrence_moved_there_both_arrive() -> None:
    seen = {
        A: copy(A, edited(SERIES, title="Sprint")),
        B: copy(B, moved(SERIES, KEY, start="2026-03-03T16:00")),
    }
    decision = decide(unit(SERIES, SERIES), seen, rules(TWO_WAY))
    results = {action.side: action.desired for action in decision.actions}
    assert results[A] == results[B]
    assert results[A] is not None
    assert results[A].details.title == "Sprint"
    assert results[A].overrides[0].key == KEY


def test_what_was_cancelled_here_and_edited_there_is_settled_by_the_policy() -> None:
    seen = {A: copy(A, cancelled(SERIES, KEY)), B: copy(B, edited(SERIES, KEY, title="Special"))}
    decision = decide(unit(SERIES, SERIES), seen, rules(replace(TWO_WAY, conflict=Conflict.B)))
    action = only(decision)
    assert action.side is A
    assert action.desired is not None
    (override,) = action.desired.overrides
    assert not override.cancelled
    assert [clash.lost for clash in decision.clashes] == [False]


def test_an_exception_that_a_move_dropped_stands_where_the_move_does_not() -> None:
    """Exchange drops exceptions of a series that is moved. Feishu's move wins, so that nobody at
    Exchange has done anything to the exception."""
    apart = edited(SERIES, KEY, title="Special")
    at_a, at_b = (
        replace(each, when=replace(each.when, start=each.when.start + timedelta(minutes=minutes)))
        for each, minutes in ((apart, 10), (SERIES, 20))
    )
    seen = {A: copy(A, at_a), B: copy(B, at_b)}
    decision = decide(unit(apart, apart), seen, rules(TWO_WAY))
    action = only(decision)
    assert action.side is B
    assert action.desired == at_a
    assert [clash.path for clash in decision.clashes] == [("schedule",)]


def test_what_the_bridge_wrote_on_the_target_never_comes_back() -> None:
    guest = Attendee(person=Person(email="bob@example.com"))
    theirs = edited(LUNCH, footer=("Attendees: Bob",), attendees=(guest,), meeting_url="https://x")
    decision = decide(unit(LUNCH, LUNCH), {B: copy(B, theirs)}, rules(TWO_WAY))
    assert decision.actions == ()


@pytest.mark.parametrize("content", [Content.BUSY, Content.TITLE])
def test_what_is_masked_never_flows_back_as_an_edit(content: Content) -> None:
    secret = edited(LUNCH, description="plans")
    shown = edited(LUNCH, title="Busy" if content is Content.BUSY else "Lunch")
    theirs = edited(shown, description="scribbled over")
    policy = replace(TWO_WAY, content=content)
    decision = decide(unit(secret, shown), {B: copy(B, theirs)}, rules(policy))
    assert decision.actions == ()


@pytest.mark.parametrize("now", [Content.FULL, Content.BUSY])
def test_an_edit_of_what_only_the_new_rules_show_or_hide_does_not_overrule_the_original(
    now: Content,
) -> None:
    """It is kept in the journal. What the rules leave as it was travels like any edit."""
    secret = edited(LUNCH, description="plans")
    shown = LUNCH if now is Content.FULL else secret
    theirs = moved(edited(shown, description="scribble"), start="2026-03-03T18:00")
    seen = {A: copy(A, secret), B: copy(B, theirs)}
    policy = replace(TWO_WAY, content=now, conflict=Conflict.B)
    decision = decide(unit(secret, shown), seen, rules(policy, digest="new"))
    results = {action.side: action.desired for action in decision.actions}
    assert results[A] == moved(secret, start="2026-03-03T18:00")
    assert results[B] is not None
    assert results[B].details.description == ("plans" if now is Content.FULL else "")
    assert [(clash.path, clash.lost) for clash in decision.clashes] == [
        (("description",), "scribble")
    ]


def test_rules_that_hide_more_hide_it_in_exceptions_too() -> None:
    secret = edited(SERIES, description="plans")
    theirs = edited(moved(secret, KEY, start="2026-03-03T16:00"), description="scribble")
    seen = {A: copy(A, secret), B: copy(B, theirs)}
    policy = replace(TWO_WAY, content=Content.TITLE)
    decision = decide(unit(secret, secret), seen, rules(policy, digest="new"))
    (there,) = [action.desired for action in decision.actions if action.side is B]
    assert there is not None
    texts = [there.details.description, there.overrides[0].details.description]  # type: ignore[union-attr]
    assert texts == ["", ""]


def test_an_exception_that_somebody_made_while_the_mask_went_on_is_masked_too() -> None:
    """It was made of what the copy showed before; a word of his own it may keep."""
    secret, shown = edited(SERIES, description="plans"), SERIES
    apart = moved(shown, KEY, start="2026-03-03T16:00")
    leak, note = (edited(apart, KEY, description=text) for text in ("plans", "mine"))
    policy = replace(TWO_WAY, content=Content.TITLE)
    texts = []
    for theirs in (leak, note):
        decision = decide(unit(secret, shown), {B: copy(B, theirs)}, rules(policy))
        results = {action.side: action.desired for action in decision.actions}
        desired = results.get(B) or theirs
        texts.append(desired.overrides[0].details.description)  # type: ignore[union-attr]
    assert texts == ["", "mine"]


def test_edits_of_a_copy_that_the_filters_take_away_are_kept_in_the_journal() -> None:
    free = edited(LUNCH, busy=Busy.FREE)
    seen = {A: copy(A, free), B: copy(B, edited(LUNCH, title="Dinner"))}
    policy = replace(TWO_WAY, filters=Filters(only_busy=True))
    decision = decide(unit(LUNCH, LUNCH), seen, rules(policy))
    assert (only(decision).side, only(decision).op) == (B, Op.DELETE)
    assert [(clash.path, clash.lost) for clash in decision.clashes] == [(("title",), "Dinner")]


def test_a_move_of_a_masked_copy_flows_back() -> None:
    shown = edited(LUNCH, title="Busy")
    theirs = moved(shown, start="2026-03-03T18:00")
    policy = replace(TWO_WAY, content=Content.BUSY)
    action = only(decide(unit(LUNCH, shown), {B: copy(B, theirs)}, rules(policy)))
    assert (action.side, action.fields) == (A, ("schedule",))
    assert action.desired == moved(LUNCH, start="2026-03-03T18:00")


@pytest.mark.parametrize("policy", [ONE_WAY, TWO_WAY], ids=["one-way", "two-way"])
def test_another_policy_is_written_once(policy: Policy) -> None:
    busy = replace(policy, content=Content.BUSY)
    row = unit(LUNCH, LUNCH)
    decision = decide(row, {A: copy(A, LUNCH)}, rules(busy, digest="other"))
    action = only(decision)
    assert (action.side, title(action)) == (B, "Busy")
    assert decision.unit is not None
    settled = decision.unit.with_copy(B, copy(B, action.desired or LUNCH))
    assert decide(settled, {A: copy(A, LUNCH)}, rules(busy, digest="other")).actions == ()


def test_what_the_filters_no_longer_let_through_is_taken_from_the_target() -> None:
    private = rules(replace(ONE_WAY, filters=Filters(skip_titles=("^Private",))))
    decision = decide(unit(LUNCH, LUNCH), {A: copy(A, edited(LUNCH, title="Private"))}, private)
    action = only(decision)
    assert (action.op, action.side, action.risk) == (Op.DELETE, B, "delete")


# -- deletions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "policy"), [(A, ONE_WAY), (A, TWO_WAY), (B, TWO_WAY)], ids=["to", "a", "b"]
)
def test_a_deletion_travels(gone: Side, policy: Policy) -> None:
    decision = decide(unit(LUNCH, LUNCH), {gone: GONE}, rules(policy))
    action = only(decision)
    assert (action.op, action.side, action.risk) == (Op.DELETE, gone.other, "delete")
    assert action.base == copy(gone.other, LUNCH)
    assert decision.unit is not None
    assert decision.unit.copy(gone) is None


def test_a_copy_deleted_on_the_target_comes_back_where_only_the_source_travels() -> None:
    decision = decide(unit(LUNCH, LUNCH, generation=4), {B: GONE}, rules())
    action = only(decision)
    assert (action.op, action.side, action.generation) == (Op.CREATE, B, 5)


@pytest.mark.parametrize("gone", Side)
@pytest.mark.parametrize("wins", EditVersusDelete)
def test_an_edit_against_a_deletion(gone: Side, wins: EditVersusDelete) -> None:
    dinner = edited(LUNCH, title="Dinner")
    seen: dict[Side, Seen] = {gone: GONE, gone.other: copy(gone.other, dinner)}
    policy = replace(TWO_WAY, edit_versus_delete=wins)
    decision = decide(unit(LUNCH, LUNCH), seen, rules(policy))
    action = only(decision)
    if wins is EditVersusDelete.EDIT_WINS:
        assert (action.op, action.side, title(action)) == (Op.CREATE, gone, "Dinner")
        assert action.generation == 1
    else:
        assert (action.op, action.side) == (Op.DELETE, gone.other)
        assert action.base == seen[gone.other]


def test_an_edit_whose_shadow_a_crash_has_taken_stands_against_a_deletion() -> None:
    """What was made there tells what the original showed. One that still shows it goes."""
    row = unit(b=LUNCH, ref_a="a-1", home=A)
    for title, op in (("Dinner", Op.CREATE), ("Lunch", Op.DELETE)):
        seen = {A: copy(A, edited(LUNCH, title=title)), B: GONE}
        assert only(decide(row, seen, rules(TWO_WAY))).op is op


def test_the_source_s_deletion_beats_the_target_s_edit_where_only_the_source_travels() -> None:
    seen: dict[Side, Seen] = {A: GONE, B: copy(B, edited(LUNCH, title="Mine"))}
    action = only(decide(unit(LUNCH, LUNCH), seen, rules()))
    assert (action.op, action.side) == (Op.DELETE, B)


@pytest.mark.parametrize("home", [B, None])
def test_who_removes_every_occurrence_of_a_copy_deletes_it(home: Side | None) -> None:
    twice = event("Standup", rule="FREQ=DAILY;COUNT=2")
    none_left = cancelled(cancelled(twice, Key("2026-03-02T09:00:00")), KEY)
    decision = decide(unit(twice, twice, home=home), {A: copy(A, none_left)}, rules(TWO_WAY))
    assert (only(decision).op, only(decision).side) == (Op.DELETE, B)


def test_what_cannot_travel_does_not_outlive_a_deletion() -> None:
    theirs = edited(LUNCH, footer=("Attendees: Bob",))
    action = only(decide(unit(LUNCH, LUNCH), {A: GONE, B: copy(B, theirs)}, rules(TWO_WAY)))
    assert (action.op, action.side) == (Op.DELETE, B)


def test_deleted_on_both_sides_is_done() -> None:
    decision = decide(unit(LUNCH, LUNCH), {A: GONE, B: GONE}, rules(TWO_WAY))
    assert decision.actions == ()
    assert decision.unit is not None
    assert (decision.unit.state, decision.unit.a, decision.unit.b) == (UnitState.DONE, None, None)
    assert (decision.unit.ref_a, decision.unit.ref_b) == ("a-1", "b-1")


def test_a_deletion_of_what_never_reached_the_other_side_is_done() -> None:
    decision = decide(unit(LUNCH), {A: GONE}, rules())
    assert decision.actions == ()
    assert decision.unit is not None
    assert decision.unit.state is UnitState.DONE


@pytest.mark.parametrize("side", Side)
def test_a_deletion_of_what_we_never_held_touches_nothing(side: Side) -> None:
    strange = unit()
    decision = decide(strange, {side: GONE}, rules(TWO_WAY))
    assert decision.actions == ()


@pytest.mark.parametrize("side", Side)
def test_a_late_word_of_the_dead_touches_nothing(side: Side) -> None:
    dead = unit(state=UnitState.DONE, ref_a="a-1", ref_b="b-1", generation=2)
    decision = decide(dead, {side: GONE}, rules(TWO_WAY))
    assert (decision.actions, decision.unit) == ((), dead)


def test_what_comes_back_from_the_dead_is_made_anew() -> None:
    dead = unit(state=UnitState.DONE, ref_a="a-1", ref_b="b-1", generation=2)
    action = only(decide(dead, {A: copy(A, LUNCH)}, rules()))
    assert (action.op, action.side, action.generation) == (Op.CREATE, B, 2)


def test_nothing_seen_of_nothing_known_is_nothing() -> None:
    assert decide(unit(), {}, rules(TWO_WAY)) == Decision(unit=None)


def test_half_a_creation_whose_source_is_gone_is_taken_back() -> None:
    half = replace(unit(None, LUNCH), ref_a="a-1")
    action = only(decide(half, {A: GONE}, rules()))
    assert (action.op, action.side) == (Op.DELETE, B)
