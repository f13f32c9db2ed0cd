"""How long a person waits for the command line."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measuring import ROUNDS, Case, Row, row

SCRIPT = Path(sys.executable).with_name("calbridge")
ROOT = Path(__file__).resolve().parent.parent


def cases(_full: bool) -> dict[str, Case]:
    return {"all": _measure}


def _measure() -> list[Row]:
    return [
        row("calbridge --help", _times("--help"), "s", "< 0.5"),
        row("calbridge check", _times("check"), "s"),
    ]


def _times(*arguments: str) -> list[float]:
    samples = []
    environment = {**os.environ, "CALBRIDGE_SECRET_KEY": "A" * 43 + "="}
    for _round in range(ROUNDS + 1):
        started = time.perf_counter()
        subprocess.run(
            [SCRIPT, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True
        )
        samples.append(time.perf_counter() - started)
    return samples[1:]
