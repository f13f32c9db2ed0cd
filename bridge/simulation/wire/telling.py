"""Tells one history to its end, with the real bridge between real servers' likenesses."""

import hashlib
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bridge import config as config_file
from bridge.commands.trial import consent_all
from bridge.config import Config
from bridge.records import RunKind
from bridge.runtime import ReadyLink, Runtime, System
from bridge.simulation.memory import MemoryDatabase, SameThread, new_database, open_again
from bridge.simulation.wire.folk import Folk
from bridge.simulation.wire.judge import judge
from bridge.simulation.wire.tale import Break, Step, Tale
from bridge.store import Store
from bridge.sync import Surroundings
from bridge.vault import Vault
from connectors.errors import ConnectorError
from connectors.sandbox.http import Request
from connectors.sandbox.worlds.town import HUB, Household, Town
from connectors.sandbox.worlds.trial import Trial

ROUNDS = 40
"""So many rounds of passes at most until everything has come to rest."""
HOURS = 7 * 3600
LOOK = re.compile(r"GET .*/events/[^/?]+(/instances)?$")
"""The hub's calls by which an event is looked at, as before every write to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a history. `complaints` is empty if all is well."""

    complaints: tuple[str, ...]
    trace: tuple[str, ...] = field(repr=False)
    rounds: int = 0
    units: int = 0
    parked: tuple[str, ...] = ()
    conflicts: int = 0

    @property
    def digest(self) -> str:
        """The same for the same course of events."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def told(town: Town, tale: Tale) -> Verdict:
    """Let everything happen, let it come to rest, and judge."""
    with at_home(town, tale.targets, tale.policy) as teller:
        if tale.lag:
            town.feishu.switch(lag_seconds=tale.lag)
        try:
            return teller.tell(tale)
        except Exception as error:  # noqa: BLE001 a fault of the program is what we look for
            trace = (*teller.folk.trace, *traceback.format_exception(error))
            text = " ".join(str(error).split())[:200]
            complaint = f"the program failed: {type(error).__name__}: {text}"
            return Verdict(complaints=(complaint,), trace=trace)


@contextmanager
def at_home(town: Town, targets: Sequence[str], policy: Mapping[str, Any]) -> Iterator["Teller"]:
    """A household that has just moved in, with its bridge."""
    household = town.move_in(targets, policy)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        content = {"database": "sqlite:///unused.db", "secret_key": _key(), **household.config}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        teller = Teller(town, household, config_file.load(path))
        try:
            yield teller
        finally:
            town.clear()
            teller.close()


@lru_cache(maxsize=1)
def _key() -> str:
    return Vault.generate_key()


class _Kept(MemoryDatabase):
    """A database that outlives the processes that open and close it."""

    def close(self) -> None:
        """Nothing: the next process opens it again."""

    def forget(self) -> None:
        """Let go of the memory."""
        super().close()


class Teller:
    """One household and its bridge."""

    def __init__(self, town: Town, household: Household, config: Config) -> None:
        self._town = town
        self._household = household
        self.clients = household.clients
        self._config = config
        empty = new_database()
        self._database = _Kept(empty.content())
        empty.close()
        self.runtime = self._open()
        consent_all(Trial(town.sandboxes, household.config, household.consents), self.runtime)
        self.folk = Folk(household.clients, town.now)
        self._held: set[str] = set()

    def close(self) -> None:
        """Let go of everything."""
        self.runtime.close()
        self._database.forget()

    # -- the bridge --------------------------------------------------------------------------------

    def _open(self) -> Runtime:
        town = self._town
        system = System(
            now=town.now, sleep=town.wait, monotonic=town.clock.time, random=lambda: 0.5
        )
        return Runtime(self._config, system, open_again(self._database, town.now))

    def _restart(self) -> None:
        self.runtime.close()
        self.runtime = self._open()

    @property
    def store(self) -> Store:
        """What the bridge remembers."""
        return self.runtime.store

    def links(self) -> list[ReadyLink]:
        """The household's links."""
        return self.runtime.ready(self.runtime.select())

    def round(self, *, full: bool = False) -> tuple[int, list[str]]:
        """One pass over every link; how much was written, and how those ended that failed."""
        writes, failed = 0, []
        try:
            links = self.links()
        except ConnectorError as error:
            return 0, [f"ready: {type(error).__name__}"]
        for ready in links:
            name = ready.link.name
            around = Surroundings(
                store=self.store,
                now=self._town.now,
                log=lambda *_args, **_facts: None,
                workers=lambda _width: SameThread(),
            )
            one = self.runtime.link_pass(
                ready, full=full, approved=name in self._held, around=around
            )
            self._held.discard(name)
            try:
                outcome = one.run(RunKind.SYNC)
            except ConnectorError as error:
                text = f"{name}: {type(error).__name__}: {error.message}"
                failed.append(text)
                self.folk.trace.append(f"  {text}")
                continue
            if outcome.held:
                self._held.add(name)
            writes += outcome.counts.writes
            self.folk.trace.append(f"  {outcome.to_json()}")
        return writes, failed

    # -- the story ---------------------------------------------------------------------------------

    def tell(self, tale: Tale) -> Verdict:
        """From the first step to the verdict."""
        for step in tale.steps:
            self._town.wait(60)
            if step.breaks or step.do in ("pass", "full pass"):
                self._stormy(step)
            else:
                self.folk.act(step)
        rounds, complaints = self._rest()
        complaints += judge(self.links(), self.runtime, self._household, self.folk.ledger)
        complaints += self._stay()
        if self._town.mails:
            complaints.append(f"mails: {self._town.mails}")
        units = [unit for ready in self.links() for unit in self.store.units(ready.link.id)]
        entries = [
            entry
            for ready in self.links()
            for entry in self.store.journal(link_id=ready.link.id, limit=100_000)
        ]
        return Verdict(
            complaints=tuple(complaints),
            trace=tuple(self.folk.trace),
            rounds=rounds,
            units=sum(unit.state != "done" for unit in units),
            parked=tuple(f"{u.error_code}: {u.error}" for u in units if u.state == "parked"),
            conflicts=sum(1 for entry in entries if entry.lost),
        )

    def _stormy(self, step: Step) -> None:
        for item in step.breaks:
            self._prepare(item)
        self.folk.trace.append(str(step))
        self.round(full=step.do == "full pass")
        self._town.clear()
        if step.chance().random() < 0.3:
            self._restart()

    def _prepare(self, item: Break) -> None:
        inner = item.step
        if inner is None:
            self._town.storm(item.place, item.what, item.skip)
            return

        def deed(call: Request) -> None:
            if item.place == inner.place == HUB and LOOK.match(f"{call.method} {call.path}"):
                self.folk.ledger.meanwhile.add(inner.n)
            self.folk.act(inner)

        self._town.meanwhile(item.place, item.skip, deed)

    def _rest(self) -> tuple[int, list[str]]:
        """Passes in fair weather until two in a row write nothing and nothing is to be retried."""
        quiet = 0
        for number in range(ROUNDS):
            self._town.wait(HOURS)
            writes, failed = self.round(full=quiet == 1)
            if failed:
                return number, [f"a pass in fair weather ended: {failed[0]}"]
            quiet = 0 if writes or self._held or self._waiting() else quiet + 1
            if quiet == 2:
                return number, []
        return ROUNDS, [f"still writing after {ROUNDS} rounds: {self.folk.trace[-1]}"]

    def _waiting(self) -> bool:
        return any(
            self.store.next_retry(ready.link.id) is not None or self.store.intents(ready.link.id)
            for ready in self.links()
        )

    def _stay(self) -> list[str]:
        before = self._requests()
        for full in (False, True):
            writes, failed = self.round(full=full)
            if writes or failed:
                return [f"at rest, a pass (full: {full}) wrote {writes} {failed}"]
        after = self._requests()
        return [f"at rest, write requests were sent: {after}"] if after != before else []

    def _requests(self) -> Mapping[str, int]:
        return {place: client.writes for place, client in self._household.clients.items()}
