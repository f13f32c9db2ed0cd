"""Who gets in, what he may do, and what cannot be done to him."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from bridge import config
from bridge.commands.run import greeting
from bridge.errors import ConfigError
from bridge.housekeeping import PUSHES_KEPT
from bridge.records import LinkState
from bridge.runtime import Runtime
from bridge.vault import Vault
from bridge.web.passwords import hash_password, matches, well_formed
from bridge.web.sessions import ATTEMPT_LIFE, LIFE
from bridge.web.site import local

PASSWORD = "correct horse battery staple"
LOOKING = "only looking, thank you"
Make = Callable[..., object]


def cookies(answer: requests.Response) -> str:
    return answer.headers.get("set-cookie", "")


def test_without_a_way_to_log_in_there_is_no_dashboard_but_health(open_office):
    browser = open_office().browser()
    assert browser.get("/").status_code == 404
    assert browser.get("/login").status_code == 404
    assert browser.get("/healthz").json() == {"ok": True}
    assert browser.get("/readyz").json() == {"ready": True}


def test_the_service_says_at_its_start_where_the_dashboard_is_and_why_there_is_none(open_office):
    here = "http://127.0.0.1:8377"
    office = open_office()
    assert "without a dashboard: `web` lets nobody log in" in greeting(office.runtime, here)
    office.again(open_on_loopback=True)
    assert f"1 link; the dashboard is at {here};" in greeting(office.runtime, here)
    assert greeting(office.runtime, "") == "running with 1 link; stop with Ctrl-C"
    office.again(open_on_loopback=True, public_url="https://bridge.example.com")
    assert "at https://bridge.example.com;" in greeting(office.runtime, here)


def test_a_stranger_is_asked_for_the_password_wherever_he_goes(guarded):
    guarded.sync()
    browser = guarded.browser()
    for path in ("/", "/links/1", "/links/1/week", "/events?q=x", "/accounts", "/activity",
                 "/runs/1/undo", "/links/1/pause"):  # fmt: skip
        answer = browser.get(path, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login"), path


def test_the_password_opens_and_leads_to_where_one_wanted_to_go(guarded):
    guarded.sync()
    browser = guarded.browser()
    assert "/login?next=" in browser.get("/links/1/week").url
    assert browser.post("/login", password=PASSWORD, next="/links/1/week").url.endswith("/week")
    assert browser.page.status_code == 200


def test_a_wrong_password_opens_nothing(guarded):
    browser = guarded.browser()
    assert browser.log_in("correct horse battery stable").status_code == 403
    assert "not the password" in browser.text
    assert browser.get("/").url.endswith("/login")


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "evil",
     "/\t/evil.example", "javascript:alert(1)", "/..\\evil", "/a\nSet-Cookie: x=1", ""],
)  # fmt: skip
def test_login_leads_nowhere_else(guarded, path):
    browser = guarded.browser()
    browser.get("/login", params={"next": path})
    browser.post("/login", password=PASSWORD, next=path)
    assert browser.page.url == f"{guarded.service.address}/"
    assert local(path) == "/"


def test_a_session_from_before_the_login_is_worth_nothing_after_it(guarded):
    browser = guarded.browser()
    browser.get("/login")
    planted, token = browser.cookie, browser.token()
    browser.post("/login", password=PASSWORD)
    assert browser.cookie != planted
    assert browser.token() != token
    other = guarded.browser()
    other.session.cookies.set("calbridge", planted)
    assert other.get("/").url.endswith("/login")


def test_who_logs_out_is_out_even_where_somebody_kept_the_cookie(guarded):
    browser = guarded.browser()
    browser.log_in()
    kept = browser.cookie
    browser.post("/logout")
    assert "logged out" in browser.text
    other = guarded.browser()
    other.session.cookies.set("calbridge", kept)
    assert other.get("/").url.endswith("/login")


def test_what_counts_once_is_remembered_for_longer_than_it_is_valid():
    assert max(LIFE, ATTEMPT_LIFE) < PUSHES_KEPT


def test_a_session_ends_by_itself(guarded):
    browser = guarded.browser()
    browser.log_in()
    guarded.later(timedelta(hours=11))
    assert browser.get("/").url.endswith("/")
    guarded.later(timedelta(hours=2))
    assert browser.get("/").url.endswith("/login")


def test_a_new_password_ends_the_sessions_of_the_old_one(guarded):
    browser = guarded.browser()
    browser.log_in()
    kept = browser.cookie
    guarded.again(password_hash=hash_password("quite another password"))
    other = guarded.browser()
    other.session.cookies.set("calbridge", kept)
    assert other.get("/").url.endswith("/login")


def test_who_may_only_look_sees_all_and_changes_nothing(guarded):
    guarded.sync()
    browser = guarded.browser()
    browser.log_in(LOOKING)
    assert "read only" in browser.text
    assert browser.get("/links/1").status_code == 200
    assert "Pause" not in browser.text
    assert browser.get("/links/1/pause").status_code == 403
    browser.get("/links/1")
    assert browser.post("/links/1/pause").status_code == 403
    assert guarded.link.state is LinkState.ACTIVE


def test_a_form_needs_the_token_of_its_own_session(guarded):
    guarded.sync()
    browser, other = guarded.browser(), guarded.browser()
    browser.log_in()
    other.log_in()
    browser.get("/links/1/pause")
    other.get("/links/1/pause")
    for token in ("", "x", "ä", other.token()):
        assert browser.post("/links/1/pause", csrf=token).status_code == 403
    assert guarded.link.state is LinkState.ACTIVE
    browser.get("/links/1/pause")
    assert browser.post("/links/1/pause").status_code == 200
    assert guarded.link.state is LinkState.PAUSED


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_form_from_elsewhere_is_refused_even_with_the_token(guarded, headers):
    guarded.sync()
    browser = guarded.browser()
    browser.log_in()
    browser.get("/links/1/pause")
    answer = browser.session.post(
        f"{browser.address}/links/1/pause", data={"csrf": browser.token()}, headers=headers
    )
    assert answer.status_code == 403
    assert guarded.link.state is LinkState.ACTIVE


def test_nothing_is_changed_by_following_a_link(guarded):
    guarded.sync()
    browser = guarded.browser()
    browser.log_in()
    before = guarded.link
    for path in ("/links/1/pause", "/links/1/resume", "/links/1/approve", "/logout"):
        browser.get(path)
    assert guarded.link == before
    assert browser.get("/").url.endswith("/")


def test_guessing_gets_slow_and_is_forgiven_later(guarded):
    browser = guarded.browser()
    for _time in range(5):
        browser.log_in("a guess")
    assert "Too many attempts" in browser.text
    assert browser.log_in(PASSWORD).status_code == 429
    guarded.later(timedelta(seconds=11))
    assert browser.log_in(PASSWORD).status_code == 200


def test_a_name_that_is_not_ours_is_not_answered(open_office):
    office = open_office(open_on_loopback=True)
    answer = requests.get(office.service.address, headers={"Host": "rebound.example"}, timeout=20)
    assert answer.status_code == 421
    through = {"X-Forwarded-For": "203.0.113.9"}
    assert requests.get(office.service.address, headers=through, timeout=20).status_code == 403


def test_a_proxy_that_is_trusted_names_the_visitor_and_nobody_else_does(open_office):
    named = {"trusted_header": "X-Forwarded-User", "administrators": ["ann"], "viewers": ["bob"]}
    office = open_office(**named)
    office.sync()

    def as_user(name: str, path: str = "/links/1/pause") -> int:
        headers = {"X-Forwarded-User": name}
        return requests.get(f"{office.service.address}{path}", headers=headers).status_code

    assert as_user("ann") == 200
    assert (as_user("bob"), as_user("bob", "/links/1")) == (403, 200)
    assert as_user("eve", "/links/1") == 403
    assert as_user("", "/links/1") == 403
    office.again(**named, trusted_proxies=["10.0.0.0/8"])
    assert as_user("ann", "/") == 403


def test_cookies_are_out_of_the_reach_of_scripts_and_other_sites(guarded):
    told = cookies(requests.get(f"{guarded.service.address}/login", timeout=20)).lower()
    assert told.startswith("calbridge=")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in told.split(";")}


def test_behind_https_cookies_stay_there(open_office):
    office = open_office(
        password_hash=hash_password(PASSWORD), public_url="https://bridge.example.com"
    )
    answer = requests.get(
        f"{office.service.address}/login", headers={"Host": "bridge.example.com"}, timeout=20
    )
    assert cookies(answer).startswith("__Host-calbridge=")
    assert "secure" in cookies(answer).lower()
    assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("listen", "web", "problem"),
    [
        ("0.0.0.0:8377", {"open_on_loopback": "true"}, "set `password_hash` instead"),
        ("0.0.0.0:8377", {"password_hash": "HASH"}, "put a TLS proxy in front"),
        ("192.0.2.1:80", {"password_hash": "HASH", "public_url": "http://bridge.example.com"},
         "put a TLS proxy in front"),
        ("127.0.0.1:0", {"trusted_header": "X-User"}, "list who may log in"),
        ("127.0.0.1:0", {"password_hash": "secret"}, "`calbridge password`"),
        ("127.0.0.1:0", {"trusted_proxies": "[nonsense]"}, "is no address or network"),
    ],
)  # fmt: skip
def test_a_config_that_would_let_anybody_in_is_refused(
    tmp_path: Path, listen: str, web: dict[str, str], problem: str
) -> None:
    path = tmp_path / "config.yaml"
    lines = "".join(f"  {name}: {value}\n" for name, value in web.items())
    path.write_text(
        "connectors: {hub: {type: memory}}\n"
        f"service: {{listen: '{listen}'}}\nweb:\n{lines}".replace("HASH", hash_password("x" * 12))
    )
    with pytest.raises(ConfigError) as raised:
        config.load(path, {})
    assert problem in "\n".join(raised.value.lines())


def test_webhooks_from_outside_need_no_dashboard(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"secret_key: {Vault.generate_key()}\nconnectors: {{hub: {{type: memory}}}}\n"
        "service: {listen: '0.0.0.0:8377'}\n"
    )
    with Runtime(config.load(path, {})) as runtime:
        assert not runtime.config.web.served


def test_a_hash_fits_its_password_alone_and_holds_nothing_of_it():
    known = hash_password(PASSWORD)
    assert matches(PASSWORD, known)
    assert not matches(PASSWORD + " ", known)
    assert hash_password(PASSWORD) != known
    assert PASSWORD not in known
    for broken in ("", "scrypt:99:8:1:AAAA:AAAA", known[:-5], known.replace("scrypt", "md5")):
        assert not matches(PASSWORD, broken)
    assert not well_formed("scrypt:20:16:1:AAAA:AAAA")
