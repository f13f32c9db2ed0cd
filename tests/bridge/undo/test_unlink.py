"""A removal of copies that is killed anywhere is finished by the next call."""

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

from bridge.config import EndpointConfig, LinkConfig
from bridge.records import Endpoint, Link, RunKind, Side
from bridge.runtime import rules
from bridge.store import Store, Tx, open_store
from bridge.sync import LinkPass, Surroundings
from bridge.unlink import Removal
from bridge.vault import Vault
from connectors.memory import LOSSLESS, MemoryProvider, MemoryWorld
from connectors.memory.world import Call
from connectors.testing.builders import event
from mappings import identity
from mappings.policy import Policy

VAULT = Vault([Vault.generate_key()])
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDS = {side: Endpoint(connector=side.value, account="ann", calendar="c") for side in Side}
LOST = replace(LOSSLESS, limits=replace(LOSSLESS.limits, marks=False), find_by_key=False)


class Crash(BaseException):
    """The process dies here."""


class Process:
    """One process over two worlds and a database, which dies at its n-th step."""

    def __init__(self, database: Path, worlds: dict[Side, MemoryWorld], die_at: int = 0) -> None:
        self.worlds = worlds
        self.steps = 0
        self._die_at = die_at
        self.store = open_store(f"sqlite:///{database}", vault=VAULT, now=lambda: NOW)
        self._make_mortal(self.store)

    def step(self, _call: Call | None = None) -> None:
        self.steps += 1
        if self._die_at and self.steps >= self._die_at:
            raise Crash

    def _make_mortal(self, store: Store) -> None:
        begin = store.begin

        @contextmanager
        def mortal(**how: bool) -> Iterator[Tx]:
            with begin(**how) as tx:
                yield tx
                self.step()
            self.step()

        store.begin = mortal  # type: ignore[method-assign]
        for world in self.worlds.values():
            world.before = world.after = self.step

    def sync(self) -> int:
        connectors, around = self._surroundings()
        link_pass = LinkPass(self.link(), self._rules(), connectors, around, full=True)
        return link_pass.run(RunKind.SYNC).counts.writes

    def remove(self) -> Any:
        connectors, around = self._surroundings()
        return Removal(self.link(), self._rules(), connectors, around).run()

    def _surroundings(self) -> tuple[dict[Side, Any], Surroundings]:
        connectors = {s: MemoryProvider(s.value, w).connect("ann") for s, w in self.worlds.items()}
        around = Surroundings(store=self.store, now=lambda: NOW, log=lambda *_a, **_f: None)
        return connectors, around

    def _rules(self) -> Any:
        a, b = (EndpointConfig(connector=s.value, account="ann", calendar="c") for s in Side)
        config = LinkConfig(name="l", user="ann", a=a, b=b, policy=Policy(), place="", line=None)
        limits = {side: world.capabilities.limits for side, world in self.worlds.items()}
        return rules(config, limits, NOW)

    def link(self) -> Link:
        known = self.store.link("l")
        if known is not None:
            return known
        ends = [(end.connector, end.account, end.calendar) for end in ENDS.values()]
        uid = identity.link_uid(ends[0], ends[1])
        with self.store.begin() as tx:
            link = Link(id=0, uid=uid, name="l", user="ann", a=ENDS[Side.A], b=ENDS[Side.B])
            return tx.put_link(link)

    def titles(self) -> dict[Side, list[str]]:
        calendars = {side: world.calendar("ann", "c") for side, world in self.worlds.items()}
        return {
            side: sorted(calendar.event(ref).details.title for ref in calendar.refs())
            for side, calendar in calendars.items()
        }


@pytest.mark.parametrize("capabilities", [LOSSLESS, LOST], ids=["lossless", "without marks"])
def test_a_removal_killed_anywhere_takes_away_what_is_ours_and_nothing_else(
    tmp_path: Path, migrated_file: Path, capabilities: Any
) -> None:
    capabilities = replace(capabilities, parallel_writes=1)
    worlds = {Side.A: MemoryWorld(capabilities=capabilities), Side.B: MemoryWorld()}
    a, b = (world.add_calendar("ann", "c") for world in worlds.values())
    for world in worlds.values():
        world.now = datetime.now  # can be copied
    a.person_puts(event("Made on a", "2026-03-03T12:00"))
    b.person_puts(event("Made on b", "2026-03-04T12:00"))
    for calendar in (a, b):
        calendar.person_puts(event("On both", "2026-03-05T12:00"))
    shutil.copy(migrated_file, tmp_path / "bridge.db")
    first = Process(tmp_path / "bridge.db", worlds)
    first.sync()
    assert first.sync() == 0
    everything = first.titles()
    assert everything[Side.A] == everything[Side.B] == ["Made on a", "Made on b", "On both"]
    first.store.close()
    for world in worlds.values():
        world.before = world.after = print  # can be copied, and never called

    def clone(name: str, die_at: int = 0) -> tuple[Path, dict[Side, MemoryWorld]]:
        shutil.copy(tmp_path / "bridge.db", tmp_path / name)
        memo: dict[int, Any] = {id(world.lock): RLock() for world in worlds.values()}
        return tmp_path / name, copy.deepcopy(worlds, memo)

    undisturbed = Process(*clone("whole.db"))
    assert undisturbed.remove().counts.deleted == 2
    undisturbed.store.close()
    assert undisturbed.steps > 8
    steps = count(1, 1 if capabilities.find_by_key else 3)
    alive = False
    while not alive:  # results that arrive together are one step: their number varies
        n = next(steps)
        database, town = clone(f"{n}.db")
        dying = Process(database, town, n)
        with suppress(Crash):
            dying.remove()
            alive = True
            assert dying.steps < n, "it died and went on"
        dying.store.close()
        again = Process(database, town)
        again.remove()
        assert again.titles() == {
            Side.A: ["Made on a", "On both"], Side.B: ["Made on b", "On both"]
        }, n  # fmt: skip
        assert again.sync() == 2
        assert again.titles() == everything, n
        assert again.sync() == 0
        again.store.close()
