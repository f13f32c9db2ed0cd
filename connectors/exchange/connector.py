"""One mailbox at Exchange, as the bridge sees it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from connectors import answers
from connectors.capabilities import Capabilities
from connectors.contract import Calendar, Copy, Page, Subscription
from connectors.errors import ConnectorError
from connectors.exchange import folders, listing, views
from connectors.exchange.answering import answer
from connectors.exchange.client import Client
from connectors.exchange.reading import Reader
from connectors.exchange.recall import Recall
from connectors.exchange.writing import Writer
from mappings.model import Event, Key, Loss, Occurrence
from mappings.patterns import EWS, plan


class ExchangeConnector:
    """One account. Thread safe; methods promise what `connectors.contract.Connector` says.

    Also `CreatesMany`, `HoldsOtherwise` and `Subscribes`: calendars that were asked for are watched
    by the provider's streaming connections. A unit's ref is the id of the item that it began with.
    """

    def __init__(
        self,
        *,
        client: Client,
        capabilities: Capabilities,
        recall: Recall,
        zone: str,
        now: Callable[[], datetime],
        watch: Callable[[str, str, bool], bool],
        log: Callable[..., None],
    ) -> None:
        self._client = client
        self._capabilities = capabilities
        self._recall = recall
        self._zone = zone
        self._now = now
        self._watch = watch
        self._reader = Reader(client, recall, zone, now)
        self._writer = Writer(client, self._reader, log)

    @property
    def capabilities(self) -> Capabilities:
        """The declared facts."""
        return self._capabilities

    def calendars(self) -> Sequence[Calendar]:
        """All calendars of the mailbox."""
        return folders.calendars(self._client, self._zone)

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """What changed since `cursor`; everything, without one."""
        return listing.changes(self._client, self._reader, self._recall, calendar, cursor)

    def fetch(self, calendar: str, ref: str, keys: Sequence[Key] = ()) -> Copy | None:
        """The unit as it is now; `keys` are not needed. One call for a single event, one or two
        more for a series. What a broken-off write has left behind is put right."""
        self._reader.require(calendar)
        group = self._writer.settled(calendar, ref)
        return None if group is None else self._reader.copy(group)

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """Make the unit, or give the one that was made with this key."""
        (made,) = self.create_many(calendar, [(event, key)])
        if isinstance(made, ConnectorError):
            raise made
        return made

    def create_many(
        self, calendar: str, pairs: Sequence[tuple[Event, str]]
    ) -> list[Copy | ConnectorError]:
        """Make several units, each with its own outcome."""
        made = self._writer.create(calendar, pairs)
        for copy in made:
            if isinstance(copy, Copy):
                self._recall.written(copy)
        return made

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """Change the unit from `copy` to `event`. With nothing to change, a series is looked at
        again: one that can only be written some years ahead is continued, and one whose zones
        were chosen by other zone data gets those that are right now."""
        if copy.event == event:
            changed = self._writer.review(calendar, copy)
        else:
            changed = answers.updated(
                copy,
                event,
                lambda wanted: self._writer.update(calendar, copy, wanted),
                lambda held, given: answer(self._client, self._reader, calendar, held, given),
            )
        self._recall.written(changed)
        return changed

    def delete(self, calendar: str, copy: Copy) -> None:
        """Move the unit with all its items to the Deleted Items. Absent already = done."""
        self._writer.delete(calendar, copy)

    def find(self, calendar: str, key: str) -> Copy | None:
        """The unit created with `key` and still alive: a search for our named property."""
        self._reader.require(calendar)
        ref = self._writer.refs(calendar, [key]).get(key)
        return None if ref is None else self.fetch(calendar, ref)

    def occurrences(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        """Every occurrence in [since, until) as Exchange expands it."""
        return views.occurrences(self._client, self._reader, calendar, since, until)

    def shortcomings(self, event: Event) -> Sequence[Loss]:
        """See `HoldsOtherwise`: series that Outlook shows as several items, or only in part."""
        return plan(event, EWS, self._now()).losses

    def subscribe(self, calendar: str | None) -> Subscription | None:
        """Watch a calendar from the next streaming connection on. No call. Nothing is streamed
        about the list of calendars."""
        if calendar is None or not self._watch(self._client.account, calendar, True):
            return None
        return Subscription()

    def unsubscribe(self, calendar: str | None) -> None:
        """No longer watch it."""
        if calendar is not None:
            self._watch(self._client.account, calendar, False)

    def close(self) -> None:
        """Nothing: the connections belong to the provider."""
