"""Ends a link cleanly, and takes away the copies that the bridge made if that is wished.

Only what the bridge itself made goes: a copy whose original stands on the other side. What people
made, what was only found to be the same on both sides, and what is the last one left stays. The
rows stay too: a link between the same calendars that begins again knows every event, doubles
nothing, and makes anew what was taken away under keys that no provider has seen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bridge.apply import Applier
from bridge.decision import Action, Decision, Rules, Seen
from bridge.deeds import Left, history
from bridge.records import Link, LinkState, Op, RunKind, Side, Unit, UnitState
from bridge.recovery import recover
from bridge.runtime import ReadyLink, Runtime
from bridge.store import Store
from bridge.subscriptions import release
from bridge.sync import Surroundings
from bridge.task import Counts, Task
from connectors.contract import Connector, Copy
from connectors.errors import ConnectorError

BROKEN_OFF = "unlinking broke off; call `calbridge unlink --remove-copies` again, or `resume`"
ENDED = "unlinked; `calbridge resume` links the same calendars again"


@dataclass(slots=True)
class Unlinked:
    """How a link ended. `failed` copies could not be taken away: then the link is only paused."""

    link: str
    counts: Counts = field(default_factory=Counts)
    kept: list[Left] = field(default_factory=list)
    failed: int = 0

    def to_json(self) -> dict[str, Any]:
        """For `unlink --json`, and for the run's row."""
        kept = [
            {"unit": item.unit_id, "side": item.side.value, "title": item.title, "why": item.why}
            for item in self.kept
        ]
        return {
            "link": self.link,
            "state": (LinkState.PAUSED if self.failed else LinkState.ENDED).value,
            "deleted": self.counts.deleted,
            "kept": kept,
            "failed": self.failed,
        }


def end(
    runtime: Runtime,
    ready: ReadyLink,
    *,
    remove_copies: bool,
    progress: Callable[[str, int], None] = lambda _link, _done: None,
) -> Unlinked:
    """End the link; resumable. Waits for a pass that is running. Raises `ConnectorError` if a
    provider stops the removal: then the link is paused and another call goes on from there."""
    link, store = ready.link, runtime.store
    result = Unlinked(link.name)
    with store.lock("link", link.uid):
        if remove_copies:
            with store.begin() as tx:
                tx.set_link_state(link.id, LinkState.PAUSED, BROKEN_OFF)
            around = Surroundings(
                store=store, now=runtime.system.now, log=runtime.log, progress=progress
            )
            rules = runtime.rules(ready.config, link)
            result = Removal(link, rules, runtime.connectors(link), around).run()
            if result.failed:
                return result
        with store.begin() as tx:
            tx.set_link_state(link.id, LinkState.ENDED, ENDED)
            for side in Side:
                tx.set_cursor(link.id, side, None)
            tx.drop_job(link.id)
        release(runtime, link)
    return result


def copies(store: Store, link: Link, rules: Rules) -> Iterator[tuple[Unit, Side, str]]:
    """The copies that the bridge made, each with why it stays, empty if it may go."""
    for unit in store.units(link.id):
        if unit.home is None or unit.state is UnitState.DONE:
            continue
        side = unit.home.other
        copy = unit.copy(side)
        if copy is not None:
            yield unit, side, _why_kept(unit, copy, marks=rules.limits[side].marks)


def _why_kept(unit: Unit, copy: Copy, *, marks: bool) -> str:
    assert unit.home is not None
    if unit.copy(unit.home) is None:
        return "it is the only one left"
    if unit.state is UnitState.DROPPED:
        return "a person said to leave it alone"
    if not copy.organized or (marks and copy.origin is None):
        return "it does not bear the bridge's mark"
    return ""


class Removal:
    """Takes the bridge's copies of one link away, as a run. The caller holds the link's lock."""

    def __init__(
        self,
        link: Link,
        rules: Rules,
        connectors: Mapping[Side, Connector],
        around: Surroundings,
    ) -> None:
        self._link = link
        self._rules = rules
        self._connectors = connectors
        self._around = around
        self._store = around.store
        self._result = Unlinked(link.name)

    def run(self) -> Unlinked:
        """Do it."""
        around, store = self._around, self._store
        recover(self._link, self._connectors, store, around.fence, around.log)
        with store.begin() as tx:
            around.fence(tx)
            run = tx.start_run(self._link.id, RunKind.UNLINK, around.now())
        applier = Applier(
            store=store,
            link=self._link,
            run_id=run.id,
            rules=self._rules,
            connectors=self._connectors,
            now=around.now,
            fence=around.fence,
            log=around.log,
            progress=lambda done: around.progress(self._link.name, done),
            workers=around.workers,
        )
        self._result.counts = applier.counts
        outcome = "broken off"
        try:
            applier.apply(self._tasks())
            entries = history(store, run.id)
            self._result.failed = sum(entry.op in ("park", "retry") for entry in entries)
            outcome = "ok"
        except ConnectorError as error:
            outcome = f"{type(error).__name__}: {error.message}"
            raise
        finally:
            with store.begin() as tx:
                around.fence(tx)
                tx.finish_run(run.id, around.now(), outcome, self._result.to_json())
        return self._result

    def _tasks(self) -> Iterator[Task]:
        for unit, side, why in copies(self._store, self._link, self._rules):
            copy = unit.copy(side)
            assert copy is not None
            if why:
                title = copy.event.details.title
                left = Left(unit_id=unit.id, side=side, title=title, why=why)
                self._result.kept.append(left)
                continue
            decide = partial(_removal, side)
            decision = decide(unit, {side: copy}, self._rules)
            yield Task(unit=unit, seen={side: copy}, decision=decision, again=decide)


def _removal(side: Side, unit: Unit, seen: Mapping[Side, Seen], _rules: Rules) -> Decision:
    copy = seen.get(side)
    if not isinstance(copy, Copy):
        return Decision(unit=unit.without(side))
    action = Action(
        unit_id=unit.id,
        side=side,
        op=Op.DELETE,
        cause="the link ended",
        title=copy.event.details.title,
        base=copy,
        risk="delete",
        fields=("*",),
    )
    return Decision(unit=unit, actions=(action,))
