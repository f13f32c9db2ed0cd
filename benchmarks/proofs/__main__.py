"""`python -m benchmarks.proofs [PROOF ...]`: run them in full, print what they found.

Exit code 1 if anything is wrong. The log of each goes to a folder that is named then.
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.proofs import day, full_disk, hour, outage, storm
from benchmarks.proofs.postgres import postgres
from benchmarks.proofs.report import Report


def _on_postgresql(folder: Path) -> Report:
    with postgres() as server:
        return storm.prove(storm.Storm(), server.url, folder, title="storm on PostgreSQL")


def _on_sqlite(folder: Path) -> Report:
    size = storm.Storm(processes=1, workers=8)
    url = f"sqlite:///{folder}/calbridge.db"
    return storm.prove(size, url, folder, title="storm on SQLite")


def _calm(folder: Path) -> Report:
    size = storm.Storm(edits=1000, pace=5, kill_every=0, luck=0.0)
    with postgres() as server:
        return storm.prove(size, server.url, folder, title="calm on PostgreSQL")


def _restarts(folder: Path) -> Report:
    size = storm.Storm(links=100, edits=600, pace=5, kill_every=0, cut_every=120)
    with postgres() as server:
        title = "PostgreSQL restarted in mid-run"
        return storm.prove(size, server.url, folder, title=title, cut=server.strike)


PROOFS: Mapping[str, Callable[[Path], Report]] = {
    "storm-postgresql": _on_postgresql,
    "storm-sqlite": _on_sqlite,
    "calm": _calm,
    "restarts": _restarts,
    "hour": hour.prove,
    "outage": outage.prove,
    "full-disk": full_disk.prove,
    "day": day.prove,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proofs")
    parser.add_argument("proofs", nargs="*", metavar="PROOF", help=", ".join(PROOFS))
    chosen = parser.parse_args().proofs or list(PROOFS)
    if unknown := sorted(set(chosen) - PROOFS.keys()):
        parser.error(f"no proof {', '.join(unknown)}; there are: {', '.join(PROOFS)}")
    os.environ.setdefault("PYTHONTZPATH", "")
    wrong = 0
    for name in chosen:
        folder = Path(tempfile.mkdtemp(prefix=f"calbridge-{name}-"))
        logging.basicConfig(filename=folder / "proof.log", level=logging.INFO, force=True)
        started = time.monotonic()
        report = PROOFS[name](folder)
        print(report, f"  ({time.monotonic() - started:.0f} s)", sep="\n", flush=True)
        if report.complaints:
            wrong += 1
            print(f"  see {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
