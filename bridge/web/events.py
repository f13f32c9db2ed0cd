"""One event: where it stands, what differs and why, what was decided, and what happens next."""

from starlette.responses import Response

from bridge.commands.finding import find
from bridge.errors import UsageError
from bridge.explain import explain, look
from bridge.orders import SHELVED
from bridge.records import UnitState
from bridge.web.links import link_of, ready_of, title_of, unit_of
from bridge.web.site import Visit

DECISIONS = 20


def search(visit: Visit) -> Response:
    """Find events by a part of their title, any of their ids, or their address at a provider."""
    text = visit.query("q").strip()
    found, problem = [], ""
    if text:
        try:
            found = find(visit.runtime, text)
        except UsageError:
            problem = visit._("No event like that is known.")
    if len(found) == 1:
        return visit.go(f"/links/{found[0].link.id}/events/{found[0].unit.id}")
    return visit.page(
        "search.html",
        text=text,
        found=[(item.link, item.unit, title_of(visit, item.unit), item.when) for item in found],
        problem=problem,
    )


def event_page(visit: Visit) -> Response:
    """Explain one event. Both providers are asked, unless the visitor says `offline`."""
    link = link_of(visit)
    ready = ready_of(visit, link)
    unit = unit_of(visit, link)
    runtime = visit.runtime
    connectors = runtime.connectors(link)
    offline = visit.query("offline") == "1"
    entries = runtime.store.journal(link.id, unit.id, limit=DECISIONS)[::-1]
    told = explain(
        link,
        unit,
        runtime.rules(ready.config, link),
        entries,
        connectors,
        None if offline else look(link, unit, connectors),
    )
    return visit.page(
        "event.html",
        link=link,
        unit=unit,
        told_of=told,
        title=title_of(visit, unit),
        offline=offline,
        may_retry=unit.state in SHELVED,
        may_drop=unit.state not in (UnitState.DROPPED, UnitState.DONE),
    )
