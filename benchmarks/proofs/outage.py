"""Minutes in which all providers answer 429 and 503 only, and how the bridge catches up.

Time is the city's own: only pacing, patience and back-off take any, so that the result says what
the bridge makes of the rates that are permitted, on whatever machine.
"""

from collections import Counter
from pathlib import Path

from benchmarks.proofs.city import TOKENS, City, city
from benchmarks.proofs.crowd import Crowd
from benchmarks.proofs.judging import unrest
from benchmarks.proofs.report import Report
from benchmarks.proofs.timelapse import Timelapse, unhurried
from bridge import config as config_file
from bridge.runtime import Runtime, System
from connectors.sandbox.faults import Fault
from connectors.sandbox.worlds.town import BUSY, CALLS

LIMIT = 2.0
"""Catching up may take so many times what the permitted rates would need."""
LOOK = 5.0
"""Seconds that it may take besides: all links are due within them once an account has answered."""


def prove(
    folder: Path,
    *,
    links: int = 40,
    edits: int = 1000,
    minutes: int = 10,
    rate: int = 120,
) -> Report:
    """`rate` is how many calls a minute Google permits the project, and Exchange a mailbox."""
    report = Report(f"outage of {minutes} minutes: {links} links, {edits} edits")
    with city(links) as town:
        _limit(town, rate)
        config = town.config(f"sqlite:///{folder}/calbridge.db", poll="5m")
        config["connectors"]["google"]["project_calls_per_minute"] = rate
        config["connectors"]["exchange"]["calls_per_minute"] = rate
        path = town.write(folder / "judge.yaml", config)
        town.consent(path)
        lapse, crowd = Timelapse(town), Crowd(town, seed=7)
        with Runtime(config_file.load(path), lapse.system) as runtime:
            service = unhurried(runtime)
            service.start()
            lapse.pass_until(lambda: False, runtime, at_most=120)
            _storm(town)
            before = town.calls
            for _minute in range(minutes):
                for _edit in range(edits // minutes):
                    crowd.edit()
                lapse.pass_until(lambda: False, runtime, at_most=60)
            report.tell("calls that were refused", town.calls - before)
            for sandbox in town.sandboxes.values():
                sandbox.faults.clear()
            recovered = town.clock.time()
            done = lapse.pass_until(crowd.settled, runtime, at_most=24 * 3600)
            report.expect(done, "not everything arrived within a day")
            report.complaints += crowd.complaints()
            _judge_pace(report, town, recovered, rate)
            service.stop()
        refused, mails = town.refused, town.mails
        report.complaints += unrest(
            path, System(now=town.now, sleep=town.clock.advance, monotonic=town.clock.time)
        )
        report.tell("calls refused for coming too fast", refused)
        report.expect(not refused, f"{refused} calls were refused for coming too fast")
        report.expect(not mails, f"{mails} mails were sent")
    report.tell("differences, doubles, overlapping runs, mails", len(report.complaints))
    return report


def _limit(town: City, rate: int) -> None:
    """The providers count by the city's clock and permit little."""
    town.feishu.limits.monotonic = town.clock.time
    town.google.limits.per_project = rate
    town.exchange.switches.requests_per_minute = rate


def _storm(town: City) -> None:
    for place, sandbox in town.sandboxes.items():
        sandbox.faults.add(
            Fault(CALLS[place], "html", times=0, chance=0.5, status=503),
            Fault(CALLS[place], "status", times=0, **BUSY[place]),
        )


def _judge_pace(report: Report, town: City, since: float, rate: int) -> None:
    calls = {
        place: [
            call
            for call in sandbox.calls()
            if call.at >= since and call.operation not in TOKENS and call.status != 401
        ]
        for place, sandbox in town.sandboxes.items()
    }
    boxes = Counter(call.headers.get("x-anchormailbox", "") for call in calls["exchange"])
    needed = max(len(calls["google"]), *boxes.values(), 1)
    ideal = 60 * needed / rate
    took = max(call.at for found in calls.values() for call in found) - since
    report.tell("calls to catch up", sum(map(len, calls.values())))
    report.tell("ideal time to catch up", ideal, "s")
    report.tell("time it took", took, "s")
    report.expect(
        took <= LIMIT * ideal + LOOK,
        f"catching up took {took:.0f} s, {took / ideal:.1f} x the ideal",
    )
