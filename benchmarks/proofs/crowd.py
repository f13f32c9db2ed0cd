"""People who edit at random on all sides at once, and remember what they meant.

Whoever makes an event owns its title and times; its place belongs to one person on another side.
So nothing that they do contradicts anything else, and everything must be there in the end.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from benchmarks.proofs.city import ZONE, City, Household
from connectors.sandbox.http import Sandbox
from connectors.sandbox.worlds.hands import Hands

MARK = re.compile(rb"E\d+[tp]\d+")
WEEKS = 4
_KINDS = {"put": 8, "series": 2, "brief": 2, "rename": 8, "move": 5, "place": 8, "cancel": 3,
          "remove": 2}  # fmt: skip


@dataclass
class Entry:
    """An event as its people want it. `brief` ones are nobody else's business, and get deleted."""

    token: str
    home: Hands
    guest: Hands
    title: str
    start: datetime
    minutes: int
    weekly: bool = False
    brief: bool = False
    place: str = ""
    cancelled: set[datetime] = field(default_factory=set)
    gone: bool = False

    def agenda(self) -> list[tuple[str, datetime, datetime]]:
        """What takes place of it in the coming weeks."""
        starts = [self.start + timedelta(weeks=week) for week in range(WEEKS if self.weekly else 1)]
        return [
            (
                self.title,
                start.astimezone(UTC),
                (start + timedelta(minutes=self.minutes)).astimezone(UTC),
            )
            for start in starts
            if start not in self.cancelled and not self.gone
        ]


class Crowd:
    """Everybody in the city. Deterministic for a seed as long as the bridge is equally fast."""

    def __init__(self, city: City, seed: int) -> None:
        self._city = city
        self._dice = random.Random(seed)
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        self._number = 0
        self._changes = 0
        self.made: dict[bytes, tuple[str, float]] = {}
        """Mark of an edit -> where and when it was made, by the city's clock."""
        self._monday = datetime.combine(
            city.now().date() + timedelta(days=1), time(9), ZoneInfo(ZONE)
        )

    @property
    def edits(self) -> int:
        """How many there were."""
        return self._changes

    def edit(self) -> None:
        """One edit of a random kind, somewhere."""
        home = self._dice.choice(self._city.households)
        kind = self._dice.choices(list(_KINDS), list(_KINDS.values()))[0]
        if not self._do(kind, home):
            self._put(home)
        self._changes += 1

    def _do(self, kind: str, home: Household) -> bool:
        dice, known = self._dice, [e for e in self._entries[home.name] if not e.gone]
        if kind in ("put", "series", "brief"):
            self._put(home, weekly=kind == "series", brief=kind == "brief")
            return True
        fitting = [entry for entry in known if _fits(entry, kind)]
        if not fitting:
            return False
        entry = dice.choice(fitting)
        match kind:
            case "rename":
                title = f"{entry.token} {self._mark(entry, 't')}"
                entry.home.rename(entry.title, title)
                entry.title = title
            case "move":
                entry.start = self._some_time()
                entry.minutes = dice.choice((15, 30, 45))
                entry.home.move(entry.title, entry.start, entry.minutes)
            case "place":
                shown = [t for t in entry.guest.titles() if t.startswith(f"{entry.token} ")]
                if not shown:
                    return False
                entry.place = f"Room {self._mark(entry, 'p')}"
                entry.guest.place(shown[0], entry.place)
            case "cancel":
                at = entry.start + timedelta(weeks=dice.randrange(1, WEEKS))
                if at in entry.cancelled:
                    return False
                entry.cancelled.add(at)
                entry.home.cancel(entry.title, at.astimezone(UTC))
            case _:
                entry.gone = True
                entry.home.remove(entry.title)
        return True

    def _put(self, home: Household, *, weekly: bool = False, brief: bool = False) -> None:
        maker, guest = self._dice.sample(home.hands, 2)
        self._number += 1
        entry = Entry(
            token=f"E{self._number}",
            home=maker,
            guest=guest,
            title="",
            start=self._some_time(),
            minutes=self._dice.choice((15, 30, 45)),
            weekly=weekly,
            brief=brief,
        )
        entry.title = f"{entry.token} {self._mark(entry, 't')}"
        self._entries[home.name].append(entry)
        maker.put(entry.title, entry.start, entry.minutes, weekly=weekly)

    def _mark(self, entry: Entry, kind: str) -> str:
        mark = f"{entry.token}{kind}{self._changes}"
        hands = entry.guest if kind == "p" else entry.home
        self.made[mark.encode()] = hands.name.lower(), self._city.clock.time()
        return mark

    def _some_time(self) -> datetime:
        """Quarters of working hours in the next days."""
        dice = self._dice
        quarter = timedelta(minutes=15 * dice.randrange(36))
        return self._monday + timedelta(days=dice.randrange(6)) + quarter

    # -- what came of it -----------------------------------------------------------------------

    def complaints(self) -> Iterator[str]:
        """Whatever is not as the people wanted it: different, missing, doubled, come back."""
        for home in self._city.households:
            yield from self._complaints_of(home)

    def settled(self) -> bool:
        """Whether there is nothing to complain of."""
        return next(self.complaints(), None) is None

    def _complaints_of(self, home: Household) -> Iterator[str]:
        entries = self._entries[home.name]
        titles = sorted(entry.title for entry in entries if not entry.gone)
        agenda = sorted(line for entry in entries for line in entry.agenda())
        until = self._monday + timedelta(weeks=WEEKS) - timedelta(days=1)
        for hands in home.hands:
            where = f"{home.name} at {hands.name}"
            shown = hands.titles()
            for title in sorted({*shown, *titles}):
                if shown.count(title) != titles.count(title):
                    yield f"{where}: {shown.count(title)} x {title!r}, not {titles.count(title)}"
            taking_place = [line for line in hands.agenda() if line[1] < until]
            if taking_place != [line for line in agenda if line[1] < until]:
                yield f"{where}: other times than at home"
            for entry in entries:
                if entry.title in shown and not entry.gone:
                    place = hands.where(entry.title) or ""
                    if place != entry.place:
                        yield f"{where}: {entry.title!r} is at {place!r}, not {entry.place!r}"

    def latencies(self) -> list[float]:
        """Seconds from each edit that bore a mark until another provider had been told of it."""
        found = []
        for place, sandbox in self._city.sandboxes.items():
            for mark, at in _first_seen(sandbox).items():
                where, made = self.made.get(mark, (place, 0.0))
                if where != place:
                    found.append(at - made)
        return sorted(found)


def _fits(entry: Entry, kind: str) -> bool:
    match kind:
        case "cancel":
            return entry.weekly
        case "move":
            return not entry.weekly and not entry.brief
        case "remove":
            return entry.brief
        case _:
            return not entry.brief


def _first_seen(sandbox: Sandbox) -> dict[bytes, float]:
    seen: dict[bytes, float] = {}
    for call in sandbox.calls():
        if 200 <= call.status < 300:
            for mark in MARK.findall(call.body):
                seen.setdefault(mark, call.at)
    return seen
