"""exchangelib's transport against the sandbox, over sockets."""

import socket
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from connectors.capabilities import Capabilities
from connectors.contract import Context, Copy
from connectors.errors import ConnectorError
from connectors.exchange import PLUGIN
from connectors.exchange.connections import Network, Service
from connectors.exchange.provider import ExchangeProvider
from connectors.exchange.settings import Settings
from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import ExchangeSandbox, ExchangeSwitches
from connectors.sandbox.faults import Fault
from connectors.sandbox.tls import certified
from mappings import recurrence
from mappings.model import Event

ALICE, SERVICE = "alice@office.example", "service@office.example"
HOME, ROOT, MAIL = "autodiscover.office.example", "office.example", "mail.office.example"
FAR, LOGIN = "mail2.office.example", "login.office.example"
FOREIGN, PARTNER = "mail.hoster.example", "autodiscover.partner.example"
PATH = "/autodiscover/autodiscover.svc"
WRITES = "op=(CreateItem|UpdateItem|DeleteItem)$"
SINCE, UNTIL = datetime(2026, 2, 1, tzinfo=UTC), datetime(2028, 1, 15, tzinfo=UTC)


class NoTokens:
    """Nothing is stored: the login stands in the config."""

    def load(self, connector: str, account: str) -> None:
        return None

    def save(self, connector: str, account: str, token: Any) -> None:
        raise AssertionError("nobody consents at Exchange")

    def drop(self, connector: str, account: str) -> None:
        return None

    def lock(self, connector: str, account: str) -> Any:
        return nullcontext()


@dataclass
class Tally:
    """A budget that is never spent."""

    told: list[str]

    def wait(self, operation: str) -> None:
        self.told.append(operation)

    def slow_down(self, operation: str, seconds: float) -> None:
        self.told.append(f"{operation} after {seconds:g} s")


@dataclass
class Exchange:
    """The sandbox with Alice's mailbox, and providers that talk to it."""

    sandbox: ExchangeSandbox
    slept: list[float] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    providers: list[Any] = field(default_factory=list)
    paced: dict[tuple[str, float | None], list[str]] = field(default_factory=dict)
    """Name and calls per minute of each budget, with what it was asked and told."""

    def context(self) -> Context:
        return Context(
            now=self.sandbox.clock.now,
            sleep=self.slept.append,
            random=lambda: 0.0,
            tokens=NoTokens(),
            pacer=self.pacer,
            log=lambda message, **facts: self.logged.append(f"{message} {facts}"),
        )

    def pacer(self, name: str, capabilities: Capabilities) -> Tally:
        return Tally(self.paced.setdefault((name, capabilities.budget.per_minute), []))

    def provider(self, **settings: Any) -> Any:
        known = {
            "endpoint": self.sandbox.ews_url,
            "auth": "basic",
            "username": ALICE,
            "password": "secret",
            "zone": "Europe/Berlin",
        }
        wanted = {name: value for name, value in (known | settings).items() if value is not None}
        made = PLUGIN.open("exchange", Settings.model_validate(wanted), self.context())
        self.providers.append(made)
        return made

    def connect(self, account: str = ALICE, **settings: Any) -> Any:
        """As after a restart: nothing is remembered."""
        return self.provider(**settings).connect(account)

    def calendar(self, name: str = "Bridged") -> str:
        return self.sandbox.add_calendar(ALICE, name)

    def act(self, action: str, *values: Any, **options: Any) -> Any:
        return self.sandbox.edit(ALICE, action, *values, **options)

    def items(self, calendar: str) -> list[dict[str, Any]]:
        """What is stored in the calendar."""
        found: list[dict[str, Any]] = self.act("events", calendar)
        return found

    def shown(self, calendar: str) -> list[tuple[str, str, str]]:
        """What takes place there, as Outlook shows it."""
        return sorted(
            (each.start.isoformat(), each.end.isoformat(), each.subject)
            for each in self.sandbox.occurrences(ALICE, SINCE, UNTIL, folder=calendar)
        )

    def calls(self, since: int = 0) -> list[str]:
        return [entry.operation for entry in self.sandbox.calls(since=since)]

    def mark(self) -> int:
        return len(self.sandbox.calls())

    def break_write(self, number: int, how: str) -> None:
        """The write of that number from now on (0 = the next) meets a fault."""
        self.sandbox.faults.add(Fault(WRITES, how, skip=number))

    def mend(self) -> None:
        self.sandbox.faults.clear()

    def close(self) -> None:
        for provider in self.providers:
            provider.close()
        self.sandbox.stop()


def expected(event: Event) -> list[tuple[str, str, str]]:
    """The same as `Exchange.shown`, by our own expansion; timed events only."""
    found = []
    for each in recurrence.expand(event, SINCE, UNTIL):
        assert isinstance(each.start, datetime)
        assert isinstance(each.end, datetime)
        found.append((each.start.isoformat(), each.end.isoformat(), each.details.title))
    return sorted(found)


def listed(connector: Any, calendar: str, cursor: str | None = None) -> tuple[list[Any], str]:
    """A listing's changes and the next cursor."""
    pages = list(connector.changes(calendar, cursor))
    return [change for page in pages for change in page.changes], pages[-1].cursor


def copies(changes: list[Any]) -> dict[str, Copy]:
    return {change.ref: change.copy for change in changes}


def encrypt(sandbox: ExchangeSandbox, folder: Path, *names: str) -> Path:
    """Put TLS before a sandbox, with a certificate for 127.0.0.1 and these names; the file with
    what vouches for it."""
    context, bundle = certified(folder, sandbox.url.rpartition(":")[2], *names)
    server = sandbox._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    return bundle


def _open(**options: Any) -> Exchange:
    start = datetime(2026, 2, 1, tzinfo=UTC).timestamp() - monotonic()
    clock = Clock(lambda: start + monotonic())
    switches = options.pop("switches", None) or ExchangeSwitches()
    sandbox = ExchangeSandbox(clock=clock, limits=False, switches=switches, **options)
    sandbox.start()
    sandbox.add_mailbox(ALICE, zone="Europe/Berlin")
    sandbox.add_mailbox(SERVICE, zone="Europe/Berlin")
    return Exchange(sandbox)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    opened = _open()
    yield opened
    assert opened.sandbox.mails == [], "nobody is mailed unless a test expects it"
    opened.close()


@pytest.fixture
def open_exchange() -> Iterator[Callable[..., Exchange]]:
    opened: list[Exchange] = []

    def opener(**options: Any) -> Exchange:
        opened.append(_open(**options))
        return opened[-1]

    yield opener
    for each in opened:
        each.close()


@dataclass
class Town:
    """Servers behind TLS, and names that stand for them; only what is put there has a name."""

    folder: Path
    exchanges: list[Exchange]
    hosts: dict[str, int] = field(default_factory=dict)
    services: dict[str, list[Service]] = field(default_factory=dict)
    bundles: list[Path] = field(default_factory=list)

    def server(self, *names: str) -> ExchangeSandbox:
        """A further server, under these names. It knows nobody yet."""
        sandbox = ExchangeSandbox(clock=self.exchanges[0].sandbox.clock, limits=False)
        sandbox.start()
        self.exchanges.append(Exchange(sandbox))
        self.stand(sandbox, *names)
        return sandbox

    def site(self, *names: str) -> ExchangeSandbox:
        """A web server that has never heard of Exchange."""
        sandbox = self.server(*names)
        page = "<html><body>Welcome</body></html>"
        sandbox.faults.add(Fault(".", "status", status=404, times=999, body=page))
        return sandbox

    def stand(self, sandbox: ExchangeSandbox, *names: str) -> None:
        self.bundles.append(encrypt(sandbox, self.folder, *names))
        for name in names:
            self.name(name, sandbox)

    def name(self, host: str, sandbox: ExchangeSandbox) -> None:
        self.hosts[host] = int(sandbox.url.rpartition(":")[2])

    def locate(self, host: str, port: int) -> tuple[str, int]:
        if host not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return "127.0.0.1", self.hosts[host]

    def provider(self, **settings: Any) -> ExchangeProvider:
        bundle = self.folder / "ca.pem"
        bundle.write_bytes(b"".join(each.read_bytes() for each in self.bundles))
        known = {
            "auth": "basic",
            "username": ALICE,
            "password": "secret",
            "zone": "Europe/Berlin",
            "ca_bundle": str(bundle),
        }
        wanted = {name: value for name, value in (known | settings).items() if value is not None}
        network = Network(self.locate, lambda name: self.services.get(name, ()))
        made = ExchangeProvider(
            "exchange", Settings.model_validate(wanted), self.exchanges[0].context(), network
        )
        self.exchanges[0].providers.append(made)
        return made

    def connect(self, account: str = ALICE, **settings: Any) -> Any:
        return self.provider(**settings).connect(account)

    def failure(self, account: str = ALICE, **settings: Any) -> ConnectorError:
        with pytest.raises(ConnectorError) as caught:
            self.connect(account, **settings).calendars()
        assert caught.value.operation == "Autodiscover"
        return caught.value


def ews(host: str) -> str:
    return f"https://{host}/EWS/Exchange.asmx"


def asked(sandbox: ExchangeSandbox) -> list[str]:
    """The hosts that requests to Autodiscover were for."""
    calls = [entry for entry in sandbox.calls() if entry.path.lower() == PATH]
    return [entry.headers["host"] for entry in calls]


def logins(sandbox: ExchangeSandbox) -> list[str]:
    """The hosts that were shown a password, a token or the beginning of NTLM."""
    return [
        entry.headers["host"]
        for entry in sandbox.calls()
        if entry.headers.get("authorization") is not None
    ]


@pytest.fixture
def town(open_exchange: Callable[..., Exchange], tmp_path: Path) -> Iterator[Town]:
    """Alice and the service account at MAIL. No Autodiscover yet."""
    exchange = open_exchange()
    exchange.sandbox.directory.publish(ALICE, ews(MAIL), "https://mail.internal.example/EWS/x")
    exchange.sandbox.directory.publish(SERVICE, ews(MAIL))
    made = Town(tmp_path, [exchange])
    names = (HOME, ROOT, MAIL, FAR, LOGIN, PARTNER, FOREIGN)
    made.bundles.append(encrypt(exchange.sandbox, tmp_path, *names))
    made.name(MAIL, exchange.sandbox)
    yield made
    for each in made.exchanges[1:]:
        each.close()


@pytest.fixture
def home(town: Town) -> ExchangeSandbox:
    """The server, which also is the Autodiscover service of the domain."""
    sandbox = town.exchanges[0].sandbox
    town.name(HOME, sandbox)
    return sandbox


DAY = timedelta(days=1)
