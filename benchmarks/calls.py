"""How many calls the providers see, beside the least that would do: edits at Feishu, and "there".

The real bridge and the real SDKs against the sandboxes; calls for tokens and consent are left out.
What goes beyond a listing and a write is named, with the reason why the provider asks for it.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cloud import Cloud, bridge
from benchmarks.measuring import Case, Row, counted
from bridge.records import RunKind
from bridge.runtime import Runtime

if TYPE_CHECKING:
    from collections import Counter

EVENTS = 100
FORCED = {
    ("feishu", "events.get"): "Feishu's listings show no attendees: one read per new or changed "
    "event that people are to see (decision 0008), and one before each write to Feishu, which "
    "guards none (decision 0023)",
    ("google", "events.get"): "an update replaces all fields, so what the bridge does not know is "
    "read first; `patch` counts three times against the quota",
    ("google", "events.instances"): "what became of a series' exceptions is not in the answer",
    ("exchange", "GetItem"): "SyncFolderItems and writes name items, GetItem shows them",
    ("exchange", "GetFolder"): "asked once for an account",
    ("exchange", "FindItem"): "a create that may have been made before is looked up by its key",
}
LISTINGS = ("events.list", "SyncFolderItems")
WRITES = (
    "events.insert", "events.update", "events.create", "events.patch", "events.delete",
    "CreateItem", "UpdateItem", "DeleteItem",
)  # fmt: skip


def cases(_full: bool) -> dict[str, Case]:
    return {
        f"{target}-{direction}": partial(_story, target, direction)
        for target in ("google", "exchange")
        for direction in ("to-target", "two-way")
    }


def _story(target: str, direction: str) -> list[Row]:
    links = {"ann": {"to": target}}
    with Cloud() as cloud:
        cloud("add", "ann", EVENTS)
        with bridge(cloud, links, defaults={"direction": direction}) as runtime:
            (ready,) = runtime.ready(runtime.select())
            runtime.link_pass(ready).plan()  # whatever is asked once for an account is asked
            counting = partial(_counted, cloud, runtime, target)
            reads = 2 if direction == "two-way" else 1
            rows = counting(f"backfill of {EVENTS} events", _nothing, full=True)
            rows += counting("pass without news", _nothing, bar=reads)
            told: list[tuple[str, Callable[[], None]]] = [
                ("one event renamed", lambda: cloud("edit", "ann", 3, "Another title")),
                ("one event made", lambda: cloud("create", "ann", "One more")),
                ("one event deleted", lambda: cloud("delete", "ann", 5)),
            ]
            if direction == "two-way":
                told += [
                    ("one renamed there", lambda: cloud("edit_there", "ann", target, 3, "Renamed")),
                    ("one made there", lambda: cloud("create_there", "ann", target, "One there")),
                    ("one deleted there", lambda: cloud("delete_there", "ann", target, 5)),
                ]
            for what, act in told:
                rows += counting(what, act)
                runtime.link_pass(runtime.ready(runtime.select())[0]).run(RunKind.SYNC)
                cloud("calls")
    return rows


def _nothing() -> None:
    pass


def _counted(
    cloud: Cloud,
    runtime: Runtime,
    target: str,
    what: str,
    act: Callable[[], None],
    *,
    full: bool = False,
    bar: int | None = None,
) -> list[Row]:
    act()
    cloud("calls")
    (ready,) = runtime.ready(runtime.select())
    runtime.link_pass(ready, full=full).run(RunKind.BACKFILL if full else RunKind.SYNC)
    found: dict[str, Counter[str]] = cloud("calls")
    asked = {(name, call): n for name, calls in found.items() for call, n in calls.items()}
    least = sum(n for (_name, call), n in asked.items() if call in LISTINGS + WRITES)
    told = ", ".join(f"{name} {call} {n}" for (name, call), n in sorted(asked.items()))
    why = "; ".join(FORCED[each] for each in asked if each in FORCED)
    wanted = f"= {bar}" if bar is not None else ""
    return [
        counted(
            f"{what}, {target}", sum(asked.values()), "calls", wanted, f"{told}. {why}".strip()
        ),
        counted("... beyond listings and writes", sum(asked.values()) - least, "calls"),
    ]
