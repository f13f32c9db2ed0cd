"""`approve`, `pause`, `resume`: a person's word on one link."""

import click

from bridge.commands.session import Session, command
from bridge.errors import UsageError
from bridge.records import LinkState, RunKind
from bridge.runtime import ReadyLink, Runtime

link_argument = click.argument("link")


def _known(runtime: Runtime, name: str) -> ReadyLink:
    return runtime.ready(runtime.select(link=name))[0]


@command("approve", help="Let a held link go on with what it was held for.")
@link_argument
def approve(session: Session, link: str) -> int:
    """Release a held link and run it once without the delete guard."""
    with session.runtime() as runtime:
        ready = _known(runtime, link)
        if ready.link.state is not LinkState.HELD:
            raise UsageError(f"link {link} is {ready.link.state.value}, not held")
        with runtime.store.lock("link", ready.link.uid):
            outcome = runtime.link_pass(ready, approved=True).run(RunKind.SYNC)
        _set(runtime, ready, LinkState.ACTIVE, "")
        session.show(
            outcome.to_json(),
            lambda: click.echo(f"{link}: approved; {outcome.counts.deleted} deleted"),
        )
    return 0


@command("pause", help="Stop a link until `resume`.")
@link_argument
@click.option("--reason", default="", help="Shown in `status`.")
def pause(session: Session, link: str, reason: str) -> int:
    """Stop a link."""
    with session.runtime() as runtime:
        _set(runtime, _known(runtime, link), LinkState.PAUSED, reason)
    session.show({"link": link, "state": "paused"}, lambda: click.echo(f"{link}: paused"))
    return 0


@command("resume", help="Let a paused, waiting or suspended link run again.")
@link_argument
def resume(session: Session, link: str) -> int:
    """Release a link that a person or a fault had stopped."""
    with session.runtime() as runtime:
        ready = _known(runtime, link)
        if ready.link.state is LinkState.HELD:
            raise UsageError(f"link {link} is held: {ready.link.reason}; use `calbridge approve`")
        _set(runtime, ready, LinkState.ACTIVE, "")
    session.show({"link": link, "state": "active"}, lambda: click.echo(f"{link}: active"))
    return 0


def _set(runtime: Runtime, ready: ReadyLink, state: LinkState, reason: str) -> None:
    with runtime.store.begin() as tx:
        tx.set_link_state(ready.link.id, state, reason)
        tx.hint([ready.link.id], runtime.system.now())
