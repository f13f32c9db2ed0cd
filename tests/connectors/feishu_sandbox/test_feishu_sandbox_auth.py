import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

REDIRECT = "http://127.0.0.1:1/callback"
SCOPES = "calendar:calendar offline_access"


@pytest.fixture
def app(lark, sandbox):
    """An SDK client with the app's credentials, OAuth calls included."""
    return (
        lark.Client.builder()
        .app_id(sandbox.app.id)
        .app_secret(sandbox.app.secret)
        .domain(sandbox.url)
        .oauth_base_url(sandbox.url)
        .enable_set_token(True)
        .build()
    )


def authorize(sandbox, **extra):
    query = {
        "client_id": sandbox.app.id,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": SCOPES,
        "state": "s1",
    } | extra
    page = sandbox.url + "/open-apis/authen/v1/authorize"
    answer = requests.get(page, params=query, allow_redirects=False, timeout=5)
    return {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def refused(lark, call, *args, **kwargs):
    from lark_oapi.core.exception import AccessTokenException

    with pytest.raises(AccessTokenException) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_consent_with_pkce_yields_tokens_that_work(lark, sandbox, app, ann):
    verifier = "v" * 50
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    sandbox.sign_in(ann.user)
    back = authorize(sandbox, code_challenge=challenge, code_challenge_method="S256")
    assert back["state"] == "s1"
    redeem = app.access_token.retrieve_by_authorization_code
    assert refused(lark, redeem, back["code"], REDIRECT, "wrong") == 20049
    assert refused(lark, redeem, back["code"], REDIRECT + "x", verifier) == 20071
    tokens = redeem(back["code"], REDIRECT, verifier)
    assert (tokens.expires_in, tokens.refresh_token_expires_in) == (7200, 604800)
    assert set(tokens.scope.split()) >= set(SCOPES.split())
    ann.grant = type("Grant", (), {"access": tokens.access_token})
    info = ann.call("GET", "authen/v1/user_info")
    assert info.data["open_id"] == ann.user.open_id
    assert refused(lark, redeem, back["code"], REDIRECT, verifier) == 20065


def test_a_refusing_user_comes_back_without_code(sandbox, ann):
    sandbox.switch(authorize="deny")
    assert authorize(sandbox) == {"error": "access_denied", "state": "s1"}


def test_a_code_lives_five_minutes(lark, sandbox, app, ann):
    code = authorize(sandbox)["code"]
    sandbox.clock.advance(301)
    assert refused(lark, app.access_token.retrieve_by_authorization_code, code, REDIRECT) == 20004


def test_a_refresh_token_is_good_once(lark, sandbox, app, ann):
    renewed = app.access_token.refresh(ann.grant.refresh)
    assert renewed.refresh_token != ann.grant.refresh
    assert refused(lark, app.access_token.refresh, ann.grant.refresh) == 20073
    assert app.access_token.refresh(renewed.refresh_token).access_token
    assert ann.listing(anchor_time="1").code == 0  # the old access token lives on


def test_refresh_tokens_expire_are_revoked_and_unknown(lark, sandbox, app, ann, ben):
    assert refused(lark, app.access_token.refresh, "ur-nothing") == 20026
    sandbox.control("revoke", {"user": "ben@example.com"})
    assert refused(lark, app.access_token.refresh, ben.grant.refresh) == 20064
    sandbox.clock.advance(604_801)
    assert refused(lark, app.access_token.refresh, ann.grant.refresh) == 20037


def test_consent_ends_after_a_year_however_often_it_is_refreshed(lark, sandbox, app, ann):
    token = ann.grant.refresh
    for _ in range(60):
        sandbox.clock.advance(6 * 86_400)
        token = app.access_token.refresh(token).refresh_token
    sandbox.clock.advance(6 * 86_400)
    assert refused(lark, app.access_token.refresh, token) == 20037


def test_a_wrong_secret_is_refused(lark, sandbox, app, ann):
    app.config.app_secret = "wrong"
    assert refused(lark, app.access_token.refresh, ann.grant.refresh) == 20002


def test_access_tokens_expire_and_are_revoked(sandbox, ann, ben):
    sandbox.control("revoke", {"user": ben.user.open_id})
    assert (ben.listing().status, ben.listing().code) == (401, 99991668)
    sandbox.clock.advance(7201)
    assert (ann.listing().status, ann.listing().code) == (401, 99991677)


def test_missing_scopes_are_named(sandbox, ann):
    ann.grant = sandbox.grant(ann.user, frozenset({"offline_access"}))
    reply = ann.listing()
    assert reply.code == 99991679
    subjects = [item["subject"] for item in reply.body["error"]["permission_violations"]]
    assert subjects == ["calendar:calendar", "calendar:calendar:readonly"]


def test_the_tenant_token_stays_the_same_until_half_an_hour_before_its_end(sandbox):
    url = sandbox.url + "/open-apis/auth/v3/tenant_access_token/internal"
    body = {"app_id": sandbox.app.id, "app_secret": sandbox.app.secret}

    def fetch():
        return requests.post(url, json=body, timeout=5).json()

    first = fetch()
    sandbox.clock.advance(5300)
    assert fetch()["tenant_access_token"] == first["tenant_access_token"]
    assert fetch()["expire"] in (1899, 1900)
    sandbox.clock.advance(200)
    assert fetch()["tenant_access_token"] != first["tenant_access_token"]


def test_a_user_token_that_the_sdk_ignores_reads_the_bots_calendar(lark, sandbox, app, ann):
    """lark-oapi without enable_set_token sends the tenant token whatever it is given."""
    from lark_oapi.api.calendar.v4 import PrimaryCalendarRequest

    careless = app.__class__.builder().app_id(sandbox.app.id).app_secret(sandbox.app.secret)
    client = careless.domain(sandbox.url).build()
    option = lark.RequestOption.builder().user_access_token(ann.grant.access).build()
    reply = client.calendar.v4.calendar.primary(PrimaryCalendarRequest.builder().build(), option)
    assert reply.data.calendars[0].calendar.calendar_id == sandbox.app.bot.primary


def test_the_bots_primary_calendar_is_not_the_users(bot, ann):
    theirs = ann.call("POST", "calendar/v4/calendars/primary").data["calendars"][0]
    own = bot.call("POST", "calendar/v4/calendars/primary").data["calendars"][0]
    assert theirs["calendar"]["calendar_id"] == ann.user.primary
    assert own["calendar"]["calendar_id"] != ann.user.primary


def test_people_are_found_by_address_with_the_tenant_token_only(bot, ann):
    path, body = "contact/v3/users/batch_get_id", {"emails": ["ANN@example.com", "no@x.example"]}
    found = bot.call("POST", path, body, user_id_type="open_id").data["user_list"]
    assert found == [
        {"email": "ANN@example.com", "user_id": ann.user.open_id},
        {"email": "no@x.example"},
    ]
    assert ann.call("POST", path, body).code == 99991663


def test_people_are_shown_by_id(bot, ann, ben):
    one = bot.call("GET", "contact/v3/users/:user_id", paths={"user_id": ann.user.open_id})
    assert one.data["user"]["email"] == "ann@example.com"
    assert bot.call("GET", "contact/v3/users/:user_id", paths={"user_id": "ou_x"}).code == 99992351


def test_every_answer_carries_a_log_id(ann):
    good, bad = ann.listing(), ann.listing(page_size="7")
    assert good.headers["X-Tt-Logid"] != bad.headers["X-Tt-Logid"]
    assert bad.body["error"]["log_id"] == bad.headers["X-Tt-Logid"]
