"""Pending work: one level-triggered row per link, and the five moves of a worker.

A hint raises `dirty`. A claim notes `dirty` before the first read and a finish writes that number
to `done`, so whatever is hinted in between makes the link due once more. `run_at` is the one wake
condition: the link is due, its back-off is over, its next poll has come, or its lease ran out.
`not_before` is what a hint must not hurry: a back-off or a provider's Retry-After.

Instants come in by the caller's clock and are kept by the database's: a machine whose clock is
wrong takes no lease too early and delays no hint.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, delete, func, literal, or_, select, update

from bridge.store.crowding import uncrowded
from bridge.store.errors import LeaseLostError
from bridge.store.schema import Instant, jobs
from bridge.store.session import Reads, Writes, chunks
from bridge.store.texts import storable

_FIRST_DUE = select(func.min(jobs.c.run_at))
_NOW = bindparam("now", type_=Instant)
_DUE = jobs.c.run_at <= _NOW
_STATS = select(
    func.count().filter(_DUE).label("due"),
    func.count().filter(jobs.c.owner.is_not(None) & (jobs.c.run_at > _NOW)).label("running"),
    func.count().filter(jobs.c.owner.is_(None) & (jobs.c.not_before > _NOW)).label("snoozed"),
    func.count().filter(jobs.c.parked).label("parked"),
    func.min(jobs.c.run_at).filter(_DUE).label("oldest_due"),
)
_OWNER = select(jobs.c.owner).where(jobs.c.link_id == bindparam("link")).with_for_update()
DEATHS = 8
"""Runs in a row that may end with their process before the link is parked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A link that a worker may run now.

    `dirty` is what its run will have seen; it goes to `finish`. `attempts` counts failures and
    deaths since the last success: a worker that dies by a link never gets to say so itself.
    """

    link_id: int
    dirty: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A link's row, to show. `run_at` is the lease's end while an `owner` runs it; `deaths` are
    the runs in a row whose process ended without a word."""

    link_id: int
    dirty: int
    done: int
    run_at: datetime | None
    not_before: datetime | None
    owner: str | None
    attempts: int
    deaths: int
    parked: bool
    error: str

    @property
    def pending(self) -> bool:
        """True if something was hinted that no run has seen through."""
        return self.dirty > self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStats:
    """How many links wait for a worker, run, wait for a back-off or a provider, and are parked.

    `oldest_due` is since when the longest waiting one waits, None if none does.
    """

    due: int
    running: int
    snoozed: int
    parked: int
    oldest_due: datetime | None


class JobReads(Reads):
    """Pending work to look at."""

    def jobs(self) -> list[Job]:
        """All rows, by link."""
        with self.reading() as connection:
            rows = connection.execute(select(jobs).order_by(jobs.c.link_id)).mappings()
            return [_job(row) for row in rows]

    def job(self, link_id: int) -> Job | None:
        """One link's row."""
        with self.reading() as connection:
            found = connection.execute(select(jobs).where(jobs.c.link_id == link_id))
            row = found.mappings().first()
        return None if row is None else _job(row)

    def next_due(self) -> datetime | None:
        """When the next claim can succeed, None if nothing waits. May be past."""
        with self.reading() as connection:
            due: datetime | None = connection.scalar(_FIRST_DUE)
        return None if due is None else due - self.skew

    def job_stats(self, now: datetime) -> JobStats:
        """Counts over all links."""
        with self.reading() as connection:
            row = connection.execute(_STATS, {"now": now + self.skew}).mappings().one()
        oldest = row["oldest_due"]
        return JobStats(**{**row, "oldest_due": oldest and oldest - self.skew})


class JobWrites(JobReads, Writes):
    """The moves of a worker. Those with an `owner` do nothing once another one has the link."""

    def hint(self, link_ids: Collection[int], now: datetime) -> list[int]:
        """Something may have changed: make the links due, durable with the commit.

        Returns those that went from idle to due, whose workers have to be woken. A running link
        stays due after its run; a parked one counts, but does not wake.
        """
        woken = []
        now += self.skew
        for chunk in chunks(sorted(set(link_ids))):  # sorted, so that two hints never deadlock
            query = select(jobs).where(jobs.c.link_id.in_(chunk)).order_by(jobs.c.link_id)
            known = {
                row["link_id"]: _job(row)
                for row in self.connection.execute(query.with_for_update()).mappings()
            }
            fresh = [link_id for link_id in chunk if link_id not in known]
            for link_id in fresh:
                self.insert_new(jobs, _new_row(link_id))
            self.connection.execute(
                update(jobs)
                .where(jobs.c.link_id.in_(chunk))
                .values(dirty=jobs.c.dirty + 1, run_at=_hurried(now))
            )
            woken += fresh + [link_id for link_id, job in known.items() if _idle(job, now)]
        self._announce(sorted(woken))
        return sorted(woken)

    def claim(
        self,
        owner: str,
        n: int,
        now: datetime,
        lease_seconds: float,
        link_id: int | None = None,
        per_account: int | None = None,
    ) -> list[Claim]:
        """Take up to `n` due links, the longest due first; nobody else gets them until then.

        `owner` is unlike that of any other claim; `link_id` asks for that link alone, and
        `per_account` leaves links whose account has so many running already. A link
        whose worker let its lease run out is taken over, and that counts as a failed attempt; if
        it happens again and again the link pauses, longer each time, and is parked in the end.
        """
        now += self.skew
        due = (
            select(jobs.c.link_id, jobs.c.dirty, jobs.c.attempts, jobs.c.owner, jobs.c.deaths)
            .where(jobs.c.run_at <= now)
            .order_by(jobs.c.run_at)
        )
        if link_id is not None:
            due = due.where(jobs.c.link_id == link_id)
        if per_account is not None:
            found = uncrowded(self.connection, due, n, now, per_account)
        else:
            due = due.limit(n).with_for_update(skip_locked=True)
            found = list(self.connection.execute(due))
        rows = [
            row
            for row in found
            if row.owner is None or not self._deadly(row.link_id, row.deaths + 1, now)
        ]
        if not rows:
            return []
        self.connection.execute(
            update(jobs)
            .where(jobs.c.link_id.in_([row.link_id for row in rows]))
            .values(
                owner=owner,
                run_at=now + timedelta(seconds=lease_seconds),
                attempts=jobs.c.attempts + _abandoned(),
                deaths=jobs.c.deaths + _abandoned(),
            )
        )
        return [
            Claim(
                link_id=row.link_id,
                dirty=row.dirty,
                attempts=row.attempts + (row.owner is not None),
            )
            for row in rows
        ]

    def beat(self, owner: str, link_ids: Collection[int], until: datetime) -> frozenset[int]:
        """Prolong the lease of running links; returns those that are still the owner's."""
        held: set[int] = set()
        for chunk in chunks(sorted(link_ids)):
            beaten = (
                update(jobs)
                .where(jobs.c.link_id.in_(chunk), jobs.c.owner == owner)
                .values(run_at=until + self.skew)
                .returning(jobs.c.link_id)
            )
            held.update(self.connection.scalars(beaten))
        return frozenset(held)

    def finish(self, link_id: int, owner: str, dirty: int, next_at: datetime | None) -> bool:
        """The run of a claim succeeded: due again at `next_at`, or at once if a hint came since.

        False if the link is another owner's by now.
        """
        again = jobs.c.dirty > dirty
        now, later = self.now() + self.skew, next_at and next_at + self.skew
        return self._release(
            link_id,
            owner,
            done=dirty,
            attempts=0,
            error="",
            not_before=None,
            run_at=case((again, literal(now, Instant)), else_=literal(later, Instant)),
        )

    def fail(self, link_id: int, owner: str, error: str, retry_at: datetime | None) -> bool:
        """The run failed: tried again at `retry_at`, hints or not; None parks the link.

        False if the link is another owner's by now.
        """
        retry_at = retry_at and retry_at + self.skew
        return self._release(
            link_id,
            owner,
            attempts=jobs.c.attempts + 1,
            error=storable(error),
            not_before=retry_at,
            run_at=retry_at,
            parked=retry_at is None,
        )

    def snooze(self, link_id: int, owner: str, until: datetime) -> bool:
        """The run stopped by a provider's wish: goes on at `until`, hints or not. No failure.

        False if the link is another owner's by now.
        """
        until += self.skew
        return self._release(link_id, owner, not_before=until, run_at=until)

    def assert_owner(self, link_id: int, owner: str) -> None:
        """Fence: until this transaction ends the link stays `owner`'s.

        Raises `LeaseLostError` if it is not; then nothing of the run may be written any more.
        """
        if self.connection.scalar(_OWNER, {"link": link_id}) != owner:
            raise LeaseLostError(f"link {link_id} was taken over by another worker")

    def replay(self, link_id: int, now: datetime) -> bool:
        """Wake a parked link, its failures forgotten. False if it is not parked."""
        woken = (
            update(jobs)
            .where(jobs.c.link_id == link_id, jobs.c.parked)
            .values(
                parked=False,
                attempts=0,
                deaths=0,
                error="",
                not_before=None,
                run_at=now + self.skew,
            )
        )
        if self.connection.execute(woken).rowcount == 0:
            return False
        self._announce([link_id])
        return True

    def drop_job(self, link_id: int) -> None:
        """The link has ended: nothing is pending, and a run that goes on loses its lease."""
        self.connection.execute(delete(jobs).where(jobs.c.link_id == link_id))

    def end_leases(self, now: datetime, owner_prefix: str = "") -> int:
        """The leases of owners whose name begins so, known to be dead, are over now.

        How many there were. Whoever claims the links next counts a death for each, as one of
        them may be the killer.
        """
        over = (
            update(jobs)
            .where(jobs.c.owner.startswith(owner_prefix, autoescape=True))
            .values(run_at=now + self.skew)
        )
        return self.connection.execute(over).rowcount

    def _deadly(self, link_id: int, deaths: int, now: datetime) -> bool:
        """Whether an abandoned link has to rest first: it may be what ends its workers."""
        if deaths == 1:
            return False
        rest = now + timedelta(seconds=2**deaths)
        values: dict[str, Any] = {"not_before": rest, "run_at": rest}
        if deaths >= DEATHS:
            error = f"{deaths} processes in a row ended while they ran it; see their logs"
            values = {"not_before": None, "run_at": None, "parked": True, "error": error}
        self.connection.execute(
            update(jobs)
            .where(jobs.c.link_id == link_id)
            .values(owner=None, attempts=jobs.c.attempts + 1, deaths=deaths, **values)
        )
        return True

    def _announce(self, woken: Collection[int]) -> None:
        if woken:
            self.ring(self.connection, woken)

    def _release(self, link_id: int, owner: str, **values: Any) -> bool:
        ours = update(jobs).where(jobs.c.link_id == link_id, jobs.c.owner == owner)
        return self.connection.execute(ours.values(owner=None, deaths=0, **values)).rowcount == 1


def _new_row(link_id: int) -> dict[str, Any]:
    return {
        "link_id": link_id,
        "dirty": 0,
        "done": 0,
        "attempts": 0,
        "deaths": 0,
        "parked": False,
        "error": "",
    }


def _hurried(now: datetime) -> Any:
    """When a hint makes a link run: now, but not before `not_before`."""
    return case(
        (or_(jobs.c.owner.is_not(None), jobs.c.parked), jobs.c.run_at),
        (jobs.c.not_before > now, jobs.c.not_before),
        (jobs.c.run_at < now, jobs.c.run_at),
        else_=literal(now, Instant),
    )


def _idle(job: Job, now: datetime) -> bool:
    waiting = job.owner is not None or job.parked or (job.not_before or now) > now
    return not waiting and (job.run_at is None or job.run_at > now)


def _abandoned() -> Any:
    return case((jobs.c.owner.is_not(None), 1), else_=0)


def _job(row: Mapping[Any, Any]) -> Job:
    return Job(**row)
