"""Without an endpoint: the right server is found by Autodiscover, over TLS."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from connectors.contract import Finding
from connectors.errors import FatalError, ReauthorizeError, RetryableError
from connectors.exchange.connections import Network, Service
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.faults import Fault

from .conftest import (
    ALICE,
    FAR,
    FOREIGN,
    HOME,
    LOGIN,
    MAIL,
    PARTNER,
    PATH,
    ROOT,
    Town,
    asked,
    ews,
    logins,
)

SRV = "_autodiscover._tcp.office.example"


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
    town.name(FAR, town.exchanges[0].sandbox)
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


def test_a_web_site_does_not_even_see_what_the_machine_knows_of_it(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "netrc"
    known.write_text(f"machine {HOME} login {ALICE} password secret\n")
    known.chmod(0o600)
    monkeypatch.setenv("NETRC", str(known))
    site = town.site(HOME)
    town.failure()
    assert len(asked(site)) == 1
    assert logins(site) == []


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


def test_a_token_service_that_is_down_is_named(town: Town, home: ExchangeSandbox) -> None:
    oauth = _login("oauth2", home, town)
    town.hosts.pop(LOGIN)
    error = town.failure(**oauth)
    assert (type(error), error.code) == (RetryableError, "unreachable")
    assert f"https://{LOGIN}/office/oauth2/v2.0/token has no address in DNS" in error.message


def test_an_expired_secret_is_not_taken_for_a_missing_service(
    town: Town, home: ExchangeSandbox
) -> None:
    login = _login("oauth2", home, town)
    error = town.failure(**login | {"oauth": login["oauth"] | {"client_secret": "old"}})
    assert type(error) is ReauthorizeError
    assert "make a new one" in error.message


def test_a_name_that_cannot_be_looked_up_now_may_be_later(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(_town: Town, _host: str, _port: int) -> tuple[str, int]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(Town, "locate", later)
    error = town.failure()
    assert type(error) is RetryableError
    assert "could not be looked up in DNS" in error.message


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


# -- real names -----------------------------------------------------------------------------------


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """A name server on loopback, which the default resolver asks; what it does not hold does not
    exist, and `!` makes it silent about a name."""
    records: dict[str, list[str]] = {}
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            asked, client = wire.recvfrom(4096)
            if not asked:
                return
            query = dns.message.from_wire(asked)
            name = query.question[0].name
            found = records.get(name.to_text(omit_final_dot=True))
            if found == ["!"]:
                continue
            answer = dns.message.make_response(query)
            if found is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            else:
                answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", "SRV", found))
            wire.sendto(answer.to_wire(), client)

    thread = Thread(target=serve)
    thread.start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], wire.getsockname()[1]
    resolver.lifetime = 0.3
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    yield records
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", wire.getsockname())
    thread.join(5)
    wire.close()


def test_service_records_are_read_from_dns(name_server: dict[str, list[str]]) -> None:
    name_server[SRV] = ["10 5 443 mail.office.example.", "20 0 8443 mail2.office.example."]
    services = Network().services
    assert set(services(SRV)) == {Service(10, 5, 443, MAIL), Service(20, 0, 8443, FAR)}
    assert list(services("_autodiscover._tcp.nowhere.example")) == []
    name_server["silent.example"] = ["!"]
    with pytest.raises(OSError, match="does not answer"):
        services("silent.example")
