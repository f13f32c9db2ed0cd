"""Who may speak to Google, and what is said when somebody may not."""

import base64
import hashlib
import http.client
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import ValidationError

from connectors.errors import ReauthorizeError, RetryableError
from connectors.google.settings import EVENTS_SCOPE, Settings
from connectors.sandbox.faults import Fault

ALICE = "alice@example.com"
BOB = "bob@example.com"


def challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def consented_code(url: str) -> str:
    """What the browser brings back when the person at the consent page agrees."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc)
    line.request("GET", f"{parts.path}?{parts.query}")
    answer = line.getresponse()
    location = answer.getheader("Location", "")
    line.close()
    return parse_qs(urlsplit(location).query)["code"][0]


@pytest.fixture(scope="module")
def delegated(open_google):
    google = open_google()
    return google, google.sandbox.service_account()


def test_a_service_account_acts_as_the_user_and_calls_count_for_the_user(delegated):
    google, key = delegated
    connector = google.provider(service_account=json.dumps(key)).connect(ALICE)
    assert [calendar.id for calendar in connector.calendars()] == [ALICE]
    assert google.sandbox.calls("calendarList.list")[-1].query[-2:] != ()
    asked = dict(google.sandbox.calls("calendarList.list")[-1].query)
    assert asked["quotaUser"] == ALICE


def test_a_service_account_may_be_configured_as_a_mapping(delegated):
    google, key = delegated
    connector = google.provider(service_account=key, quota_user=False).connect(ALICE)
    connector.calendars()
    assert "quotaUser" not in dict(google.sandbox.calls("calendarList.list")[-1].query)


def test_a_service_account_without_delegation_says_where_to_delegate(open_google):
    google = open_google()
    key = google.sandbox.service_account(dwd=False)
    connector = google.provider(service_account=json.dumps(key)).connect(ALICE)
    with pytest.raises(ReauthorizeError, match="admin console") as refused:
        connector.calendars()
    assert refused.value.code == "unauthorized_client"


def test_a_user_that_does_not_exist_must_be_corrected_by_a_person(delegated):
    google, key = delegated
    connector = google.provider(service_account=key).connect("nobody@example.com")
    with pytest.raises(ReauthorizeError) as refused:
        connector.calendars()
    assert refused.value.code == "invalid_grant"


def test_a_damaged_key_is_an_error_of_configuration_that_shows_no_key(delegated):
    google, key = delegated
    broken = {**key, "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END"}
    connector = google.provider(service_account=broken).connect(ALICE)
    with pytest.raises(ReauthorizeError) as refused:
        connector.calendars()
    assert refused.value.code == "bad-key"
    assert "c2VjcmV0" not in str(refused.value)


def test_a_consent_that_was_given_anew_while_the_old_one_was_refused_counts(google):
    connector = google.connect()
    good = google.tokens.load("google", ALICE)
    looks = iter([replace(good, refresh="withdrawn")] * 2)
    load = google.tokens.load
    google.tokens.load = lambda *key: next(looks, None) or load(*key)
    assert connector.calendars()[0].primary
    assert load("google", ALICE).refresh == good.refresh
    assert [call.status for call in google.sandbox.calls("oauth.token")] == [400, 200]


def test_a_consented_user_is_served_and_the_new_token_is_kept(google):
    connector = google.connect()
    assert connector.calendars()[0].primary
    kept = google.tokens.load("google", ALICE)
    assert kept.access != "stale"
    assert kept.refresh is not None
    assert kept.access_expires > datetime.now(UTC)
    connector.calendars()
    assert len(google.sandbox.calls("oauth.token")) == 1


def test_two_connectors_of_an_account_share_one_token(google):
    provider = google.provider()
    google.consent()
    provider.connect(ALICE).calendars()
    provider.connect(ALICE).calendars()
    assert len(google.sandbox.calls("oauth.token")) == 1


def test_a_token_that_expires_at_google_is_renewed_without_a_word(google):
    connector = google.connect()
    connector.calendars()
    google.sandbox.expire(user=ALICE)
    assert connector.calendars()
    assert len(google.sandbox.calls("oauth.token")) == 2


def test_a_withdrawn_consent_is_forgotten_and_asks_for_a_new_one(google):
    connector = google.connect()
    connector.calendars()
    google.sandbox.revoke(ALICE)
    google.sandbox.expire(user=ALICE)
    with pytest.raises(ReauthorizeError, match="connect again"):
        connector.calendars()
    assert google.tokens.load("google", ALICE) is None
    with pytest.raises(ReauthorizeError) as refused:
        connector.calendars()
    assert refused.value.code == "no-consent"


def test_a_failing_token_endpoint_is_tried_again_and_then_reported_as_passing(google):
    connector = google.connect()
    google.sandbox.faults.add(Fault(match="POST /token", action="status", status=503, times=2))
    assert connector.calendars()
    assert len(google.slept) == 2
    google.sandbox.expire(user=ALICE)
    google.sandbox.faults.add(Fault(match="POST /token", action="status", status=500, times=0))
    with pytest.raises(RetryableError):
        connector.calendars()
    assert google.tokens.load("google", ALICE) is not None


def test_missing_scopes_ask_for_consent(google):
    provider = google.provider()
    google.consent(scopes=("https://www.googleapis.com/auth/calendar.calendarlist.readonly",))
    connector = provider.connect(ALICE)
    assert connector.calendars()
    with pytest.raises(ReauthorizeError, match=r"[Cc]onsent again"):
        list(connector.changes(ALICE, None))


def test_consent_with_pkce_stores_the_tokens_of_the_right_person(google):
    provider = google.provider()
    verifier = "v" * 64
    redirect = "http://localhost:9/callback"
    url = provider.authorize_url(redirect_uri=redirect, state="s1", challenge=challenge(verifier))
    code = consented_code(f"{url}&login_hint={ALICE}")
    identity = provider.redeem(ALICE, code=code, redirect_uri=redirect, verifier=verifier)
    assert identity.id == ALICE
    kept = google.tokens.load("google", ALICE)
    assert kept.owner == ALICE
    assert provider.connect(ALICE).calendars()


def test_consent_by_somebody_else_is_refused_and_nothing_is_stored(google):
    google.sandbox.add_user(BOB)
    provider = google.provider()
    verifier = "v" * 64
    redirect = "http://localhost:9/callback"
    url = provider.authorize_url(redirect_uri=redirect, state="s1", challenge=challenge(verifier))
    code = consented_code(f"{url}&login_hint={BOB}")
    with pytest.raises(ReauthorizeError, match=BOB):
        provider.redeem(ALICE, code=code, redirect_uri=redirect, verifier=verifier)
    assert google.tokens.kept == {}


def test_a_code_without_its_verifier_is_refused(google):
    provider = google.provider()
    redirect = "http://localhost:9/callback"
    url = provider.authorize_url(redirect_uri=redirect, state="s1", challenge=challenge("v" * 64))
    code = consented_code(f"{url}&login_hint={ALICE}")
    with pytest.raises(ReauthorizeError):
        provider.redeem(ALICE, code=code, redirect_uri=redirect, verifier="w" * 64)
    assert google.tokens.kept == {}


def consented(google, *, scope=None):
    """A provider, and what the browser brought back to it; `scope` = what was ticked, if less."""
    provider = google.provider()
    redirect = "http://localhost:9/callback"
    url = provider.authorize_url(redirect_uri=redirect, state="s1", challenge=challenge("v" * 64))
    if scope:
        parts = urlsplit(url)
        query = parse_qs(parts.query) | {"scope": [scope]}
        url = parts._replace(query=urlencode(query, doseq=True)).geturl()
    code = consented_code(f"{url}&login_hint={ALICE}")
    return provider, {"code": code, "redirect_uri": redirect, "verifier": "v" * 64}


def test_a_consent_that_leaves_a_scope_out_is_refused_and_nothing_is_stored(google):
    provider, answer = consented(google, scope=EVENTS_SCOPE)
    with pytest.raises(ReauthorizeError, match="calendarlist") as refused:
        provider.redeem(ALICE, **answer)
    assert refused.value.code == "incomplete-consent"
    assert google.tokens.kept == {}


def test_a_token_endpoint_out_of_order_leaves_the_consent_to_another_attempt(google):
    provider, answer = consented(google)
    google.sandbox.faults.add(Fault(match="POST /token", action="status", status=503, times=0))
    with pytest.raises(RetryableError, match="503"):
        provider.redeem(ALICE, **answer)
    assert google.tokens.kept == {}


def test_a_consent_writes_no_secret_into_the_most_talkative_log(google, caplog):
    caplog.set_level(logging.DEBUG)
    provider, answer = consented(google)
    provider.redeem(ALICE, **answer)
    token = google.tokens.load("google", ALICE)
    for secret in (token.access, token.refresh, answer["verifier"]):
        assert secret not in caplog.text


def test_examine_finds_everything_in_order(google):
    provider = google.provider()
    google.consent()
    findings = provider.examine(ALICE)
    assert [finding.subject for finding in findings] == [
        "credentials",
        "account",
        "write access",
        "events",
        "pushes",
    ]
    assert all(finding.ok for finding in findings)


def test_that_polling_must_do_is_said_once_and_is_no_fault(google):
    provider = google.provider()
    google.consent()
    told = [each for _time in range(3) for each in provider.examine(ALICE) if each.code]
    assert [(each.ok, each.code) for each in told] == [(True, "polling")]
    pushing = google.provider(push_url="https://bridge.example.com/hooks/google")
    assert "pushes" not in [each.subject for each in pushing.examine(ALICE)]


def test_examine_says_what_to_do_about_a_missing_consent(google):
    (finding,) = google.provider().examine(ALICE)
    assert not finding.ok
    assert finding.code == "no-consent"
    assert "calbridge connect" in finding.advice


def test_examine_notices_that_somebody_elses_consent_is_stored(google):
    google.sandbox.add_user(BOB)
    provider = google.provider()
    google.consent(BOB)
    google.tokens.save("google", ALICE, google.tokens.load("google", BOB))
    found = {finding.subject: finding for finding in provider.examine(ALICE)}
    assert found["account"].code == "other-account"
    assert BOB in found["account"].detail


def test_accounts_are_addresses_and_cost_no_call(google):
    provider = google.provider()
    found = provider.resolve(["Alice@Example.com", "not an address"])
    assert {name: identity.id for name, identity in found.items()} == {"Alice@Example.com": ALICE}
    assert google.sandbox.calls() == []


def test_no_secret_is_shown_by_settings_or_their_errors():
    settings = Settings(client_id="id", client_secret="hush-hush")
    assert "hush-hush" not in repr(settings)
    with pytest.raises(ValidationError) as refused:
        Settings(service_account='{"private_key": "hush-hush"}')
    assert "hush-hush" not in str(refused.value)
    assert "${file:PATH}" in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"client_id": "id"},
        {"client_id": "id", "client_secret": "s", "service_account": "{}"},
        {"client_id": "id", "client_secret": "s", "api_root": "http://example.com/"},
        {"client_id": "id", "client_secret": "s", "colour": "red"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError):
        Settings.model_validate(settings)


def test_a_stored_token_that_is_still_good_is_used_as_it_is(google):
    sandbox = google.sandbox
    connector = google.connect()
    connector.calendars()
    kept = google.tokens.load("google", ALICE)
    other = google.provider()
    before = len(sandbox.calls("oauth.token"))
    assert other.connect(ALICE).calendars()
    assert len(sandbox.calls("oauth.token")) == before
    assert google.tokens.load("google", ALICE) == kept


def test_users_of_a_service_account_are_not_sent_to_a_consent_page(delegated):
    google, key = delegated
    with pytest.raises(ReauthorizeError, match="administrator"):
        google.provider(service_account=key).authorize_url(
            redirect_uri="http://localhost:9", state="s", challenge="c"
        )
