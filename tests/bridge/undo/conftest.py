"""Two calendars, a link between them, and processes that sync, undo and die."""

import copy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

from bridge.config import EndpointConfig, LinkConfig
from bridge.deeds import Undone
from bridge.records import Endpoint, Link, RunKind, Side, Unit
from bridge.runtime import rules
from bridge.store import Store, Tx, open_store
from bridge.sync import LinkPass, Outcome, Surroundings
from bridge.undo import Undo
from bridge.vault import Vault
from bridge.verify import Comparison, verify
from connectors.memory import MemoryProvider, MemoryWorld
from connectors.memory.calendar import MemoryCalendar
from connectors.memory.world import Call
from mappings import identity
from mappings.policy import DeleteGuard, Direction, Policy

VAULT = Vault([Vault.generate_key()])
ENDS = {side: Endpoint(connector=side.value, account="ann", calendar="c") for side in Side}
ONE_WAY = Policy(direction=Direction.TO_TARGET, delete_guard=DeleteGuard(count=50))
TWO_WAY = replace(ONE_WAY, direction=Direction.TWO_WAY)


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Office:
    """Two calendars, a link between them, and its database."""

    database: Path
    policy: Policy = ONE_WAY
    worlds: dict[Side, MemoryWorld] = field(
        default_factory=lambda: {side: MemoryWorld() for side in Side}
    )
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    die_at: int | None = None
    crash: type[BaseException] = Crash
    steps: int = 0

    def __post_init__(self) -> None:
        for world in self.worlds.values():
            world.add_calendar("ann", "c")
            world.now = lambda: self.now

    @property
    def a(self) -> MemoryCalendar:
        return self.worlds[Side.A].calendar("ann", "c")

    @property
    def b(self) -> MemoryCalendar:
        return self.worlds[Side.B].calendar("ann", "c")

    def titles(self, side: Side = Side.B) -> list[str]:
        calendar = self.worlds[side].calendar("ann", "c")
        return sorted(calendar.event(ref).details.title for ref in calendar.refs())

    def copy_of(self, title: str, side: Side = Side.B) -> str:
        calendar = self.worlds[side].calendar("ann", "c")
        return next(r for r in calendar.refs() if calendar.event(r).details.title == title)

    @contextmanager
    def process(self) -> Iterator[Store]:
        store = open_store(f"sqlite:///{self.database}", vault=VAULT, now=lambda: self.now)
        try:
            yield store
        finally:
            store.close()

    def sync(self, *, full: bool = False) -> Outcome:
        self.now += timedelta(hours=1)
        with self.process() as store:
            link = self.link(store)
            around = Surroundings(store=store, now=lambda: self.now, log=lambda *_a, **_f: None)
            kind = RunKind.SYNC
            return LinkPass(link, self.rules(), self.connectors(), around, full=full).run(kind)

    def undo(self, run: int | None = None, **options: bool) -> Undone:
        """Take a run back, by default the last that wrote something."""
        self.now += timedelta(hours=1)
        with self.process() as store:
            self._mortal(store)
            return self._undo(store, run, **options).run()

    def preview(self, run: int | None = None, **options: bool) -> Undone:
        with self.process() as store:
            return self._undo(store, run, **options).preview()

    def _undo(self, store: Store, run: int | None, **options: bool) -> Undo:
        link = self.link(store)
        number = run or self.last(store)
        found = store.run(number)
        assert found is not None
        around = Surroundings(store=store, now=lambda: self.now, log=lambda *_a, **_f: None)
        return Undo(link, self.rules(), self.connectors(), around, found, **options)

    def last(self, store: Store) -> int:
        return store.journal(limit=1)[0].run_id

    def last_run(self) -> int:
        with self.process() as store:
            return self.last(store)

    def unit(self, title: str) -> Unit:
        with self.process() as store:
            (found,) = store.find_units(title)
            return found

    def units(self) -> list[Unit]:
        with self.process() as store:
            return list(store.units(self.link(store).id))

    def verify(self) -> Comparison:
        with self.process() as store:
            return verify(self.link(store), self.rules(), self.connectors(), store, self.now)

    def quiet(self) -> None:
        """Nothing is left to do: neither for changes nor for everything."""
        for full in (False, True, False):
            outcome = self.sync(full=full)
            assert (outcome.counts.writes, outcome.held) == (0, "")
        for world in self.worlds.values():
            assert world.mails == []

    def link(self, store: Store) -> Link:
        known = store.link("ann/b")
        if known is not None:
            return known
        ends = [(end.connector, end.account, end.calendar) for end in ENDS.values()]
        uid = identity.link_uid(ends[0], ends[1])
        with store.begin() as tx:
            return tx.put_link(
                Link(id=0, uid=uid, name="ann/b", user="ann", a=ENDS[Side.A], b=ENDS[Side.B])
            )

    def connectors(self) -> dict[Side, Any]:
        return {s: MemoryProvider(s.value, self.worlds[s]).connect("ann") for s in Side}

    def rules(self) -> Any:
        a, b = (
            EndpointConfig(connector=end.connector, account=end.account, calendar=end.calendar)
            for end in ENDS.values()
        )
        config = LinkConfig(
            name="ann/b", user="ann", a=a, b=b, policy=self.policy, place="", line=None
        )
        limits = {side: world.capabilities.limits for side, world in self.worlds.items()}
        return rules(config, limits, self.now)

    # -- dying ---------------------------------------------------------------------------------

    def clone(self, database: Path, die_at: int | None) -> "Office":
        shutil.copy(self.database, database)
        memo: dict[int, Any] = {id(world.lock): RLock() for world in self.worlds.values()}
        for world in self.worlds.values():
            world.now = datetime.now
        worlds = copy.deepcopy(self.worlds, memo)
        return Office(database, self.policy, worlds, self.now, die_at)

    def _mortal(self, store: Store) -> None:
        begin = store.begin

        @contextmanager
        def mortal(**how: bool) -> Iterator[Tx]:
            with begin(**how) as tx:
                yield tx
                self._step()
            self._step()

        store.begin = mortal  # type: ignore[method-assign]
        for world in self.worlds.values():
            world.before = world.after = self._step

    def _step(self, _call: Call | None = None) -> None:
        self.steps += 1
        if self.die_at is not None and self.steps >= self.die_at:
            raise Crash

    def revive(self) -> None:
        self.die_at = None


@pytest.fixture
def open_office(tmp_path: Path, migrated_file: Path) -> Callable[..., Office]:
    """An office with a policy, over worlds of its own unless they are given."""

    def open_one(policy: Policy = ONE_WAY, worlds: Any = None) -> Office:
        shutil.copy(migrated_file, tmp_path / "bridge.db")
        worlds = worlds or {side: MemoryWorld() for side in Side}
        return Office(tmp_path / "bridge.db", policy, worlds)

    return open_one


@pytest.fixture
def one_way(open_office: Callable[..., Office]) -> Office:
    return open_office()


@pytest.fixture(params=list(Direction)[:2], ids=str)
def office(request: pytest.FixtureRequest, open_office: Callable[..., Office]) -> Office:
    """One that copies to B alone, and one that goes both ways."""
    return open_office(replace(ONE_WAY, direction=request.param))
