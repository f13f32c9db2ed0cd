"""A person's word on a link or an event: the same from the command line and in a browser."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from bridge.errors import UsageError
from bridge.records import JournalEntry, Link, LinkState, Run, RunKind, Unit, UnitState
from bridge.runtime import ReadyLink, Runtime
from bridge.sync import Outcome, Surroundings
from bridge.undo import Undo

SHELVED = (UnitState.PARKED, UnitState.DROPPED)


def title_of(unit: Unit) -> str:
    """What people call the unit, empty if it was never read."""
    copy = unit.a or unit.b
    return copy.event.details.title if copy else ""


# -- links -----------------------------------------------------------------------------------------


def pause(runtime: Runtime, link: Link, reason: str) -> None:
    """Stop a link. What it was held for is asked again after `resume`."""
    if link.state is LinkState.ENDED:
        raise UsageError(f"link {link.name} has ended; there is nothing to pause")
    _set(runtime, link, LinkState.PAUSED, reason)


def resume(runtime: Runtime, link: Link) -> None:
    """Release a link that a person or a fault had stopped."""
    if link.state is LinkState.HELD:
        raise UsageError(f"link {link.name} is held: {link.reason}; use `calbridge approve`")
    _set(runtime, link, LinkState.ACTIVE, "")
    with runtime.store.begin() as tx:
        tx.replay(link.id, runtime.system.now())


def approve(runtime: Runtime, ready: ReadyLink) -> Outcome:
    """Run a held link once without the delete guard. It may be held again, for something else."""
    with runtime.store.lock("link", ready.link.uid):
        outcome = runtime.link_pass(ready, approved=True).run(RunKind.SYNC)
        if not outcome.held:
            _set(runtime, ready.link, LinkState.ACTIVE, "")
    return outcome


def _set(runtime: Runtime, link: Link, state: LinkState, reason: str) -> None:
    with runtime.store.begin() as tx:
        tx.set_link_state(link.id, state, reason)
        tx.hint([link.id], runtime.system.now())


def connected(runtime: Runtime, connector: str, account: str) -> None:
    """Links that waited for this account's consent wait no longer: a running service takes them
    up."""
    links = [
        link.id
        for link in runtime.store.links()
        if any((end.connector, end.account) == (connector, account) for end in (link.a, link.b))
    ]
    with runtime.store.begin() as tx:
        tx.hint(links, runtime.system.now())


# -- events ----------------------------------------------------------------------------------------


def shelved(runtime: Runtime, link: Link) -> list[Unit]:
    """What is parked or dropped."""
    return [unit for state in SHELVED for unit in runtime.store.units(link.id, state=state)]


def retry(runtime: Runtime, link: Link, units: Iterable[Unit]) -> None:
    """Make parked or dropped events due. Raises `UsageError` if one is neither."""
    units = list(units)
    for unit in units:
        if unit.state not in SHELVED:
            raise UsageError(f"{unit.id} is {unit.state.value}, not parked")
    for unit in units:
        _put(runtime, link, unit, _due, "retry", "a person said to try again")


def drop(runtime: Runtime, link: Link, unit: Unit) -> None:
    """Leave an event alone for good; `retry` takes it back."""
    if unit.state is UnitState.DONE:
        raise UsageError(f"{unit.id} is deleted on both sides; there is nothing to drop")
    if unit.state is not UnitState.DROPPED:
        _put(runtime, link, unit, _dropped, "drop", "a person said to leave it alone")


def _due(unit: Unit, now: datetime) -> Unit:
    return replace(unit, state=UnitState.PARKED, retry_at=now, attempts=0)


def _dropped(unit: Unit, _now: datetime) -> Unit:
    code, text = unit.error_code, unit.error
    why = f"a person dropped it ({code}: {text})" if code else "a person dropped it"
    return replace(unit, state=UnitState.DROPPED, error_code="DROPPED", error=why, retry_at=None)


def _put(
    runtime: Runtime,
    link: Link,
    unit: Unit,
    change: Callable[[Unit, datetime], Unit],
    op: str,
    cause: str,
) -> None:
    """Store a person's word while no pass is running, and say so in the journal."""
    now = runtime.system.now()
    with runtime.store.lock("link", link.uid), runtime.store.begin() as tx:
        row = change(tx.unit(link.id, unit.id) or unit, now)
        said = JournalEntry(
            id=0,
            at=now,
            run_id=0,
            link_id=link.id,
            unit_id=row.id,
            side=None,
            op=op,
            cause=cause,
            title=title_of(row),
        )
        tx.put_units([row])
        tx.journal([said])
        tx.hint([link.id], now)


# -- runs ------------------------------------------------------------------------------------------


def undo_of(
    runtime: Runtime,
    ready: ReadyLink,
    run: Run,
    *,
    force: bool = False,
) -> Undo:
    """The undo of a run, to preview or to carry out. Its caller holds the link's lock to run it."""
    around = Surroundings(store=runtime.store, now=runtime.system.now, log=runtime.log)
    rules = runtime.rules(ready.config, ready.link)
    connectors = runtime.connectors(ready.link)
    return Undo(ready.link, rules, connectors, around, run, force=force)


def writable(runtime: Runtime, run: Run) -> ReadyLink:
    """The link of a run. Raises `UsageError` if it cannot be written any more."""
    row = runtime.store.link_by_id(run.link_id)
    assert row is not None
    configs = runtime.config.select(link=row.name)
    if not configs or row.state is LinkState.ENDED:
        raise UsageError(f"link {row.name} of run {run.id} has ended; `resume` it first")
    return ReadyLink(config=configs[0], link=row)
