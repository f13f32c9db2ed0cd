"""Two people's stories, and a death at every single place of the pass that brings them together.

Whatever is done between two passes, the next process finds it and ends where an undisturbed one
ends: the judge has nothing to say, however the calendars are made.
"""

from dataclasses import replace

import pytest

from bridge.records import Side
from bridge.simulation.history import Break, History, Step
from bridge.simulation.running import run
from mappings.policy import Conflict, Content, DeleteGuard, EditVersusDelete, Policy

A, B = Side.A, Side.B
POLICY = Policy(conflict=Conflict.A, delete_guard=DeleteGuard(count=50))
OPENING = (("create", A, 0), ("create series", A, 0), ("create", B, 0), ("create series", B, 0))
KINDS = (("feishu-like", "google-like"), ("feishu-like", "exchange-like"))

STORIES: dict[str, tuple[tuple[str, Side, int], ...]] = {
    "both create": (("create", A, 0), ("create series", B, 0)),
    "an edit there": (("edit", B, 1),),
    "an edit here": (("edit", A, 3),),
    "two edits of one event": (("edit again", A, 1), ("edit again", B, 1)),
    "two edits of one series": (("edit again", A, 2), ("edit again", B, 2)),
    "a move against an edit": (("move", A, 1), ("edit", B, 1)),
    "two moves of one series": (("move", A, 2), ("move", B, 2)),
    "a move of a series against an edited occurrence": (
        ("move", A, 2),
        ("edit occurrence", B, 2),
    ),
    "two occurrences": (("edit occurrence", A, 4), ("move occurrence", B, 4)),
    "a cancelled against an edited occurrence": (
        ("cancel occurrence", A, 2),
        ("edit occurrence", B, 2),
    ),
    "a restored occurrence against a renamed series": (
        ("cancel occurrence", A, 4),
        ("restore occurrence", A, 4),
        ("edit again", B, 4),
    ),
    "a new rule against an edited occurrence": (
        ("change rule", A, 2),
        ("edit occurrence", B, 2),
    ),
    "this and following, here": (("split", A, 2),),
    "this and following, there": (("split", B, 2), ("edit", A, 2)),
    "a deletion here": (("delete", A, 3),),
    "a deletion there": (("delete", B, 2),),
    "a deletion against an edit": (("delete", A, 1), ("edit again", B, 1)),
    "an edit against a deletion": (("edit again", A, 4), ("delete", B, 4)),
    "both delete": (("delete", A, 1), ("delete", B, 1)),
    "deleted and made again": (("recreate", A, 2), ("edit", B, 3)),
    "a duplicate with the bridge's mark": (("duplicate", B, 1), ("edit", A, 1)),
    "an invitation": (("be invited", A, 0), ("be invited", B, 0)),
    "everything at once": (
        ("create", B, 0),
        ("edit again", A, 2),
        ("cancel occurrence", B, 2),
        ("delete", A, 3),
        ("move", B, 1),
    ),
}
POLICIES = {
    "an edit against a deletion": replace(POLICY, edit_versus_delete=EditVersusDelete.DELETE_WINS),
    "two edits of one event": replace(POLICY, conflict=Conflict.NEWEST),
    "a move against an edit": replace(POLICY, content=Content.TITLE),
}


def story(name: str, kinds: tuple[str, str], breaks: tuple[Break, ...] = ()) -> History:
    """The opening, a pass, the story, and a pass with something in between."""
    steps = [_step(n, deed) for n, deed in enumerate(OPENING, start=1)]
    steps.append(Step(do="pass", n=10))
    steps += [_step(n, deed) for n, deed in enumerate(STORIES[name], start=11)]
    steps.append(Step(do="pass", n=20, breaks=breaks))
    policy = POLICIES.get(name, POLICY)
    return History(seed=0, kinds=kinds, policy=policy, steps=tuple(steps))


def _step(n: int, deed: tuple[str, Side, int]) -> Step:
    do, side, unit = deed
    return Step(do=do, n=n, side=side, unit=unit, seed=n)


def test_there_are_enough_stories() -> None:
    assert len(STORIES) >= 20


def sweep(name: str, kinds: tuple[str, str]) -> None:
    assert run(story(name, kinds)).complaints == ()
    at = 0
    while True:
        at += 1
        verdict = run(story(name, kinds, (Break(at=at, what="crash"),)))
        assert verdict.complaints == (), f"died at place {at}"
        if not any(line.startswith("  crash") for line in verdict.trace):
            break
    assert at > 6


@pytest.mark.parametrize(("number", "name"), list(enumerate(STORIES)), ids=list(STORIES))
def test_death_at_any_place_harms_nobody(number: int, name: str) -> None:
    sweep(name, KINDS[number % len(KINDS)])


@pytest.mark.nightly
@pytest.mark.parametrize("kinds", KINDS, ids=" and ".join)
@pytest.mark.parametrize("name", STORIES)
def test_death_at_any_place_harms_nobody_anywhere(name: str, kinds: tuple[str, str]) -> None:
    sweep(name, kinds)
