"""`plan`, `apply`, `backfill`, `sync`: the commands that look at differences and settle them."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bridge.commands.session import Session, advice, command
from bridge.config import LinkConfig
from bridge.decision import Action
from bridge.errors import UsageError
from bridge.plan import LinkPlan, action_json, plan_json, stale
from bridge.records import LinkState, RunKind
from bridge.runtime import Absent, ReadyLink, Runtime
from bridge.sync import Outcome
from bridge.wording import counted, field_words, side_names, sides
from connectors.errors import ConnectorError
from mappings.policy import Window

PLAN_VERSION = 1


def _day(_ctx: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter("write a day as 2026-03-31") from None


user_option = click.option("--user", metavar="U", help="Only this user's links.")
link_option = click.option("--link", metavar="L", help="Only this link.")
since_option = click.option("--since", metavar="DAY", callback=_day, help="Events from this day.")
until_option = click.option("--until", metavar="DAY", callback=_day, help="Events up to this day.")


@command("plan", help="Show what would change and why; write nothing.")
@user_option
@link_option
@click.option("-o", "output", type=click.Path(dir_okay=False), help="Save the plan for `apply`.")
def plan(session: Session, user: str | None, link: str | None, output: str | None) -> int:
    """Print the plan of the chosen links."""
    with session.runtime(keep=False) as runtime:
        links = runtime.select(user, link)
        plans = _plans(runtime, links)
    value = plan_json(plans)
    if output:
        names = [item.link for item in plans]
        saved = {"version": PLAN_VERSION, "of": names, **value}
        Path(output).write_text(json.dumps(saved, ensure_ascii=False, indent=1), encoding="utf-8")
    session.show(value, lambda: _print_plan(value, links))
    return 1 if any(item.held for item in plans) else 0


def _plans(runtime: Runtime, links: Sequence[LinkConfig]) -> list[LinkPlan]:
    return [runtime.link_pass(item).plan() for item in runtime.ready(links, store=False)]


def _print_plan(value: dict[str, Any], links: Sequence[LinkConfig]) -> None:
    known = {link.name: side_names(link) for link in links}
    for item in value["actions"]:
        names, fields = known[item["link"]], field_words(item["fields"])
        click.echo(
            f"{item['link']}: {item['op']:6} at {names[item['side']]}  {item['title']!r}  "
            f"({sides(item['cause'], names)}"
            f"{f'; {fields}' if fields and fields != '*' else ''})"
        )
    for item in value["links"]:
        for reason in item["parked"]:
            click.echo(f"{item['link']}: would park an event: {reason}")
        if item["held"]:
            click.echo(f"{item['link']}: would be held: {item['held']}")
    click.echo(counted(len(value["actions"]), "action"))


@command("apply", help="Do exactly what a saved plan says, or refuse if it is stale.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def apply(session: Session, file: str) -> int:
    """Apply a plan that `plan -o` saved."""
    actions, names = _saved(Path(file))
    with session.runtime() as runtime:
        links = [config for name in names for config in runtime.select(link=name)]
        fresh = plan_json(_plans(runtime, links))["actions"]
        differing = stale(actions, fresh)
        if differing:
            for line in differing[:20]:
                click.echo(line, err=True)
            click.echo("calbridge: the plan is stale; nothing was done. Plan again.", err=True)
            return 1
        agreed = {item["digest"] for item in actions}
        return _run(session, runtime, links, RunKind.APPLY, agreed)


def _saved(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The actions of a saved plan and the links that it is about. Raises `UsageError`."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["version"] != PLAN_VERSION:
            raise ValueError("another version")
        told = ("link", "side", "op", "title", "digest")
        actions = [{name: str(item[name]) for name in told} for item in saved["actions"]]
        return actions, [str(name) for name in saved["of"]]
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{path} is no plan of this version; make one with `calbridge plan -o`"
        ) from None


@command("backfill", help="Copy everything once. Stopped at any point, it goes on from there.")
@user_option
@link_option
@since_option
@until_option
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing anywhere.")
def backfill(
    session: Session,
    user: str | None,
    link: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    dry_run: bool,
) -> int:
    """Read both sides whole and settle every difference."""
    with session.runtime(keep=not dry_run) as runtime:
        now = runtime.system.now()
        links = [_bounded(item, now, since, until) for item in runtime.select(user, link)]
        if dry_run:
            ready = runtime.ready(links, store=False)
            plans = [runtime.link_pass(item, full=True).plan() for item in ready]
            value = plan_json(plans)
            session.show(value, lambda: _print_plan(value, links))
            return 1 if any(item.held for item in plans) else 0
        return _run(session, runtime, links, RunKind.BACKFILL)


def _bounded(
    link: LinkConfig, now: datetime, since: datetime | None, until: datetime | None
) -> LinkConfig:
    window = link.policy.window
    window = Window(
        past=now - since if since else window.past, future=until - now if until else window.future
    )
    return replace(link, policy=replace(link.policy, window=window))


@command("sync", help="One pass over the changes.")
@user_option
@link_option
def sync(session: Session, user: str | None, link: str | None) -> int:
    """Read what changed since the last pass and settle it."""
    with session.runtime() as runtime:
        return _run(session, runtime, runtime.select(user, link), RunKind.SYNC)


def _run(
    session: Session,
    runtime: Runtime,
    links: Sequence[LinkConfig],
    kind: RunKind,
    agreed: Collection[str] | None = None,
) -> int:
    """One pass over each link; with `agreed`, only the actions with these digests."""
    started = time.monotonic()
    outcomes: list[Outcome] = []
    failures: list[str] = []
    absent: Absent = []
    ready = runtime.ready(links, absent=absent)
    failures += [f"{config.name}: {advice(error)}" for config, error in absent]
    with _progress(session, kind) as progress:
        for item in ready:
            try:
                outcomes.append(_one(runtime, item, kind, progress, agreed))
            except ConnectorError as error:
                failures.append(f"{item.link.name}: {advice(error)}")
    value = {
        "writes": sum(outcome.counts.writes for outcome in outcomes),
        "links": [outcome.to_json() for outcome in outcomes],
        "failures": failures,
        "seconds": round(time.monotonic() - started, 3),
    }
    session.show(value, lambda: _print_outcomes(outcomes, value))
    for line in failures:
        click.echo(line, err=True)
    return 1 if failures or any(outcome.held for outcome in outcomes) else 0


def _one(
    runtime: Runtime,
    item: ReadyLink,
    kind: RunKind,
    progress: Callable[[str, int], None],
    agreed: Collection[str] | None,
) -> Outcome:
    with runtime.store.lock("link", item.link.uid):
        link = runtime.store.link_by_id(item.link.id) or item.link
        item = replace(item, link=link)
        if link.state in (LinkState.PAUSED, LinkState.HELD, LinkState.ENDED):
            outcome = Outcome(link.name)
            outcome.held = f"{link.state.value}: {link.reason}" if link.reason else link.state.value
            return outcome
        full = kind is RunKind.BACKFILL

        def permit(action: Action) -> bool:
            return agreed is None or action_json(link.name, action)["digest"] in agreed

        outcome = runtime.link_pass(item, full=full, permit=permit, progress=progress).run(kind)
    if not outcome.held and link.state is not LinkState.ACTIVE:
        with runtime.store.begin() as tx:
            tx.set_link_state(link.id, LinkState.ACTIVE)
    return outcome


@contextmanager
def _progress(session: Session, kind: RunKind) -> Iterator[Callable[[str, int], None]]:
    """A bar on a terminal, plain lines elsewhere, nothing with `--json`."""
    done: dict[str, int] = {}
    if session.as_json or kind is not RunKind.BACKFILL:
        yield lambda _link, _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:

        def lines(link: str, count: int) -> None:
            before = done.get(link, 0)
            done[link] = before + count
            if done[link] // 100 > before // 100:
                click.echo(f"{link}: {done[link]} events", err=True)

        yield lines
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} events"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def draw(link: str, count: int) -> None:
            if link not in tasks:
                tasks[link] = bar.add_task(link, total=None)
            bar.advance(tasks[link], count)

        yield draw


def _print_outcomes(outcomes: Sequence[Outcome], value: dict[str, Any]) -> None:
    for outcome in outcomes:
        counts = outcome.counts
        click.echo(
            f"{outcome.link}: {counts.created} created, {counts.updated} updated, "
            f"{counts.deleted} deleted, {counts.adopted} adopted, {counts.parked} parked"
            + (f"; HELD: {outcome.held}" if outcome.held else "")
        )
    click.echo(f"{counted(value['writes'], 'write')} in {value['seconds']} s")
