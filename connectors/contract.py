"""The contract between the bridge and a provider.

Vocabulary: a `Provider` is one configured connector (an app at Feishu, a project at Google); it
hands out one `Connector` per account. A *unit* is a single event or a whole series; it consists
of *members* at the provider (a master and its exceptions, for instance). A `Copy` is what one
side holds of a unit. Methods block; any of them may raise any `ConnectorError`. A connector may
be used from several threads at once.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from connectors.capabilities import Capabilities
from connectors.channels import ChannelStore, PassingChannels
from connectors.errors import ConnectorError
from connectors.metering import Meter, unmetered
from connectors.pacing import Pacer
from connectors.tokens import TokenStore
from mappings.model import Event, Key, Loss, Occurrence, Override


class Role(StrEnum):
    """What the account may do with a calendar."""

    NONE = "none"
    FREE_BUSY = "free-busy"
    READER = "reader"
    WRITER = "writer"
    OWNER = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One calendar of an account. `foreign` names the service that the provider itself has bound
    to it (`google`, `exchange`), empty if none; a foreign calendar must not be bridged again."""

    id: str
    name: str
    role: Role
    primary: bool = False
    zone: str | None = None
    foreign: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One object at the provider that a unit consists of.

    `part` names its place in the unit: `main` for the single event or series master,
    `occurrence:<key>` for an exception, other names where a series had to be decomposed.
    `version` is the provider's etag or change key, None where it has none.
    """

    part: str
    id: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What one side holds of a unit, as that side showed it.

    `ref` names the unit on that side and stays the same for its life. `origin` is the private
    mark that the bridge left on it (the create key), None if there is none or the side cannot
    keep one. `organized` is False where the account is only a participant and may change nothing
    but its own view. `updated` is the provider's own time of the last change, if it tells.
    `extend_at` is set where the side can hold an endless series only piece by piece: from then on
    `update` is to be called again, with nothing changed, so that it adds the next piece.
    """

    ref: str
    event: Event
    members: tuple[Member, ...]
    origin: str | None = None
    organized: bool = True
    updated: datetime | None = None
    extend_at: datetime | None = None

    def version(self, part: str = "main") -> str | None:
        """The version of a member, None if the member or its version is unknown."""
        return next((member.version for member in self.members if member.part == part), None)

    def member(self, part: str) -> Member | None:
        """The member at that place."""
        return next((member for member in self.members if member.part == part), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A unit was created or changed, and this is all of it."""

    copy: Copy

    @property
    def ref(self) -> str:
        """The unit's name on this side."""
        return self.copy.ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Parts of a unit changed; what is not named here is as it was last shown.

    `main` is the series (or single event) *without* overrides, None if it did not change;
    `overrides` replace those with the same key, `reverted` keys follow the rule again.
    `members` are those of the parts named here, `updated` the provider's own time of the latest
    change among them, if it tells.
    """

    ref: str
    main: Copy | None = None
    overrides: tuple[Override, ...] = ()
    reverted: tuple[Key, ...] = ()
    members: tuple[Member, ...] = ()
    updated: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The provider said in so many words that the unit was deleted."""

    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An entry that could not be translated; its unit is parked with the reason, the rest goes on.

    `code` is short and fixed, `detail` one sentence for people.
    """

    ref: str
    code: str
    detail: str


Change = Whole | Fragment | Gone | Unreadable


class Listing(StrEnum):
    """What absence from a listing means.

    `COMPLETE`: everything there is, so what is missing is gone. `DELTA`: what changed since the
    cursor. `PARTIAL`: neither; absence means nothing.
    """

    COMPLETE = "complete"
    DELTA = "delta"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a listing. Only the last page carries the next `cursor`."""

    changes: tuple[Change, ...]
    listing: Listing
    cursor: str | None = None


@runtime_checkable
class Connector(Protocol):
    """One account at one provider."""

    @property
    def capabilities(self) -> Capabilities:
        """The declared facts."""

    def calendars(self) -> Sequence[Calendar]:
        """All calendars of the account."""

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """What changed since `cursor`, page by page; everything, without a cursor.

        Raises `ResyncError` if the cursor is void. A listing that breaks off raises; it never
        ends quietly. In a listing without cursor a series and its exceptions may stand on
        different pages, as a `Whole` without overrides and `Fragment`s.
        """

    def fetch(self, calendar: str, ref: str, keys: Sequence[Key] = ()) -> Copy | None:
        """The unit as it is now with all its exceptions, None if it is gone.

        `keys` are occurrences known to be exceptions, which the provider may have to be asked
        for one by one.
        """

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """Make the unit, or return the one that was already made with this `key` (32 to 64
        characters of `0-9a-f`), which may hold other content.

        Mails nobody unless the event names attendees, which only policy `invite` lets through.
        """

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """Change the unit from `copy` to `event`, touching only what differs; with an unchanged
        `event`, extend what can only be held piece by piece (`Copy.extend_at`).

        Raises `ConflictError` if it is no longer what `copy` shows. Where the provider enforces no
        write guard, what is about to be overwritten is read right before, and only that counts.
        If it breaks off half way, fetching and updating again completes it.
        """

    def delete(self, calendar: str, copy: Copy) -> None:
        """Delete the unit with all its exceptions. Absent already = done."""

    def find(self, calendar: str, key: str) -> Copy | None:
        """The unit created with `key` and still alive (capability `find_by_key`)."""

    def occurrences(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        """Every occurrence that overlaps [since, until), expanded by the *provider*, with the
        ref of its unit. For verification, hence independent of our own expansion."""

    def close(self) -> None:
        """Let go of sockets. The connector is not used afterwards."""


@runtime_checkable
class Completes(Protocol):
    """A connector whose listings leave details out that cost a call for each event.

    The bridge asks only for events that it is going to copy, and only if a link wants to know.
    """

    @property
    def left_out(self) -> frozenset[str]:
        """The `Details` fields that `changes` leaves empty. `fetch` and writes show them."""

    def complete(self, calendar: str, copy: Copy, parts: Collection[str]) -> Copy:
        """`copy` with those fields filled in for the members in `parts` (`Member.part`)."""


@runtime_checkable
class HoldsOtherwise(Protocol):
    """A connector that holds some events in another shape than they have."""

    def shortcomings(self, event: Event) -> Sequence[Loss]:
        """What of the event stands there otherwise, or not for ever. No call."""


@runtime_checkable
class LeavesBehind(Protocol):
    """A connector with parts of units that go on standing when a person deletes the unit."""

    def clear(self, calendar: str, copy: Copy) -> None:
        """Take away what still stands of the deleted unit that `copy` shows, before it is made
        anew. What somebody has changed since is his own and stays."""


@runtime_checkable
class Replaces(Protocol):
    """A connector that makes some changes with a new unit in place of the old one."""

    def replaces(self, copy: Copy, event: Event) -> bool:
        """Whether an update of `copy` to `event` makes another unit. No call."""

    def abandon(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """Take away what such an update, which broke off, may have put beside the old unit, which
        still stands; how it stood."""


@runtime_checkable
class FetchesAgain(Protocol):
    """A connector that finds all of a unit only if it is told what was seen of it."""

    def fetch_again(self, calendar: str, copy: Copy) -> Copy | None:
        """As `Connector.fetch`, for the unit that `copy` shows."""


def fetch_again(connector: Connector, calendar: str, ref: str, shown: Copy | None) -> Copy | None:
    """The unit as it is now with all its exceptions, None if it is gone. `shown` is how it was
    last seen, if it was."""
    if shown is None or shown.ref != ref:
        return connector.fetch(calendar, ref)
    if isinstance(connector, FetchesAgain):
        return connector.fetch_again(calendar, shown)
    return connector.fetch(calendar, ref, [override.key for override in shown.event.overrides])


@runtime_checkable
class CreatesMany(Protocol):
    """A connector that makes several units with one call, up to `Capabilities.batch_size`."""

    def create_many(
        self, calendar: str, units: Sequence[tuple[Event, str]]
    ) -> Sequence[Copy | ConnectorError]:
        """As `Connector.create` for each event and its key: what became of each, in order.

        One that is refused does not keep the others from being made. Raises only what concerns
        all of them.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Pushes are on their way. `renew_at` is when to subscribe again so that they go on, None if
    they do not end by themselves. Aware UTC."""

    renew_at: datetime | None = None


@runtime_checkable
class Subscribes(Protocol):
    """A connector that must ask for pushes, per account and per calendar."""

    def subscribe(self, calendar: str | None) -> Subscription | None:
        """Ask for pushes about a calendar, or about the account's list of calendars (None).

        Repeating it is harmless, in other processes too. Returns None where there are no such
        pushes: then polling finds everything, only later.
        """

    def unsubscribe(self, calendar: str | None) -> None:
        """No longer ask for them. Never asked = done."""


@runtime_checkable
class HasAddresses(Protocol):
    """A connector whose events have addresses that people copy from a browser. Pure, no calls."""

    def ids_in(self, address: str) -> Sequence[str]:
        """The ids that the address names, the most exact first; none if it is not ours."""

    def address_of(self, calendar: str, ref: str) -> str | None:
        """Where a browser shows the unit; None if that cannot be told from its ref."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Somebody should look at a calendar. Never says what happened.

    `calendar` None = the list of calendars of `account` changed. `account` is the provider's own
    id of the user, None if unknown. Neither = anything may have changed, for instance because a
    connection was only now opened. `id` is the push's own id, for deduplication.
    """

    connector: str
    calendar: str | None = None
    account: str | None = None
    id: str = ""


@runtime_checkable
class Listens(Protocol):
    """A provider with an outgoing connection that carries hints."""

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        """Deliver hints to `sink` until `stop()` says so; reconnects by itself.

        `sink` returns when the hint is durable; only then the push is acknowledged.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """A webhook call as it came in. Header names are lower case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAnswer:
    """What to answer, and the hints that must be durable before answering."""

    status: int
    body: Mapping[str, Any] | None = None
    hints: tuple[Hint, ...] = ()
    reason: str = ""


@runtime_checkable
class Receives(Protocol):
    """A provider that sends hints to a webhook of ours."""

    def receive(self, request: PushRequest) -> PushAnswer:
        """Check a call (signature, token, size are checked before anything is believed) and say
        what to answer. Asks nobody but the stores of its `Context`. Never raises for a bad
        request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an account is at the provider: `id` is its stable id, `email` if the provider tells."""

    id: str
    email: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `check --online`: what was looked at, whether it works, what to do if not."""

    ok: bool
    subject: str
    detail: str = ""
    advice: str = ""
    code: str = ""


@runtime_checkable
class Provider(Protocol):
    """One configured connector."""

    @property
    def name(self) -> str:
        """Its name in the config."""

    @property
    def capabilities(self) -> Capabilities:
        """The declared facts."""

    def resolve(self, accounts: Sequence[str]) -> Mapping[str, Identity]:
        """Who the accounts named in the config are; unknown ones are left out.

        Asks the provider in batches; an account that names its own id costs no call.
        """

    def connect(self, account: str) -> Connector:
        """A session for one account, named as in the config. No network yet."""

    def examine(self, account: str) -> Sequence[Finding]:
        """Try credentials, scopes and reachability of one account; never raises."""

    def close(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything from outside that a provider may use: injected, so that tests rule it.

    `now` is aware UTC. `log` takes a message and facts; it must never get a secret. `meter`, by
    the connector's name, times every call.
    """

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    tokens: TokenStore
    pacer: Callable[[str, Capabilities], Pacer]
    channels: ChannelStore = field(default_factory=PassingChannels)
    log: Callable[..., None] = field(default=lambda *_args, **_facts: None)
    meter: Callable[[str], Meter] = unmetered


class Plugin(Protocol):
    """What an entry point in group `feishu_calendar_bridge.connectors` must name.

    Importing it must not import an SDK: validating a config has to stay quick.
    """

    settings: type[BaseModel]

    def open(self, name: str, settings: Any, context: Context) -> Provider:
        """A provider for these validated settings."""


@runtime_checkable
class Consents(Protocol):
    """A provider whose users must each give consent (OAuth code flow with PKCE, RFC 7636)."""

    def authorize_url(self, *, redirect_uri: str, state: str, challenge: str) -> str:
        """Where to send the user. `challenge` is the S256 challenge of the verifier. No call.

        Raises `ReauthorizeError` if, as it is configured, users have nothing to consent to.
        """

    def redeem(self, account: str, *, code: str, redirect_uri: str, verifier: str) -> Identity:
        """Trade the code for tokens, store them for `account`, say who consented.

        Raises `ReauthorizeError` without storing anything if somebody else than `account` did.
        """


@runtime_checkable
class KeepsAlive(Protocol):
    """A provider whose consents end when nobody uses them."""

    def keep_alive(self, account: str) -> None:
        """Use the account's refresh token if it has not been used for a day.

        Cheap where it has. Raises `ReauthorizeError` if the consent is lost or was never given.
        """
