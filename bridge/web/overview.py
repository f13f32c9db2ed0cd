"""The first page: every link and how it fares, and above all what needs a person."""

from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from bridge.config import EndpointConfig, LinkConfig
from bridge.records import Endpoint, LinkState
from bridge.store.figures import Figures, figures
from bridge.web.site import Visit

SHOWN = 200
NEEDING = {"stopped", "held", "waiting", "suspended"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One link as the table shows it. `state` is one of `STATES`; `figures` None = never ran."""

    name: str
    user: str
    a: Endpoint | EndpointConfig
    b: Endpoint | EndpointConfig
    state: str
    reason: str
    behind: datetime | None
    figures: Figures | None

    @property
    def needs_somebody(self) -> bool:
        """Whether only a person helps."""
        return self.state in NEEDING or bool(self.figures and self.figures.parked)

    def matches(self, text: str, state: str) -> bool:
        """Whether a filter lets it through."""
        words = " ".join((self.name, self.user, self.a.account, self.b.account)).casefold()
        chosen = not state or state == self.state or (state == "attention" and self.needs_somebody)
        return chosen and text.casefold() in words


STATES = ("attention", "current", "behind", "running", "failing", "stopped", "held", "waiting",
          "suspended", "paused", "new", "ended")  # fmt: skip


def rows(visit: Visit) -> list[Row]:
    """All configured links, and those that ended; what needs a person first."""
    known = figures(visit.runtime.store)
    standing = {item.link.name: item for item in known if item.link.state is not LinkState.ENDED}
    configured = visit.runtime.config.links
    names = {config.name for config in configured}
    found = [_row(standing[c.name]) if c.name in standing else _new(c) for c in configured]
    found += [_row(item) for item in known if item.link.name not in names]
    return sorted(found, key=lambda row: (not row.needs_somebody, row.name))


def _row(item: Figures) -> Row:
    link = item.link
    return Row(
        name=link.name,
        user=link.user,
        a=link.a,
        b=link.b,
        state=state_of(item),
        reason=link.reason,
        behind=item.behind,
        figures=item,
    )


def _new(config: LinkConfig) -> Row:
    return Row(
        name=config.name,
        user=config.user,
        a=config.a,
        b=config.b,
        state="new",
        reason="",
        behind=None,
        figures=None,
    )


def state_of(item: Figures) -> str:
    """One word for how a link fares."""
    if item.link.state is not LinkState.ACTIVE:
        return item.link.state.value
    if item.job is not None and item.job.parked:
        return "stopped"
    if item.running:
        return "running"
    if item.last is None:
        return "new"
    if item.job is not None and item.job.attempts:
        return "failing"
    return "behind" if item.behind else "current"


def overview(visit: Visit) -> Response:
    """The table, filtered."""
    text, state = visit.query("q").strip(), visit.query("state")
    everything = rows(visit)
    chosen = [row for row in everything if row.matches(text, state)]
    tally = {
        "links": len(everything),
        "current": sum(row.state == "current" for row in everything),
        "moving": sum(row.state in ("behind", "running", "failing") for row in everything),
        "attention": sum(row.needs_somebody for row in everything),
        "events": sum(row.figures.live for row in everything if row.figures),
    }
    return visit.page(
        "overview.html",
        rows=chosen[:SHOWN],
        left_out=max(0, len(chosen) - SHOWN),
        tally=tally,
        text=text,
        state=state,
        states=STATES,
        live=any(row.state in ("running", "behind") for row in everything),
    )
