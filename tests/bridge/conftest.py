"""Databases and a command line for the tests of the bridge, each test with its own."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import run
from bridge.config import EndpointConfig, LinkConfig
from bridge.records import Endpoint, Link, LinkState, RunKind, Side
from bridge.runtime import rules
from bridge.store import Store, open_store
from bridge.store.database import open_database
from bridge.store.migrate import migrate
from bridge.sync import LinkPass, Outcome, Surroundings
from bridge.vault import Vault
from bridge.verify import verify
from connectors.memory import MemoryProvider, MemoryWorld, named_world
from connectors.memory.calendar import MemoryCalendar
from mappings import identity
from mappings.policy import Direction, Policy

_numbers = itertools.count(1)


class Watch:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> datetime:
        self.time += timedelta(seconds=seconds)
        return self.time


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path / 'bridge.db'}"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables and nothing in them, to copy: migrating takes longer."""
    path = tmp_path_factory.mktemp("migrated") / "bridge.db"
    database = open_database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database without a row, once of each kind."""
    url = str(request.getfixturevalue(f"{request.param}_url"))
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), url.removeprefix("sqlite:///"))
    return url


@pytest.fixture
def vault() -> Vault:
    """A vault with a fresh key."""
    return Vault([Vault.generate_key()])


@pytest.fixture
def watch() -> Watch:
    """The store's clock."""
    return Watch()


@pytest.fixture
def open_again(database_url: str, vault: Vault, watch: Watch) -> Iterator[Callable[[], Store]]:
    """Opens the test's database once more, as another process would."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(open_store(database_url, vault=vault, now=watch))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Store:
    """An open store on an empty database."""
    return open_again()


# -- one link --------------------------------------------------------------------------------------


ONE_WAY = Policy(direction=Direction.TO_TARGET)


@dataclass
class Pair:
    """A link from calendar `a` to calendar `b`, each at a service of its own."""

    store: Store
    here: MemoryWorld
    there: MemoryWorld
    a: MemoryCalendar
    b: MemoryCalendar
    link: Link
    policy: Policy = ONE_WAY
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def run(self, kind: RunKind = RunKind.SYNC, **options: bool) -> Outcome:
        return self._pass(**options).run(kind)

    def plan(self):
        return self._pass().plan()

    def _pass(self, **options: bool) -> LinkPass:
        link = self.store.link(self.link.name)
        assert link is not None
        connectors = self.connectors()
        around = Surroundings(
            store=self.store, now=lambda: self.now, log=lambda *_args, **_facts: None
        )
        return LinkPass(link, self._rules(), connectors, around, **options)

    def connectors(self):
        return {
            Side.A: MemoryProvider("hub", self.here).connect("ann"),
            Side.B: MemoryProvider("other", self.there).connect("ann"),
        }

    def _rules(self):
        config = LinkConfig(
            name="ann/other",
            user="ann",
            a=EndpointConfig(connector="hub", account="ann", calendar="a"),
            b=EndpointConfig(connector="other", account="ann", calendar="b"),
            policy=self.policy,
            place="users.ann.links[0]",
            line=1,
        )
        limits = {side: c.capabilities.limits for side, c in self.connectors().items()}
        return rules(config, limits, self.now)

    def differences(self) -> list[object]:
        result = verify(self.link, self._rules(), self.connectors(), self.store, self.now)
        return list(result.differences)

    def titles(self) -> list[str]:
        return sorted(self.b.event(ref).details.title for ref in self.b.refs())

    def settled(self) -> None:
        """Both sides show the same, and nothing is left to do."""
        assert self.differences() == []
        for full in (False, True):
            outcome = self.run(full=full)
            assert (outcome.counts.writes, outcome.counts.parked, outcome.held) == (0, 0, "")

    def another(self) -> "Pair":
        """The same people's other calendars, linked too."""
        a, b = self.here.add_calendar("ann", "a2"), self.there.add_calendar("ann", "b2")
        ends = (replace(self.link.a, calendar="a2"), replace(self.link.b, calendar="b2"))
        uid = identity.link_uid(("hub", "ann", "a2"), ("other", "ann", "b2"))
        with self.store.begin() as tx:
            link = tx.put_link(
                replace(self.link, id=0, uid=uid, name="second", a=ends[0], b=ends[1])
            )
        return replace(self, a=a, b=b, link=link)

    def third(self) -> "Pair":
        """The same calendar linked with a third one, at a service of its own."""
        c = self.there.add_calendar("ann", "c")
        ends = self.link.a, replace(self.link.b, calendar="c")
        uid = identity.link_uid(("hub", "ann", "a"), ("other", "ann", "c"))
        with self.store.begin() as tx:
            link = tx.put_link(replace(self.link, id=0, uid=uid, name="third", b=ends[1]))
        return replace(self, b=c, link=link)


@pytest.fixture
def pair(store: Store) -> Pair:
    here, there = MemoryWorld(), MemoryWorld()
    a = here.add_calendar("ann", "a")
    b = there.add_calendar("ann", "b")
    ends = (
        Endpoint(connector="hub", account="ann", calendar="a"),
        Endpoint(connector="other", account="ann", calendar="b"),
    )
    uid = identity.link_uid(("hub", "ann", "a"), ("other", "ann", "b"))
    with store.begin() as tx:
        link = tx.put_link(Link(id=0, uid=uid, name="ann/other", user="ann", a=ends[0], b=ends[1]))
    return Pair(store, here, there, a, b, link)


# -- the command line ------------------------------------------------------------------------------


KEY = Vault.generate_key()
CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: hub-{n}, accounts: {{ann: [main], bob: [main]}}}}
  other: {{type: memory, world: other-{n}, accounts: {{ann: [main], bob: [main]}}}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
  bob:
    hub: bob
    links: [{{to: other, account: bob}}]
defaults: {{delete_guard: {{count: 2, share: 0}}}}
"""


@dataclass
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Terminal:
    """A config over two worlds of its own, and a way to type commands."""

    folder: Path
    hub: MemoryWorld
    other: MemoryWorld
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Answer:
        code = run(["--config", str(self.folder / "config.yaml"), *arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(code, out, err)

    @property
    def a(self) -> MemoryCalendar:
        return self.hub.add_calendar("ann", "main")

    @property
    def b(self) -> MemoryCalendar:
        return self.other.add_calendar("ann", "main")

    def titles(self) -> list[str]:
        return sorted(self.b.event(ref).details.title for ref in self.b.refs())

    def store(self) -> Store:
        url = f"sqlite:///{self.folder / 'calbridge.db'}"
        return open_store(url, vault=Vault([KEY]), now=lambda: datetime.now(UTC))

    def state(self) -> LinkState:
        with self.store() as store:
            link = store.link("ann/other")
        assert link is not None
        return link.state


@pytest.fixture
def calbridge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    number = next(_numbers)
    (tmp_path / "config.yaml").write_text(CONFIG.format(n=number, key=KEY))
    worlds = [named_world(f"{side}-{number}") for side in ("hub", "other")]
    for world in worlds:
        for account in ("ann", "bob"):
            world.add_calendar(account, "main")
    return Terminal(tmp_path, *worlds, capsys)
