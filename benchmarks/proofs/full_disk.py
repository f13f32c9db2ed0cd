"""SQLite on a disk that runs full while people go on editing.

The process says why and ends with 2. With room again the next one goes on, and nothing is missing
or there twice.
"""

import time
from pathlib import Path

from benchmarks.proofs.city import city
from benchmarks.proofs.crowd import Crowd
from benchmarks.proofs.fleet import Fleet
from benchmarks.proofs.judging import at_rest, unrest, until
from benchmarks.proofs.report import Report
from bridge import config as config_file
from bridge.runtime import Runtime

PATIENCE = 180.0


def prove(folder: Path, *, links: int = 20, edits: int = 400, room: int = 40) -> Report:
    """`room` is how many pages the database may still grow by once its links have started."""
    report = Report(f"full disk: {links} links, {edits} edits")
    database = folder / "calbridge.db"
    with city(links) as town:
        config = town.config(f"sqlite:///{database}", poll="2s")
        path = town.write(folder / "judge.yaml", config)
        town.consent(path)
        crowd = Crowd(town, seed=3)
        pages = database.stat().st_size // 4096 + room
        with Fleet(town, folder, config, 1, pages=pages) as fleet:
            for _edit in range(edits):
                crowd.edit()
            codes = fleet.wait(PATIENCE)
            report.expect(codes == [2], f"with a full disk the process ended with {codes}")
        told = [line for line in fleet.told() if line.startswith("calbridge: ")]
        report.expect(
            len(told) == 1 and "database or disk is full" in told[0] and "make room" in told[0],
            f"it said {told}",
        )
        report.tell("it said", told[0] if told else "nothing")
        for _edit in range(edits // 4):
            crowd.edit()
        with Fleet(town, folder, config, 1) as fleet:
            begun = time.monotonic()
            until(crowd.settled, PATIENCE)
            report.tell(
                "from the next start until all sides were equal", time.monotonic() - begun, "s"
            )
            report.complaints += crowd.complaints()
            with Runtime(config_file.load(path)) as judge:
                report.expect(until(lambda: at_rest(judge.store), PATIENCE), "it came to no rest")
            report.expect(fleet.end() == [0], "it did not end well")
        report.complaints += unrest(path)
        report.expect(not town.mails, f"{town.mails} mails were sent")
    report.tell("differences, doubles, overlapping runs, mails", len(report.complaints))
    return report
