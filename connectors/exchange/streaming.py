"""News as they happen: streaming notifications, many mailboxes on one connection.

A notification is a hint and no more; what it says is not trusted. Connections end by themselves
after half an hour at most, subscriptions are lost when a mailbox moves; both are made anew, and a
hint goes out for every calendar each time, because nobody knows what was missed. ("How to: Stream
notifications about mailbox events by using EWS in Exchange")

Exchange permits few connections but two hundred subscriptions on each, if their mailboxes are at
one Mailbox server ("Maintain affinity between a group of subscriptions and the Mailbox server").
Which are is found out by trying: what a server does not know goes into another group.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from threading import Event, Lock, Thread

from connectors.contract import Hint
from connectors.errors import ConnectorError
from connectors.exchange.client import Affinity, Answer, Client, Organization, single
from connectors.exchange.discovery import Discovery
from connectors.exchange.errors import LostSubscriptionsError
from connectors.exchange.settings import Settings
from mappings.exchange import many, text

_MINUTES = 29
_EVENTS = ["CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "CopiedEvent"]
_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
_TICK = 1.0
_QUIET = 30
"""Ticks after which a group is connected anew although its members still change."""
_REST, _LONGEST_REST = timedelta(minutes=5), timedelta(hours=6)
"""How long a mailbox that cannot be subscribed to is left alone."""
MOST = 200
"""Subscriptions on one connection (GetStreamingEvents, SubscriptionIds)."""

Watched = tuple[str, str]
"""An account and a calendar of its."""


class _Group:
    """Mailboxes that share a connection. `wanted` is what it should follow, `follows` what it
    does; subscriptions outlive a connection and are used again, unless they are `void`."""

    def __init__(self, level: int) -> None:
        self.level = level
        self.wanted: frozenset[Watched] = frozenset()
        self.follows: frozenset[Watched] | None = None
        self.unsettled = 0
        self.before: frozenset[Watched] = frozenset()
        self.subscriptions: dict[str, Watched] = {}
        self.void: set[Watched] = set()
        self.interrupted = False
        self.affinity: Affinity | None = None
        self.organization: Organization | None = None
        self.thread: Thread | None = None

    @property
    def accounts(self) -> list[str]:
        """The mailboxes, in the order of their names."""
        return sorted({account for account, _calendar in self.wanted})


class Streams:
    """All streaming connections of a provider, `Settings.max_streams` at most, with a thread and
    sockets of its own each."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        client: Callable[[str, Organization, Affinity], Client],
        discovery: Discovery,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        log: Callable[..., None],
    ) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        self._discovery = discovery
        self._now = now
        self._sleep = sleep
        self._random = random
        self._log = log
        self._lock = Lock()
        self._watched: set[Watched] = set()
        self._groups: list[_Group] = []
        self._level: dict[str, int] = {}
        self._resting: dict[str, datetime] = {}
        self._rests: Counter[str] = Counter()
        self._left_out: frozenset[str] = frozenset()

    def watch(self, account: str, calendar: str, wanted: bool) -> bool:
        """Say whether news of a calendar are wanted. True if news are to be had at all."""
        pair = (account, calendar)
        with self._lock:
            (self._watched.add if wanted else self._watched.discard)(pair)
            for group in self._groups if not wanted else ():
                if pair in group.wanted:
                    group.void.add(pair)
        return self._settings.streaming

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        """Deliver hints until `stop()`; a thread for each connection."""
        ended = Event()

        def over() -> bool:
            return ended.is_set() or stop()

        try:
            while not over():
                for group in self._arranged() if self._settings.streaming else ():
                    if group.thread is None or not group.thread.is_alive():
                        group.thread = Thread(
                            target=self._follow,
                            args=(group, sink, over),
                            name=f"{self._name}-stream",
                            daemon=True,
                        )
                        group.thread.start()
                ended.wait(_TICK)
        finally:
            ended.set()
            self.close()
            for group in self._groups:
                if group.thread is not None:
                    group.thread.join(5.0)

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            organizations = [group.organization for group in self._groups]
        for organization in organizations:
            if organization is not None:
                organization.close()

    # -- who shares a connection with whom -----------------------------------------------------

    def _arranged(self) -> list[_Group]:
        """The groups that have something to follow; those that follow the wrong things and whose
        members have settled are interrupted, so that they connect anew."""
        with self._lock:
            now = self._now()
            self._resting = {who: until for who, until in self._resting.items() if until > now}
            open_ = {pair for pair in self._watched if pair[0] not in self._resting}
            for group in self._groups:
                group.wanted = frozenset(
                    pair
                    for pair in group.wanted & open_
                    if self._level.get(pair[0], 0) == group.level
                )
            placed = {pair for group in self._groups for pair in group.wanted}
            left_out = {pair[0] for pair in sorted(open_ - placed) if not self._place(pair)}
            self._tell(frozenset(left_out))
            groups = [group for group in self._groups if group.wanted or group.follows]
            stale = [group for group in groups if _is_stale(group)]
            for group in stale:
                group.interrupted = True
            organizations = [group.organization for group in stale]
        for organization in organizations:
            if organization is not None:
                organization.close()
        return [group for group in groups if group.wanted]

    def _place(self, pair: Watched) -> bool:
        """Find room for a calendar. False if there is none."""
        level = self._level.get(pair[0], 0)
        for group in self._groups:
            if not group.wanted:
                group.level = level
            if group.level == level and len(group.wanted) < MOST:
                group.wanted |= {pair}
                return True
        if len(self._groups) >= self._settings.max_streams:
            return False
        self._groups.append(_Group(level))
        self._groups[-1].wanted = frozenset({pair})
        return True

    def _tell(self, left_out: frozenset[str]) -> None:
        if left_out - self._left_out:
            self._log(
                "more mailboxes than max_streams has room for; the rest is polled",
                connector=self._name,
                mailboxes=len(left_out),
                max_streams=self._settings.max_streams,
            )
        self._left_out = left_out

    def _apart(self, accounts: Iterable[str]) -> None:
        """These mailboxes are not at the server of their group: they try another one."""
        with self._lock:
            for account in accounts:
                level = self._level.get(account, 0) + 1
                self._level[account] = level % self._settings.max_streams

    def _rest(self, account: str, error: ConnectorError) -> None:
        self._log("no news from Exchange", account=account, error=error.message)
        with self._lock:
            rest = min(_REST * 2 ** self._rests[account], _LONGEST_REST)
            self._rests[account] = min(self._rests[account] + 1, 16)
            self._resting[account] = self._now() + rest

    # -- one connection ------------------------------------------------------------------------

    def _follow(
        self, group: _Group, sink: Callable[[Hint], None], stop: Callable[[], bool]
    ) -> None:
        pause = _PAUSE
        while not stop() and group.wanted:
            organization = Organization(self._settings, 2, self._discovery)
            with self._lock:
                group.organization, group.interrupted = organization, False
            wait = _TICK
            try:
                self._connect(group, organization, sink, stop)
                pause = _PAUSE
            except ConnectorError as error:
                if not stop() and not group.interrupted:
                    self._log("no news from Exchange", connector=self._name, error=error.message)
                    wait = max(_TICK, pause * self._random())
                    pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                with self._lock:
                    group.organization, group.follows = None, None
                organization.close()
            while wait > 0 and not stop():
                self._sleep(min(_TICK, wait))
                wait -= _TICK

    def _connect(
        self,
        group: _Group,
        organization: Organization,
        sink: Callable[[Hint], None],
        stop: Callable[[], bool],
    ) -> None:
        with self._lock:
            wanted, accounts = group.wanted, group.accounts
            if group.affinity is None or group.affinity.anchor not in accounts:
                group.affinity = Affinity(accounts[0])
                group.subscriptions.clear()
            affinity = group.affinity
        clients = {who: self._client(who, organization, affinity) for who in accounts}
        self._subscribe(group, clients, wanted)
        followed = dict(group.subscriptions)
        with self._lock:
            group.follows = wanted
        if not followed or stop():
            return
        content = {
            "SubscriptionIds": {"SubscriptionId": list(followed)},
            "ConnectionTimeout": str(_MINUTES),
        }
        # A connection that broke off may live on at the server for a while and swallow news, so
        # its subscriptions are not used again.
        in_order = False
        try:
            # Closed here: an error that came with the news keeps them alive, and their connection.
            with closing(clients[affinity.anchor].stream(content)) as answers:
                in_order = self._read(answers, followed, sink, stop)
        except LostSubscriptionsError as error:
            lost = {id_: followed[id_] for id_ in error.ids if id_ in followed} or followed
            for id_ in lost:
                group.subscriptions.pop(id_, None)
            strangers = {account for account, _calendar in lost.values()} - {affinity.anchor}
            in_order = not error.greeted
            if error.greeted or not strangers:
                raise
            self._apart(strangers)
        finally:
            if not in_order or group.interrupted:
                with self._lock:
                    group.void |= set(group.subscriptions.values())

    def _read(
        self,
        answers: Iterable[Answer],
        followed: dict[str, Watched],
        sink: Callable[[Hint], None],
        stop: Callable[[], bool],
    ) -> bool:
        """Turn news into hints. True if the server has ended the connection itself."""
        greeted = False
        for answer in answers:
            if stop():
                return False
            if isinstance(answer, LostSubscriptionsError):
                answer.greeted = greeted
            news = single([answer])
            if not greeted:
                greeted = True
                for account, calendar in followed.values():
                    sink(Hint(connector=self._name, account=account, calendar=calendar))
            for line in many(news.get("Notifications"), "Notification"):
                pair = followed.get(text(line, "SubscriptionId"))
                if pair and any(name in line for name in _EVENTS):
                    sink(Hint(connector=self._name, account=pair[0], calendar=pair[1]))
        return True

    def _subscribe(
        self, group: _Group, clients: dict[str, Client], wanted: frozenset[Watched]
    ) -> None:
        """A subscription per calendar, so that its id says where something happened. A mailbox
        that refuses stays behind and keeps nobody else from being heard."""
        assert group.affinity is not None
        anchor = clients[group.affinity.anchor]
        with self._lock:
            void, group.void = group.void, set()
        for id_, pair in list(group.subscriptions.items()):
            if pair not in wanted or pair in void:
                del group.subscriptions[id_]
                with suppress(ConnectorError):  # it ends by itself, too
                    clients.get(pair[0], anchor).one("Unsubscribe", {"SubscriptionId": id_})
        missing = wanted - set(group.subscriptions.values())
        for account, calendar in sorted(
            missing, key=lambda pair: (pair[0] != anchor.account, pair)
        ):
            client = clients[account]
            try:
                if _endpoint(client) != _endpoint(anchor):
                    self._apart({account})
                    continue
                request = {
                    "FolderIds": {"FolderId": {"@Id": calendar}},
                    "EventTypes": {"EventType": _EVENTS},
                }
                answer = client.one("Subscribe", {"StreamingSubscriptionRequest": request})
            except ConnectorError as error:
                if len(clients) > 1:
                    self._rest(account, error)
                if client is anchor:
                    raise
            else:
                self._rests.pop(account, None)
                group.subscriptions[text(answer, "SubscriptionId")] = (account, calendar)


def _endpoint(client: Client) -> str:
    """Where Autodiscover says that a mailbox is; the same for all if the config says it."""
    found = client.found()
    return found.endpoint if found else ""


def _is_stale(group: _Group) -> bool:
    """Whether a group follows something else than it should, and its members have settled."""
    if group.follows is None or (group.follows == group.wanted and not group.void):
        group.unsettled = 0
        return False
    group.unsettled += 1
    settled = group.before == group.wanted or group.unsettled > _QUIET
    group.before = group.wanted
    return settled
