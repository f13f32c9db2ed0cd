"""`parked`: events that wait for a person, and those that a person said to leave alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from bridge.commands.copying import link_option
from bridge.commands.finding import Found, find_one, title_of
from bridge.commands.session import Session, command, group
from bridge.errors import UsageError
from bridge.explain import advice
from bridge.records import JournalEntry, LinkState, Unit, UnitState
from bridge.runtime import ReadyLink, Runtime

SHELVED = (UnitState.PARKED, UnitState.DROPPED)


@command("list", help="Show what is parked and what was dropped, and why.")
@link_option
def list_(session: Session, link: str | None) -> int:
    """Print all of them; exit 1 if something waits for a person."""
    with session.runtime(keep=False) as runtime:
        rows = [
            _row(item, unit) for item in _links(runtime, link) for unit in _shelved(runtime, item)
        ]
    session.show({"parked": rows}, lambda: _print(rows))
    return 1 if any(row["state"] == "parked" and not row["retry_at"] for row in rows) else 0


@command("retry", help="Try parked or dropped events again with the next pass.")
@click.argument("unit", required=False)
@click.option("--all", "everything", is_flag=True, help="All parked ones; not the dropped ones.")
@link_option
def retry(session: Session, unit: str | None, link: str | None, *, everything: bool) -> int:
    """Make them due."""
    if (unit is not None and everything) or not (unit or everything or link):
        raise UsageError("say which: a UNIT, or --link, or --all")
    with session.runtime() as runtime:
        if unit is not None:
            found = [find_one(runtime, unit, link)]
            if found[0].unit.state not in SHELVED:
                raise UsageError(f"{found[0].unit.id} is {found[0].unit.state.value}, not parked")
        else:
            found = [
                Found(ready=item, unit=parked)
                for item in _links(runtime, link)
                for parked in runtime.store.units(item.link.id, state=UnitState.PARKED)
            ]
        for item in found:
            _put(runtime, item, _due, "retry", "a person said to try again")
    names = [item.unit.id for item in found]
    session.show({"retry": names}, lambda: _told(found))
    return 0


@command("drop", help="Leave an event alone for good: neither side is touched any more.")
@click.argument("unit")
@link_option
def drop(session: Session, unit: str, link: str | None) -> int:
    """Drop it; `parked retry` takes it back."""
    with session.runtime() as runtime:
        item = find_one(runtime, unit, link)
        if item.unit.state is UnitState.DONE:
            raise UsageError(f"{item.unit.id} is deleted on both sides; there is nothing to drop")
        if item.unit.state is not UnitState.DROPPED:
            _put(runtime, item, _dropped, "drop", "a person said to leave it alone")
    session.show(
        {"dropped": item.unit.id},
        lambda: click.echo(
            f"{item.link.name}: {title_of(item.unit)!r} is left alone from now on; "
            f"`calbridge parked retry {item.unit.id}` takes it back"
        ),
    )
    return 0


def _links(runtime: Runtime, link: str | None) -> list[ReadyLink]:
    return [
        ReadyLink(config=config, link=row)
        for config in runtime.select(link=link)
        if (row := runtime.store.link(config.name)) is not None
        if row.state is not LinkState.ENDED
    ]


def _shelved(runtime: Runtime, item: ReadyLink) -> list[Unit]:
    return [unit for state in SHELVED for unit in runtime.store.units(item.link.id, state=state)]


def _due(unit: Unit, now: datetime) -> Unit:
    return replace(unit, state=UnitState.PARKED, retry_at=now, attempts=0)


def _dropped(unit: Unit, _now: datetime) -> Unit:
    code, text = unit.error_code, unit.error
    why = f"a person dropped it ({code}: {text})" if code else "a person dropped it"
    return replace(unit, state=UnitState.DROPPED, error_code="DROPPED", error=why, retry_at=None)


def _put(
    runtime: Runtime, item: Found, change: Callable[[Unit, datetime], Unit], op: str, cause: str
) -> None:
    """Store a person's word while no pass is running, and say so in the journal."""
    now = runtime.system.now()
    with runtime.store.lock("link", item.link.uid), runtime.store.begin() as tx:
        row = change(tx.unit(item.link.id, item.unit.id) or item.unit, now)
        said = JournalEntry(
            id=0,
            at=now,
            run_id=0,
            link_id=item.link.id,
            unit_id=row.id,
            side=None,
            op=op,
            cause=cause,
            title=title_of(row),
        )
        tx.put_units([row])
        tx.journal([said])
        tx.hint([item.link.id], now)


def _row(item: ReadyLink, unit: Unit) -> dict[str, Any]:
    retry_at = unit.retry_at.isoformat(timespec="seconds") if unit.retry_at else None
    return {
        "unit": unit.id,
        "link": item.link.name,
        "state": unit.state.value,
        "title": title_of(unit),
        "ref_a": unit.ref_a,
        "ref_b": unit.ref_b,
        "code": unit.error_code,
        "error": unit.error,
        "attempts": unit.attempts,
        "retry_at": retry_at,
        "advice": advice(unit),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nothing is parked")
    for row in rows:
        click.echo(f"{row['link']}: {row['state']} {row['title']!r} {row['unit']}")
        click.echo(f"  {row['code']}: {row['error']}")
        if row["state"] == UnitState.DROPPED.value:
            click.echo(f"  `calbridge parked retry {row['unit']}` takes it back")
        elif row["retry_at"]:
            click.echo(f"  tried again at {row['retry_at']}; attempts so far: {row['attempts']}")
        else:
            click.echo(f"  change the event so that it can be carried, or {row['advice']}")


def _told(found: list[Found]) -> None:
    click.echo(f"{len(found)} event(s) are tried again by the next pass: a running service makes "
               "it at once, otherwise `calbridge sync`")  # fmt: skip


parked = group(
    "parked",
    help="List, retry or drop events that wait for a person.",
    commands=[list_, retry, drop],
)
