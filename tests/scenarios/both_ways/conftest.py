"""Two calendars of one person that people use on both sides, over the wire."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from bridge.records import JournalEntry, UnitState
from bridge.simulation.wire.telling import Teller, at_home
from bridge.verify import verify
from connectors.sandbox.clients import Client, Line, Repeat, Sheet
from connectors.sandbox.worlds.town import Town

THURSDAY = datetime.fromisoformat("2026-03-05T09:00")


@dataclass
class Neighbours:
    """One person's calendar at Feishu and one elsewhere, linked both ways and empty at first."""

    town: Town
    teller: Teller
    hub: Client
    other: Client

    @property
    def sides(self) -> dict[str, Client]:
        return {"hub": self.hub, "other": self.other}

    def sync(self, *, full: bool = False) -> int:
        """One pass a minute later; how much it wrote."""
        self.town.wait(60)
        writes, failed = self.teller.round(full=full)
        assert failed == []
        return writes

    def put(self, side: str, title: str, repeat: Repeat | None = None, **fields: Any) -> str:
        """A person puts an event on a Thursday morning."""
        values = {"start": THURSDAY, "minutes": 30, "zone": "Asia/Shanghai"}
        return self.sides[side].create(Sheet(title=title, repeat=repeat, **values | fields))

    def thursday(self, hour: int) -> datetime:
        """That day at another hour."""
        return THURSDAY.replace(hour=hour)

    def find(self, side: str, title: str) -> Line:
        """The only event of that title there."""
        (found,) = [line for line in self.sides[side].lines() if line.title == title]
        return found

    def titles(self, side: str) -> list[str]:
        """All titles there, sorted; a double shows twice."""
        return sorted(line.title for line in self.sides[side].lines())

    def journal(self) -> list[JournalEntry]:
        """What happened, the latest first."""
        (link,) = self.teller.store.links()
        return list(self.teller.store.journal(link_id=link.id))

    def lost(self) -> list[Any]:
        """The values that were overruled."""
        return [entry.lost for entry in self.journal() if entry.lost]

    def settled(self) -> None:
        """Both calendars show the same, nothing waits, nobody got mail, nothing more is written."""
        (ready,) = self.teller.links()
        runtime = self.teller.runtime
        connectors = runtime.connectors(ready.link)
        rules = runtime.rules(ready.config, ready.link)
        now = self.town.now()
        found = verify(ready.link, rules, connectors, self.teller.store, now)
        assert found.differences == []
        assert self.teller.store.count_units(ready.link.id).get(UnitState.PARKED, 0) == 0
        before = {name: client.writes for name, client in self.sides.items()}
        assert (self.sync(), self.sync(full=True)) == (0, 0)
        assert before == {name: client.writes for name, client in self.sides.items()}
        assert self.town.mails == []


@pytest.fixture(scope="session")
def town() -> Iterator[Town]:
    """All three providers, for tests that follow each other."""
    made = Town().start()
    yield made
    made.stop()


@pytest.fixture
def live(town: Town) -> Iterator[Callable[..., Neighbours]]:
    """Moves in: Feishu and a target, linked under a policy."""
    with ExitStack() as end:

        def move_in(target: str, **policy: Any) -> Neighbours:
            teller = end.enter_context(at_home(town, [target], policy))
            clients = teller.clients
            return Neighbours(town, teller, clients["feishu"], clients[target])

        yield move_in


@pytest.fixture(params=["google", "exchange"])
def neighbours(request: pytest.FixtureRequest, live: Callable[..., Neighbours]) -> Neighbours:
    """With each target in turn."""
    return live(request.param)
