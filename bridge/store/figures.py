"""How all links fare, in a fixed number of queries whatever their number."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, true

from bridge.records import Link, Run, UnitState
from bridge.store.history import run_of
from bridge.store.jobs import Job
from bridge.store.schema import journal, links, runs, units
from bridge.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One link in numbers. `good` is the start of its last run that went through: whatever was
    changed on either side before that stands on the other, or is parked."""

    link: Link
    live: int
    parked: int
    dropped: int
    last: Run | None
    good: datetime | None
    job: Job | None

    @property
    def running(self) -> bool:
        """Whether a worker or a command has it in hand; or had, and ended without a word."""
        begun = self.last is not None and self.last.ended is None
        return begun or (self.job is not None and self.job.owner is not None)

    @property
    def behind(self) -> datetime | None:
        """Since when, at the earliest, a change may be waiting to get to the other side; None if
        none is known of."""
        waiting = self.job is not None and (self.job.pending or self.job.attempts > 0)
        if not waiting and self.last is not None and self.last.outcome in ("ok", ""):
            return None
        return self.good or (self.last.started if self.last else None)


def figures(store: Store, only: int | None = None) -> list[Figures]:
    """All links, ended ones too; or the one of that number."""
    chosen = true() if only is None else links.c.id == only
    last = select(func.max(runs.c.id)).where(runs.c.link_id == links.c.id).scalar_subquery()
    good = (
        select(runs.c.started)
        .where(runs.c.link_id == links.c.id, runs.c.outcome == "ok")
        .order_by(runs.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    tally = (units.c.link_id, units.c.state)
    counting = select(*tally, func.count().label("units")).group_by(*tally)
    if only is not None:
        counting = counting.where(units.c.link_id == only)
    with store.reading() as connection:
        latest = select(runs).where(runs.c.id.in_(select(last).select_from(links).where(chosen)))
        by_link = {row["link_id"]: run_of(row) for row in connection.execute(latest).mappings()}
        starts = connection.execute(select(links.c.id, good.label("good")).where(chosen))
        times = {row.id: row.good for row in starts}
        counts = {(row.link_id, row.state): row.units for row in connection.execute(counting)}
    jobs = {job.link_id: job for job in store.jobs()}
    return [
        Figures(
            link=link,
            live=counts.get((link.id, UnitState.LIVE), 0),
            parked=counts.get((link.id, UnitState.PARKED), 0),
            dropped=counts.get((link.id, UnitState.DROPPED), 0),
            last=by_link.get(link.id),
            good=times.get(link.id),
            job=jobs.get(link.id),
        )
        for link in store.links()
        if only in (None, link.id)
    ]


def done_in(store: Store, run_id: int) -> int:
    """How many entries a run has in the journal so far."""
    query = select(func.count()).select_from(journal).where(journal.c.run_id == run_id)
    with store.reading() as connection:
        return int(connection.scalar(query) or 0)
