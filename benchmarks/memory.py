"""How much memory a link needs that has many events: the peak beyond what importing the SDKs takes.

Each measurement is a process of its own, because what Python has once taken it seldom gives back.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.cloud import Cloud, bridge
from benchmarks.measuring import Case, Row, counted
from bridge.records import RunKind

SIZES = {False: (5_000,), True: (5_000, 10_000, 100_000)}
DIRECTIONS = ("to-target", "two-way")
ROOT = Path(__file__).resolve().parent.parent
MIB = 1024


def cases(full: bool) -> dict[str, Case]:
    return {
        f"{size}-{direction}": partial(_measured, size, direction)
        for size in SIZES[full]
        for direction in DIRECTIONS
        if full or direction == "two-way"
    }


def _measured(size: int, direction: str) -> list[Row]:
    command = [sys.executable, "-m", "benchmarks.memory", str(size), direction]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    peaks = json.loads(done.stdout)
    bar = "<= 150" if size == 100_000 else ""
    return [
        counted(f"{what}, {size:,} events, {direction}", peak, "MiB", bar)
        for what, peak in peaks.items()
    ]


def _run(size: int, direction: str) -> dict[str, float]:
    with Cloud() as cloud:
        cloud("add", "ann", size)
        defaults = {"direction": direction}
        with bridge(cloud, {"ann": {"to": "google"}}, defaults=defaults) as runtime:
            runtime.ready(runtime.select())  # opens both connectors

            def run(*, full: bool) -> None:
                (ready,) = runtime.ready(runtime.select())
                kind = RunKind.BACKFILL if full else RunKind.SYNC
                runtime.link_pass(ready, full=full).run(kind)

            return {
                "backfill": _peak(partial(run, full=True)),
                "complete listing without news": _peak(partial(run, full=True)),
                "pass without news": _peak(partial(run, full=False)),
            }


def _peak(act: Callable[[], None]) -> float:
    """MiB at the highest point, beyond those before (Linux, proc(5): clear_refs, VmHWM)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    act()
    return max(0.0, (_status("VmHWM") - before) / MIB)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]), sys.argv[2])))
