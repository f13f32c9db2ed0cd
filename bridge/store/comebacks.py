"""What waits because an account did not answer, and need not wait any longer."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, exists, or_, select, tuple_, update

from bridge.records import UnitState
from bridge.store.schema import Instant, jobs, links, runs, units
from bridge.store.session import Reads, Writes, chunks


class ComebackReads(Reads):
    """How long a link has waited."""

    def silent_since(self, link_id: int) -> datetime | None:
        """When the last good run of a link began, else the oldest run; None if it never ran."""
        began = select(runs.c.started).where(runs.c.link_id == link_id).limit(1)
        good = began.where(runs.c.outcome == "ok").order_by(runs.c.id.desc())
        with self.reading() as connection:
            for query in (good, began.order_by(runs.c.id)):
                since: datetime | None = connection.scalar(query)
                if since is not None:
                    return since
        return None


class ComebackWrites(ComebackReads, Writes):
    """Waits that end early."""

    def hurry(
        self,
        accounts: Collection[tuple[str, str]],
        now: datetime,
        delay: Callable[[], timedelta],
    ) -> int:
        """Links of these accounts (connector, account) that back off, or of which an event does,
        are due after a `delay` of their own, and their events with them. How many.

        A provider's Retry-After is the pacer's to keep: it lets no call pass before.
        """
        found: set[int] = set()
        late = exists().where(
            units.c.link_id == links.c.id,
            units.c.state == UnitState.PARKED,
            units.c.retry_at > now,
        )
        backs_off = or_(jobs.c.not_before > now + self.skew, late)
        for some in chunks(sorted(accounts)):
            ends = [
                tuple_(links.c[f"{side}_connector"], links.c[f"{side}_account"]).in_(some)
                for side in "ab"
            ]
            query = (
                select(links.c.id)
                .join(jobs, jobs.c.link_id == links.c.id)
                .where(or_(*ends), backs_off, ~jobs.c.parked)
            )
            found.update(self.connection.scalars(query))
        if not found:
            return 0
        # In the order of links, as hints lock them.
        rows = [{"link": link, "soon": now + self.skew + delay()} for link in sorted(found)]
        soon = bindparam("soon", type_=Instant)
        earlier = case((jobs.c.run_at < soon, jobs.c.run_at), else_=soon)
        idle = (jobs.c.link_id == bindparam("link"), jobs.c.owner.is_(None), ~jobs.c.parked)
        self.connection.execute(
            update(jobs).where(*idle).values(not_before=None, run_at=earlier), rows
        )
        for chunk in chunks(sorted(found)):
            self.connection.execute(
                update(units)
                .where(
                    units.c.link_id.in_(chunk),
                    units.c.state == UnitState.PARKED,
                    units.c.retry_at > now,
                )
                .values(retry_at=now)
            )
        return len(found)
