"""What a run did is taken back, once, and nobody does it again by himself."""

from dataclasses import replace
from typing import Any

from bridge.records import Side, UnitState
from connectors.testing.builders import event
from mappings.model import Event, Key
from mappings.policy import Content, DeleteGuard, Direction, Filters, Policy

ONE_WAY = Policy(direction=Direction.TO_TARGET, delete_guard=DeleteGuard(count=50))
TWO_WAY = replace(ONE_WAY, direction=Direction.TWO_WAY)


def lunch(title: str = "Lunch", **details: Any) -> Event:
    return event(title, "2026-03-03T12:00", **details)


def two_way(office: Any) -> bool:
    return office.policy.direction is Direction.TWO_WAY


# -- deletions -------------------------------------------------------------------------------------


def test_copies_that_a_mass_deletion_took_come_back_and_stay(office: Any) -> None:
    refs = [office.a.person_puts(lunch(f"E{n}")) for n in range(20)]
    office.a.person_puts(event("Standup", rule="FREQ=DAILY;COUNT=5"))
    office.sync()
    before = sorted(repr(office.b.event(ref)) for ref in office.b.refs())
    for ref in [*refs, office.copy_of("Standup", Side.A)]:
        office.a.person_deletes(ref)
    assert office.sync().counts.deleted == 21

    done = office.undo()

    assert (done.counts.created, done.counts.deleted, done.left, done.failed) == (21, 0, [], 0)
    assert sorted(repr(office.b.event(ref)) for ref in office.b.refs()) == before
    if two_way(office):
        assert office.sync().counts.created == 21
        assert office.titles(Side.A) == office.titles(Side.B)
    else:
        assert office.a.refs() == []
        assert len(office.verify().known) == 25
    office.policy = replace(office.policy, delete_guard=DeleteGuard(count=2, share=0))
    office.quiet()
    assert office.verify().differences == []
    assert len(office.b.refs()) == 21


def test_restored_copies_are_linked_to_their_units_again(office: Any) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    (unit,) = office.units()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    (again,) = office.units()
    assert again.id == unit.id
    assert again.generation > unit.generation
    assert again.ref_b == office.copy_of("Lunch")


def test_a_deletion_that_is_told_again_is_old_news(office: Any) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    office.a._touch(office.a._units[ref], {"main"})
    assert office.sync().counts.deleted == 0
    assert office.titles() == ["Lunch"]
    office.quiet()


def test_what_was_restored_travels_even_if_its_calendar_never_mentions_it(office: Any) -> None:
    office.policy = TWO_WAY
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    with office.process() as store, store.begin() as tx:
        *_, last = office.connectors()[Side.B].changes("c", None)
        tx.set_cursor(office.link(store).id, Side.B, last.cursor)
    assert office.sync().counts.created == 1
    assert office.titles(Side.A) == ["Lunch"]


def test_an_original_that_comes_back_itself_is_not_doubled(office: Any) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    office.a._units[ref].alive = True
    office.a._touch(office.a._units[ref], {"main"})
    office.sync()
    assert (office.titles(Side.A), office.titles(Side.B)) == (["Lunch"], ["Lunch"])
    office.quiet()
    office.a.person_edits(ref, title="Dinner")
    office.sync()
    assert office.titles() == ["Dinner"]


def test_originals_that_are_put_in_again_under_new_ids_find_their_copies(office: Any) -> None:
    office.policy = ONE_WAY
    refs = [office.a.person_puts(lunch(f"E{n}")) for n in range(3)]
    office.sync()
    for ref in refs:
        office.a.person_deletes(ref)
    office.sync()
    office.undo()
    for number in range(3):
        office.a.person_puts(lunch(f"E{number}", description="put in again"))
    assert office.sync().counts.created == 0
    assert office.titles() == ["E0", "E1", "E2"]
    assert office.b.event(office.copy_of("E1")).details.description == "put in again"
    office.quiet()
    comparison = office.verify()
    assert (comparison.differences, comparison.known) == ([], [])


def test_what_only_somebody_else_may_change_is_restored_on_its_own_side(office: Any) -> None:
    ref = office.a.person_puts(lunch(), organized=False)
    office.sync()
    office.a.person_edits(ref, title="BROKEN")
    office.sync()
    office.undo()
    assert (office.titles(Side.A), office.titles()) == (["BROKEN"], ["Lunch"])
    office.quiet()
    assert office.titles() == ["Lunch"]
    assert office.verify().differences == []


def test_a_copy_that_somebody_has_made_again_is_not_doubled(office: Any) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    run = office.last_run()
    office.a.person_puts(lunch())
    office.sync()
    done = office.undo(run)
    assert [item.why for item in done.left] == [
        "the same event stands there already under another id"
    ]
    assert office.titles() == ["Lunch"]
    office.quiet()


def test_a_copy_that_somebody_took_out_of_the_bin_is_linked(office: Any) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    (mine,) = office.b.refs()
    office.a.person_deletes(ref)
    office.sync()
    office.b._units[mine].alive = True
    done = office.undo()
    assert done.counts.created == 0
    assert office.b.refs() == [mine]
    assert office.units()[0].ref_b == mine
    if two_way(office):
        office.sync()
        assert office.titles(Side.A) == ["Lunch"]
    office.quiet()


def test_what_the_filters_took_away_stays_when_it_was_restored(office: Any) -> None:
    office.a.person_puts(lunch("Secret"))
    office.sync()
    plain = office.policy
    office.policy = replace(plain, filters=Filters(skip_titles=("secret",)))
    assert office.sync().counts.deleted == 1
    office.undo()
    assert office.titles() == ["Secret"]
    office.quiet()
    office.a.person_edits(office.a.refs()[0], description="more")
    office.quiet()
    assert office.verify().differences == []
    office.policy = plain
    office.sync()
    office.a.person_deletes(office.a.refs()[0])
    office.sync()
    assert office.titles() == []


# -- updates ---------------------------------------------------------------------------------------


def test_a_bad_update_is_taken_back_on_its_side(office: Any) -> None:
    ref = office.a.person_puts(lunch(description="soup"))
    office.sync()
    office.a.person_edits(ref, title="BROKEN", description="")
    office.sync()

    done = office.undo()

    assert done.counts.updated == 1
    (mine,) = office.b.refs()
    details = office.b.event(mine).details
    assert (details.title, details.description) == ("Lunch", "soup")
    if two_way(office):
        assert office.sync().counts.updated == 1
        assert office.titles(Side.A) == ["Lunch"]
    else:
        assert office.titles(Side.A) == ["BROKEN"]
        assert len(office.verify().known) == 1
    assert office.verify().differences == []
    office.quiet()


def test_a_restored_value_stands_until_its_field_changes_at_the_source(one_way: Any) -> None:
    office = one_way
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_edits(ref, title="BROKEN")
    office.sync()
    office.undo()
    office.a.person_edits(ref, description="with soup")
    office.sync()
    (mine,) = office.b.refs()
    assert office.b.event(mine).details.title == "Lunch"
    assert office.b.event(mine).details.description == "with soup"
    office.policy = replace(office.policy, color=False)
    office.quiet()
    assert office.titles() == ["Lunch"]
    office.a.person_edits(ref, title="Dinner")
    office.sync()
    assert office.titles() == ["Dinner"]
    assert office.verify().known == []
    assert office.units()[0].restored is None


def test_what_is_masked_later_is_masked_on_restored_copies_too(one_way: Any) -> None:
    office = one_way
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_edits(ref, title="BROKEN")
    office.sync()
    office.undo()
    office.policy = replace(office.policy, content=Content.BUSY)
    office.sync()
    assert office.titles() == ["Busy"]


def test_what_somebody_changed_since_is_kept_and_told(office: Any) -> None:
    ref = office.a.person_puts(lunch(description="soup"))
    office.sync()
    office.a.person_edits(ref, title="BROKEN", description="")
    office.sync()
    run = office.last_run()
    (mine,) = office.b.refs()
    office.b.person_edits(mine, title="Mended by hand")
    done = office.undo(run)
    (left,) = done.left
    assert (left.fields, left.why) == (("title",), "somebody changed it since")
    details = office.b.event(mine).details
    assert (details.title, details.description) == ("Mended by hand", "soup")
    forced = office.undo(run, force=True)
    assert (forced.counts.updated, forced.left) == (1, [])
    assert office.titles() == ["Lunch"]


def test_occurrences_go_back_one_by_one(office: Any) -> None:
    ref = office.a.person_puts(event("Standup", rule="FREQ=DAILY;COUNT=5"))
    office.sync()
    before = office.b.event(office.b.refs()[0])
    office.a.person_cancels_occurrence(ref, Key("2026-03-03T09:00:00"))
    office.a.person_edits_occurrence(ref, Key("2026-03-04T09:00:00"), title="Special")
    office.sync()
    office.undo()
    assert office.b.event(office.b.refs()[0]) == before
    if two_way(office):
        office.sync()
        assert office.a.event(ref) == before
    office.quiet()
    assert office.verify().differences == []


# -- creations -------------------------------------------------------------------------------------


def test_copies_that_a_run_made_go_and_their_originals_stay(office: Any) -> None:
    refs = [office.a.person_puts(lunch(f"Junk {n}")) for n in range(3)]
    office.sync()
    done = office.undo()
    assert (done.counts.deleted, office.b.refs()) == (3, [])
    assert office.a.refs() == refs
    office.quiet()
    office.a.person_edits(refs[0], title="Junk again")
    office.quiet()
    assert office.b.refs() == []
    assert {unit.state for unit in office.units()} == {UnitState.DROPPED}
    assert office.verify().differences == []


def test_a_copy_that_somebody_worked_on_is_not_taken_away(office: Any) -> None:
    office.a.person_puts(lunch())
    office.sync()
    (mine,) = office.b.refs()
    office.b.person_edits(mine, description="my notes")
    done = office.undo()
    assert (done.left[0].fields, office.b.refs()) == (("description",), [mine])
    assert office.undo(done.run, force=True).counts.deleted == 1


def test_an_original_that_goes_takes_the_memory_of_it_along(office: Any) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.undo()
    office.a.person_deletes(ref)
    office.quiet()
    assert [unit.state for unit in office.units()] == [UnitState.DONE]
