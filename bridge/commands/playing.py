"""The scenes of `demo`: what people do on both sides at once, and what the bridge makes of it."""

from typing import Any

from bridge.decision import Rules
from bridge.records import LinkState, RunKind
from bridge.runtime import ReadyLink, Runtime
from bridge.sync import Outcome, Surroundings
from bridge.undo import Undo
from connectors.sandbox.worlds.scenes import Scene


def play(runtime: Runtime, scene: Scene, say: Any) -> dict[str, Any]:
    """Let the scene happen, run the link once, and tell what came of it."""
    scene.act()
    say(f"  {scene.what}:")
    ready = _link(runtime, scene.link)
    outcome = runtime.link_pass(ready).run(RunKind.SYNC)
    told: dict[str, Any] = {"what": scene.what, "held": outcome.held}
    if scene.held:
        told |= _approved_and_undone(runtime, scene, outcome, say)
    else:
        told |= {"good": not outcome.held, "lost": _lost(runtime, ready), "shown": scene.shown()}
        say(f"    {told['shown']}")
        for field, value in told["lost"].items():
            say(f"    overruled and kept in the journal: {field} {value!r}")
    return told


def _link(runtime: Runtime, name: str) -> ReadyLink:
    (ready,) = runtime.ready(runtime.select(link=name))
    return ready


def _lost(runtime: Runtime, ready: ReadyLink) -> dict[str, str]:
    """What the latest run overruled."""
    run = runtime.store.runs(link_id=ready.link.id, limit=1)[0]
    lost: dict[str, str] = {}
    for entry in runtime.store.journal(run_id=run.id):
        lost |= entry.lost or {}
    return lost


def _approved_and_undone(
    runtime: Runtime, scene: Scene, outcome: Outcome, say: Any
) -> dict[str, Any]:
    say(f"    held: {outcome.held or 'NOT HELD'}")
    before = scene.shown()
    say(f"    {before}")
    approved = runtime.link_pass(_link(runtime, scene.link), approved=True).run(RunKind.SYNC)
    ready = _link(runtime, scene.link)
    with runtime.store.begin() as tx:
        tx.set_link_state(ready.link.id, LinkState.ACTIVE, "")
    say(f"    approved: {approved.counts.deleted} deleted; {scene.shown()}")
    run = runtime.store.runs(link_id=ready.link.id, limit=1)[0]
    undone = Undo(
        ready.link, _rules(runtime, ready), runtime.connectors(ready.link), _around(runtime), run
    ).run()
    runtime.link_pass(_link(runtime, scene.link)).run(RunKind.SYNC)
    after = scene.shown()
    say(f"    undone: {undone.counts.created} put back; {after}")
    good = bool(outcome.held) and approved.counts.deleted == undone.counts.created > 0
    return {"good": good, "deleted": approved.counts.deleted, "shown": after}


def _rules(runtime: Runtime, ready: ReadyLink) -> Rules:
    return runtime.rules(ready.config, ready.link)


def _around(runtime: Runtime) -> Surroundings:
    return Surroundings(store=runtime.store, now=runtime.system.now, log=runtime.log)
