"""Credentials: service accounts, consent, refresh, revocation, expiry, scopes."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request as AuthRequest
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/calendar"
ALICE = "alice@example.com"


def acting(key, subject, scopes=(SCOPE,)):
    return service_account.Credentials.from_service_account_info(
        key, scopes=list(scopes)
    ).with_subject(subject)


def refresh(credentials):
    with requests.Session() as session:
        credentials.refresh(AuthRequest(session))


def test_a_delegated_service_account_acts_as_the_user(sandbox, connect, timed):
    service = connect(acting(sandbox.service_account(), ALICE))
    made = service.events().insert(calendarId="primary", body=timed()).execute()
    assert made["creator"]["email"] == ALICE


def test_without_delegation_nobody_is_impersonated(sandbox):
    with pytest.raises(RefreshError, match="unauthorized_client"):
        refresh(acting(sandbox.service_account(dwd=False), ALICE))


def test_unknown_subjects_are_refused(sandbox):
    with pytest.raises(RefreshError, match="Invalid email or User ID"):
        refresh(acting(sandbox.service_account(), "nobody@example.com"))


def test_a_forged_signature_is_refused(sandbox):
    real, other = sandbox.service_account("real"), sandbox.service_account("other")
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        refresh(acting(real | {"private_key": other["private_key"]}, ALICE))


def test_a_bare_service_account_may_not_invite(sandbox, connect, refused, timed):
    key = sandbox.service_account(dwd=False)
    email = key["client_email"]
    service = connect(acting(key, email))
    request = service.events().insert(calendarId="primary", body=timed())
    assert request.execute()["organizer"]["email"] == email
    body = timed(attendees=[{"email": ALICE}])
    found = refused(service.events().insert(calendarId="primary", body=body))
    assert (found["status"], found["reason"]) == (403, "forbiddenForServiceAccounts")
    made = service.events().insert(calendarId="primary", body=timed()).execute()
    patch = service.events().patch(calendarId="primary", eventId=made["id"], body=body)
    assert refused(patch)["reason"] == "forbiddenForServiceAccounts"


def consent(sandbox, verifier, **extra):
    app = sandbox.oauth_client()["installed"]
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "client_id": app["client_id"], "redirect_uri": "http://127.0.0.1:1/back", "scope": SCOPE,
        "response_type": "code", "state": "s1", "login_hint": ALICE,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    } | extra  # fmt: skip
    answer = requests.get(app["auth_uri"], params=query, allow_redirects=False, timeout=10)
    return app, parse_qs(urlsplit(answer.headers["Location"]).query)


def redeem(app, code, verifier):
    form = {
        "grant_type": "authorization_code", "code": code, "code_verifier": verifier,
        "client_id": app["client_id"], "client_secret": app["client_secret"],
        "redirect_uri": "http://127.0.0.1:1/back",
    }  # fmt: skip
    return requests.post(app["token_uri"], data=form, timeout=10)


def test_a_code_is_redeemed_once_with_its_verifier(sandbox, connect):
    app, answer = consent(sandbox, "v" * 50)
    assert answer["state"] == ["s1"]
    tokens = redeem(app, answer["code"][0], "v" * 50).json()
    service = connect(
        Credentials(
            None, refresh_token=tokens["refresh_token"], token_uri=app["token_uri"],
            client_id=app["client_id"], client_secret=app["client_secret"],
        )
    )  # fmt: skip
    assert service.calendars().get(calendarId="primary").execute()["id"] == ALICE
    assert redeem(app, answer["code"][0], "v" * 50).json()["error"] == "invalid_grant"


def test_a_code_without_its_verifier_is_worth_nothing(sandbox):
    app, answer = consent(sandbox, "v" * 50)
    assert redeem(app, answer["code"][0], "w" * 50).json()["error"] == "invalid_grant"


def test_the_person_may_deny(sandbox):
    sandbox.switches.consent = "deny"
    _, answer = consent(sandbox, "v" * 50)
    assert answer["error"] == ["access_denied"]
    assert "code" not in answer


def test_after_revocation_nothing_works(alice, sandbox):
    alice.calendarList().list().execute()
    sandbox.revoke(ALICE)
    with pytest.raises(RefreshError, match="invalid_grant"):
        alice.calendarList().list().execute()


def test_an_access_token_dies_after_an_hour_on_the_sandbox_clock(alice, sandbox):
    """The library refreshes on the 401 and goes on."""
    alice.calendarList().list().execute()
    sandbox.clock.advance(3601)
    alice.calendarList().list().execute()
    assert [call.status for call in sandbox.calls("calendarList.list")] == [200, 401, 200]
    assert len(sandbox.calls("oauth.token")) == 2


def test_tokens_voided_mid_run_are_401(alice, sandbox):
    alice.calendarList().list().execute()
    sandbox.expire(user=ALICE)
    alice.calendarList().list().execute()
    assert [call.status for call in sandbox.calls("calendarList.list")] == [200, 401, 200]


def test_narrow_scopes_permit_only_their_methods(client, refused, timed):
    root = "https://www.googleapis.com/auth/"
    service = client(scopes=(root + "calendar.events", root + "calendar.calendarlist.readonly"))
    service.events().insert(calendarId="primary", body=timed()).execute()
    service.calendarList().list().execute()
    found = refused(service.calendars().insert(body={"summary": "x"}))
    assert found["reason"] == "insufficientPermissions"
    reader = client(scopes=(root + "calendar.events.readonly",))
    reader.events().list(calendarId="primary").execute()
    request = reader.events().insert(calendarId="primary", body=timed())
    assert refused(request)["status"] == 403
