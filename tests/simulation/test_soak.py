"""Random histories of people, faults and crashes end well, every time in the same way."""

import json

import pytest

from bridge.cli import run as calbridge
from bridge.simulation.history import history
from bridge.simulation.running import run
from bridge.simulation.soaking import soak

HISTORIES = 304
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_everything_comes_out_right(part: int) -> None:
    size = HISTORIES // PARTS
    tally = soak(part * size, size)
    assert [(failure.command, failure.complaints) for failure in tally.failures] == []
    assert tally.counts["places"] > 100 * size, "there was too little to break"


@pytest.mark.parametrize("seed", [3, 11, 23])
def test_the_same_seed_takes_the_same_course(seed: int) -> None:
    story = history(seed)
    assert story == history(seed)
    first, second = run(story), run(story)
    assert first.trace == second.trace
    assert first == second


def test_histories_differ() -> None:
    assert len({run(history(seed)).digest for seed in range(5)}) == 5


def test_the_command_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert calbridge(["soak", "--seed", "5", "--runs", "3", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["runs"], value["failures"]) == (3, [])
    assert value["passes"] > 30


def test_the_command_tells_a_history_step_by_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert calbridge(["soak", "--seed", "5", "--runs", "1", "--trace"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("seed 5: ")
    assert "a changes" in told
    assert "everything came out right" in told
