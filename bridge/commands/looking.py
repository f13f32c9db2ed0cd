"""`verify` and `status`: look, change nothing."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from bridge.circuit import Circuit
from bridge.commands.copying import link_option, user_option
from bridge.commands.session import Session, command
from bridge.records import Link, LinkState, UnitState
from bridge.runtime import Runtime
from bridge.verify import Comparison
from bridge.verify import verify as compare
from bridge.wording import counted, span

STANDING = ("held", "waiting", "suspended", "parked")
"""States of a link that need somebody."""


@command("verify", help="Compare both sides by their occurrences; exit 1 on a difference.")
@user_option
@link_option
def verify(session: Session, user: str | None, link: str | None) -> int:
    """Ask both providers for every occurrence and compare."""
    with session.runtime() as runtime:
        results = [
            compare(
                item.link,
                runtime.rules(item.config, item.link),
                runtime.connectors(item.link),
                runtime.store,
                runtime.system.now(),
            )
            for item in runtime.ready(runtime.select(user, link), store=False)
        ]
    count = sum(len(result.differences) for result in results)
    value = {"differences": count, "links": [result.to_json() for result in results]}
    session.show(value, lambda: _print_comparisons(results))
    return 1 if count else 0


def _print_comparisons(results: list[Comparison]) -> None:
    for result in results:
        click.echo(
            f"{result.link}: {counted(result.units, 'event')}, "
            f"{counted(result.occurrences, 'occurrence')}, "
            f"{counted(len(result.differences), 'difference')}"
        )
        for item in result.differences[:20]:
            told = ", ".join(f"{name}={value!r}" for name, value in item.items() if name != "unit")
            click.echo(f"  {told} (unit {item['unit']})")
        if result.known:
            click.echo(f"  {len(result.known)} more on purpose: {result.known[0]['why']}")


@command("status", help="Show every link and how it fares.")
def status(session: Session) -> int:
    """Print a table of the links."""
    with session.runtime() as runtime:
        rows = [_row(runtime, name) for name in (item.name for item in runtime.config.links)]
        now = runtime.system.now()
        work = asdict(runtime.store.job_stats(now))
        silent = [_silent(each) for each in runtime.store.circuits().values() if each.until]
    oldest = work["oldest_due"]
    jobs = {**work, "oldest_due": oldest and oldest.isoformat(timespec="seconds")}
    value = {"links": rows, "jobs": jobs, "silent_accounts": silent}
    session.show(value, lambda: _print_status(rows, silent, now))
    return 1 if any(row["state"] in STANDING for row in rows) else 0


def _silent(circuit: Circuit) -> dict[str, Any]:
    return {
        "connector": circuit.connector,
        "account": circuit.account,
        "failures": circuit.failures,
        "since": circuit.since.isoformat(timespec="seconds"),
        "rests_until": circuit.until and circuit.until.isoformat(timespec="seconds"),
        "error": circuit.error,
    }


def _row(runtime: Runtime, name: str) -> dict[str, Any]:
    link = runtime.store.link(name)
    if link is None:
        told = {"units": 0, "parked": 0, "dropped": 0, "restored": 0}
        then = "`calbridge check --online` says whether it can, `calbridge plan` what it would do"
        return {"link": name, "state": "new", "reason": "never ran", **told, "advice": then}
    counts = runtime.store.count_units(link.id)
    job = runtime.store.job(link.id)
    stuck = job.error if job and job.parked and link.state is LinkState.ACTIVE else ""
    runs = runtime.store.runs(link.id, limit=1)
    parked = [
        {"unit": unit.id, "code": unit.error_code, "error": unit.error}
        for unit in runtime.store.units(link.id, state=UnitState.PARKED)
    ]
    return {
        "link": name,
        "state": "parked" if stuck else link.state.value,
        "reason": link.reason if link.state is not LinkState.ACTIVE else stuck,
        "units": counts.get(UnitState.LIVE, 0),
        "parked": len(parked),
        "dropped": counts.get(UnitState.DROPPED, 0),
        "restored": len(runtime.store.restored_units(link.id)),
        "advice": _advice(link, stuck=bool(stuck), parked=len(parked)),
        "parked_units": parked,
        "last_run": runs[0].started.isoformat(timespec="seconds") if runs else None,
        "last_outcome": runs[0].outcome if runs else None,
    }


def _advice(link: Link, *, stuck: bool, parked: int) -> str:
    """What a person has to do, empty if nothing."""
    if stuck:
        return f"`calbridge resume {link.name}` tries it again; the log says what went wrong"
    match link.state:
        case LinkState.HELD:
            return f"`calbridge approve {link.name}` shows what for and goes on; or pause it"
        case LinkState.PAUSED | LinkState.ENDED:
            return f"`calbridge resume {link.name}` lets it run again"
        case LinkState.WAITING | LinkState.SUSPENDED:
            return "`calbridge check --online` says what is missing; it goes on by itself then"
        case _:
            return "`calbridge parked list` shows what waits for a person" if parked else ""


def _print_status(rows: list[dict[str, Any]], silent: list[dict[str, Any]], now: datetime) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("link", "state", "events", "parked", "dropped", "last run", "outcome")
    for row in rows:
        table.add_row(
            row["link"],
            row["state"],
            str(row["units"]),
            str(row["parked"]),
            str(row["dropped"]),
            f"{span(now - datetime.fromisoformat(row['last_run']))} ago"
            if row.get("last_run")
            else "never",
            row.get("last_outcome") or "",
        )
    Console().print(table)
    for row in rows:
        if row["reason"]:
            click.echo(f"{row['link']} is {row['state']}: {row['reason']}")
        if row["advice"]:
            click.echo(f"{row['link']}: {row['advice']}")
        for unit in row.get("parked_units", [])[:20]:
            click.echo(f"{row['link']}: parked {unit['unit']}: {unit['code']}: {unit['error']}")
    for account in silent:
        click.echo(
            f"{account['account']} at {account['connector']} has not answered since "
            f"{account['since']}; its links rest until {account['rests_until']}: {account['error']}"
        )
