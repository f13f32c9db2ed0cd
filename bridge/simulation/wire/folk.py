"""People at their calendars, and the ledger of what they wrote and saw.

A unit is known by `U` and a number in all its titles, which people never change; a value by `T`,
`D` or `L` and a number in title, text and place. A value that nobody who had seen it replaced has
to be there in the end, or in the journal as overruled.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from bridge.simulation.wire.tale import Step
from connectors.sandbox.clients import Client, Line, Place, Refused, Repeat, Sheet

WORDS = re.compile(r"\b[TDL]\d+\b")
UNIT = re.compile(r"\bU(\d+)\b")
OF_A_DATE = "Extra date of a series"
ZONES = ("Asia/Shanghai", "Asia/Shanghai", "America/New_York", "Europe/Berlin")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Written:
    """One value that somebody wrote into a unit."""

    word: str
    unit: int
    place: str
    n: int


@dataclass(slots=True)
class Ledger:
    """The values of one history, the units that people made, deleted, and brought back.

    `alike`: duplicates that stand at the same times as what they were made of. `foreign`: units
    that somebody else organises, `declined` those that were; `meanwhile` the numbers of the deeds
    that were done right after the bridge looked at an event of the hub's. `freed`: series that
    somebody deleted while an event stood for a date beside them, which then is its own.
    """

    written: dict[str, Written] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    born: dict[int, str] = field(default_factory=dict)
    deleted: dict[int, set[str]] = field(default_factory=dict)
    back: set[int] = field(default_factory=set)
    alike: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)
    meanwhile: set[int] = field(default_factory=set)
    declined: set[int] = field(default_factory=set)
    freed: set[int] = field(default_factory=set)

    def note(self, step: Step, unit: int, before: set[str], after: set[str]) -> None:
        """What a place shows of a unit went from `before` to `after` by somebody's hand."""
        self.replaced |= before - after
        for word in sorted(after - before):
            known = self.written.get(word)
            if known is None:
                self.written[word] = Written(word, unit, step.place, step.n)
            elif known.unit == unit:
                self.replaced.discard(word)


def unit_of(title: str) -> int | None:
    """The number of the unit that bears the title."""
    found = UNIT.search(title)
    return int(found[1]) if found else None


def in_sight(client: Client) -> list[Line]:
    """What people see: of a series without a single occurrence left, nothing."""
    return [line for line in client.lines() if not line.series or client.places(line.id)]


def own_words(line: Line) -> set[str]:
    """The values of an event or series without those of its exceptions."""
    return {word for text in line.texts[:3] for word in WORDS.findall(text)}


def words(lines: list[Line], unit: int) -> set[str]:
    """Every value that somebody who looks at the unit sees."""
    texts = [text for line in lines if unit_of(line.title) == unit for text in line.texts]
    return {word for text in texts for word in WORDS.findall(text)}


@dataclass(slots=True)
class Folk:
    """The people of all calendars; in fact it is always the same person."""

    clients: Mapping[str, Client]
    now: Callable[[], datetime]
    ledger: Ledger = field(default_factory=Ledger)
    trace: list[str] = field(default_factory=list)

    def act(self, step: Step) -> None:
        """Let the step happen, if it can."""
        try:
            _Deed(self, step).do()
            self.trace.append(str(step))
        except Refused as refusal:
            self.trace.append(f"{step}: could not be done {refusal}")


class _Deed:
    def __init__(self, folk: Folk, step: Step) -> None:
        self._client = folk.clients[step.place]
        self._ledger = folk.ledger
        self._today = folk.now().date()
        self._step = step
        self._chance = step.chance()
        self._n = step.n

    def do(self) -> None:
        deeds: dict[str, Callable[[], None]] = {
            "create": lambda: self._create(series=False),
            "create series": lambda: self._create(series=True),
            "write": lambda: self._to(self._write),
            "move": lambda: self._to(self._move),
            "change rule": lambda: self._to(self._change_rule, series=True),
            "write occurrence": lambda: self._to(self._write_occurrence, series=True),
            "move occurrence": lambda: self._to(self._move_occurrence, series=True),
            "cancel occurrence": lambda: self._to(self._cancel_occurrence, series=True),
            "split": self._split,
            "delete": lambda: self._delete(self._client.remove),
            "recreate": self._recreate,
            "restore": lambda: self._bring(self._client.restore),
            "duplicate": self._duplicate,
            "put away": lambda: self._delete(self._client.put_away),
            "fetch back": lambda: self._bring(self._client.fetch_back),
            "be invited": self._be_invited,
            "answer": self._answer,
            "turn": lambda: self._to(self._turn),
        }
        deeds[self._step.do]()

    # -- whom it is about --------------------------------------------------------------------

    def _line(self, *, series: bool = False) -> Line:
        """The unit that the step means, or if it is not there, another one."""
        lines = [line for line in self._client.lines() if unit_of(line.title) is not None]
        fitting = [line for line in lines if line.series or not series]
        if not fitting:
            raise Refused("nothing there")
        same = [line for line in fitting if unit_of(line.title) == self._step.unit]
        return self._chance.choice(same or fitting)

    def _place(self, line: Line) -> Place:
        """One of the first occurrences, so that people meet there."""
        places = self._client.places(line.id)[:4]
        if not places:
            raise Refused("no occurrence")
        return self._chance.choice(places)

    def _to(self, deed: Callable[[Line], None], *, series: bool = False) -> None:
        """Do something to a unit, and note what became of it."""
        lines = self._client.lines()
        line = self._line(series=series)
        unit = unit_of(line.title) or 0
        before = words(lines, unit)
        try:
            deed(line)
        finally:
            now = self._client.lines()
            self._ledger.note(self._step, unit, before, words(now, unit))
            # An exception, or another item of the unit, may still show what was replaced.
            for same in (each for each in now if each.id == line.id):
                self._ledger.replaced |= own_words(line) - own_words(same)

    # -- deeds ---------------------------------------------------------------------------------

    def _start(self) -> datetime | date:
        day = self._today + timedelta(days=self._chance.randint(1, 25))
        if self._chance.random() < 0.15:
            return day
        return datetime.combine(day, self._clock())

    def _clock(self) -> time:
        return time(self._chance.randint(7, 20), 5 * (self._n % 12))

    def _sheet(self, *, series: bool) -> Sheet:
        chance, n = self._chance, self._n
        start = self._start()
        minutes = chance.choice((15, 30, 60, 90))
        if not isinstance(start, datetime):
            minutes = 1440 * chance.randint(1, 3)
        return Sheet(
            title=f"U{n} T{n}",
            text=f"D{n} agenda" if chance.random() < 0.7 else "",
            place=f"L{n} room" if chance.random() < 0.5 else "",
            start=start,
            minutes=minutes,
            zone=chance.choice(ZONES),
            free=chance.random() < 0.2,
            reminder=chance.choice((None, 10, 30)),
            repeat=self._repeat(start) if series else None,
        )

    def _repeat(self, start: datetime | date) -> Repeat:
        chance, day = self._chance, DAYS[start.weekday()]
        bounds: list[dict[str, object]] = [
            {},
            {"count": chance.randint(4, 9)},
            {"until": _day(start) + timedelta(days=70)},
        ]
        more = chance.choice([name for name in DAYS if name != day])
        several = tuple(name for name in DAYS if name in (day, more))
        shapes: list[dict[str, object]] = [
            {"freq": "DAILY"},
            {"freq": "DAILY", "interval": 3},
            {"freq": "WEEKLY", "days": (day,)},
            {"freq": "WEEKLY", "days": several},
            {"freq": "WEEKLY", "days": (day,), "interval": 2},
            {"freq": "MONTHLY", "day": start.day},
            {"freq": "MONTHLY", "days": (day,), "position": _position(start)},
        ]
        made: dict[str, object] = chance.choice(shapes) | chance.choice(bounds)
        return Repeat(**made)  # type: ignore[arg-type]

    def _create(self, *, series: bool) -> None:
        self._client.create(self._sheet(series=series))
        self._made()

    def _made(self) -> None:
        self._ledger.born[self._n] = self._step.place
        self._ledger.note(self._step, self._n, set(), words(self._client.lines(), self._n))

    def _write(self, line: Line) -> None:
        self._fill(line.id, line)

    def _fill(self, event: str, line: Line) -> None:
        n, unit = self._n, unit_of(line.title)
        match self._chance.choice(("title", "title", "text", "place")):
            case "title":
                self._client.write(event, title=f"U{unit} T{n}")
            case "text":
                self._client.write(event, text=f"D{n} notes")
            case _:
                self._client.write(event, place=f"L{n} hall")

    def _turn(self, line: Line) -> None:
        """Something without a word of its own."""
        if self._chance.random() < 0.5:
            self._client.write(line.id, free=self._chance.random() < 0.5)
        else:
            self._client.write(line.id, reminder=self._chance.choice((5, 20, 45)))

    def _move(self, line: Line) -> None:
        """A series stays on its days."""
        chance = self._chance
        zone = chance.choice(ZONES)
        if not line.series:
            start = self._start()
            minutes = 60 if isinstance(start, datetime) else 1440
            self._client.move(line.id, start, minutes, zone)
            return
        places = self._client.places(line.id)
        if not places or not isinstance(places[0].start, datetime):
            raise Refused("only a timed series changes its time of day")
        start = datetime.combine(places[0].original, self._clock())
        if date.fromisoformat(line.starts[0][:10]) != places[0].original:
            raise Refused("the first occurrence is not where the series begins")
        self._client.move(line.id, start, chance.choice((30, 60)), ZONES[0])

    def _change_rule(self, line: Line) -> None:
        places = self._client.places(line.id)
        if not places:
            raise Refused("no occurrence")
        self._client.repeat(line.id, self._repeat(places[0].original))

    def _write_occurrence(self, line: Line) -> None:
        self._fill(self._place(line).id, line)

    def _move_occurrence(self, line: Line) -> None:
        at = self._place(line)
        if isinstance(at.start, datetime):
            start: datetime | date = datetime.combine(at.start.date(), self._clock())
            if self._chance.random() < 0.3:
                start += timedelta(days=1)
            self._client.move(at.id, start, 45, ZONES[0])
        else:
            self._client.move(at.id, at.start + timedelta(days=1), 1440, ZONES[0])

    def _cancel_occurrence(self, line: Line) -> None:
        self._client.remove(self._place(line).id)
        self._note_deleted(unit_of(line.title) or 0)

    def _split(self) -> None:
        def split(line: Line) -> None:
            places = self._client.places(line.id)
            if len(places) < 3 or not line.own:
                raise Refused("too short")
            self._client.split(line.id, self._chance.choice(places[1:4]), f"U{self._n} T{self._n}")

        self._to(split, series=True)
        self._made()

    def _delete(self, way: Callable[[str], None]) -> None:
        unit: list[int] = []

        def delete(line: Line) -> None:
            way(line.id)
            self._note_freed(line)
            unit.append(unit_of(line.title) or 0)

        self._to(delete)
        self._note_deleted(unit[0])

    def _note_freed(self, line: Line) -> None:
        beside = [text for each in self._client.lines() for text in each.texts]
        if any(OF_A_DATE in text and line.id in text for text in beside):
            self._ledger.freed.add(unit_of(line.title) or 0)

    def _note_deleted(self, unit: int) -> None:
        """Of a unit that is several items there, a person may have deleted one."""
        if all(unit_of(line.title) != unit for line in in_sight(self._client)):
            self._ledger.deleted.setdefault(unit, set()).add(self._step.place)

    def _recreate(self) -> None:
        self._delete(self._client.remove)
        self._create(series=self._chance.random() < 0.5)

    def _bring(self, way: Callable[[], str]) -> None:
        lines = self._client.lines()
        name = way()
        now = self._client.lines()
        for line in now:
            unit = unit_of(line.title)
            if line.id == name and unit is not None:
                self._ledger.back.add(unit)
                self._ledger.note(self._step, unit, words(lines, unit), words(now, unit))
                self._ledger.born.setdefault(unit, self._step.place)

    def _duplicate(self) -> None:
        line = self._line()
        name = self._client.duplicate(line.id, f"U{self._n} T{self._n}")
        if self._chance.random() < 0.7 and not line.series:
            self._client.move(name, self._start(), 1440, ZONES[0])
        else:
            self._ledger.alike.add(self._n)
        self._made()

    def _be_invited(self) -> None:
        self._client.be_invited(self._sheet(series=self._chance.random() < 0.3))
        self._ledger.foreign.add(self._n)
        self._made()

    def _answer(self) -> None:
        foreign = [line for line in self._client.lines() if not line.own]
        if not foreign:
            raise Refused("no invitation")
        line = self._chance.choice(foreign)
        answer = self._chance.choice(("accepted", "tentative", "declined"))
        self._client.answer(line.id, answer)
        if answer == "declined":
            self._ledger.declined.add(unit_of(line.title) or 0)


def _day(start: datetime | date) -> date:
    return start.date() if isinstance(start, datetime) else start


def _position(start: datetime | date) -> int:
    number = (start.day - 1) // 7 + 1
    return number if number < 5 else -1
