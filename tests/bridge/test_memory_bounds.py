"""A pass needs little memory for an event, however many there are."""

import gc
import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import config
from bridge.records import RunKind
from bridge.runtime import Runtime
from bridge.vault import Vault
from connectors.memory import named_world
from connectors.testing.builders import event

CONFIG = """\
database: sqlite:///{n}.db
secret_key: {key}
connectors:
  hub: {{type: memory, world: memory-hub-{n}}}
  other: {{type: memory, world: memory-other-{n}}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann, direction: {direction}}}]
"""
SMALL, LARGE = 100, 240
_numbers = itertools.count(1)


def peak(act: Callable[[], object], times: int = 1) -> int:
    """Bytes that were in use at most, beyond those before: the least of so many times, as the
    interpreter's own caches fill when they like, and every thread counts."""
    return min(_peak(act) for _ in range(times))


def _peak(act: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peaks(folder: Path, size: int, direction: str) -> tuple[int, int, int]:
    """Of the first pass over so many events, of one that lists them all again, and of one that
    finds nothing new."""
    number = next(_numbers)
    path = folder / f"{number}.yaml"
    key = Vault.generate_key()
    path.write_text(CONFIG.format(n=number, key=key, direction=direction))
    calendar = named_world(f"memory-hub-{number}").add_calendar("ann", "main")
    named_world(f"memory-other-{number}").add_calendar("ann", "main")
    for which in range(size):
        calendar.person_puts(event(f"E{which}", "2027-03-03T12:00"))
    with Runtime(config.load(path, {})) as runtime:

        def run(*, full: bool = False) -> None:
            (ready,) = runtime.ready(runtime.select())
            runtime.link_pass(ready, full=full).run(RunKind.SYNC)

        first = peak(run)
        run()  # takes note of what the first one wrote
        return first, peak(lambda: run(full=True)), peak(run, 3)


@pytest.mark.parametrize("direction", ["two-way", "to-target"])
def test_an_event_costs_little_memory_when_new_less_when_known_and_none_when_quiet(
    tmp_path: Path, direction: str
) -> None:
    peaks(tmp_path, 10, direction)  # loads what is loaded once
    small = peaks(tmp_path, SMALL, direction)
    large = peaks(tmp_path, LARGE, direction)
    new, known, quiet = (
        (more - less) / (LARGE - SMALL) for more, less in zip(large, small, strict=True)
    )
    # Half of what a new event costs is the other calendar's, which is in memory here, too.
    assert new < 4000
    assert known < 1500
    assert quiet < 50
