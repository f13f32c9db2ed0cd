"""What people do to their calendars, told to the ledger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice

from bridge.records import Side
from bridge.simulation.history import Step
from bridge.simulation.ledger import Ledger, name_of
from connectors.errors import RejectedError
from connectors.memory import MemoryCalendar, edits
from mappings import recurrence
from mappings.model import (
    WEEKDAYS,
    Attendee,
    Busy,
    Details,
    Event,
    Key,
    Location,
    Person,
    Rule,
    Visibility,
    When,
)
from mappings.projection import all_cancelled

ZONES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "UTC")
_COLORS = ("#7986cb", "#d50000", "#123456", None)
_HOST = Person(email="host@example.com", name="Host")
_LONG = " lorem ipsum" * 120


class NobodyThereError(Exception):
    """The step is about something that is not there; then nothing happens."""


@dataclass(slots=True)
class People:
    """The people of both calendars."""

    calendars: Mapping[Side, MemoryCalendar]
    ledger: Ledger
    now: Callable[[], datetime]

    def act(self, step: Step) -> str:
        """Let the step happen; says what it came to, empty if nothing did."""
        try:
            return _Deed(self, step).do()
        except (NobodyThereError, RejectedError, ValueError):
            return ""


class _Deed:
    """One step of one person."""

    def __init__(self, people: People, step: Step) -> None:
        self._ledger = people.ledger
        self._calendar = people.calendars[step.side]
        self._today = people.now().date()
        self._step = step
        self._chance = step.chance()

    def do(self) -> str:
        deeds: dict[str, Callable[[], str]] = {
            "create": self._create,
            "create series": self._create_series,
            "edit": self._edit,
            "edit again": self._edit_again,
            "move": self._move,
            "change rule": self._change_rule,
            "edit occurrence": self._edit_occurrence,
            "move occurrence": self._move_occurrence,
            "cancel occurrence": lambda: self._change_occurrence(edits.cancelled),
            "restore occurrence": self._restore_occurrence,
            "split": self._split,
            "delete": self._delete,
            "recreate": self._recreate,
            "duplicate": self._duplicate,
            "leave the window": lambda: self._shift(timedelta(days=-400)),
            "enter the window": lambda: self._shift(timedelta(days=30)),
            "be invited": self._be_invited,
            "spoil": self._spoil,
        }
        return deeds[self._step.do]()

    # -- whom it is about ----------------------------------------------------------------------

    def _ref(self, *, series: bool = False) -> str:
        """The unit that the step means, or if it is not there, another one."""
        events = ((ref, self._calendar.event(ref)) for ref in self._calendar.refs())
        seen = [(ref, event) for ref, event in events if not all_cancelled(event)]
        fitting = [ref for ref, event in seen if not series or event.rule]
        if not fitting:
            raise NobodyThereError
        for ref in fitting:
            if name_of(self._calendar.event(ref)) == self._step.unit:
                return ref
        return fitting[self._step.unit % len(fitting)]

    def _key(self, event: Event) -> Key:
        """One of the first occurrences, so that people meet there."""
        keys = list(islice(recurrence.keys(event.rule, event.rdates, event.when, limit=4), 4))
        return self._chance.choice(keys)

    # -- telling the ledger --------------------------------------------------------------------

    def _put(self, event: Event, *, origin: str | None = None, organized: bool = True) -> str:
        ref = self._calendar.person_puts(event, origin=origin, organized=organized)
        n, side = self._step.n, self._step.side
        self._ledger.born[n] = side
        if origin is not None:
            self._ledger.marked.add(n)
        self._ledger.note(n=n, side=side, unit=n, before=None, after=self._calendar.event(ref))
        return ref

    def _change(self, ref: str, edit: Callable[[Event], Event], *, moved: bool = False) -> str:
        before = self._calendar.event(ref)
        self._calendar.person_edits(ref, edit)
        after = self._calendar.event(ref)
        self._ledger.note(
            n=self._step.n,
            side=self._step.side,
            unit=name_of(before),
            before=before,
            after=after,
            moved=moved,
        )
        return ref if after != before else ""

    def _remove(self, ref: str) -> None:
        before = self._calendar.event(ref)
        self._calendar.person_deletes(ref)
        step = self._step
        self._ledger.note(n=step.n, side=step.side, unit=name_of(before), before=before, after=None)

    # -- deeds ---------------------------------------------------------------------------------

    def _details(self) -> Details:
        n = self._step.n
        return Details(
            title=f"U{n} T{n}",
            description=f"U{n} <b>D{n}</b><br>agenda",
            location=Location(name=f"L{n} room"),
            busy=self._chance.choice((Busy.BUSY, Busy.FREE)),
            reminders=self._chance.choice((None, (), (10,), (5, 30))),
            color=self._chance.choice(_COLORS),
        )

    def _when(self) -> When:
        chance = self._chance
        day = self._today + timedelta(days=chance.randint(-3, 20))
        if chance.random() < 0.15:
            return When(start=day, duration=timedelta(days=chance.randint(1, 3)))
        return When(
            start=self._clock(day),
            duration=timedelta(minutes=chance.choice((15, 60, 90))),
            zone=chance.choice(ZONES),
        )

    def _clock(self, day: date) -> datetime:
        """A time of day that only this step uses."""
        minute = self._step.n * 7 % 1440
        return datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)

    def _create(self) -> str:
        return self._put(Event(details=self._details(), when=self._when()))

    def _create_series(self) -> str:
        when = self._when()
        event = Event(details=self._details(), when=when, rule=self._rule(when))
        if self._chance.random() < 0.3:
            event = edits.cancelled(event, self._key(event))
        return self._put(event)

    def _rule(self, when: When) -> Rule | None:
        day, other = WEEKDAYS[when.start.weekday()], WEEKDAYS[(when.start.weekday() + 2) % 7]
        text = self._chance.choice(
            (
                "FREQ=DAILY;COUNT=8",
                "FREQ=DAILY;INTERVAL=2;COUNT=5",
                "FREQ=WEEKLY",
                "FREQ=WEEKLY;COUNT=6",
                f"FREQ=WEEKLY;BYDAY={day},{other};COUNT=9",
                "FREQ=MONTHLY;COUNT=5",
                "FREQ=YEARLY",
            )
        )
        return recurrence.parse_rule(text, when)

    def _edit(self) -> str:
        n, chance = self._step.n, self._chance
        what = chance.choices(
            ("title", "description", "location", "busy", "color", "reminders", "visibility"),
            (4, 4, 2, 1, 1, 1, 1),
        )[0]
        ref = self._ref()
        name = name_of(self._calendar.event(ref))
        prefix = "" if name is None else f"U{name} "
        values = {
            "title": f"{prefix}T{n}" + chance.choice(("", "", _LONG)),
            "description": chance.choice(
                (f"{prefix}D{n}", f"<div>{prefix}<b>D{n}</b></div>", f"{prefix}D{n}{_LONG}")
            ),
            "location": chance.choice((Location(name=f"L{n}"), Location(name=f"  L{n} hall "))),
            "busy": chance.choice(list(Busy)),
            "color": chance.choice(_COLORS),
            "reminders": chance.choice((None, (), (10,), (0, 15, 60))),
            "visibility": chance.choice(list(Visibility)),
        }
        return self._change(ref, lambda event: edits.edited(event, **{what: values[what]}))

    def _edit_again(self) -> str:
        """Title and description at once, as clients do that write the whole event."""
        n = self._step.n
        ref = self._ref()
        name = name_of(self._calendar.event(ref))
        prefix = "" if name is None else f"U{name} "
        return self._change(
            ref,
            lambda event: edits.edited(event, title=f"{prefix}T{n}", description=f"{prefix}D{n}"),
        )

    def _move(self) -> str:
        chance, ref = self._chance, self._ref()
        event = self._calendar.event(ref)
        days = chance.choice((0, 0, 1, -1, 3))
        drops = chance.random() < 0.3
        longer = chance.choice((None, None, timedelta(minutes=75)))
        start: datetime | date = event.when.start + timedelta(days=days)
        if isinstance(start, datetime):
            start = self._clock(start.date())
        else:
            longer = None

        def moved(event: Event) -> Event:
            try:
                result = edits.moved(event, start=start, duration=longer)
            except ValueError:
                same_day = self._clock(event.when.start) if not event.when.all_day else start
                result = edits.moved(event, start=same_day, duration=longer)
            return replace(result, overrides=()) if drops else result

        return self._change(ref, moved, moved=True)

    def _shift(self, by: timedelta) -> str:
        ref = self._ref()
        start = self._calendar.event(ref).when.start + by
        if isinstance(start, datetime):
            start = self._clock(start.date())
        return self._change(ref, lambda event: edits.moved(event, start=start), moved=True)

    def _change_rule(self) -> str:
        ref = self._ref()
        single = self._chance.random() < 0.15

        def changed(event: Event) -> Event:
            rule = None if single and event.rule else self._rule(event.when)
            return recurrence.tidy(replace(event, rule=rule))

        return self._change(ref, changed)

    def _change_occurrence(
        self, edit: Callable[[Event, Key], Event], *, moved: bool = False
    ) -> str:
        ref = self._ref(series=True)
        key = self._key(self._calendar.event(ref))
        return self._change(ref, lambda event: edit(event, key), moved=moved)

    def _edit_occurrence(self) -> str:
        n = self._step.n
        what = self._chance.choice(("title", "title", "description"))

        def edit(event: Event, key: Key) -> Event:
            name = name_of(event)
            prefix = "" if name is None else f"U{name} "
            return edits.edited(event, key, **{what: f"{prefix}{what[0].upper()}{n}"})

        return self._change_occurrence(edit)

    def _move_occurrence(self) -> str:
        days = self._chance.choice((0, 0, 1))

        def move(event: Event, key: Key) -> Event:
            start: datetime | date = moment_of(event, key) + timedelta(days=days)
            if isinstance(start, datetime):
                start = self._clock(start.date())
            return edits.moved(event, key, start=start)

        return self._change_occurrence(move, moved=True)

    def _restore_occurrence(self) -> str:
        ref = self._ref(series=True)
        overrides = self._calendar.event(ref).overrides
        if not overrides:
            raise NobodyThereError
        key = self._chance.choice(overrides).key
        return self._change(ref, lambda event: edits.reverted(event, key))

    def _split(self) -> str:
        """This and following: the series ends, another one goes on from there."""
        ref = self._ref(series=True)
        event = self._calendar.event(ref)
        assert event.rule is not None
        keys = list(recurrence.keys(event.rule, (), event.when, limit=4))
        if len(keys) < 3:
            raise NobodyThereError
        last, first = keys[1], keys[2]
        tail = replace(
            event,
            details=self._details(),
            when=replace(recurrence.when_of(event, first), fold=0),
            rule=replace(event.rule, count=None),
            overrides=(),
        )

        def ended(event: Event) -> Event:
            assert event.rule is not None
            rule = replace(event.rule, until=last, count=None)
            kept = tuple(item for item in event.overrides if item.key <= last)
            return recurrence.tidy(replace(event, rule=rule, overrides=kept))

        self._change(ref, ended)
        return self._put(recurrence.tidy(tail))

    def _delete(self) -> str:
        ref = self._ref()
        self._remove(ref)
        return ref

    def _recreate(self) -> str:
        ref = self._ref()
        event = self._calendar.event(ref)
        self._remove(ref)
        return self._put(replace(event, details=self._details(), overrides=()))

    def _duplicate(self) -> str:
        """Copy and paste, which takes the bridge's mark along."""
        copy = self._calendar.copy(self._ref())
        assert copy is not None
        event = replace(copy.event, details=self._details(), overrides=())
        return self._put(event, origin=copy.origin)

    def _be_invited(self) -> str:
        details = replace(
            self._details(),
            organizer=_HOST,
            attendees=(
                Attendee(person=_HOST, organizer=True),
                Attendee(person=Person(email="ann@example.com", name="Ann")),
            ),
        )
        return self._put(Event(details=details, when=self._when()), organized=False)

    def _spoil(self) -> str:
        ref = self._ref()
        self._calendar.person_spoils(ref)
        return ref


def moment_of(event: Event, key: Key) -> datetime | date:
    """Where the occurrence stands now."""
    override = event.overrides_by_key.get(key)
    when = override.when if override and override.when else recurrence.when_of(event, key)
    return when.start
