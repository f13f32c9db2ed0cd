"""Users connect their accounts by invitation, against the providers' own consent pages; what an
attacker might try on the way fails, and stores nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from bridge.records import Endpoint, Link, LinkState
from connectors.sandbox.clock import Clock
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox

ANN, EVE = "ann@office.example", "eve@office.example"
Office = Any
Browser = Any


@dataclass
class Clouds:
    """The sandboxes, and who sits before their consent pages."""

    feishu: FeishuSandbox
    google: GoogleSandbox
    people: dict[str, Any]

    def sign_in(self, who: str) -> None:
        self.feishu.sign_in(self.people[who])
        self.google.oauth.signed_in = who

    def connectors(self) -> dict[str, Any]:
        client = self.google.oauth_client()["installed"]
        feishu, google = self.feishu.url, self.google.url
        return {
            "feishu": {
                "type": "feishu", "domain": feishu, "accounts_domain": feishu,
                "app_id": self.feishu.app.id, "app_secret": self.feishu.app.secret,
                "delivery": {"mode": "none"},
            },
            "google": {
                "type": "google", "client_id": client["client_id"],
                "client_secret": client["client_secret"], "api_root": f"{google}/",
                "token_uri": f"{google}/token", "auth_uri": f"{google}/o/oauth2/auth",
            },
        }  # fmt: skip


@pytest.fixture(scope="module")
def clouds() -> Iterator[Clouds]:
    clock = Clock()
    feishu, google = FeishuSandbox(clock=clock).start(), GoogleSandbox(clock=clock)
    google.start()
    people = {mail: feishu.add_user(mail.partition("@")[0].title(), mail) for mail in (ANN, EVE)}
    for mail in people:
        google.add_user(mail, zone="Asia/Shanghai")
    yield Clouds(feishu, google, people)
    feishu.stop()
    google.stop()


@pytest.fixture
def office(open_office, clouds: Clouds) -> Office:
    made = open_office(open_on_loopback=True)
    made.content["connectors"] = clouds.connectors()
    made.content["users"] = {
        "ann": {"feishu": {"account": ANN}, "links": [{"to": "google", "account": ANN}]}
    }
    made.again(open_on_loopback=True)
    clouds.sign_in(ANN)
    return made


def invitation(office: Office, connector: str) -> str:
    """The link that the administrator copies, as a path."""
    admin = office.browser()
    admin.get("/accounts")
    admin.post("/accounts/invite", connector=connector, account=ANN)
    found = re.search(r'readonly value="([^"]+)"', admin.page.text)
    assert found is not None
    address = str(found[1])
    assert address.startswith(f"{office.service.address}/connect/")
    return address.removeprefix(office.service.address)


def depart(browser: Browser, path: str) -> str:
    """Agree to go to the provider; the address that the browser is sent to."""
    browser.get(path)
    browser.post(path)
    found = re.search(r'<a class="button main" href="([^"]+)"', browser.page.text)
    assert found is not None, browser.text
    return unescape(found[1])


def answered(address: str) -> str:
    """Where the provider sends the browser back to, for whoever is signed in there."""
    answer = requests.get(address, allow_redirects=False, timeout=20)
    return str(answer.headers["Location"])


def stored(office: Office) -> list[tuple[str, str]]:
    return list(office.store.tokens.accounts())


@pytest.mark.parametrize("connector", ["feishu", "google"])
def test_a_user_connects_an_account_by_invitation(office, connector):
    assert stored(office) == []
    browser = office.browser()
    address = depart(browser, invitation(office, connector))
    query = parse_qs(urlsplit(address).query)
    assert query["code_challenge_method"] == ["S256"]
    browser.get(answered(address))
    assert f"{ANN} is connected" in browser.text
    assert stored(office) == [(connector, ANN)]
    admin = office.browser()
    admin.get("/accounts")
    assert re.search(rf"{ANN} {connector} connected", admin.text)
    other = {"feishu": "google", "google": "feishu"}[connector]
    assert re.search(rf"{ANN} {other} not connected", admin.text)


@pytest.mark.parametrize("connector", ["feishu", "google"])
def test_the_consent_of_somebody_else_is_not_taken(office, clouds, connector):
    browser = office.browser()
    address = depart(browser, invitation(office, connector))
    clouds.sign_in(EVE)
    answer = browser.get(answered(address))
    assert answer.status_code == 403
    assert "Not connected" in browser.text
    assert stored(office) == []


def test_an_answer_counts_once(office):
    browser = office.browser()
    address = depart(browser, invitation(office, "feishu"))
    back = answered(address)
    kept = browser.cookie
    assert browser.get(back).status_code == 200
    assert browser.get(back).status_code == 403
    office.store.tokens.drop("feishu", ANN)
    for replayed in (back, answered(address)):  # the second with a code that nobody has used
        browser.session.cookies.clear()
        browser.session.cookies.set("calbridge", kept)
        assert browser.get(replayed).status_code == 403
        assert "belongs to no consent" in browser.text
        assert stored(office) == []


def test_an_answer_counts_only_in_the_browser_that_asked(office):
    asked, other = office.browser(), office.browser()
    path = invitation(office, "google")
    back = answered(depart(asked, path))
    assert other.get(back).status_code == 403
    depart(other, path)
    assert other.get(back).status_code == 403
    assert stored(office) == []
    assert asked.get(back).status_code == 200


def test_a_code_of_another_attempt_does_not_fit_the_verifier(office):
    """An attacker's code, put into the victim's own answer: PKCE refuses it."""
    path = invitation(office, "google")
    attacker, victim = office.browser(), office.browser()
    stolen = parse_qs(urlsplit(answered(depart(attacker, path))).query)["code"][0]
    mine = parse_qs(urlsplit(depart(victim, path)).query)["state"][0]
    answer = victim.get("/consent/callback", params={"state": mine, "code": stolen})
    assert answer.status_code == 403
    assert stored(office) == []


def test_an_answer_that_comes_too_late_is_not_taken(office):
    browser = office.browser()
    back = answered(depart(browser, invitation(office, "feishu")))
    office.later(timedelta(minutes=11))
    assert browser.get(back).status_code == 403
    assert stored(office) == []


@pytest.mark.parametrize(
    "query", [{}, {"state": "x", "code": "y"}, {"state": "ä" * 300}, {"error": "access_denied"}]
)
def test_an_answer_out_of_nowhere_is_not_taken(office, query):
    browser = office.browser()
    assert browser.get("/consent/callback", params=query).status_code == 403
    assert stored(office) == []


def test_who_refuses_is_told_that_nothing_was_stored(office):
    browser = office.browser()
    state = parse_qs(urlsplit(depart(browser, invitation(office, "google"))).query)["state"][0]
    answer = browser.get("/consent/callback", params={"state": state, "error": "access_denied"})
    assert answer.status_code == 400
    assert "nothing was stored" in browser.text
    assert stored(office) == []


def test_an_invitation_that_was_changed_or_has_run_out_opens_nothing(office):
    path = invitation(office, "feishu")
    browser = office.browser()
    for broken in (path[:-4] + "AAAA", path[:40], "/connect/x", f"/connect/{browser.address}"):
        assert browser.get(broken).status_code in (404, 410)
    cookie = browser.get("/").cookies or browser.session.cookies
    assert browser.get(f"/connect/{cookie['calbridge']}").status_code == 410
    assert browser.get(path).status_code == 200
    office.later(timedelta(days=8))
    assert browser.get(path).status_code == 410
    assert browser.post(path, csrf="x").status_code == 403


def test_an_invitation_of_a_user_who_left_the_config_opens_nothing(office):
    path = invitation(office, "google")
    office.content["users"] = {
        "eve": {"feishu": {"account": EVE}, "links": [{"to": "google", "account": EVE}]}
    }
    office.again(open_on_loopback=True)
    assert office.browser().get(path).status_code == 410


def test_the_administrator_sees_who_is_connected_expiring_lost_or_missing(office):
    def state() -> str:
        admin.get("/accounts")
        found = re.search(r"ann@office\.example feishu (.*?) ann/google", admin.text)
        assert found is not None
        return found[1]

    admin = office.browser()
    assert state() == "not connected"
    browser = office.browser()
    browser.get(answered(depart(browser, invitation(office, "feishu"))))
    assert state() == "connected"
    token = office.store.tokens.load("feishu", ANN)
    for ahead, told in (
        (timedelta(hours=30), "expiring in 1 d 5 h"),
        (timedelta(hours=-1), "lost"),
    ):
        soon = replace(token, refresh_expires=office.now() + ahead)
        office.store.tokens.save("feishu", ANN, soon)
        assert state() == told
        metric = 'consent_good{account="ann@office.example",connector="feishu"}'
        good = f"calbridge_{metric} {float(ahead > timedelta(0))}"
        assert good in admin.get("/metrics").text
    office.store.tokens.save("feishu", ANN, token)
    with office.store.begin() as tx:
        link = tx.put_link(waiting_link(office))
        tx.set_link_state(link.id, LinkState.WAITING, f"{ANN} took the consent back")
    assert state() == f"lost {ANN} took the consent back"
    admin.post("/accounts/invite", connector="feishu", account=ANN)
    assert "/connect/" in admin.page.text, "and can send the link on"


def waiting_link(office: Office) -> Link:
    ends = [Endpoint(connector=name, account=ANN, calendar="c") for name in ("feishu", "google")]
    return Link(id=0, uid="u", name="ann/google", user="ann", a=ends[0], b=ends[1],
                state=LinkState.ACTIVE)  # fmt: skip


def test_only_accounts_of_the_config_get_an_invitation(office):
    admin = office.browser()
    for connector, account in (("google", EVE), ("nothing", ANN), ("", "")):
        admin.get("/accounts")
        admin.post("/accounts/invite", connector=connector, account=account)
        assert admin.page.status_code == 404


def test_neither_tokens_nor_app_secrets_are_on_any_page_or_in_a_cookie(office, clouds, caplog):
    caplog.set_level("DEBUG")
    browser = office.browser()
    for connector in ("feishu", "google"):
        browser.get(answered(depart(browser, invitation(office, connector))))
    tokens = [office.store.tokens.load(name, ANN) for name in ("feishu", "google")]
    secrets = [clouds.feishu.app.secret, clouds.google.oauth_client()["installed"]["client_secret"]]
    secrets += [text for token in tokens for text in (token.access, token.refresh)]
    secrets.append(office.content["secret_key"])
    told = caplog.text
    for path in ("/", "/accounts", "/activity", "/metrics", "/events?q=x", "/links/1"):
        answer = browser.get(path)
        told += answer.text + str(answer.headers)
    assert [secret for secret in secrets if secret in told] == []
