"""One account at a CalDAV server, as the bridge sees it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from threading import Lock

from connectors.caldav import dav, homes, listing
from connectors.caldav.addresses import collection, ref_in
from connectors.caldav.client import Client
from connectors.caldav.errors import AbsentError
from connectors.caldav.reading import Reader, gone_calendar
from connectors.caldav.recall import Recall
from connectors.caldav.settings import Settings
from connectors.caldav.writing import Writer, name_of
from connectors.capabilities import Capabilities
from connectors.contract import Calendar, Copy, Page, Whole
from mappings import caldav as dialect
from mappings import recurrence, zones
from mappings.errors import UnmappableError
from mappings.model import Details, Event, Key, Occurrence, When


class CaldavConnector:
    """One account. Thread safe; methods promise what `connectors.contract.Connector` says.

    `addresses` are the account's mail addresses.
    """

    def __init__(
        self,
        *,
        client: Client,
        capabilities: Capabilities,
        recall: Recall,
        settings: Settings,
        addresses: Sequence[str],
        now: Callable[[], datetime],
        forget: Callable[["CaldavConnector"], None],
    ) -> None:
        self._client = client
        self._capabilities = capabilities
        self._settings = settings
        self._forget = forget
        self._lock = Lock()
        self._principal: homes.Principal | None = None
        known = frozenset(address.lower() for address in addresses)
        self._reader = Reader(client, recall, settings, known)
        self._writer = Writer(
            client, self._reader, recall, settings, owner=next(iter(addresses), None), now=now
        )

    @property
    def capabilities(self) -> Capabilities:
        """The declared facts."""
        return self._capabilities

    def calendars(self) -> Sequence[Calendar]:
        """All calendars of the account that hold events. Two to five calls, then one."""
        with self._lock:
            who = self._principal or homes.principal(self._client)
            self._principal = who
        return tuple(calendar for calendar, _ in homes.calendars(self._client, who))

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """What changed since `cursor`; everything, without one."""
        return listing.changes(self._client, self._reader, self._at(calendar), cursor)

    def fetch(self, calendar: str, ref: str, keys: Sequence[Key] = ()) -> Copy | None:
        """The unit as it is now. One call; `keys` are not needed."""
        return self._reader.unit(self._at(calendar), ref)

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """Make the unit as the object `key`.ics with the UID `key`."""
        return self._writer.create(self._at(calendar), event, key)

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """Change the unit from `copy` to `event`; whatever else its object holds stays."""
        return self._writer.update(self._at(calendar), copy, event)

    def delete(self, calendar: str, copy: Copy) -> None:
        """Delete the unit with all its exceptions. Absent already = done."""
        self._writer.delete(self._at(calendar), copy)

    def find(self, calendar: str, key: str) -> Copy | None:
        """The unit created with `key` and still alive: its object is named so."""
        return self._reader.unit(self._at(calendar), name_of(key))

    def occurrences(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        """Every occurrence in [since, until), as the server expands it. One call.

        With the setting `expansion: bridge`, as we do.
        """
        calendar = self._at(calendar)
        if self._settings.expansion == "bridge":
            yield from self._expanded_here(calendar, since, until)
            return
        zone = self._reader.zone(calendar)
        try:
            found = self._client.report(calendar, dav.expanded(since, until))
        except AbsentError as error:
            raise gone_calendar(calendar, error) from error
        for answer in found.answers:
            ref, text = ref_in(calendar, answer.href), answer.text(dav.DATA)
            if ref is None or not text.strip():
                continue
            try:
                instances = list(dialect.decode_instances(text, zone, self._reader.addresses))
            except UnmappableError:
                continue  # no listing of ours can read it either
            for when, details in instances:
                occurrence = _occurrence(when, details)
                if _begins(occurrence.start) < until and _begins(occurrence.end) > since:
                    yield ref, occurrence

    def close(self) -> None:
        """Close the sockets of all threads."""
        self._client.close()
        self._forget(self)

    def _at(self, calendar: str) -> str:
        return collection(self._client.login.url, calendar)

    def _expanded_here(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        for page in self.changes(calendar, None):
            for change in page.changes:
                if isinstance(change, Whole):
                    for occurrence in recurrence.expand(change.copy.event, since, until):
                        yield change.ref, occurrence


def _occurrence(when: When, details: Details) -> Occurrence:
    start: datetime | date = when.start
    end: datetime | date = when.start + when.duration
    if not when.all_day:
        start, end = zones.start_instant(when), zones.end_instant(when)
    return Occurrence(start=start, end=end, details=details)


def _begins(at: datetime | date) -> datetime:
    if isinstance(at, datetime):
        return at
    return zones.day_bounds(at, "UTC")[0]
