"""`soak`: try to break the bridge with simulated people, faults and crashes."""

import time
from typing import Any

import click

from bridge.commands.session import Session, command
from bridge.simulation.history import history
from bridge.simulation.running import run
from bridge.simulation.soaking import Failure, Tally
from bridge.simulation.soaking import soak as simulate


@command("soak", help="Simulate people, faults and crashes; exit 1 if anything goes wrong.")
@click.option("--seed", default=0, show_default=True, help="The first history.")
@click.option("--runs", default=100, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--trace", is_flag=True, help="Print what happens in the first history.")
def soak(session: Session, *, seed: int, runs: int, jobs: int, trace: bool) -> int:
    """Run histories of two calendars in memory under the real engine and judge the ends."""
    if trace and not session.as_json:
        _tell(seed)
    started = time.monotonic()
    tally = simulate(seed, runs, jobs, progress=lambda so_far: _progress(session, so_far, runs))
    seconds = time.monotonic() - started
    session.show(_value(tally, seconds), lambda: _print(tally, seconds))
    return 1 if tally.failures else 0


def _tell(seed: int) -> None:
    story = history(seed)
    click.echo(f"{story}\n")
    for line in run(story).trace:
        click.echo(line)
    click.echo()


def _progress(session: Session, tally: Tally, runs: int) -> None:
    if not session.as_json and tally.runs % 500 < 10 and tally.runs < runs:
        click.echo(f"{tally.runs} of {runs}, {len(tally.failures)} failed", err=True)


def _value(tally: Tally, seconds: float) -> dict[str, Any]:
    return {
        "runs": tally.runs,
        "seconds": round(seconds, 1),
        **tally.counts,
        "failures": [_failure(failure) for failure in tally.failures],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    shortest = str(failure.shortest).splitlines() if failure.shortest else None
    return {
        "seed": failure.seed,
        "command": failure.command,
        "complaints": list(failure.complaints),
        "shortest": shortest,
    }


def _print(tally: Tally, seconds: float) -> None:
    for failure in tally.failures:
        click.echo(f"seed {failure.seed} fails; see it again with: {failure.command}")
        for complaint in failure.complaints:
            click.echo(f"  {complaint}")
        if failure.shortest is not None:
            click.echo(f"the shortest history that fails so:\n{failure.shortest}\n")
    counts = tally.counts
    verdict = f"{len(tally.failures)} FAILED" if tally.failures else "everything came out right"
    click.echo(
        f"{tally.runs} histories, {counts['passes']} passes, {counts['places']} places to break, "
        f"{counts['conflicts']} conflicts, {counts['held']} held, {counts['parked']} parked "
        f"in {seconds:.0f} s: {verdict}"
    )
