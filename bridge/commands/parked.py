"""`parked`: events that wait for a person, and those that a person said to leave alone."""

from typing import Any

import click

from bridge import orders
from bridge.commands.copying import link_option
from bridge.commands.finding import Found, find_one
from bridge.commands.session import Session, command, group
from bridge.errors import UsageError
from bridge.explain import advice
from bridge.orders import title_of
from bridge.records import LinkState, Unit, UnitState
from bridge.runtime import ReadyLink, Runtime
from bridge.wording import counted


@command("list", help="Show what is parked and what was dropped, and why.")
@link_option
def list_(session: Session, link: str | None) -> int:
    """Print all of them; exit 1 if something waits for a person."""
    with session.runtime(keep=False) as runtime:
        rows = [
            _row(item, unit)
            for item in _links(runtime, link)
            for unit in orders.shelved(runtime, item.link)
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
        else:
            found = [
                Found(ready=item, unit=parked)
                for item in _links(runtime, link)
                for parked in runtime.store.units(item.link.id, state=UnitState.PARKED)
            ]
        for item in found:
            orders.retry(runtime, item.link, [item.unit])
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
        orders.drop(runtime, item.link, item.unit)
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
    verb = "is" if len(found) == 1 else "are"
    click.echo(f"{counted(len(found), 'event')} {verb} tried again by the next pass: a running "
               "service makes it at once, otherwise `calbridge sync`")  # fmt: skip


parked = group(
    "parked",
    help="List, retry or drop events that wait for a person.",
    commands=[list_, retry, drop],
)
