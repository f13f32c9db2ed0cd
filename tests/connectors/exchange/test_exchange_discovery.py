"""Without an endpoint: the right server is found by Autodiscover, over TLS, and found again."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import pytest

from connectors.contract import Finding
from connectors.errors import ConnectorError, FatalError, ReauthorizeError, RetryableError
from connectors.exchange.connections import Network, Service
from connectors.exchange.provider import ExchangeProvider
from connectors.exchange.settings import Settings
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.faults import Fault
from connectors.testing.builders import event

from .conftest import ALICE, SERVICE, Exchange, encrypt, listed

BOB = "bob@office.example"
HOME, ROOT, MAIL = "autodiscover.office.example", "office.example", "mail.office.example"
FAR, LOGIN = "mail2.office.example", "login.office.example"
FOREIGN, PARTNER = "mail.hoster.example", "autodiscover.partner.example"
PATH = "/autodiscover/autodiscover.svc"
SRV = "_autodiscover._tcp.office.example"
KEY = "cd" * 32


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


# -- found ----------------------------------------------------------------------------------------


def _login(auth: str, sandbox: ExchangeSandbox, town: Town) -> dict[str, Any]:
    if auth != "oauth2":
        return {"auth": auth}
    app = sandbox.add_app()
    town.name(LOGIN, sandbox)
    token_url = f"https://{LOGIN}/{app.tenant}/oauth2/v2.0/token"
    oauth = {"client_id": app.id, "client_secret": app.secret, "tenant": app.tenant}
    return {
        "auth": "oauth2",
        "username": None,
        "password": None,
        "access": "impersonation",
        "oauth": oauth | {"token_url": token_url},
    }


@pytest.mark.parametrize("auth", ["basic", "ntlm", "oauth2"])
def test_the_domains_service_leads_to_the_mailbox_with_every_login(
    town: Town, home: ExchangeSandbox, auth: str
) -> None:
    connector = town.connect(**_login(auth, home, town))
    assert [calendar.primary for calendar in connector.calendars()] == [True]
    assert set(asked(home)) == {HOME}
    agents = {entry.headers["user-agent"] for entry in home.calls("Autodiscover")}
    assert agents == {"feishu-calendar-bridge"}


def test_the_domain_itself_is_asked_if_its_service_has_no_name_of_its_own(town: Town) -> None:
    sandbox = town.exchanges[0].sandbox
    town.name(ROOT, sandbox)
    assert town.connect().calendars()[0].primary
    assert set(asked(sandbox)) == {ROOT}


def test_a_service_record_of_the_domain_is_followed_in_its_order(town: Town) -> None:
    town.services[SRV] = [Service(20, 0, 443, FAR), Service(10, 0, 8443, MAIL)]
    assert town.connect().calendars()[0].primary
    assert set(asked(town.exchanges[0].sandbox)) == {f"{MAIL}:8443"}


def test_a_service_record_for_another_domain_never_sees_the_login(town: Town) -> None:
    stranger = town.server(FOREIGN)
    stranger.add_mailbox(ALICE)
    town.services[SRV] = [Service(0, 0, 443, FOREIGN)]
    error = town.failure()
    assert type(error) is FatalError
    assert FOREIGN in error.message
    assert "Write `autodiscover`" in error.message
    assert stranger.calls() == []


def test_the_service_of_the_config_is_the_only_one_asked(town: Town, home: ExchangeSandbox) -> None:
    town.name(FAR, home)
    connector = town.connect(autodiscover=f"https://{FAR}{PATH}")
    assert connector.calendars()[0].primary
    assert set(asked(home)) == {FAR}


def test_the_address_for_insiders_serves_where_there_is_no_other(
    town: Town, home: ExchangeSandbox
) -> None:
    home.directory.publish(ALICE, "", ews(FAR))
    town.name(FAR, home)
    town.hosts.pop(MAIL)
    assert town.connect().calendars()[0].primary


# -- sent on --------------------------------------------------------------------------------------


def test_redirections_over_https_are_followed(town: Town) -> None:
    """By HTTP status, by address in the answer, by URL in the answer: one after the other."""
    sandbox, front, partner = town.exchanges[0].sandbox, town.server(HOME), town.server(PARTNER)
    town.name(FAR, sandbox)
    location = {"Location": f"https://{FAR}{PATH}"}
    front.faults.add(Fault(PATH, "status", status=302, body="", headers=location))
    sandbox.directory.redirect(ALICE, "RedirectAddress", "alice@partner.example")
    partner.add_mailbox(ALICE)
    partner.directory.redirect("alice@partner.example", "RedirectUrl", f"https://{MAIL}{PATH}")
    sandbox.directory.publish("alice@partner.example", ews(MAIL))
    assert town.connect().calendars()[0].primary
    hops = [host for each in (front, sandbox, partner) for host in asked(each)[::2]]
    assert hops == [HOME, FAR, MAIL, PARTNER]
    assert logins(front) == []


def test_a_circle_of_redirections_ends(town: Town, home: ExchangeSandbox) -> None:
    home.directory.redirect(ALICE, "RedirectUrl", f"https://{HOME}{PATH}")
    error = town.failure()
    assert type(error) is FatalError
    assert logins(home) == [HOME]


def test_a_redirection_away_from_https_is_refused(town: Town, home: ExchangeSandbox) -> None:
    home.directory.redirect(ALICE, "RedirectUrl", f"http://{FAR}{PATH}")
    town.name(FAR, home)
    error = town.failure()
    assert type(error) is FatalError
    assert f"redirects to http://{FAR}{PATH}, which is not https" in error.message
    assert FAR not in asked(home)


def test_endless_redirections_end(town: Town, home: ExchangeSandbox) -> None:
    for number in range(30):
        target = f"alice{number + 1}@office.example"
        home.directory.redirect(f"alice{number or ''}@office.example", "RedirectAddress", target)
    error = town.failure()
    assert type(error) is FatalError
    assert "one redirection too many" in error.message
    assert len([host for host in logins(home) if host == HOME]) == 11


def test_an_endpoint_without_https_is_not_used(town: Town, home: ExchangeSandbox) -> None:
    home.directory.publish(ALICE, f"http://{MAIL}/EWS/Exchange.asmx")
    error = town.failure()
    assert type(error) is FatalError
    assert "no https address" in error.message


# -- not found ------------------------------------------------------------------------------------


def test_a_web_site_of_the_domain_never_sees_the_login(town: Town) -> None:
    site, other = town.site(ROOT), town.server(HOME)
    page = {"body": "<html><body>Sign in</body></html>", "headers": {"Content-Type": "text/html"}}
    other.faults.add(Fault(PATH, "status", status=200, times=9, **page))
    error = town.failure()
    assert type(error) is FatalError
    assert f"{HOME}{PATH} answered HTTP 200, not as Autodiscover does" in error.message
    assert f"{ROOT}{PATH} answered HTTP 404" in error.message
    assert "`endpoint`" in error.message
    assert logins(site) == logins(other) == []


def test_a_wrong_password_is_tried_once_and_nowhere_else(town: Town, home: ExchangeSandbox) -> None:
    town.name(ROOT, home)
    error = town.failure(password="wrong")
    assert type(error) is ReauthorizeError
    assert "Check username and password" in error.message
    assert "wrong" not in error.message
    assert logins(home) == [HOME]


def test_an_unknown_address_is_named(town: Town, home: ExchangeSandbox) -> None:
    error = town.failure("nobody@office.example")
    assert (type(error), error.code) == (FatalError, "InvalidUser")
    assert "does not know nobody@office.example" in error.message


def test_an_unknown_domain_is_an_address_to_check(town: Town) -> None:
    error = town.failure("alice@nowhere.example")
    assert type(error) is FatalError
    assert "https://autodiscover.nowhere.example" in error.message
    assert "has no address in DNS" in error.message
    assert "Check the address" in error.message


def test_a_name_service_that_is_down_may_answer_later(town: Town) -> None:
    def down(_name: str) -> list[Service]:
        raise OSError("the name service does not answer")

    provider = town.provider()
    provider._organization._discovery.network = Network(town.locate, down)
    with pytest.raises(RetryableError) as caught:
        provider.connect(ALICE).calendars()
    assert "could not be looked up in DNS" in caught.value.message


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"action": "delay", "seconds": 30.0}, "did not answer in time"),
        ({"action": "drop_before"}, "could not be reached"),
        ({"action": "status", "status": 503, "body": ""}, "answered HTTP 503"),
    ],
)
def test_a_service_that_does_not_answer_may_do_so_later(
    town: Town, home: ExchangeSandbox, how: dict[str, Any], said: str
) -> None:
    home.faults.add(Fault(PATH, times=99, **how))
    error = town.failure(timeout_seconds=0.2)
    assert (type(error), error.code) == (RetryableError, "unreachable")
    assert said in error.message
    assert town.exchanges[0].slept, "it is asked again before anybody is told"


def test_a_passing_silence_is_waited_out(town: Town, home: ExchangeSandbox) -> None:
    home.faults.add(Fault(PATH, "drop_before", times=2))
    assert town.connect().calendars()[0].primary


def test_a_certificate_that_is_not_trusted_points_to_the_bundle(
    town: Town, home: ExchangeSandbox
) -> None:
    error = town.failure(ca_bundle=None)
    assert (type(error), error.code) == (FatalError, "certificate")
    assert "`ca_bundle`" in error.message
    assert home.calls() == []


def test_a_certificate_for_another_name_is_not_trusted(town: Town) -> None:
    impostor = town.server("other.example")
    town.name(HOME, impostor)
    error = town.failure()
    assert error.code == "certificate"
    assert impostor.calls() == []


# -- asked once -----------------------------------------------------------------------------------


def test_each_account_is_asked_for_once_and_reached_where_it_is(
    town: Town, home: ExchangeSandbox
) -> None:
    far = town.server(FAR)
    far.add_mailbox(SERVICE, impersonates=True)
    far.add_mailbox(BOB)
    home.directory.publish(BOB, ews(FAR))
    home.world.mailboxes[SERVICE].impersonates = True
    provider = town.provider(username=SERVICE, access="impersonation")
    for _ in range(2):
        for account in (ALICE, BOB):
            assert provider.connect(account).calendars()[0].primary
    assert len(asked(home)) == 4, "per account one question, refused without the login first"
    assert len(far.calls()) == len([entry for entry in home.calls() if entry.path != PATH]) > 0


def test_the_service_that_answered_is_asked_first_for_the_next_account(town: Town) -> None:
    sandbox = town.exchanges[0].sandbox
    town.services[SRV] = [Service(0, 0, 443, MAIL)]
    site = town.site(HOME, ROOT)
    sandbox.delegate(SERVICE, ALICE)
    provider = town.provider()
    provider.connect(ALICE).calendars()
    before = len(site.calls())
    provider.connect(SERVICE).calendars()
    assert len(site.calls()) == before == 2


def test_news_come_from_the_server_that_was_found(town: Town, home: ExchangeSandbox) -> None:
    provider = town.provider()
    connector = provider.connect(ALICE)
    calendar = connector.calendars()[0].id
    connector.subscribe(calendar)
    hints: SimpleQueue[Any] = SimpleQueue()
    stopped = Event()
    thread = Thread(target=provider.listen, args=(hints.put, stopped.is_set))
    thread.start()
    try:
        assert hints.get(timeout=20).calendar == calendar
    finally:
        stopped.set()
        provider.close()
        thread.join(20)
    assert not thread.is_alive()
    assert len(asked(home)) == 2


# -- moved ----------------------------------------------------------------------------------------


def _leave(town: Town, old: ExchangeSandbox, how: str) -> None:
    """What the old server says from now on."""
    elsewhere = {"Location": ews(FAR), "X-MS-Location": ews(FAR)}
    match how:
        case "302" | "307" | "451" | "404":
            status = int(how)
            headers = elsewhere if how != "404" else {}
            old.faults.add(
                Fault("op=", "status", status=status, times=999, body="", headers=headers)
            )
        case "gone":
            old.drop_mailbox(ALICE)
            old.add_mailbox(SERVICE, impersonates=True)
        case "code":
            for operation in ("CreateItem", "GetFolder", "FindItem", "FindFolder", "GetItem"):
                old.fail(operation, "ErrorCrossSiteRequest", times=999)
        case "silent":
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                town.hosts[MAIL] = unused.getsockname()[1]


def _twin(town: Town, home: ExchangeSandbox) -> ExchangeSandbox:
    """A second server with Alice's mailbox in it."""
    far = town.server(FAR)
    far.add_mailbox(SERVICE, impersonates=True)
    far.add_mailbox(ALICE, zone="Europe/Berlin")
    home.world.mailboxes[SERVICE].impersonates = True
    return far


@pytest.mark.parametrize("how", ["302", "307", "451", "404", "gone", "code", "silent"])
def test_a_mailbox_that_moved_is_found_again_and_written_once(
    town: Town, home: ExchangeSandbox, how: str
) -> None:
    far = _twin(town, home)
    connector = town.connect(username=SERVICE, access="impersonation")
    connector.calendars()
    _leave(town, home, how)
    home.directory.publish(ALICE, ews(FAR))
    calendar = connector.calendars()[0].id
    connector.create(calendar, event(), KEY)
    changes, _cursor = listed(connector, calendar)
    assert len(changes) == 1
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    assert len(far.occurrences(ALICE, since, until)) == 1
    if how != "gone":
        assert home.occurrences(ALICE, since, until) == []
    assert town.exchanges[0].slept == [], "nobody waited for a server that has not got it"


def test_even_a_write_that_meets_the_move_first_arrives_once(
    town: Town, home: ExchangeSandbox
) -> None:
    far = _twin(town, home)
    connector = town.connect(username=SERVICE, access="impersonation")
    connector.calendars()
    calendar = far.world.mailboxes[ALICE].folder_of_role("calendar").id
    _leave(town, home, "302")
    home.directory.publish(ALICE, ews(FAR))
    connector.create(calendar, event(), KEY)
    assert len(far.calls("CreateItem")) == 1
    assert connector.find(calendar, KEY) is not None


def test_a_server_that_lost_the_mailbox_is_believed_if_nobody_knows_better(
    town: Town, home: ExchangeSandbox
) -> None:
    connector = town.connect()
    connector.calendars()
    _leave(town, home, "302")
    before = len(asked(home))
    with pytest.raises(FatalError) as caught:
        connector.calendars()
    assert caught.value.code == "moved"
    assert ews(FAR) in caught.value.message
    assert len(asked(home)) == before + 2, "asked again once"


def test_a_move_waits_for_autodiscover(town: Town, home: ExchangeSandbox) -> None:
    connector = town.connect()
    connector.calendars()
    _leave(town, home, "302")
    home.faults.add(Fault(PATH, "drop_before", times=99))
    with pytest.raises(RetryableError) as caught:
        connector.calendars()
    assert caught.value.operation == "Autodiscover"


def test_an_outage_stays_an_outage_if_the_mailbox_is_where_it_was(
    town: Town, home: ExchangeSandbox
) -> None:
    connector = town.connect()
    connector.calendars()
    _leave(town, home, "silent")
    town.hosts.pop(HOME)
    with pytest.raises(RetryableError) as caught:
        connector.calendars()
    assert (caught.value.operation, caught.value.code) == ("GetFolder", "unreachable")


@pytest.mark.parametrize("how", ["302", "451"])
def test_an_endpoint_of_the_config_is_kept_and_the_new_server_named(
    town: Town, home: ExchangeSandbox, how: str
) -> None:
    far = _twin(town, home)
    home.directory.publish(ALICE, ews(FAR))
    _leave(town, home, how)
    with pytest.raises(FatalError) as caught:
        town.connect(endpoint=ews(MAIL)).calendars()
    assert ews(FAR) in caught.value.message
    assert "`endpoint`" in caught.value.message
    assert asked(home) == []
    assert far.calls() == []


# -- check --online -------------------------------------------------------------------------------


def _first(findings: Any) -> Finding:
    found: Finding = findings[0]
    assert found.subject == "autodiscover"
    return found


def test_the_check_says_who_named_the_server_and_who_did_not(town: Town) -> None:
    sandbox = town.exchanges[0].sandbox
    town.name(ROOT, sandbox)
    findings = town.provider().examine(ALICE)
    found = _first(findings)
    assert found.ok
    assert f"https://{ROOT}{PATH} says that {ews(MAIL)} has the mailbox" in found.detail
    assert f"https://{HOME}{PATH} has no address in DNS" in found.detail
    assert [finding.ok for finding in findings] == [True] * len(findings)


def test_the_check_says_what_was_tried_and_what_to_do(town: Town) -> None:
    town.site(ROOT)
    found = _first(town.provider().examine(ALICE))
    assert not found.ok
    assert f"https://{HOME}{PATH} has no address in DNS; https://{ROOT}{PATH} " in found.detail
    assert found.advice.startswith("Write `autodiscover`")


def test_the_check_says_nothing_of_autodiscover_if_the_endpoint_is_given(
    town: Town, home: ExchangeSandbox
) -> None:
    findings = town.provider(endpoint=ews(MAIL)).examine(ALICE)
    assert {finding.subject for finding in findings}.isdisjoint({"autodiscover"})
    assert asked(home) == []
