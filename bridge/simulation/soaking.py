"""Many histories, on as many cores as wanted, and what came of them."""

import multiprocessing
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from bridge.simulation.history import History, history
from bridge.simulation.running import Verdict, run
from bridge.simulation.shrinking import shrunk

CHUNK = 10
"""Histories that a process runs before it reports."""
SHRUNK = 3
"""So many failures are made small; the others are only named."""

COUNTED = ("passes", "places", "held", "parked", "conflicts", "raced")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A history that did not end well, and how to see it again."""

    seed: int
    complaints: tuple[str, ...]
    shortest: History | None = None

    @property
    def command(self) -> str:
        """Runs exactly this history."""
        return f"calbridge soak --seed {self.seed} --runs 1 --trace"


@dataclass(slots=True)
class Tally:
    """What all histories together came to."""

    runs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    runs: int
    counts: Counter[str]
    failures: tuple[tuple[int, tuple[str, ...]], ...]


def soak(
    seed: int,
    runs: int,
    jobs: int = 1,
    *,
    progress: Callable[[Tally], None] = lambda _tally: None,
) -> Tally:
    """Run the histories of `seed` and the following ones; the first failures are made small."""
    tally = Tally()
    end = seed + runs
    seeds = [range(start, min(start + CHUNK, end)) for start in range(seed, end, CHUNK)]
    found: list[tuple[int, tuple[str, ...]]] = []
    for part in _parts(seeds, jobs):
        tally.runs += part.runs
        tally.counts += part.counts
        found += part.failures
        tally.failures = [Failure(seed=at, complaints=why) for at, why in sorted(found)]
        progress(tally)
    tally.failures = [
        smallest(failure) if number < SHRUNK else failure
        for number, failure in enumerate(tally.failures)
    ]
    return tally


def smallest(failure: Failure) -> Failure:
    """The same failure with the shortest history that still has its first complaint."""
    wanted = _kind(failure.complaints[0])
    shortest = shrunk(
        history(failure.seed),
        lambda tried: any(_kind(text) == wanted for text in run(tried).complaints),
    )
    complaints = run(shortest).complaints
    return Failure(seed=failure.seed, complaints=complaints, shortest=shortest)


def _kind(complaint: str) -> str:
    """A complaint without its numbers."""
    return re.sub(r"\d+", "#", complaint)[:20]


def _parts(seeds: Iterable[range], jobs: int) -> Iterator[_Part]:
    if jobs <= 1:
        yield from map(_run_all, seeds)
        return
    # Fresh interpreters: nothing that this process has open may be shared.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(_run_all, seeds)


def _run_all(seeds: range) -> _Part:
    counts: Counter[str] = Counter()
    failures = []
    for seed in seeds:
        verdict: Verdict = run(history(seed))
        counts.update({name: getattr(verdict, name) for name in COUNTED})
        if verdict.complaints:
            failures.append((seed, verdict.complaints))
    return _Part(len(seeds), counts, tuple(failures))
