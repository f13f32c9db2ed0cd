"""What people did: every value they wrote, and every value they saw and did away with.

It is kept by looking at the calendars as people do, and knows nothing of the engine. A value that
nobody who had seen it replaced has to be there in the end, or in the journal as overruled.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from bridge.records import Side
from mappings.model import Details, Event
from mappings.policy import Content
from mappings.projection import all_cancelled

WORDS = re.compile(r"\b[TDL]\d+\b")
MASKED = {Content.FULL: "", Content.TITLE: "DL", Content.BUSY: "TDL"}
"""Which words do not travel under which policy."""
_NAME = re.compile(r"\bU(\d+)\b")


@dataclass(frozen=True, slots=True)
class Written:
    """One value that somebody wrote into a unit. `word` is unique in the history: `T`, `D` and
    `L` with a number in title, description and location, `@` with a wall clock for a time.
    `masked`: the link did not carry such values then, or at the pass that met it. `hidden`: nor
    did any pass. `series`: it is the whole unit's, not that of one occurrence."""

    word: str
    unit: int
    side: Side
    n: int
    masked: bool = False
    series: bool = True
    hidden: bool = False

    @property
    def kind(self) -> str:
        """`T`, `D`, `L` or `@`."""
        return self.word[0]

    @property
    def in_journal(self) -> str:
        """How the journal spells it among overruled values."""
        return repr(moment(self.word[1:])) if self.kind == "@" else self.word


@dataclass(slots=True)
class Ledger:
    """The values of one history, the units that people made, and those that they deleted.
    `nameless` counts deletions of units whose name was masked, `unnamed` new texts for them: if
    no mask is left when these travel, they take the place of those that bear the name. `last` is
    how each unit was left by whoever changed it last on a side, `faceless` those whose name was
    masked. `fresh` is what was written since a pass went well, `content` what the link is told to
    carry, `carried` what the last pass was told."""

    written: dict[str, Written] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    born: dict[int, Side] = field(default_factory=dict)
    marked: set[int] = field(default_factory=set)
    deleted: dict[int, list[Side]] = field(default_factory=dict)
    content: Content = Content.FULL
    carried: Content = Content.FULL
    last: dict[int, dict[Side, Event]] = field(default_factory=dict)
    faceless: list[Event] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    nameless: int = 0
    unnamed: int = 0

    def note(
        self,
        *,
        n: int,
        side: Side,
        unit: int | None,
        before: Event | None,
        after: Event | None,
        moved: bool = False,
    ) -> None:
        """Somebody changed what `side` shows of a unit from `before` to `after`; `moved`: to a
        time that no other event of the history has."""
        if after is not None and unit is not None:
            self.last.setdefault(unit, {})[side] = after
        elif after is not None:
            self.faceless.append(after)
        seen = words(before) if before else set[str]()
        if after is not None and all_cancelled(after):
            after = None  # nothing of it is left to be seen
        now = words(after) if after else set[str]()
        self.replaced |= (seen & self.written.keys()) - now
        if before is not None and after is not None:
            # Occurrences that still show the old value do not keep it for the series.
            gone = _own(before) - _own(after)
            self.replaced |= {
                word for word in gone & self.written.keys() if self.written[word].series
            }
        if after is None:
            # Whoever deletes a copy deletes also what the copy hides.
            hidden = MASKED[self.content]
            self.replaced |= {
                word
                for word, item in self.written.items()
                if item.unit == unit and (item.masked or item.kind in hidden)
            }
        if after is None and unit is None:
            self.nameless += 1
        elif after is None and unit is not None:
            self.deleted.setdefault(unit, []).append(side)
        elif before is not None and after is not None and unit is None:
            self.unnamed += before.details != after.details
        # Exceptions that went along with their series have no time of their own.
        fresh = now - seen if moved else set[str]()
        if before is not None and after is not None:
            fresh = fresh & (_own(after) - _own(before)) or fresh
        for word in sorted(now - seen - self.written.keys()):
            if word in fresh or not word.startswith("@"):
                masked = word[0] in MASKED[self.content]
                series = after is not None and word in _own(after)
                never = masked and word[0] in MASKED[self.carried]
                self.written[word] = Written(word, unit or 0, side, n, masked, series, never)
                self.fresh.add(word)

    def pass_ran(self, *, well: bool) -> None:
        """Whatever its end: what it was told to carry, it may have carried."""
        self.carried = self.content
        for word, item in self.written.items():
            if item.kind not in MASKED[self.content]:
                self.written[word] = replace(item, hidden=False)
            elif word in self.fresh:
                self.written[word] = replace(item, masked=True)
        if well:
            self.fresh.clear()

    def emptied(self, unit: int) -> bool:
        """Whether people of both sides have together cancelled every occurrence of a series."""
        last = self.last.get(unit, {}).values()
        whens = [event.when for event in last]
        known = [*last, *(event for event in self.faceless if event.when in whens)]
        gone = {each.key: each for event in known for each in event.overrides if each.cancelled}
        return any(
            all_cancelled(
                replace(event, overrides=tuple({**event.overrides_by_key, **gone}.values()))
            )
            for event in last
        )

    def standing(self) -> Iterator[Written]:
        """The values that nobody knowingly replaced."""
        return (item for word, item in self.written.items() if word not in self.replaced)


def moment(text: str) -> datetime | date:
    """A wall clock or a date, from its ISO form."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def name_of(event: Event) -> int | None:
    """The number of the unit, which people never change; None if it is masked."""
    for text in (event.details.title, event.details.description):
        if found := _NAME.search(text):
            return int(found[1])
    return None


def words(event: Event) -> set[str]:
    """Every value that somebody who looks at the unit sees."""
    found = _own(event)
    for override in event.overrides:
        if override.cancelled or override.details is None or override.when is None:
            continue
        found.add(f"@{override.when.start.isoformat()}")
        found |= _texts(override.details)
    return found


def _own(event: Event) -> set[str]:
    """What the series itself shows, or the single event."""
    return {f"@{event.when.start.isoformat()}", *_texts(event.details)}


def _texts(details: Details) -> set[str]:
    place = details.location
    parts = (details.title, details.description, place.name if place else "")
    return {word for part in parts for word in WORDS.findall(part)}
