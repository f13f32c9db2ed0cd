"""Refusals and broken answers in the middle of work: the right class, nothing lost or doubled."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.contract import Unreadable, Whole
from connectors.errors import (
    ConnectorError,
    FatalError,
    OutcomeUnknownError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)
from connectors.sandbox.faults import Fault
from connectors.testing import builders
from connectors.testing.builders import cancelled, edited, moved
from mappings.model import Event, Key

from .conftest import ALICE, Exchange, expected, listed

KEY = "ab" * 32


def event(*args: Any, **details: Any) -> Event:
    return builders.event(*args, reminders=(), **details)


WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=12")
EXCEPTIONS = cancelled(
    edited(WEEKLY, Key("2026-03-16T10:00:00"), title="Other"), Key("2026-03-09T10:00:00")
)
LATER = moved(EXCEPTIONS, start="2026-03-02T14:00")
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"


def envelope(content: str) -> str:
    spaces = f'xmlns:s="{SOAP}" xmlns:m="{MESSAGES}"'
    return f"<s:Envelope {spaces}><s:Body>{content}</s:Body></s:Envelope>"


def answer(status: int, body: str, kind: str = "text/xml") -> dict[str, Any]:
    return {"status": status, "body": body, "headers": {"Content-Type": kind}}


BROKEN = {
    "page": answer(200, "<html><body>Sign in</body></html>", "text/html"),
    "bare-fault": answer(500, envelope("<s:Fault><faultcode>s:Server</faultcode></s:Fault>")),
    "empty-fault": answer(500, envelope("<s:Fault/>")),
    "nothing": answer(200, ""),
    "no-message": answer(200, envelope("<m:CreateItemResponse/>")),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_write_whose_answer_is_none_is_looked_up_and_not_doubled(
    exchange: Exchange, how: str
) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    exchange.sandbox.faults.add(Fault("op=CreateItem$", "status", **BROKEN[how]))
    with pytest.raises(OutcomeUnknownError):
        connector.create(calendar, WEEKLY, KEY)
    assert connector.find(calendar, KEY) is None
    made = connector.create(calendar, WEEKLY, KEY)
    assert [item["id"] for item in exchange.items(calendar)] == [made.ref]


@pytest.mark.parametrize("how", BROKEN)
def test_a_reading_whose_answer_is_none_may_be_repeated(exchange: Exchange, how: str) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, WEEKLY, KEY)
    exchange.sandbox.faults.add(Fault("op=SyncFolderItems$", "status", times=20, **BROKEN[how]))
    with pytest.raises(RetryableError):
        listed(exchange.connect(), calendar)
    exchange.mend()
    assert listed(exchange.connect(), calendar)[0] == [Whole(copy=made)]


CODES = [
    ("ErrorMailboxMoved", FatalError, "Let Autodiscover find the new server"),
    ("ErrorMailboxMoveInProgress", RetryableError, "tried again"),
    ("ErrorNonExistentMailbox", FatalError, "Check the address"),
    ("ErrorImpersonateUserDenied", ReauthorizeError, "ApplicationImpersonation"),
    ("ErrorImpersonationDenied", ReauthorizeError, "ApplicationImpersonation"),
    ("ErrorAccessDenied", ReauthorizeError, "access to this calendar"),
    ("ErrorPasswordExpired", ReauthorizeError, "new password"),
    ("ErrorAccountDisabled", FatalError, "Enable the account"),
    ("ErrorQuotaExceeded", FatalError, "Make room"),
    ("ErrorMailboxStoreQuotaExceeded", FatalError, "Make room"),
    ("ErrorMessageSizeExceeded", RejectedError, "Change the event"),
    ("ErrorSomethingNobodyKnows", RejectedError, "Change the event"),
]


@pytest.mark.parametrize(("code", "kind", "advice"), CODES)
def test_what_refuses_a_new_event_says_what_to_do(
    exchange: Exchange, code: str, kind: type[ConnectorError], advice: str
) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    fault = Fault("op=CreateItem$", "rewrite", name=f"error:{code}", times=20)
    exchange.sandbox.faults.add(fault)
    with pytest.raises(ConnectorError) as caught:
        connector.create(calendar, WEEKLY, KEY)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert advice in caught.value.message


def test_a_refused_sync_state_without_the_elements_that_the_library_expects(
    exchange: Exchange,
) -> None:
    calendar = exchange.calendar()
    _, cursor = listed(exchange.connect(), calendar)
    message = (
        '<m:SyncFolderItemsResponseMessage ResponseClass="Error"><m:MessageText>no</m:MessageText>'
        "<m:ResponseCode>ErrorInvalidSyncStateData</m:ResponseCode>"
        "</m:SyncFolderItemsResponseMessage>"
    )
    body = envelope(
        "<m:SyncFolderItemsResponse><m:ResponseMessages>"
        f"{message}</m:ResponseMessages></m:SyncFolderItemsResponse>"
    )
    exchange.sandbox.faults.add(Fault("op=SyncFolderItems$", "status", **answer(200, body)))
    with pytest.raises(ResyncError):
        listed(exchange.connect(), calendar, cursor)


def test_a_series_in_a_custom_zone_parks_alone(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    good = connector.create(calendar, WEEKLY, KEY)
    bad = connector.create(calendar, EXCEPTIONS, "cd" * 32)
    exchange.sandbox.control("custom_zone", {"address": ALICE, "event": bad.ref})
    changes = {change.ref: change for change in listed(exchange.connect(), calendar)[0]}
    assert changes[good.ref] == Whole(copy=good)
    assert isinstance(changes[bad.ref], Unreadable)
    assert changes[bad.ref].code == "ZONE_UNKNOWN"
    assert "choose a time zone from the list" in changes[bad.ref].detail


def test_a_mailbox_that_is_full_keeps_a_series_that_cannot_be_made_anew(
    exchange: Exchange,
) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, EXCEPTIONS, KEY)
    exchange.sandbox.switches.turn(quota_items=1)
    with pytest.raises(FatalError) as caught:
        connector.update(calendar, made, LATER)
    assert caught.value.code == "ErrorQuotaExceeded"
    assert connector.fetch(calendar, made.ref) == made
    assert exchange.shown(calendar) == expected(EXCEPTIONS)
    exchange.sandbox.switches.turn(quota_items=None)
    assert connector.update(calendar, made, LATER).event == LATER
    assert exchange.shown(calendar) == expected(LATER)


def test_a_change_that_is_too_large_leaves_the_event_as_it_was(
    exchange: Exchange,
) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, EXCEPTIONS, KEY)
    exchange.sandbox.switches.turn(max_body=1000)
    with pytest.raises(RejectedError) as caught:
        connector.update(calendar, made, edited(EXCEPTIONS, description="x" * 5000))
    assert caught.value.code == "ErrorMessageSizeExceeded"
    assert connector.fetch(calendar, made.ref) == made


def test_an_exception_that_is_too_large_parks_its_series_and_no_other(
    open_exchange: Callable[..., Exchange],
) -> None:
    exchange = open_exchange()
    exchange.sandbox.switches.turn(max_body=1000)
    calendar = exchange.calendar()
    large = edited(WEEKLY, Key("2026-03-16T10:00:00"), description="x" * 5000)
    pairs = [(EXCEPTIONS, "aa" * 32), (large, "bb" * 32), (EXCEPTIONS, "cc" * 32)]
    first, refused, third = exchange.connect().create_many(calendar, pairs)
    assert (type(refused), refused.code) == (RejectedError, "ErrorMessageSizeExceeded")
    assert first.event == third.event == EXCEPTIONS
