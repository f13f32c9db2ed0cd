"""Random histories over the wire: people at all three sandboxes, the real SDKs, faults, and peace
in the end. A failing one is shrunk and shown; `python -m bridge.simulation.wire SEED` replays it.
"""

import warnings
from collections import Counter
from collections.abc import Iterator

import pytest

from bridge.simulation.wire.shrinking import shrunk
from bridge.simulation.wire.tale import Tale, tale
from bridge.simulation.wire.telling import Verdict, told
from connectors.sandbox.worlds.town import Town

HISTORIES, AT_ONCE = 100, 10
MANY = 2000
PARKED = 0.05
"""The share of units that may wait for a person in the end."""


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    town = Town().start()
    yield town
    town.stop()


@pytest.fixture(autouse=True)
def _quiet_sdks() -> Iterator[None]:
    """The SDKs' own import-time warnings are not ours to mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def proven(town: Town, seed: int) -> Verdict:
    history = tale(seed)
    verdict = told(town, history)
    if verdict.complaints:
        pytest.fail(report(town, history, verdict))
    return verdict


def report(town: Town, history: Tale, verdict: Verdict) -> str:
    first = verdict.complaints[0][:20]

    def fails(shorter: Tale) -> bool:
        return any(line.startswith(first) for line in told(town, shorter).complaints)

    short = shrunk(history, fails, budget=40)
    trace = told(town, short).trace
    parts = [
        f"replay it with: python -m bridge.simulation.wire {history.seed}",
        *verdict.complaints,
        str(short),
        *trace[-30:],
    ]
    return "\n".join(parts)


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_histories_over_the_wire_come_to_rest_with_nothing_lost(town: Town, first: int) -> None:
    verdicts = [proven(town, seed) for seed in range(first, first + AT_ONCE)]
    parked = sum(len(verdict.parked) for verdict in verdicts)
    assert parked <= 1 + PARKED * sum(verdict.units for verdict in verdicts)


@pytest.mark.parametrize("seed", [116])
def test_two_links_agree_on_what_one_of_them_has_replaced(town: Town, seed: int) -> None:
    proven(town, seed)


def test_the_same_seed_tells_the_same_story(town: Town) -> None:
    for seed in (3, 22, 25):
        assert told(town, tale(seed)).digest == told(town, tale(seed)).digest


def test_the_histories_are_about_everything() -> None:
    """So that nobody proves much about little."""
    seen: Counter[str] = Counter()
    for seed in range(HISTORIES):
        history = tale(seed)
        seen[" ".join(history.targets)] += 1
        for step in history.steps:
            seen[step.do] += 1
            seen.update(item.step.do if item.step else item.what for item in step.breaks)
    assert min(seen.values()) >= 5, seen
    assert len(seen) == 3 + 18 + 2 + 11


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(HISTORIES, HISTORIES + MANY, 100))
def test_many_more_histories_over_the_wire_come_to_rest(town: Town, first: int) -> None:
    for seed in range(first, first + 100):
        proven(town, seed)
