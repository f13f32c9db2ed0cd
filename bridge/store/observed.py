"""What was seen of the world outside: calendars of accounts, and pushes already taken."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import delete, select

from bridge.store.schema import calendars, digest, pushes
from bridge.store.session import Reads, Writes
from bridge.store.texts import storable
from connectors.contract import Calendar, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarChanges:
    """How an account's calendars differ from what was last seen. Pairs are (before, now)."""

    new: tuple[Calendar, ...] = ()
    removed: tuple[Calendar, ...] = ()
    renamed: tuple[tuple[Calendar, Calendar], ...] = ()
    role_changed: tuple[tuple[Calendar, Calendar], ...] = ()
    foreign_changed: tuple[tuple[Calendar, Calendar], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.counts())

    def counts(self) -> dict[str, int]:
        """How many of each kind there are, without those of which there are none."""
        found = {item.name: len(getattr(self, item.name)) for item in fields(self)}
        return {name: number for name, number in found.items() if number}


class ObservedReads(Reads):
    """What was seen, to read."""

    def calendars(self, connector: str, account: str) -> list[Calendar]:
        """The account's calendars as last seen, in the provider's order."""
        query = (
            select(calendars)
            .where(calendars.c.connector == connector, calendars.c.account == account)
            .order_by(calendars.c.position)
        )
        with self.reading() as connection:
            return [
                Calendar(
                    id=row["id"],
                    name=row["name"],
                    role=Role(row["role"]),
                    primary=row["primary"],
                    zone=row["zone"],
                    foreign=row["foreign"],
                )
                for row in connection.execute(query).mappings()
            ]

    def had_push(self, connector: str, id_: str) -> bool:
        """Whether a push came before and is remembered still."""
        query = select(pushes.c.at).where(
            pushes.c.connector == connector, pushes.c.id_hash == digest(id_)
        )
        with self.reading() as connection:
            return connection.execute(query).first() is not None


class ObservedWrites(ObservedReads, Writes):
    """What was seen, to write."""

    def put_calendars(
        self, connector: str, account: str, seen: Sequence[Calendar]
    ) -> CalendarChanges:
        """Replace what is known of an account's calendars; says what is different now."""
        before = {calendar.id: calendar for calendar in self.calendars(connector, account)}
        now = {calendar.id: calendar for calendar in map(_storable, seen)}
        self.connection.execute(
            delete(calendars).where(
                calendars.c.connector == connector,
                calendars.c.account == account,
                calendars.c.id.not_in(list(now)),
            )
        )
        place = {"connector": connector, "account": account}
        rows = [
            place | {"position": position} | asdict(calendar) | {"role": calendar.role.value}
            for position, calendar in enumerate(now.values())
        ]
        # Another process may see the same account at the same time. In order, so that the two
        # never wait for each other.
        self.upsert(calendars, sorted(rows, key=lambda row: str(row["id"])))
        both = [(before[id_], now[id_]) for id_ in now if id_ in before]
        return CalendarChanges(
            new=tuple(now[id_] for id_ in now if id_ not in before),
            removed=tuple(before[id_] for id_ in before if id_ not in now),
            renamed=tuple(pair for pair in both if pair[0].name != pair[1].name),
            role_changed=tuple(pair for pair in both if pair[0].role is not pair[1].role),
            foreign_changed=tuple(pair for pair in both if pair[0].foreign != pair[1].foreign),
        )

    def seen_push(self, connector: str, id_: str, at: datetime) -> bool:
        """Note a push; True if it is new, False if it came before."""
        row = {"connector": connector, "id_hash": digest(id_), "at": at}
        return self.insert_new(pushes, row)

    def forget_pushes(self, before: datetime) -> int:
        """Forget pushes older than that; how many there were."""
        return self.connection.execute(delete(pushes).where(pushes.c.at < before)).rowcount


def _storable(calendar: Calendar) -> Calendar:
    return Calendar(**asdict(calendar) | {"name": storable(calendar.name)})
