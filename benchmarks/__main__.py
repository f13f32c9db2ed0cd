"""`python -m benchmarks [--json] [PROGRAM ...]`: run the programs, print one table."""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from dataclasses import asdict

from benchmarks.measuring import Row

PROGRAMS = (
    "translation",
    "planner",
    "expansion",
    "store",
    "calls",
    "startup",
    "idle",
    "pacing",
    "fairness",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    unknown = set(chosen.programs) - set(PROGRAMS)
    if unknown:
        parser.error(f"no program {', '.join(sorted(unknown))}; there are: {', '.join(PROGRAMS)}")
    os.environ.setdefault("PYTHONTZPATH", "")
    found: dict[str, list[Row]] = {}
    for name in chosen.programs or PROGRAMS:
        started = time.perf_counter()
        found[name] = importlib.import_module(f"benchmarks.{name}").measure()
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    if chosen.json:
        print(json.dumps(_value(found), indent=1))
    else:
        _print(found)


def _machine() -> dict[str, object]:
    return {"python": platform.python_version(), "system": platform.platform(),
            "cpus": os.cpu_count()}  # fmt: skip


def _value(found: dict[str, list[Row]]) -> dict[str, object]:
    programs = {name: [asdict(row) for row in rows] for name, rows in found.items()}
    return {"machine": _machine(), "programs": programs}


def _print(found: dict[str, list[Row]]) -> None:
    from rich.console import Console
    from rich.table import Table

    title = ", ".join(f"{name} {value}" for name, value in _machine().items())
    table = Table("program", "what", "median", "min - max", "unit", "should be", title=title)
    for name, rows in found.items():
        for number, row in enumerate(rows):
            spread = "" if row.low == row.high else f"{_short(row.low)} - {_short(row.high)}"
            table.add_row(
                "" if number else name, row.what, _short(row.median), spread, row.unit, row.bar
            )
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


if __name__ == "__main__":
    main()
