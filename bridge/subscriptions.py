"""Pushes about every calendar that a link reads, as far as its provider has any.

Polling goes on underneath: a subscription only makes things faster, so nothing here ever stops a
link. A calendar is subscribed to before it is first read, so that nothing falls between the two.
Whether the pushes really come is seen by what polls find: changes that no push had announced mean
that the subscription is deaf, and it is made anew.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.records import Endpoint, Link, LinkState, Side
from bridge.runtime import ReadyLink, Runtime
from bridge.store import Store
from connectors.contract import Subscribes, Subscription
from connectors.errors import ConnectorError, FatalError, RejectedError

EVERY = 30.0
"""Seconds between looks at what has to be renewed, made anew or given up."""
AGAIN = timedelta(hours=24)
"""Subscriptions without an end are asked for again, because they are known to vanish."""
RETRY = timedelta(minutes=5)
LATE = timedelta(minutes=2)
"""How late a push may be before it counts as lost."""
_STOPPED = (LinkState.WAITING, LinkState.SUSPENDED)


class Subscriptions:
    """The subscriptions that this process asks for. Thread safe.

    Several processes may ask for the same: connectors see to it that this is harmless.
    """

    def __init__(self, runtime: Runtime, wake: Callable[[], None] = lambda: None) -> None:
        self._runtime = runtime
        self._wake = wake
        self._store = runtime.store
        self._now = runtime.system.now
        self._log = logging.getLogger("calbridge.subscriptions")
        self._guard = threading.Lock()
        self._ends: dict[int, frozenset[Endpoint]] = {}
        self._due: dict[Endpoint, datetime] = {}
        self._live: set[Endpoint] = set()
        self._turns: dict[Endpoint, threading.Lock] = {}
        self._troubled: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="subscriptions", daemon=True)

    def learn(self, links: Iterable[ReadyLink]) -> None:
        """These links run: what they read is to be pushed about."""
        for item in links:
            rules = self._runtime.rules(item.config, item.link)
            ends = {item.link.endpoint(side) for side in Side if rules.writes(side.other)}
            with self._guard:
                self._ends[item.link.id] = frozenset(ends | {_list_of(end) for end in ends})

    def reads(self, link: Link, side: Side) -> bool:
        """Whether changes on that side matter; a link of another process is given the benefit."""
        ends = self._ends.get(link.id)
        return ends is None or link.endpoint(side) in ends

    def start(self, wait: float = EVERY) -> None:
        """Begin to look after them, for the first time in `wait` seconds."""
        self._wait = wait
        self._thread.start()

    def stop(self, patience: float = 2.0) -> None:
        """Look after them no longer. They go on: a restart takes them up again."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _loop(self) -> None:
        while not self._stop.wait(self._wait):
            self._wait = EVERY
            try:
                self.tend()
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("subscriptions could not be looked after; trying again")

    def ensure(self, link: Link, *, again: bool = False) -> None:
        """Subscribe to what the link reads, where that is due; with `again`, in any case."""
        for end in self._ends.get(link.id, ()):
            self._ask(end, again=again)

    def tend(self) -> None:
        """One round: renew what ends, make anew what is deaf, give up what nobody needs."""
        links = {link.id: link for link in self._store.links() if link.state is not LinkState.ENDED}
        readers: dict[Endpoint, list[int]] = {}
        for id_, ends in list(self._ends.items()):
            for end in ends if id_ in links else ():
                readers.setdefault(end, []).append(id_)
        recovered = {id_ for id_ in self._troubled if _active(links.get(id_))}
        self._troubled = {id_ for id_, link in links.items() if link.state in _STOPPED}
        deaf = self._deaf()
        for end, ids in readers.items():
            if self._stop.is_set():
                return
            begun = self._ask(end, again=not recovered.isdisjoint(ids), anew=end in deaf)
            if begun:  # nobody knows what was missed
                with self._store.begin() as tx:
                    tx.hint(ids, self._now())
                self._wake()
        strangers = [link for id_, link in links.items() if id_ not in self._ends]
        known = {watched.end for watched in self._store.watched()}
        for end in (known | self._live) - readers.keys():
            if not _concerned(end, strangers):
                self._live.discard(end)
                self._due.pop(end, None)
                _give_up(self._runtime, end)

    def _deaf(self) -> set[Endpoint]:
        late = self._now() - LATE
        return {
            watched.end
            for watched in self._store.watched()
            if watched.suspected is not None and watched.suspected <= late
        }

    def _ask(self, end: Endpoint, *, again: bool = False, anew: bool = False) -> bool:
        """Subscribe if it is time to. True if pushes begin with it."""
        with self._turn(end):
            due = self._due.get(end)
            if due is not None and due > self._now() and not again and not anew:
                return False
            if anew:
                self._log.warning(
                    "changes were found that no push had announced; subscribing anew connector=%s "
                    "account=%s calendar=%s",
                    end.connector,
                    end.account,
                    end.calendar,
                )
                self._live.discard(end)
            try:
                found = self._subscribe(end, anew=anew)
            except ConnectorError as error:
                refused = isinstance(error, (FatalError, RejectedError))
                self._due[end] = self._now() + (AGAIN if refused else RETRY)
                self._runtime.log(
                    "no pushes, only polling",
                    connector=end.connector,
                    account=end.account,
                    calendar=end.calendar,
                    why=error.message,
                )
                found = None
            else:
                self._due[end] = self._renewal(found)
            return self._note(end, found)

    def _subscribe(self, end: Endpoint, *, anew: bool) -> Subscription | None:
        connector = self._runtime.connector(end.connector, end.account)
        if not isinstance(connector, Subscribes):
            return None
        if anew:
            connector.unsubscribe(end.calendar or None)
        return connector.subscribe(end.calendar or None)

    def _renewal(self, found: Subscription | None) -> datetime:
        again = self._now() + AGAIN
        return min(again, found.renew_at) if found and found.renew_at else again

    def _note(self, end: Endpoint, found: Subscription | None) -> bool:
        """Remember whether there are pushes. True if they have only now begun."""
        begun = found is not None and end not in self._live
        if begun:
            self._live.add(end)
            with self._store.begin() as tx:
                tx.watch(end, self._now())
        elif found is None:
            self._live.discard(end)
            if self._store.watched_calendar(end) is not None:
                with self._store.begin() as tx:
                    tx.unwatch(end)
        return begun

    @contextmanager
    def _turn(self, end: Endpoint) -> Iterator[None]:
        with self._guard:
            turn = self._turns.setdefault(end, threading.Lock())
        with turn:
            yield


def suspect(store: Store, link: Link, side: Side, now: datetime) -> None:
    """A run of the link found changes on that side. If no push has announced anything since the
    last run that succeeded, the calendar's pushes are suspected to be lost."""
    end = link.endpoint(side)
    if store.watched_calendar(end) is None:
        return
    before = next((run for run in store.runs(link.id, limit=20)[1:] if run.outcome == "ok"), None)
    if before is not None:
        with store.begin() as tx:
            tx.suspect(end, before.started - LATE, now)


def heard(store: Store, end: Endpoint) -> bool:
    """Whether a calendar's pushes are known to come: there was one, and none was missed since."""
    watched = store.watched_calendar(end)
    return watched is not None and watched.announced is not None and watched.suspected is None


def release(runtime: Runtime, link: Link) -> None:
    """Stop the pushes that no other link needs; for a link that ends. Never raises for a provider
    that cannot be asked: what is not stopped runs out, and is not believed."""
    others = [
        other
        for other in runtime.store.links()
        if other.id != link.id and other.state is not LinkState.ENDED
    ]
    for side in Side:
        for end in (link.endpoint(side), _list_of(link.endpoint(side))):
            if not _concerned(end, others):
                _give_up(runtime, end)


def _give_up(runtime: Runtime, end: Endpoint) -> None:
    if end.connector in runtime.config.connectors:
        try:
            connector = runtime.connector(end.connector, end.account)
            if isinstance(connector, Subscribes):
                connector.unsubscribe(end.calendar or None)
        except ConnectorError as error:
            runtime.log(
                "a subscription could not be ended",
                connector=end.connector,
                account=end.account,
                calendar=end.calendar,
                why=error.message,
            )
    with runtime.store.begin() as tx:
        tx.unwatch(end)


def _list_of(end: Endpoint) -> Endpoint:
    """Stands for the account's list of calendars."""
    return replace(end, calendar="")


def _concerned(end: Endpoint, links: Iterable[Link]) -> bool:
    return any(
        end in (link.endpoint(side), _list_of(link.endpoint(side)))
        for link in links
        for side in Side
    )


def _active(link: Link | None) -> bool:
    return link is not None and link.state is LinkState.ACTIVE
