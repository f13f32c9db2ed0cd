"""`journal` and `undo`: what was done, and how to take it back."""

from datetime import datetime
from typing import Any

import click

from bridge import orders
from bridge.commands.copying import link_option, since_option
from bridge.commands.explaining import line
from bridge.commands.session import Session, command, confirmed
from bridge.deeds import Undone
from bridge.errors import UsageError
from bridge.explain import decision_json, decision_view
from bridge.records import JournalEntry, Link, Run
from bridge.runtime import ReadyLink, Runtime
from bridge.wording import Names, field_words, side_names

SHOWN = 20


@command("journal", help="Show what was done, when and why; the newest last.")
@link_option
@click.option("--run", "number", type=int, metavar="N", help="Only this run.")
@click.option("--unit", metavar="U", help="Only this unit.")
@since_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), metavar="N",
              help="At most so many entries, the last ones.")  # fmt: skip
def journal(
    session: Session,
    link: str | None,
    number: int | None,
    unit: str | None,
    since: datetime | None,
    limit: int,
) -> int:
    """Print the last entries, run by run."""
    with session.runtime(keep=False) as runtime:
        link_id = _link_id(runtime, link)
        if number is not None and runtime.store.run(number) is None:
            raise UsageError(f"there is no run {number}; `calbridge journal` lists the last ones")
        entries = runtime.store.journal(link_id, unit, number, limit=limit, since=since)[::-1]
        runs = {entry.run_id: runtime.store.run(entry.run_id) for entry in entries}
        if number is not None:
            runs[number] = runtime.store.run(number)
        links = {known.id: known for known in runtime.store.links()}
    rows = [_run_json(id_, run, entries, links) for id_, run in runs.items()]
    session.show({"runs": rows}, lambda: _print_runs(runs, entries, links))
    return 0


def _link_id(runtime: Runtime, name: str | None) -> int | None:
    if name is None:
        return None
    runtime.select(link=name)
    known = runtime.store.link(name)
    return known.id if known else 0


def _run_json(
    id_: int, run: Run | None, entries: list[JournalEntry], links: dict[int, Link]
) -> dict[str, Any]:
    its = [entry for entry in entries if entry.run_id == id_]
    link = run.link_id if run else its[0].link_id
    return {
        "run": id_,
        "link": links[link].name if link in links else "",
        "kind": run.kind.value if run else "by hand",
        "started": run.started.isoformat(timespec="seconds") if run else None,
        "ended": run.ended.isoformat(timespec="seconds") if run and run.ended else None,
        "outcome": run.outcome if run else "",
        "counts": run.counts if run else None,
        "entries": [
            {"unit": entry.unit_id, **decision_json(decision_view(entry))} for entry in its
        ],
    }


def _print_runs(
    runs: dict[int, Run | None], entries: list[JournalEntry], links: dict[int, Link]
) -> None:
    if not runs:
        click.echo("nothing was done yet, or nothing like that")
    for id_, run in runs.items():
        if run is not None:
            started = run.started.isoformat(sep=" ", timespec="seconds")
            outcome = run.outcome or "not ended"
            click.echo(f"run {id_}: {run.kind.value} of {links[run.link_id].name}, "
                       f"{started}: {outcome}")  # fmt: skip
        for entry in entries:
            if entry.run_id == id_:
                names = side_names(links[entry.link_id])
                click.echo(f"  {line(decision_view(entry), names)}")


@command("undo", help="Take back what a run did, on the side where it did it, without mail.")
@click.argument("run", metavar="RUN")
@link_option
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing anywhere.")
@click.option("--force", is_flag=True, help="Also overwrite what somebody changed since.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def undo(
    session: Session, run: str, link: str | None, *, dry_run: bool, force: bool, yes: bool
) -> int:
    """Undo the run with this number, or the `last` one of a link."""
    with session.runtime() as runtime:
        found = _run(runtime, run, link)
        ready = _ready(runtime, found, link)
        names = side_names(ready.link)
        if dry_run or not yes:
            told = orders.undo_of(runtime, ready, found, force=force).preview()
            if dry_run:
                session.show(_preview_json(told), lambda: _preview(told, names))
                return 0
            if not told.actions:
                session.show(told.to_json(), lambda: _preview(told, names))
                return 1 if told.left else 0
            if not session.as_json:
                _preview(told, names)
            confirmed(f"undo run {found.id} of {ready.link.name}?")
        with runtime.store.lock("link", ready.link.uid):
            done = orders.undo_of(runtime, ready, found, force=force).run()
    session.show(done.to_json(), lambda: _print_undone(done, names))
    return 1 if done.left or done.failed else 0


def _run(runtime: Runtime, text: str, link: str | None) -> Run:
    """The run that is meant."""
    store = runtime.store
    if text == "last":
        last = store.journal(_link_id(runtime, link), limit=200)
        if link is None and len(runtime.config.links) > 1:
            raise UsageError("the last run of which link? Say --link")
        number = next((entry.run_id for entry in last if entry.run_id), 0)
    elif text.isdecimal():
        number = int(text)
    else:
        raise UsageError(f"{text!r} is no run; `calbridge journal` shows their numbers")
    found = store.run(number)
    if found is None:
        raise UsageError(f"there is no run {text}; `calbridge journal` lists the last ones")
    return found


def _ready(runtime: Runtime, run: Run, link: str | None) -> ReadyLink:
    """The link of a run. Raises `UsageError` if it cannot be written any more."""
    row = runtime.store.link_by_id(run.link_id)
    assert row is not None
    if link is not None and row.name != link:
        raise UsageError(f"run {run.id} is one of {row.name}, not of {link}")
    return orders.writable(runtime, run)


def _preview_json(told: Undone) -> dict[str, Any]:
    return {
        **told.to_json(),
        "actions": [
            {"unit": action.unit_id, "side": action.side.value, "op": action.op.value,
             "title": action.title, "fields": list(action.fields)}
            for action in told.actions
        ],
    }  # fmt: skip


def _preview(told: Undone, names: Names) -> None:
    for action in told.actions[:SHOWN]:
        fields = f" [{field_words(action.fields)}]" if action.fields != ("*",) else ""
        click.echo(f"  {action.op.value} at {names[action.side.value]} {action.title!r}{fields}")
    if len(told.actions) > SHOWN:
        click.echo(f"  and {len(told.actions) - SHOWN} more")
    _print_left(told, names)
    if not told.actions:
        click.echo(f"nothing of run {told.run} is left to be undone")


def _print_undone(done: Undone, names: Names) -> None:
    _print_left(done, names)
    counts = done.counts
    click.echo(
        f"{done.link}: run {done.number} undid run {done.run}: {counts.created} restored, "
        f"{counts.updated} put back, {counts.deleted} taken away, {len(done.left)} left, "
        f"{done.failed} failed"
    )


def _print_left(told: Undone, names: Names) -> None:
    for item in told.left[:SHOWN]:
        fields = f" [{field_words(item.fields)}]" if item.fields else ""
        click.echo(f"  stays: {item.title!r} at {names[item.side.value]}{fields}: {item.why}")
    if told.left and any(item.fields for item in told.left):
        click.echo("  --force overwrites what somebody changed since")
