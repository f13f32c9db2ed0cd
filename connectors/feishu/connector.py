"""One Feishu account as the bridge sees it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors import answers
from connectors.capabilities import Capabilities, RateBudget
from connectors.contract import Calendar, Copy, Page, Role, Subscription
from connectors.errors import FatalError
from connectors.feishu import addresses
from connectors.feishu.api import CalendarApi, Wire
from connectors.feishu.errors import PROVIDER
from connectors.feishu.extras import Extras
from connectors.feishu.listing import Lister
from connectors.feishu.reading import EventReader
from connectors.feishu.replacing import replaces
from connectors.feishu.settings import Settings
from connectors.feishu.writing import EventWriter, UserIds
from mappings.feishu import LIMITS
from mappings.model import Event, Key, Occurrence

CAPABILITIES = Capabilities(
    limits=LIMITS,
    write_guard=False,
    find_by_key=False,
    whole_changes=False,
    reshape_refetch=True,
    cursor_lifetime=timedelta(days=90),
    parallel_writes=8,
    parallel_reads=8,
    budget=RateBudget(per_second=50, per_minute=1000, shared_by="app"),
    lag=timedelta(seconds=5),
)
"""No version on events, no invisible mark, no listing of exceptions alone; the lifetime is
documented for the list of calendars only (docs: event resource, calendar list, rate limits)."""


def capabilities_of(settings: Settings) -> Capabilities:
    """The facts for these settings: an app's bot cannot answer what its users were invited to."""
    if settings.identity == "user":
        return CAPABILITIES
    return replace(CAPABILITIES, limits=replace(LIMITS, responses=False))


PRIMARY = "primary"

_ROLES = {
    "free_busy_reader": Role.FREE_BUSY,
    "reader": Role.READER,
    "writer": Role.WRITER,
    "owner": Role.OWNER,
}


_LEFT_OUT = frozenset({"attendees"})


class FeishuConnector:
    """One account. Thread safe. `primary` is taken for a calendar id everywhere."""

    def __init__(
        self,
        api: CalendarApi,
        as_user: CalendarApi,
        settings: Settings,
        *,
        now: Callable[[], datetime],
        open_id: Callable[[], str | None],
        user_ids: UserIds,
        extras: Extras,
    ) -> None:
        dialect = settings.dialect.mapping
        self.capabilities = capabilities_of(settings)
        self._api = api
        self._as_user = as_user
        self._open_id = open_id
        self._attendees = settings.attendees == "read"
        self._reader = EventReader(api, dialect, now, attendees=self._attendees, extras=extras)
        self._writer = EventWriter(api, self._reader, dialect, now, user_ids)
        self._lister = Lister(
            api,
            self._reader,
            page_size=settings.page_size,
            full_since=settings.full_since,
            removals_hidden=settings.dialect.cancelled_in_listing == "hidden",
        )
        self._primary: str | None = None
        self._pushed = settings.delivery.mode != "none"

    def calendars(self) -> Sequence[Calendar]:
        """See `Connector`. One GET per 500. Calendars that Feishu itself has bound to Google or
        Exchange are listed as foreign: the API shows none of their events."""
        found = []
        for item in self._api.calendars():
            id_, role = str(item["calendar_id"]), str(item.get("role") or "")
            primary = item.get("type") == "primary" and role == "owner"
            self._reader.know_role(id_, role)
            found.append(
                Calendar(
                    id=id_,
                    name=str(item.get("summary_alias") or item.get("summary") or ""),
                    role=_ROLES.get(role, Role.NONE),
                    primary=primary,
                    foreign=_foreign(item),
                )
            )
        return found

    def resolve(self, calendar: str) -> str:
        """The real id behind `primary` (asked once), any other id as it is."""
        if calendar != PRIMARY:
            return calendar
        if self._primary is None:
            self._primary = self._api.primary(self._open_id())
        return self._primary

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """See `Connector`; the calls are told at `Lister.changes`."""
        return self._lister.changes(self.resolve(calendar), cursor)

    def fetch(self, calendar: str, ref: str, keys: Sequence[Key] = ()) -> Copy | None:
        """See `Connector`; the calls are told at `EventReader.fetch`."""
        return self._reader.fetch(self.resolve(calendar), ref, keys)

    def fetch_again(self, calendar: str, copy: Copy) -> Copy | None:
        """See `FetchesAgain`: dates beside a series are found only by their own ids."""
        keys = [override.key for override in copy.event.overrides]
        ids = {member.id for member in copy.members if member.part != "main"}
        return self._reader.fetch(self.resolve(calendar), copy.ref, keys, ids)

    @property
    def left_out(self) -> frozenset[str]:
        """See `Completes`: Feishu's listings carry no attendees."""
        return _LEFT_OUT if self._attendees else frozenset()

    def complete(self, calendar: str, copy: Copy, parts: Collection[str]) -> Copy:
        """See `Completes`; the calls are told at `EventReader.complete`."""
        return self._reader.complete(self.resolve(calendar), copy, parts)

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """See `Connector`; `ConflictError` `dead-key` if the event of this key was deleted."""
        return self._writer.create(self.resolve(calendar), event, key)

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Connector`; the calls are told at `EventWriter.update`. Answering an invitation
        is one POST more."""
        place = self.resolve(calendar)
        return answers.updated(
            copy,
            event,
            lambda wanted: self._writer.update(place, copy, wanted),
            lambda held, response: self._writer.answer(place, held, response),
        )

    def delete(self, calendar: str, copy: Copy) -> None:
        """See `Connector`; `RejectedError` where the account is only a participant."""
        self._writer.delete(self.resolve(calendar), copy)

    def clear(self, calendar: str, copy: Copy) -> None:
        """See `LeavesBehind`: the dates beside a series."""
        self._writer.clear(self.resolve(calendar), copy)

    def replaces(self, copy: Copy, event: Event) -> bool:
        """See `Replaces`."""
        return replaces(copy.event, event)

    def abandon(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Replaces`; the calls are told at `EventWriter.abandon`."""
        return self._writer.abandon(self.resolve(calendar), copy, event)

    def find(self, calendar: str, key: str) -> Copy | None:
        """Not possible: Feishu keeps the key to itself. Repeat the create instead."""
        raise FatalError(f"Feishu cannot look up key {key[:8]}... in {calendar}", provider=PROVIDER)

    def occurrences(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        """See `Connector`. One GET per 39 days, more where a window holds 1000 occurrences."""
        return self._reader.occurrences(self.resolve(calendar), since, until)

    def subscribe(self, calendar: str | None) -> Subscription | None:
        """See `Subscribes`. Always with the user's own token, whatever `identity` says. Feishu
        names no end; one POST each time."""
        if not self._pushed:
            return None
        self._as_user.subscribe(calendar and self.resolve(calendar))
        return Subscription()

    def unsubscribe(self, calendar: str | None) -> None:
        """See `Subscribes`."""
        self._as_user.unsubscribe(calendar and self.resolve(calendar))

    def ids_in(self, address: str) -> Sequence[str]:
        """See `HasAddresses`."""
        return addresses.ids_in(address)

    def address_of(self, calendar: str, ref: str) -> str | None:
        """See `HasAddresses`. Never: an `app_link` holds a number that no id tells."""
        return None

    def close(self) -> None:
        """See `Connector`."""
        self._reader.close()


def _foreign(item: Wire) -> str:
    kind = str(item.get("type") or "")
    if kind in ("google", "exchange"):
        return kind
    return "third-party" if item.get("is_third_party") else ""
