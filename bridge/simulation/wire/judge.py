"""What has to be true when everything has come to rest.

The judge looks at both calendars of every link through fresh listings and the providers' own
expansion, and at the ledger of what people did. Of the engine he uses the journal.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from bridge.records import JournalEntry, Side, Unit, UnitState
from bridge.runtime import ReadyLink, Runtime
from bridge.simulation.wire.folk import WORDS, Ledger, Written, in_sight, unit_of
from bridge.verify import verify
from connectors.contract import Whole
from connectors.sandbox.worlds.town import Household


def judge(
    links: Sequence[ReadyLink], runtime: Runtime, household: Household, ledger: Ledger
) -> list[str]:
    """Everything that is not as it should be, one sentence each."""
    return list(dict.fromkeys(_Judge(links, runtime, household, ledger).all()))


class _Judge:
    def __init__(
        self,
        links: Sequence[ReadyLink],
        runtime: Runtime,
        household: Household,
        ledger: Ledger,
    ) -> None:
        self._links = links
        self._runtime = runtime
        self._ledger = ledger
        store = runtime.store
        self._units: list[Unit] = [u for item in links for u in store.units(item.link.id)]
        self._journal: list[JournalEntry] = [
            entry for item in links for entry in store.journal(link_id=item.link.id, limit=100_000)
        ]
        self._seen: dict[str, dict[int, set[str]]] = {}
        for place, client in household.clients.items():
            seen: dict[int, set[str]] = {}
            for line in in_sight(client):
                if (unit := unit_of(line.title)) is not None:
                    found = {word for text in line.texts for word in WORDS.findall(text)}
                    seen.setdefault(unit, set()).update(found)
            self._seen[place] = seen

    def all(self) -> Iterator[str]:
        """Every complaint."""
        yield from self._database()
        yield from self._same()
        yield from self._once()
        yield from self._nothing_lost()
        yield from self._nothing_deleted()

    def _database(self) -> Iterator[str]:
        for item in self._links:
            if intents := self._runtime.store.intents(item.link.id):
                yield f"{len(intents)} intents are still open"
        for unit in self._units:
            if unit.state is UnitState.PARKED and not unit.error:
                yield f"unit {unit.id[:8]} is parked without a reason"
            if unit.error_code == "INTERNAL":
                yield f"unit {unit.id[:8]} is parked by a fault of the program: {unit.error}"
            if unit.state is UnitState.PARKED and unit.retry_at is not None:
                yield f"unit {unit.id[:8]} is still being retried: {unit.error}"

    def _same(self) -> Iterator[str]:
        for item in self._links:
            runtime = self._runtime
            comparison = verify(
                item.link,
                runtime.rules(item.config, item.link),
                runtime.connectors(item.link),
                runtime.store,
                runtime.system.now(),
            )
            for difference in comparison.differences:
                title = difference.get("title", "")
                known = self._ledger.alike
                if difference["what"].startswith("orphaned"):
                    known = known | self._ledger.back  # out of the bin, beside what was made anew
                if unit_of(title) in known:
                    continue
                yield f"{item.link.name} differs: {difference}"

    def _once(self) -> Iterator[str]:
        """No unit stands twice anywhere, as the bridge reads its items."""
        doubled = self._ledger.back | self._ledger.freed
        for item in self._links:
            for side, connector in self._runtime.connectors(item.link).items():
                calendar = item.link.endpoint(side).calendar
                titles = {
                    change.ref: change.copy.event.details.title
                    for page in connector.changes(calendar, None)
                    for change in page.changes
                    if isinstance(change, Whole)
                }
                counted = Counter(unit_of(title) for title in titles.values())
                for unit, count in counted.items():
                    if count > 1 and unit is not None and unit not in doubled:
                        place = item.link.endpoint(side).connector
                        yield f"U{unit} stands {count} times at {place}"

    # -- what people did -----------------------------------------------------------------------

    def _nothing_lost(self) -> Iterator[str]:
        excused = self._excused()
        for word, item in self._ledger.written.items():
            if word in self._ledger.replaced or item.unit in excused or self._raced(item):
                continue
            places = [p for p, seen in self._seen.items() if word in seen.get(item.unit, ())]
            if len(places) == len(self._seen) or self._overruled(word):
                continue
            where = ", ".join(places) or "nowhere"
            yield f"{word}, written at {item.place} into U{item.unit}, is at {where}"

    def _raced(self, item: Written) -> bool:
        """Whether it came between the bridge's look and its write, where nothing guards that."""
        return item.n in self._ledger.meanwhile

    def _overruled(self, word: str) -> bool:
        """Whether the journal tells that it lost against another value or a deletion, or was put
        back because only the organiser may write it."""
        exact = re.compile(rf"\b{word}\b")
        for entry in self._journal:
            if entry.lost and exact.search(str(entry.lost)):
                return True
            undone = entry.op == "delete" or "put back" in entry.cause
            if undone and exact.search(str(entry.before)):
                return True
        return False

    def _excused(self) -> set[int]:
        """Units that are not kept the same, for a reason that the bridge can name."""
        ledger = self._ledger
        excused = ledger.alike | ledger.declined
        for unit in self._units:
            if unit.state is not UnitState.PARKED:
                continue
            for side in Side:
                copy = unit.copy(side)
                if copy is not None and (name := unit_of(copy.event.details.title)) is not None:
                    excused.add(name)
        return excused

    def _nothing_deleted(self) -> Iterator[str]:
        """Whatever nobody deleted is everywhere; what somebody deleted is nowhere or everywhere."""
        ledger = self._ledger
        excused = self._excused()
        for name, born in ledger.born.items():
            standing = sorted(place for place, seen in self._seen.items() if name in seen)
            if name in excused or len(standing) == len(self._seen):
                continue
            if name not in ledger.deleted:
                yield f"U{name}, made at {born}, stands only at {standing}: nobody deleted it"
            elif standing:
                yield f"U{name} was deleted, and still stands at {standing}"
