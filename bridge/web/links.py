"""One link: how it fares, what waits for a person, and what was done."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from bridge import orders
from bridge.explain import DecisionView, decision_view
from bridge.records import JournalEntry, Link, Run, Unit
from bridge.runtime import ReadyLink
from bridge.store.figures import done_in, figures
from bridge.web.overview import state_of
from bridge.web.site import NotHere, Visit

RUNS, ENTRIES, SHELVED = 60, 12, 50
WORDS = ("created", "updated", "deleted", "adopted", "parked")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run in the timeline. `counts` are (word, number); `undoable`: it wrote something."""

    run: Run
    counts: tuple[tuple[str, int], ...]
    entries: tuple[tuple[JournalEntry, DecisionView], ...]
    done: int

    @property
    def undoable(self) -> bool:
        """Whether there is anything to take back."""
        wrote = {"created", "updated", "deleted"}
        return self.run.ended is not None and any(word in wrote for word, _ in self.counts)


def link_of(visit: Visit) -> Link:
    """The link that the path names."""
    link = visit.runtime.store.link_by_id(visit.number("link"))
    if link is None:
        raise NotHere
    return link


def ready_of(visit: Visit, link: Link | None = None) -> ReadyLink:
    """The same with its config; a link that left the config is not here."""
    link = link or link_of(visit)
    configs = visit.runtime.config.select(link=link.name)
    if not configs:
        raise NotHere
    return ReadyLink(config=configs[0], link=link)


def link_page(visit: Visit) -> Response:
    """The page."""
    link = link_of(visit)
    item = figures(visit.runtime.store, link.id)[0]
    shelf = orders.shelved(visit.runtime, link)
    everything = visit.query("all") == "1"
    return visit.page(
        "link.html",
        link=link,
        item=item,
        state=state_of(item),
        configured=bool(visit.runtime.config.select(link=link.name)),
        shelf=[(unit, title_of(visit, unit)) for unit in shelf[:SHELVED]],
        shelf_rest=max(0, len(shelf) - SHELVED),
        runs=timeline(visit, link, everything=everything),
        by_hand=_by_hand(visit, link),
        everything=everything,
        live=item.running or item.behind is not None or visit.site.chores.going(link.id),
        going=visit.site.chores.going(link.id),
    )


def timeline(visit: Visit, link: Link, *, everything: bool) -> list[RunView]:
    """The last runs, the newest first; without `everything` only those that did something, or met
    with something."""
    store = visit.runtime.store
    found = []
    for number, run in enumerate(store.runs(link.id, limit=RUNS)):
        counts = counts_of(run.counts)
        if everything or counts or run.outcome != "ok" or number == 0:
            entries = store.journal(run_id=run.id, limit=ENTRIES)[::-1] if counts else []
            done = done_in(store, run.id) if run.ended is None or len(entries) == ENTRIES else 0
            views = tuple((entry, decision_view(entry)) for entry in entries)
            found.append(RunView(run=run, counts=counts, entries=views, done=done))
    return found


def counts_of(counts: Any) -> tuple[tuple[str, int], ...]:
    """What of a run's counts is not zero."""
    if not isinstance(counts, dict):
        return ()
    numbers = ((word, counts.get(word)) for word in WORDS)
    return tuple((word, number) for word, number in numbers if isinstance(number, int) and number)


def _by_hand(visit: Visit, link: Link) -> list[DecisionView]:
    """What people said last about single events."""
    entries = visit.runtime.store.journal(link.id, run_id=0, limit=ENTRIES)
    return [decision_view(entry) for entry in entries]


def unit_of(visit: Visit, link: Link) -> Unit:
    """The event that the path names."""
    unit = visit.runtime.store.unit(link.id, visit.request.path_params["unit"])
    if unit is None:
        raise NotHere
    return unit


def title_of(visit: Visit, unit: Unit) -> str:
    """What people call it. One that could never be copied is known from the journal alone."""
    title = orders.title_of(unit)
    if title:
        return title
    entries = visit.runtime.store.journal(unit.link_id, unit.id, limit=1)
    return entries[0].title if entries else ""
