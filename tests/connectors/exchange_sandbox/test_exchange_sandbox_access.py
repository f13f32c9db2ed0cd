"""Who may speak, for whom, and how often."""

import pytest
import requests
from exchangelib import (
    BASIC,
    IMPERSONATION,
    NTLM,
    OAUTH2,
    Configuration,
    Credentials,
    EWSTimeZone,
    FailFast,
    Identity,
    OAuth2Credentials,
)
from exchangelib.autodiscover.protocol import AutodiscoverProtocol
from exchangelib.errors import (
    CASError,
    ErrorAccessDenied,
    ErrorExceededConnectionCount,
    ErrorImpersonateUserDenied,
    ErrorMailboxMoveInProgress,
    ErrorNonExistentMailbox,
    ErrorPasswordExpired,
    ErrorServerBusy,
    TransportError,
    UnauthorizedError,
)

ALICE, BOB, SERVICE = "alice@office.example", "bob@office.example", "svc@office.example"


def test_basic_is_checked_on_each_request(sandbox, account):
    assert account(ALICE).calendar.name == "Calendar"
    with pytest.raises(UnauthorizedError):
        account(ALICE, password="wrong").calendar  # noqa: B018
    answer = requests.post(sandbox.ews_url, b"", timeout=30)
    assert (answer.status_code, answer.content) == (401, b"")
    assert "NTLM" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("login", ["OFFICE\\alice", ALICE])
def test_ntlm_logs_a_connection_in(sandbox, account, event, login):
    mailbox = account(ALICE, login=login, auth_type=NTLM)
    made = event(mailbox)
    assert mailbox.calendar.get(id=made.id).subject == "Standup"
    assert [entry.status for entry in sandbox.calls("GetFolder")][:3] == [401, 401, 200]


def test_ntlm_with_a_wrong_password_stays_outside(account):
    with pytest.raises(UnauthorizedError):
        account(ALICE, auth_type=NTLM, password="wrong").calendar  # noqa: B018


@pytest.fixture
def app_credentials(sandbox, monkeypatch):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")

    def _credentials(app, **changed):
        class Local(OAuth2Credentials):
            @property
            def token_url(self):
                return sandbox.token_url(app.tenant)

        settings = {"client_id": app.id, "client_secret": app.secret, "tenant_id": app.tenant,
                    "identity": Identity(primary_smtp_address=ALICE)}  # fmt: skip
        return Local(**settings | changed)

    return _credentials


def test_an_app_acts_for_whom_it_may(sandbox, account, configuration, app_credentials):
    app = sandbox.add_app(mailboxes=[ALICE])
    config = configuration(credentials=app_credentials(app), auth_type=OAUTH2)
    mailbox = account(ALICE, config=config, access_type=IMPERSONATION)
    assert mailbox.calendar.name == "Calendar"
    other = account(BOB, config=config, access_type=IMPERSONATION)
    with pytest.raises(ErrorImpersonateUserDenied):
        other.calendar  # noqa: B018


def test_an_app_without_impersonation_has_no_mailbox(sandbox):
    app = sandbox.add_app()
    form = {"grant_type": "client_credentials", "client_id": app.id, "client_secret": app.secret,
            "scope": "https://outlook.office365.com/.default"}  # fmt: skip
    token = requests.post(sandbox.token_url(), data=form, timeout=30).json()["access_token"]
    body = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetFolder '
        b'xmlns="http://schemas.microsoft.com/exchange/services/2006/messages"/></s:Body>'
        b"</s:Envelope>"
    )
    bearer = {"Authorization": f"Bearer {token}"}
    answer = requests.post(sandbox.ews_url, body, headers=bearer, timeout=30)
    assert answer.status_code == 500
    assert "ErrorImpersonationRequired" in answer.text


def test_expired_tokens_and_wrong_secrets_are_refused(
    sandbox, account, configuration, app_credentials
):
    app = sandbox.add_app()
    config = configuration(credentials=app_credentials(app), auth_type=OAUTH2)
    mailbox = account(ALICE, config=config, access_type=IMPERSONATION)
    assert mailbox.calendar.name == "Calendar"
    assert sandbox.logins.expire_tokens() >= 1
    with pytest.raises(UnauthorizedError):
        mailbox.calendar.refresh()
    form = {"grant_type": "client_credentials", "client_id": app.id, "client_secret": "wrong",
            "scope": "https://outlook.office365.com/.default"}  # fmt: skip
    answer = requests.post(sandbox.token_url(), data=form, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_service_account_needs_the_right_to_impersonate(sandbox, account, event):
    sandbox.add_mailbox(SERVICE, impersonates=True)
    event(account(BOB, login=SERVICE, access_type=IMPERSONATION), subject="by service")
    assert [shown["subject"] for shown in sandbox.edit(BOB, "events")] == ["by service"]
    with pytest.raises(ErrorImpersonateUserDenied):
        account(BOB, login=ALICE, access_type=IMPERSONATION).calendar  # noqa: B018
    with pytest.raises(ErrorNonExistentMailbox):
        account("no@office.example", login=SERVICE, access_type=IMPERSONATION).calendar  # noqa: B018


def test_a_delegate_needs_the_owners_leave(sandbox, account, event):
    with pytest.raises(ErrorAccessDenied):
        event(account(BOB, login=ALICE))
    sandbox.delegate(BOB, to=ALICE)
    event(account(BOB, login=ALICE), subject="by delegate")
    assert [shown["subject"] for shown in sandbox.edit(BOB, "events")] == ["by delegate"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("moving", ErrorMailboxMoveInProgress),
        ("password_expired", ErrorPasswordExpired),
        ("disabled", UnauthorizedError),
        ("ews_disabled", CASError),
    ],
)
def test_a_mailbox_in_trouble_says_which(sandbox, account, status, error):
    sandbox.set_status(ALICE, status)
    with pytest.raises(error):
        account(ALICE).calendar  # noqa: B018


def test_throttling_tells_how_long_to_wait(sandbox, alice):
    assert alice.calendar.name == "Calendar"
    sandbox.budgets.slow_down(ALICE, 30)
    with pytest.raises(ErrorServerBusy) as caught:
        alice.calendar.refresh()
    assert 29 < caught.value.back_off <= 31
    sandbox.clock.advance(31)
    alice.calendar.refresh()


def test_budgets_per_minute_are_kept_when_limits_are_on(sandbox, alice):
    assert alice.calendar.name == "Calendar"
    sandbox.switches.turn(limits=True, requests_per_minute=2)
    alice.calendar.refresh()
    alice.calendar.refresh()
    with pytest.raises(ErrorServerBusy):
        alice.calendar.refresh()
    sandbox.clock.advance(61)
    alice.calendar.refresh()


def test_too_many_requests_at_once_are_refused(sandbox, alice):
    assert alice.calendar.name == "Calendar"
    sandbox.switches.turn(limits=True, max_concurrency=0)
    with pytest.raises(ErrorExceededConnectionCount):
        alice.calendar.refresh()


def test_scripted_failures_hit_one_operation_and_leave_no_trace(sandbox, alice, event):
    sandbox.fail("CreateItem", "ErrorServerBusy", backoff=5000)
    with pytest.raises(ErrorServerBusy):
        event(alice)
    assert alice.calendar.all().count() == 0
    event(alice)
    assert alice.calendar.all().count() == 1


def test_a_gateways_page_is_not_soap(sandbox, alice):
    assert alice.calendar.name == "Calendar"
    sandbox.act("faults", [{"match": "op=GetFolder$", "action": "html", "status": 200}])
    with pytest.raises(TransportError):
        alice.calendar.refresh()


def test_autodiscover_names_the_endpoint(sandbox):
    body = (
        '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/'
        f'requestschema/2006"><Request><EMailAddress>{ALICE}</EMailAddress></Request></Autodiscover>'
    )
    url = f"{sandbox.url}/Autodiscover/Autodiscover.xml"
    answer = requests.post(url, body.encode(), auth=(ALICE, "secret"), timeout=30)
    assert f"<EwsUrl>{sandbox.ews_url}</EwsUrl>" in answer.text


@pytest.fixture
def ask(sandbox):
    """GetUserSettings as exchangelib asks for it."""

    def _ask(user, password="secret", settings=("external_ews_url", "internal_ews_url")):
        url = f"{sandbox.url}/autodiscover/autodiscover.svc"
        config = Configuration(
            service_endpoint=url,
            credentials=Credentials(ALICE, password),
            auth_type=BASIC,
            retry_policy=FailFast(),
        )
        return AutodiscoverProtocol(config=config).get_user_settings(user, settings)

    return _ask


def test_autodiscover_tells_exchangelib_the_endpoint(sandbox, ask):
    sandbox.add_mailbox(ALICE)
    assert ask(ALICE).ews_url == sandbox.ews_url
    sandbox.directory.publish(ALICE, "", "https://mail.office.example/EWS/Exchange.asmx")
    answer = ask(ALICE)
    assert answer.ews_url is None
    assert answer.user_settings["internal_ews_url"].startswith("https://mail.office.example")
    assert answer.user_settings_errors["external_ews_url"][0] == "SettingIsNotAvailable"


def test_autodiscover_sends_exchangelib_elsewhere(sandbox, ask):
    sandbox.add_mailbox(ALICE)
    sandbox.act("redirect", {"address": BOB, "kind": "RedirectAddress", "target": ALICE})
    assert ask(BOB).redirect_address == ALICE
    other = "https://mail.office.example/autodiscover/autodiscover.svc"
    sandbox.act("redirect", {"address": BOB, "kind": "RedirectUrl", "target": other})
    assert ask(BOB).redirect_url == other


def test_autodiscover_knows_its_users_and_their_passwords(sandbox, ask):
    sandbox.add_mailbox(ALICE)
    with pytest.raises(ErrorNonExistentMailbox):
        ask("nobody@office.example").raise_errors()
    with pytest.raises(UnauthorizedError):
        ask(ALICE, password="wrong")


ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:a="http://schemas.microsoft.com/exchange/2010/Autodiscover" '
    'xmlns:w="http://www.w3.org/2005/08/addressing"><s:Header>'
    "<a:RequestedServerVersion>Exchange2010</a:RequestedServerVersion>"
    "<w:Action>http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/"
    "GetUserSettings</w:Action><w:To>https://x.example/autodiscover/autodiscover.svc</w:To>"
    "</s:Header><s:Body><a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User><a:Mailbox>"
    f"{ALICE}</a:Mailbox></a:User></a:Users><a:RequestedSettings><a:Setting>ExternalEwsUrl"
    "</a:Setting></a:RequestedSettings></a:Request></a:GetUserSettingsRequestMessage></s:Body>"
    "</s:Envelope>"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Exchange2010<", "Exchange1999<"),
        ("GetUserSettings</w:Action>", "GetDomainSettings</w:Action>"),
        ("autodiscover.svc</w:To>", "exchange.asmx</w:To>"),
        ("a:Setting>", "a:Wish>"),
        ("<a:User><a:Mailbox>", "<a:User><a:Box/><a:Mailbox>"),
        ("</s:Envelope>", ""),
    ],
)
def test_autodiscover_refuses_what_its_schema_does_not_know(sandbox, old, new):
    sandbox.add_mailbox(ALICE)
    url = f"{sandbox.url}/autodiscover/autodiscover.svc"
    login = (ALICE, "secret")
    good = requests.post(url, ENVELOPE, auth=login, timeout=30)
    assert f"<Value>{sandbox.ews_url}</Value>" in good.text
    assert old in ENVELOPE
    refused = requests.post(url, ENVELOPE.replace(old, new), auth=login, timeout=30)
    assert "<ErrorCode>InvalidRequest</ErrorCode>" in refused.text
    assert sandbox.ews_url not in refused.text


def test_zones_exchangelib_cannot_name_arise_from_imports(sandbox, alice, event):
    made = event(alice)
    sandbox.act("custom_zone", {"address": ALICE, "event": made.id})
    with pytest.raises(ValueError, match="tzone://Microsoft/Custom"):
        alice.calendar.get(id=made.id)
    assert EWSTimeZone("Europe/Berlin") == made._start_timezone


@pytest.mark.parametrize("schemes", [("NTLM", "Basic"), ("Basic",)])
def test_a_client_may_guess_authentication_and_version(sandbox, account, schemes):
    sandbox.logins.schemes = schemes
    mailbox = account(ALICE, auth_type=None, version=None)
    assert mailbox.calendar.name == "Calendar"
    assert mailbox.protocol.auth_type == schemes[0].replace("Basic", "basic")
    assert mailbox.version.build.major_version == 15


def test_a_reset_leaves_an_empty_organization(sandbox, alice, event):
    event(alice)
    sandbox.act("reset", None)
    assert sandbox.state() == {}
    with pytest.raises(UnauthorizedError):
        alice.calendar.refresh()
