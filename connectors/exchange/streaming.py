"""News as they happen: streaming notifications, one connection per account.

A notification is a hint and no more; what it says is not trusted. Connections end by themselves
after half an hour at most, subscriptions are lost when a mailbox moves; both are made anew, and a
hint goes out for every calendar each time, because nobody knows what was missed. ("How to: Stream
notifications about mailbox events by using EWS in Exchange")
"""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread

from connectors.contract import Hint
from connectors.errors import ConnectorError
from connectors.exchange.client import Client, Organization, single
from connectors.exchange.discovery import Discovery
from connectors.exchange.settings import Settings
from mappings.exchange import many, text

_MINUTES = 29
_EVENTS = ["CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "CopiedEvent"]
_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
_TICK = 1.0


class Streams:
    """All streaming connections of a provider. They have connections of their own, because each
    takes one up for all of its time."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        client: Callable[[str, Organization], Client],
        discovery: Discovery,
        sleep: Callable[[float], None],
        log: Callable[..., None],
    ) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        self._discovery = discovery
        self._sleep = sleep
        self._log = log
        self._lock = Lock()
        self._watched: dict[str, set[str]] = {}
        self._open: dict[str, Organization] = {}

    def watch(self, account: str, calendar: str, wanted: bool) -> bool:
        """Say whether news of a calendar are wanted. True if news are to be had at all."""
        with self._lock:
            calendars = self._watched.setdefault(account, set())
            changed = (calendar in calendars) != wanted
            (calendars.add if wanted else calendars.discard)(calendar)
            organization = self._open.get(account) if changed else None
        if organization is not None:
            organization.close()  # the next connection asks for the right calendars
        return self._settings.streaming

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        """Deliver hints until `stop()`; one thread per account that watches anything."""
        ended = Event()
        threads: dict[str, Thread] = {}
        try:
            while not stop():
                for account in self._accounts() if self._settings.streaming else ():
                    if account not in threads or not threads[account].is_alive():
                        threads[account] = Thread(
                            target=self._follow,
                            args=(account, sink, lambda: ended.is_set() or stop()),
                            name=f"{self._name}-stream",
                            daemon=True,
                        )
                        threads[account].start()
                ended.wait(_TICK)
        finally:
            ended.set()
            self.close()
            for thread in threads.values():
                thread.join(10.0)

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            organizations = list(self._open.values())
        for organization in organizations:
            organization.close()

    def _accounts(self) -> list[str]:
        with self._lock:
            return [account for account, calendars in self._watched.items() if calendars]

    def _calendars(self, account: str) -> list[str]:
        with self._lock:
            return sorted(self._watched.get(account, ()))

    def _follow(self, account: str, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        pause = _PAUSE
        while not stop():
            calendars = self._calendars(account)
            if not calendars:
                return
            organization = Organization(self._settings, 2, self._discovery)
            with self._lock:
                self._open[account] = organization
            try:
                self._connection(account, calendars, organization, sink, stop)
                pause = _PAUSE
            except ConnectorError as error:
                if not stop():
                    self._log("no news from Exchange", account=account, error=error.message)
                    self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                with self._lock:
                    self._open.pop(account, None)
                organization.close()

    def _connection(
        self,
        account: str,
        calendars: list[str],
        organization: Organization,
        sink: Callable[[Hint], None],
        stop: Callable[[], bool],
    ) -> None:
        client = self._client(account, organization)
        subscriptions = {_subscribe(client, calendar): calendar for calendar in calendars}
        content = {
            "SubscriptionIds": {"SubscriptionId": list(subscriptions)},
            "ConnectionTimeout": str(_MINUTES),
        }
        greeted = False
        for answer in client.stream(content):
            if stop():
                return
            news = single([answer])
            if not greeted:
                greeted = True
                for calendar in calendars:
                    sink(Hint(connector=self._name, account=account, calendar=calendar))
            for line in many(news.get("Notifications"), "Notification"):
                calendar = subscriptions.get(text(line, "SubscriptionId"), "")
                if calendar and any(name in line for name in _EVENTS):
                    sink(Hint(connector=self._name, account=account, calendar=calendar))
        with suppress(ConnectorError):
            for subscription in subscriptions:
                client.call("Unsubscribe", {"SubscriptionId": subscription})


def _subscribe(client: Client, calendar: str) -> str:
    """A subscription per calendar, so that its id says where something happened."""
    request = {
        "FolderIds": {"FolderId": {"@Id": calendar}},
        "EventTypes": {"EventType": _EVENTS},
    }
    answer = client.one("Subscribe", {"StreamingSubscriptionRequest": request})
    return text(answer, "SubscriptionId")
