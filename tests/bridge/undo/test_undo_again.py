"""An undo that is undone, looked at beforehand, broken off, or killed anywhere."""

from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.records import RunKind, Side, UnitState
from connectors.errors import RetryableError
from connectors.memory import LOSSLESS, MemoryWorld
from connectors.memory.world import Call
from connectors.testing.builders import event
from mappings.model import Event
from mappings.policy import DeleteGuard, Direction, Policy

ONE_WAY = Policy(direction=Direction.TO_TARGET, delete_guard=DeleteGuard(count=50))
TWO_WAY = replace(ONE_WAY, direction=Direction.TWO_WAY)
BARE = replace(LOSSLESS, write_guard=False, find_by_key=False, whole_changes=False)


def lunch(title: str = "Lunch", **details: Any) -> Event:
    return event(title, "2026-03-03T12:00", **details)


# -- the undo of an undo, dry runs, faults ---------------------------------------------------------


def scene(office: Any) -> int:
    """A run that made, changed and deleted something."""
    kept = office.a.person_puts(lunch("Kept", description="old"))
    gone = office.a.person_puts(lunch("Gone"))
    office.sync()
    office.a.person_puts(lunch("New"))
    office.a.person_edits(kept, description="bad")
    office.a.person_deletes(gone)
    office.sync()
    return int(office.last_run())


def test_an_undo_can_be_undone(one_way: Any) -> None:
    office = one_way
    scene(office)
    before = sorted(repr(office.b.event(ref)) for ref in office.b.refs())
    first = office.undo()
    assert office.titles() == ["Gone", "Kept"]
    second = office.undo(first.number)
    assert (second.counts.created, second.counts.updated, second.counts.deleted) == (1, 1, 1)
    assert sorted(repr(office.b.event(ref)) for ref in office.b.refs()) == before
    office.quiet()
    assert (office.verify().differences, office.verify().known) == ([], [])
    assert office.titles() == ["Kept", "New"]
    office.a.person_edits(office.copy_of("New", Side.A), title="Newer")
    office.sync()
    assert office.titles() == ["Kept", "Newer"]


def test_a_second_undo_of_the_same_run_does_nothing(office: Any) -> None:
    run = scene(office)
    office.undo(run)
    again = office.undo(run)
    assert (again.counts.writes, again.left) == (0, [])


def test_a_dry_run_says_what_would_be_done_and_does_nothing(office: Any) -> None:
    run = scene(office)
    before = office.titles()
    told = office.preview(run)
    assert sorted((action.op, action.title) for action in told.actions) == [
        ("create", "Gone"), ("delete", "New"), ("update", "Kept")]  # fmt: skip
    assert office.titles() == before
    with office.process() as store:
        assert {run.kind for run in store.runs()} == {RunKind.SYNC}


def test_an_undo_that_breaks_off_goes_on_when_it_is_called_again(office: Any) -> None:
    run = scene(office)

    def fail(call: Call) -> None:
        if call.operation in ("create", "update", "delete"):
            raise RetryableError("the line is bad")

    office.worlds[Side.B].before = fail
    office.undo(run)
    office.worlds[Side.B].before = lambda call: None
    office._mortal = lambda store: None
    done = office.undo(run)
    assert done.failed == 0
    assert office.titles() == ["Gone", "Kept"]


@pytest.mark.parametrize("capabilities", [LOSSLESS, BARE], ids=["lossless", "bare"])
@pytest.mark.parametrize("policy", [ONE_WAY, TWO_WAY], ids=["to-target", "two-way"])
def test_an_undo_killed_anywhere_ends_the_same_even_if_a_pass_runs_before_it_is_called_again(
    tmp_path: Path, open_office: Any, capabilities: Any, policy: Policy
) -> None:
    capabilities = replace(capabilities, parallel_writes=1, parallel_reads=1)
    worlds = {side: MemoryWorld(capabilities=capabilities) for side in Side}
    office = open_office(policy, worlds)
    run = scene(office)
    undisturbed = office.clone(tmp_path / "whole.db", None)
    undisturbed.undo(run)
    assert undisturbed.steps > 15
    expected = _end(undisturbed)
    steps = count(1, 1 if capabilities.find_by_key else 3)
    alive = False
    while not alive:  # results that arrive together are one step: their number varies
        n = next(steps)
        ruined = office.clone(tmp_path / f"{n}.db", n)
        with suppress(ruined.crash):
            ruined.undo(run)
            alive = True
            assert ruined.steps < n, "it died and went on"
        ruined.revive()
        if n % 2:
            ruined.sync()
        ruined.undo(run)
        assert _end(ruined) == expected, n


def _end(office: Any) -> tuple[list[str], list[str]]:
    for world in office.worlds.values():
        world.before = world.after = lambda call: None
    office.sync()
    assert office.sync(full=True).counts.writes == 0
    states = {unit.state for unit in office.units()}
    assert UnitState.PARKED not in states
    assert office.verify().differences == []
    sides = [office.worlds[side].calendar("ann", "c") for side in Side]
    a, b = (sorted(repr(each.event(ref)) for ref in each.refs()) for each in sides)
    return a, b
