"""Histories that once ended badly, by what went wrong."""

import pytest

from bridge.simulation.history import history
from bridge.simulation.running import run

LOST = [
    135,
    519,
    2238,
    2305,
    2468,
    3542,
    4404,
    4714,
    5069,
    6714,
    7167,
    7520,
    10333,
    14532,
    14545,
    14934,
    20307,
]
DIFFERENT = [2345, 2491, 2750, 2951, 3461, 6280, 6731, 7307]
TWICE = [3162, 4932, 6936, 7648, 8266, 9802, 11710, 21564]
STUCK = [2589, 3068, 3763, 4599, 4647, 7276, 18888]

TELLING = [324, 451, 2913]
"""They never went wrong, but notice faults of `mutations.py` that nothing else does."""


@pytest.mark.parametrize("seed", sorted(LOST + DIFFERENT + TWICE + STUCK + TELLING))
def test_what_went_wrong_once_comes_out_right(seed: int) -> None:
    assert run(history(seed)).complaints == ()
