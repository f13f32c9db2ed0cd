"""A pass that stops between two units because others wait loses nothing and doubles nothing."""

import random
from typing import Any

import pytest

import bridge.simulation.office as offices
from bridge.simulation.history import Step, history
from bridge.simulation.running import run
from bridge.sync import Surroundings


class Short:
    """A turn of so many units."""

    def __init__(self, units: int) -> None:
        self.left = units
        self.ended = False

    def is_over(self, _done: int) -> bool:
        self.left -= 1
        self.ended = self.left < 0
        return self.ended


def test_whoever_is_interrupted_again_and_again_ends_where_others_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: list[Short] = []
    chance = random.Random(1)
    happen, happening = offices.Office.happen, [False]

    def interrupted(**facts: Any) -> Surroundings:
        if not happening[0]:  # what comes to rest in the end is left alone
            return Surroundings(**facts)
        turns.append(Short(chance.choice((0, 1, 1, 2, 3))))
        return Surroundings(turn=turns[-1], **facts)  # type: ignore[arg-type]

    def happens(office: offices.Office, step: Step) -> object:
        happening[0] = True
        try:
            return happen(office, step)
        finally:
            happening[0] = False

    monkeypatch.setattr(offices, "Surroundings", interrupted)
    monkeypatch.setattr(offices.Office, "happen", happens)
    complaints = {seed: run(history(seed)).complaints for seed in range(40)}
    assert {seed: said for seed, said in complaints.items() if said} == {}
    assert sum(turn.ended for turn in turns) > 20
