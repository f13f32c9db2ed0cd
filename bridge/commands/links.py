"""`approve`, `pause`, `resume`, `unlink`: a person's word on one link."""

import sys
from typing import Any

import click

from bridge import orders
from bridge import unlink as unlinking
from bridge.commands.session import Session, command, confirmed
from bridge.errors import UsageError
from bridge.plan import LinkPlan
from bridge.records import LinkState, Op
from bridge.runtime import ReadyLink, Runtime
from bridge.unlink import Unlinked
from bridge.wording import Names, counted, side_names, sides

link_argument = click.argument("link")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
SHOWN = 20


def _known(runtime: Runtime, name: str) -> ReadyLink:
    return runtime.ready(runtime.select(link=name))[0]


@command("approve", help="Let a held link go on with what it was held for.")
@link_argument
@yes_option
def approve(session: Session, link: str, *, yes: bool) -> int:
    """Show what a held link was held for, and run it once without the delete guard."""
    with session.runtime() as runtime:
        ready = _known(runtime, link)
        if ready.link.state is not LinkState.HELD:
            raise UsageError(f"link {link} is {ready.link.state.value}, not held")
        told = runtime.link_pass(ready, approved=True).plan()
        if not session.as_json:
            _print_held(ready, told)
        if sys.stdin.isatty() and not yes:
            confirmed(f"go on with {link}?")
        outcome = orders.approve(runtime, ready)
        session.show(
            {**outcome.to_json(), "titles": _titles(told)},
            lambda: click.echo(
                f"{link}: held again: {outcome.held}"
                if outcome.held
                else f"{link}: approved; {outcome.counts.deleted} deleted"
            ),
        )
    return 1 if outcome.held else 0


def _print_held(ready: ReadyLink, told: LinkPlan) -> None:
    click.echo(f"{ready.link.name} is held: {ready.link.reason}")
    names = side_names(ready.link)
    deletions = [action for action in told.actions if action.op is Op.DELETE]
    for action in deletions[:SHOWN]:
        why = sides(action.cause, names)
        click.echo(f"  delete at {names[action.side.value]} {action.title!r} ({why})")
    if len(deletions) > SHOWN:
        click.echo(f"  and {len(deletions) - SHOWN} more")
    click.echo(
        f"  {counted(len(deletions), 'deletion')}, "
        f"{counted(len(told.actions) - len(deletions), 'other change')}"
    )


def _titles(told: LinkPlan) -> list[str]:
    return [action.title for action in told.actions if action.op is Op.DELETE]


@command("pause", help="Stop a link until `resume`.")
@link_argument
@click.option("--reason", default="", help="Shown in `status`.")
def pause(session: Session, link: str, reason: str) -> int:
    """Stop a link. What it was held for is asked again after `resume`."""
    with session.runtime() as runtime:
        orders.pause(runtime, _known(runtime, link).link, reason)
    session.show({"link": link, "state": "paused"}, lambda: click.echo(f"{link}: paused"))
    return 0


@command("resume", help="Let a paused, waiting, suspended or unlinked link run again.")
@link_argument
def resume(session: Session, link: str) -> int:
    """Release a link that a person or a fault had stopped."""
    with session.runtime() as runtime:
        orders.resume(runtime, _known(runtime, link).link)
    session.show({"link": link, "state": "active"}, lambda: click.echo(f"{link}: active"))
    return 0


@command("unlink", help="End a link cleanly; with --remove-copies take the bridge's copies away.")
@link_argument
@click.option(
    "--remove-copies",
    is_flag=True,
    help="Delete what the bridge made on either side; never an event that a person made.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing anywhere.")
@yes_option
def unlink(session: Session, link: str, *, remove_copies: bool, dry_run: bool, yes: bool) -> int:
    """End a link; `resume` begins it again without doubling anything."""
    with session.runtime() as runtime:
        runtime.select(link=link)
        row = runtime.store.link(link)
        if row is None:
            raise UsageError(f"link {link} never ran; take it out of the config")
        if row.state is LinkState.ENDED and not remove_copies:
            raise UsageError(f"link {link} has ended already; `resume` begins it again")
        ready = _known(runtime, link)
        names = side_names(ready.link)
        told = _told(runtime, ready, remove_copies=remove_copies)
        if dry_run:
            session.show(told, lambda: _print_told(told, names))
            return 0
        if not yes:
            if not session.as_json:
                _print_told(told, names)
            confirmed(f"end link {link}?")
        done = unlinking.end(runtime, ready, remove_copies=remove_copies)
    session.show(done.to_json(), lambda: _print_ended(done, names))
    return 1 if done.failed else 0


def _told(runtime: Runtime, ready: ReadyLink, *, remove_copies: bool) -> dict[str, Any]:
    """What ending the link would do."""
    rules = runtime.rules(ready.config, ready.link)
    removed, kept = {"a": 0, "b": 0}, 0
    for _unit, side, why in unlinking.copies(runtime.store, ready.link, rules):
        if remove_copies and not why:
            removed[side.value] += 1
        else:
            kept += 1
    return {"link": ready.link.name, "remove": removed, "keep": kept}


def _print_told(told: dict[str, Any], names: Names) -> None:
    removed = told["remove"]
    click.echo(
        f"{told['link']}: no longer kept the same; {removed['a']} copies at {names['a']} and "
        f"{removed['b']} at {names['b']} would be deleted, {told['keep']} stay"
    )


def _print_ended(done: Unlinked, names: Names) -> None:
    for item in done.kept[:SHOWN]:
        click.echo(f"  stays: {item.title!r} at {names[item.side.value]}: {item.why}")
    if done.failed:
        click.echo(
            f"{done.link}: {done.counts.deleted} copies deleted, {done.failed} could not be; the "
            "link is paused: call unlink again, or resume it"
        )
        return
    click.echo(
        f"{done.link}: ended; {done.counts.deleted} copies deleted. Take it out of the config, or "
        "it stands in `status` as ended"
    )
