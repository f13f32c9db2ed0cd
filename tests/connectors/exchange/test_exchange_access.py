"""What stands between the bridge and a mailbox: each ends in the right class, with advice."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.errors import (
    ConnectorError,
    FatalError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)
from connectors.exchange.settings import Settings
from connectors.sandbox.exchange import ExchangeSwitches
from connectors.sandbox.faults import Fault
from connectors.testing.builders import event

from .conftest import ALICE, SERVICE, Exchange, listed

KEY = "cd" * 32


def failure(exchange: Exchange, account: str = ALICE, **settings: Any) -> ConnectorError:
    """What the first call of an account ends in."""
    with pytest.raises(ConnectorError) as caught:
        exchange.connect(account, **settings).calendars()
    assert "secret" not in str(caught.value).lower().replace("its secret may", "")
    return caught.value


def test_a_wrong_password_asks_for_a_person_at_once(exchange: Exchange) -> None:
    error = failure(exchange, password="wrong")
    assert type(error) is ReauthorizeError
    assert "Check username and password" in error.message
    assert exchange.slept == []


def test_ntlm_logs_in(exchange: Exchange) -> None:
    connector = exchange.connect(auth="ntlm")
    assert connector.calendars()[0].primary


def test_an_application_acts_for_a_mailbox(exchange: Exchange, oauth: dict[str, Any]) -> None:
    calendars = exchange.connect(**oauth).calendars()
    assert [calendar.primary for calendar in calendars] == [True]


def test_an_expired_token_is_replaced_without_anybody_noticing(
    exchange: Exchange, oauth: dict[str, Any]
) -> None:
    connector = exchange.connect(**oauth)
    connector.calendars()
    exchange.sandbox.control("expire_tokens", {})
    assert connector.calendars()


def test_an_expired_secret_asks_for_a_new_one(exchange: Exchange, oauth: dict[str, Any]) -> None:
    error = failure(exchange, **oauth | {"oauth": oauth["oauth"] | {"client_secret": "old"}})
    assert type(error) is ReauthorizeError
    assert "make a new one" in error.message


def test_an_application_without_the_right_to_a_mailbox_is_told_which(exchange: Exchange) -> None:
    app = exchange.sandbox.add_app(mailboxes=[SERVICE])
    error = failure(exchange, **_oauth(exchange, app))
    assert (type(error), error.code) == (ReauthorizeError, "ErrorImpersonateUserDenied")
    assert "ApplicationImpersonation" in error.message


def test_a_login_without_the_impersonation_right_is_told_which(exchange: Exchange) -> None:
    error = failure(exchange, username=SERVICE, access="impersonation")
    assert (type(error), error.code) == (ReauthorizeError, "ErrorImpersonateUserDenied")


def test_a_delegate_without_rights_is_told_so(exchange: Exchange) -> None:
    error = failure(exchange, username=SERVICE)
    assert (type(error), error.code) == (ReauthorizeError, "ErrorAccessDenied")


def test_a_delegate_sees_the_shared_mailbox(exchange: Exchange) -> None:
    exchange.sandbox.delegate(ALICE, SERVICE)
    assert exchange.connect(ALICE, username=SERVICE).calendars()[0].primary


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("moving", RetryableError, "ErrorMailboxMoveInProgress"),
        ("unavailable", RetryableError, "ErrorMailboxStoreUnavailable"),
        ("password_expired", ReauthorizeError, "ErrorPasswordExpired"),
        ("ews_disabled", FatalError, "EwsDisabled"),
    ],
)
def test_the_state_of_a_mailbox_decides_what_happens(
    exchange: Exchange, status: Any, kind: type[ConnectorError], code: str
) -> None:
    exchange.sandbox.set_status(ALICE, status)
    error = failure(exchange)
    assert (type(error), error.code) == (kind, code)


def test_a_disabled_account_ends_the_link(exchange: Exchange) -> None:
    exchange.sandbox.add_mailbox("agent@office.example", impersonates=True)
    exchange.sandbox.set_status(ALICE, "disabled")
    error = failure(exchange, username="agent@office.example", access="impersonation")
    assert (type(error), error.code) == (FatalError, "ErrorAccountDisabled")


def test_a_tenant_without_ews_is_pointed_to_graph(exchange: Exchange) -> None:
    exchange.sandbox.set_status(ALICE, "ews_disabled")
    (finding, *_) = exchange.provider().examine(ALICE)
    assert not finding.ok
    assert "Microsoft Graph" in finding.advice


def test_an_unknown_mailbox_is_named(exchange: Exchange) -> None:
    error = failure(exchange, "nobody@office.example")
    assert (type(error), error.code) == (FatalError, "ErrorNonExistentMailbox")
    assert "Check the address" in error.message


def test_a_wrong_endpoint_says_what_it_usually_is(exchange: Exchange) -> None:
    error = failure(exchange, endpoint=f"{exchange.sandbox.url}/nowhere")
    assert type(error) is FatalError
    assert "/EWS/Exchange.asmx" in error.message


def test_a_page_of_a_proxy_is_no_answer(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    page = Fault("op=", "status", status=200, times=20, body="<html><body>Sign in</body></html>",
                 headers={"Content-Type": "text/html"})  # fmt: skip
    exchange.sandbox.faults.add(page)
    with pytest.raises(RetryableError) as caught:
        list(connector.changes(calendar, None))
    assert caught.value.code == "broken-answer"
    assert "proxies" in caught.value.message


def test_a_fault_without_particulars_is_no_answer(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    body = (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        "<s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault>"
        "</s:Body></s:Envelope>"
    )
    fault = Fault("op=", "status", status=500, times=20, body=body,
                  headers={"Content-Type": "text/xml"})  # fmt: skip
    exchange.sandbox.faults.add(fault)
    with pytest.raises(RetryableError):
        list(connector.changes(calendar, None))


def test_a_busy_server_is_given_the_time_it_asks_for(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    exchange.sandbox.fail("SyncFolderItems", "ErrorServerBusy", backoff=7000)
    listed(exchange.connect(), calendar)
    assert exchange.slept == [7.0]


def test_a_server_that_is_busy_for_long_is_left_alone(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    exchange.sandbox.fail("SyncFolderItems", "ErrorServerBusy", backoff=300_000)
    with pytest.raises(RateLimitedError) as caught:
        listed(exchange.connect(), calendar)
    assert caught.value.after == 300.0


def test_a_call_counts_for_its_mailbox_and_for_all_together_and_patience_for_the_mailbox(
    exchange: Exchange,
) -> None:
    provider = exchange.provider(calls_per_minute=30, server_calls_per_minute=90)
    exchange.sandbox.add_mailbox("bob@office.example")
    exchange.sandbox.delegate("bob@office.example", ALICE)
    exchange.sandbox.fail("FindFolder", "ErrorServerBusy", backoff=7000)
    for account in (ALICE.upper(), "bob@office.example"):
        provider.connect(account).calendars()
    ours = exchange.paced[f"exchange/{ALICE}", 30]
    theirs = exchange.paced["exchange/bob@office.example", 30]
    everybody = exchange.paced["exchange", 90]
    assert ours.count("calls after 7 s") == 1
    assert theirs == ["calls"] * len(theirs)
    assert everybody == ["calls"] * (len(ours) - 1 + len(theirs))
    assert len(everybody) == len(exchange.calls())


def test_an_inner_busy_counts_as_busy(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    exchange.sandbox.faults.add(Fault("op=SyncFolderItems$", "rewrite", name="inner_busy"))
    listed(exchange.connect(), calendar)
    assert len(exchange.slept) == 1


def test_a_refusal_with_an_empty_sync_state_is_its_own_error(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    _, cursor = listed(connector, calendar)
    exchange.sandbox.void_sync_states(ALICE)
    with pytest.raises(ResyncError) as caught:
        listed(connector, calendar, cursor)
    assert caught.value.code == "ErrorInvalidSyncStateData"


def test_a_full_mailbox_stops_the_link_and_says_so(open_exchange: Callable[..., Exchange]) -> None:
    exchange = open_exchange(switches=ExchangeSwitches(quota_items=0))
    connector = exchange.connect()
    with pytest.raises(FatalError) as caught:
        connector.create(exchange.calendar(), event(), KEY)
    assert caught.value.code == "ErrorQuotaExceeded"
    assert "Make room" in caught.value.message


def test_an_item_too_large_is_refused_alone(open_exchange: Callable[..., Exchange]) -> None:
    exchange = open_exchange(switches=ExchangeSwitches(max_body=1000))
    calendar = exchange.calendar()
    large, small = event(description="x" * 2000), event("Small")
    refused, made = exchange.connect().create_many(calendar, [(large, KEY), (small, "ee" * 32)])
    assert type(refused) is RejectedError
    assert refused.code == "ErrorMessageSizeExceeded"
    assert made.event.details.title == "Small"


def test_a_broken_line_ends_in_an_error_that_may_be_repeated(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    exchange.sandbox.faults.add(Fault("op=SyncFolderItems$", "drop_after", times=2))
    changes, _ = listed(exchange.connect(), calendar)
    assert changes == []


def test_an_examination_finds_all_well_and_says_in_which_zone_days_are(exchange: Exchange) -> None:
    findings = exchange.provider(zone="UTC").examine(ALICE)
    assert [finding.ok for finding in findings] == [True, True, True, True]
    assert "zone" in findings[-1].advice


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": "basic", "username": "a"},
        {"auth": "oauth2", "username": "a", "password": "b"},
        {"auth": "oauth2", "oauth": {"client_id": "a", "client_secret": "b", "tenant": "c"}},
        {"auth": "basic", "username": "a", "password": "b", "endpoint": "http://mail.example/"},
        {"auth": "basic", "username": "a", "password": "b", "zone": "Berlin"},
        {"auth": "basic", "username": "a", "password": "b", "colour": "red"},
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_secrets(settings: Any) -> None:
    with pytest.raises(ValueError) as caught:
        Settings.model_validate(settings)
    assert "'b'" not in str(caught.value)


def _oauth(exchange: Exchange, app: Any) -> dict[str, Any]:
    return {
        "auth": "oauth2",
        "username": None,
        "password": None,
        "access": "impersonation",
        "oauth": {
            "client_id": app.id,
            "client_secret": app.secret,
            "tenant": app.tenant,
            "token_url": exchange.sandbox.token_url(app.tenant),
        },
    }


@pytest.fixture
def oauth(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of an application. Its library wants https, except where it is told not to."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    return _oauth(exchange, exchange.sandbox.add_app())


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
