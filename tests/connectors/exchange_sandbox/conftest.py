"""exchangelib, alone, against the sandbox."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from exchangelib import (
    BASIC,
    DELEGATE,
    Account,
    CalendarItem,
    Configuration,
    Credentials,
    ExtendedProperty,
    FailFast,
)
from exchangelib.protocol import CachingProtocol
from exchangelib.version import EXCHANGE_2019, Version

from connectors.sandbox.exchange import ExchangeSandbox

ALICE, BOB = "alice@office.example", "bob@office.example"
GUID = "5f0d9f6c-7b44-4f5a-9a52-0f3f7d9b6c11"


class BridgeId(ExtendedProperty):
    property_set_id = GUID
    property_name = "bridge-id"
    property_type = "String"


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The extended property is known to exchangelib for the time of a test."""
    CalendarItem.register("bridge_id", BridgeId)
    yield
    CalendarItem.deregister("bridge_id")


@pytest.fixture(autouse=True)
def no_cached_protocols() -> Iterator[None]:
    """exchangelib keeps protocols by endpoint and credentials for ever."""
    yield
    CachingProtocol.clear_cache()


@pytest.fixture
def sandbox() -> Iterator[ExchangeSandbox]:
    with ExchangeSandbox(limits=False) as running:
        running.add_mailbox(ALICE, zone="Europe/Berlin")
        running.add_mailbox(BOB, zone="Asia/Shanghai")
        yield running


@pytest.fixture
def configuration(sandbox: ExchangeSandbox) -> Callable[..., Configuration]:
    """How to reach the sandbox as a user."""

    def _configuration(user: str = ALICE, password: str = "secret", **more: Any) -> Configuration:
        settings = {
            "service_endpoint": sandbox.ews_url,
            "credentials": Credentials(user, password),
            "auth_type": BASIC,
            "version": Version(build=EXCHANGE_2019),
            "retry_policy": FailFast(),
            "max_connections": 2,
        }
        return Configuration(**settings | more)

    return _configuration


@pytest.fixture
def account(configuration: Callable[..., Configuration]) -> Callable[..., Account]:
    """A mailbox as its owner sees it."""

    def _account(user: str = ALICE, *, access_type: str = DELEGATE, **more: Any) -> Account:
        from exchangelib import EWSTimeZone

        zone = more.pop("zone", "Europe/Berlin")
        config = more.pop("config", None) or configuration(more.pop("login", user), **more)
        return Account(
            user,
            config=config,
            autodiscover=False,
            access_type=access_type,
            default_timezone=EWSTimeZone(zone),
        )

    return _account


@pytest.fixture
def alice(account: Callable[..., Account]) -> Account:
    return account(ALICE)


@pytest.fixture
def at() -> Callable[..., Any]:
    """A local time in Berlin, or in another zone."""
    from exchangelib import EWSDateTime, EWSTimeZone

    def _at(*parts: int, zone: str = "Europe/Berlin") -> Any:
        return EWSDateTime(*parts, tzinfo=EWSTimeZone(zone))

    return _at


@pytest.fixture
def event(at: Callable[..., Any]) -> Callable[..., CalendarItem]:
    """An event of one hour, saved."""

    def _event(account: Account, **fields: Any) -> CalendarItem:
        defaults = {
            "subject": "Standup",
            "start": at(2027, 3, 1, 9),
            "end": at(2027, 3, 1, 10),
            "folder": account.calendar,
        }
        return CalendarItem(account=account, **defaults | fields).save()

    return _event


@pytest.fixture
def post(sandbox: ExchangeSandbox) -> Callable[..., Any]:
    """Send a raw SOAP body as Alice; the HTTP answer."""
    import requests

    def _post(
        body: str, *, header: str = "", path: str = "/EWS/Exchange.asmx", **headers: str
    ) -> Any:
        spaces = (
            'xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
            'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
        )
        head = f"<s:Header>{header}</s:Header>" if header else ""
        envelope = f"<s:Envelope {spaces}>{head}<s:Body>{body}</s:Body></s:Envelope>"
        return requests.post(
            sandbox.url + path,
            envelope.encode(),
            auth=(ALICE, "secret"),
            headers=headers,
            timeout=30,
        )

    return _post
