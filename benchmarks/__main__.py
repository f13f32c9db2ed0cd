"""`python -m benchmarks [--full] [--json FILE] [PROGRAM[/CASE] ...]`: measure, print one table.

The first column of a line is what repeats just that line.
"""

import argparse
import cProfile
import importlib
import json
import os
import platform
import pstats
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.measuring import Case, Row

PROGRAMS = (
    "translation",
    "planner",
    "expansion",
    "calls",
    "backfill",
    "latency",
    "store",
    "memory",
    "idle",
    "scaling",
    "startup",
    "pacing",
    "fairness",
)
PROFILED = 25
Found = dict[str, list[Row]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM[/CASE]", help=", ".join(PROGRAMS))
    parser.add_argument("--full", action="store_true", help="the large sizes, too: hours")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows there as well")
    parser.add_argument("--list", action="store_true", help="name the cases, measure nothing")
    parser.add_argument(
        "--profile", action="store_true", help="print where the main thread spent its time"
    )
    chosen = parser.parse_args()
    os.environ.setdefault("PYTHONTZPATH", "")
    cases = dict(_chosen(parser, chosen.programs or PROGRAMS, full=chosen.full))
    if chosen.list:
        print("\n".join(cases))
        return
    found: Found = {}
    for name, case in cases.items():
        started, used = time.perf_counter(), time.process_time()
        with _profiled(name) if chosen.profile else _plain():
            found[name] = case()
        took, cpu = time.perf_counter() - started, time.process_time() - used
        print(f"{name}: {took:.1f} s, {cpu:.1f} s of CPU here", file=sys.stderr)
    if chosen.json:
        chosen.json.write_text(json.dumps(_value(found), indent=1, ensure_ascii=False) + "\n")
    _print(found)


def _chosen(
    parser: argparse.ArgumentParser, wanted: list[str], *, full: bool
) -> Iterator[tuple[str, Case]]:
    for name in wanted:
        program, _, only = name.partition("/")
        if program not in PROGRAMS:
            parser.error(f"no program {program}; there are: {', '.join(PROGRAMS)}")
        module = importlib.import_module(f"benchmarks.{program}")
        # A case that is asked for by name is measured whatever its size.
        cases = module.cases(full or bool(only))
        if only and only not in cases:
            parser.error(f"no case {only} of {program}; there are: {', '.join(cases)}")
        for case in [only] if only else cases:
            yield f"{program}/{case}", cases[case]


@contextmanager
def _plain() -> Iterator[None]:
    yield


@contextmanager
def _profiled(name: str) -> Iterator[None]:
    profile = cProfile.Profile()
    profile.enable()
    yield
    profile.disable()
    print(f"profile of {name}:", file=sys.stderr)
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(PROFILED)


def _machine() -> dict[str, object]:
    return {"python": platform.python_version(), "system": platform.platform(),
            "cpus": os.cpu_count()}  # fmt: skip


def _value(found: Found) -> dict[str, object]:
    cases = {name: [asdict(row) | {"met": row.met} for row in rows] for name, rows in found.items()}
    return {"machine": _machine(), "cases": cases}


def _print(found: Found) -> None:
    from rich.console import Console
    from rich.table import Table

    title = ", ".join(f"{name} {value}" for name, value in _machine().items())
    heads = ("case", "what", "median", "min - max", "of", "unit", "should be", "")
    table = Table(*heads, title=title, caption="repeat a line: python -m benchmarks CASE")
    notes = []
    for name, rows in found.items():
        for number, row in enumerate(rows):
            spread = "" if row.low == row.high else f"{_short(row.low)} - {_short(row.high)}"
            met = {True: "ok", False: "OVER", None: ""}[row.met]
            what = row.what
            if row.note:
                notes.append(row.note)
                what += f" [{len(notes)}]"
            table.add_row(
                name if number == 0 else "", what.replace("[", "\\["), _short(row.median), spread,
                str(row.rounds), row.unit, row.bar, met,
            )  # fmt: skip
        table.add_section()
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    for number, note in enumerate(notes, 1):
        console.print(f"[{number}] {note}", markup=False)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


if __name__ == "__main__":
    main()
