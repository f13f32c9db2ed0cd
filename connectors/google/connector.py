"""One account at Google, as the bridge sees it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

from connectors import answers
from connectors.capabilities import Capabilities
from connectors.contract import Calendar, Copy, Page, Role, Subscription
from connectors.google import addresses, listing
from connectors.google.answering import answer
from connectors.google.client import Client, Wire
from connectors.google.reading import PAGE, Reader
from connectors.google.recall import Recall
from connectors.google.watch import Channels
from connectors.google.writing import Writer
from mappings import google as dialect
from mappings import zones
from mappings.errors import UnmappableError
from mappings.model import Event, Key, Occurrence, When

_ROLES = {
    "freeBusyReader": Role.FREE_BUSY,
    "reader": Role.READER,
    "writerWithoutPrivateAccess": Role.WRITER,
    "writer": Role.WRITER,
    "owner": Role.OWNER,
}
_LIST_PAGE = 250


class GoogleConnector:
    """One account. Thread safe; methods promise what `connectors.contract.Connector` says.

    Also `Subscribes`: with `push_url`, Google is asked to post to our address. `forget` is
    told when the connector is closed.
    """

    def __init__(
        self,
        *,
        account: str,
        client: Client,
        capabilities: Capabilities,
        recall: Recall,
        channels: Channels,
        forget: Callable[["GoogleConnector"], None],
    ) -> None:
        self._account = account
        self._client = client
        self._capabilities = capabilities
        self._recall = recall
        self._channels = channels
        self._forget = forget
        self._reader = Reader(client, recall)
        self._writer = Writer(client, self._reader)

    @property
    def capabilities(self) -> Capabilities:
        """The declared facts."""
        return self._capabilities

    def calendars(self) -> Sequence[Calendar]:
        """All calendars of the account, hidden ones too."""
        return tuple(calendar_of(entry) for entry in calendar_entries(self._client))

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """What changed since `cursor`; everything, without one."""
        return listing.changes(self._client, self._reader, self._recall, calendar, cursor)

    def fetch(self, calendar: str, ref: str, keys: Sequence[Key] = ()) -> Copy | None:
        """The unit as it is now. One call, two for a series; `keys` are not needed."""
        return self._reader.unit(calendar, ref)

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """Make the unit under the id `key`.

        Raises `ConflictError` (code `dead-key`, no `current`) if the id belongs to an event that
        was deleted for good: use another key.
        """
        return self._remember(calendar, self._writer.create(calendar, event, key))

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """Change the unit from `copy` to `event`, or answer the invitation that it is."""
        changed = answers.updated(
            copy,
            event,
            lambda wanted: self._writer.update(calendar, copy, wanted),
            lambda held, given: answer(self._client, self._reader, calendar, held, given),
        )
        return self._remember(calendar, changed)

    def delete(self, calendar: str, copy: Copy) -> None:
        """Delete the unit with all its exceptions. Absent already = done."""
        self._writer.delete(calendar, copy)

    def find(self, calendar: str, key: str) -> Copy | None:
        """The unit created with `key` and still alive: its id is the key."""
        return self._reader.unit(calendar, key)

    def occurrences(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        """Every occurrence in [since, until) as Google expands it.

        Pages of 2500, and one call for each series of other people that was not seen lately: an
        occurrence to which the account was invited without the series is a unit of its own.
        """
        lone: set[str] = set()
        wires = self._reader.listing(
            calendar,
            singleEvents=True,
            maxResults=PAGE,
            timeMin=since.isoformat(),
            timeMax=until.isoformat(),
            eventTypes=listing.EVENT_TYPES,
        )
        for wire in wires:
            try:
                series = self._series_of(calendar, wire, lone)
                occurrence = self._occurrence(calendar, wire, series)
            except UnmappableError:
                continue  # no listing of ours can read it either
            yield series or str(wire["id"]), occurrence

    def subscribe(self, calendar: str | None) -> Subscription | None:
        """Ask for pushes; None without `push_url`. No call while a channel serves."""
        return self._channels.open(self._client, self._account, calendar)

    def unsubscribe(self, calendar: str | None) -> None:
        """No longer ask for pushes."""
        self._channels.shut(self._client, self._account, calendar)

    def ids_in(self, address: str) -> Sequence[str]:
        """See `HasAddresses`."""
        return addresses.ids_in(address)

    def address_of(self, calendar: str, ref: str) -> str | None:
        """See `HasAddresses`."""
        return addresses.address_of(calendar, ref)

    def close(self) -> None:
        """No sockets are its own; they are the provider's."""
        self._forget(self)

    def _remember(self, calendar: str, copy: Copy) -> Copy:
        version = copy.version()
        if version is not None and copy.event.recurring:
            self._recall.echoes.put((calendar, copy.ref), version)
        return copy

    def _series_of(self, calendar: str, wire: Wire, lone: set[str]) -> str | None:
        """The series on this calendar that an occurrence belongs to, None if there is none.

        `lone` are the series that are known not to be here. One's own are always here.
        """
        series: str | None = wire.get("recurringEventId")
        if series is None or series in lone:
            return None
        if dialect.organized(wire) or self._recall.series.get((calendar, series)):
            return series
        if self._reader.series_event(calendar, series) is None:
            lone.add(series)
            return None
        return series

    def _occurrence(self, calendar: str, wire: Wire, series: str | None) -> Occurrence:
        event = dialect.decode(wire, self._reader.zone(calendar))
        key = self._key(calendar, wire, event) if series else None
        start: datetime | date = event.when.start
        end: datetime | date = event.when.start + event.when.duration
        if not event.when.all_day:
            start, end = zones.start_instant(event.when), zones.end_instant(event.when)
        return Occurrence(start=start, end=end, details=event.details, key=key)

    def _key(self, calendar: str, wire: Wire, event: Event) -> Key:
        """An occurrence's key is a wall clock in its series' zone."""
        series = self._recall.series.get((calendar, wire["recurringEventId"]))
        return dialect.key_of(wire, series.when if series else _like_series(wire, event.when))


def _like_series(wire: Wire, shown: When) -> When:
    """As much of a series' `When` as one of its occurrences gives away: the kind and the zone."""
    original: dict[str, Any] = wire.get("originalStartTime") or {}
    if "date" in original:
        start = date.fromisoformat(original["date"])
        return When(start=start, duration=shown.duration)
    zone = zones.resolve(original.get("timeZone") or "") or shown.zone or "UTC"
    at = datetime.fromisoformat(original["dateTime"])
    wall, fold = zones.wall(at, zone)
    return When(start=wall, duration=shown.duration, zone=zone, fold=fold)


def calendar_entries(client: Client) -> Iterator[Wire]:
    """All entries of the account's list of calendars."""
    page: dict[str, str] = {}
    while True:
        answer = client.read("calendarList.list", maxResults=_LIST_PAGE, showHidden=True, **page)
        yield from answer.get("items", ())
        if "nextPageToken" not in answer:
            return
        page = {"pageToken": answer["nextPageToken"]}


def calendar_of(entry: Wire) -> Calendar:
    """One entry as the contract has it."""
    return Calendar(
        id=entry["id"],
        name=entry.get("summaryOverride") or entry.get("summary", ""),
        role=_ROLES.get(entry.get("accessRole", ""), Role.NONE),
        primary=bool(entry.get("primary")),
        zone=entry.get("timeZone"),
    )
