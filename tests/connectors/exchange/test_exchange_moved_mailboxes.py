"""What Autodiscover said is remembered for each account, until the mailbox moves."""

import socket
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import pytest

from connectors.errors import FatalError, RetryableError
from connectors.exchange.connections import Service
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.faults import Fault
from connectors.testing.builders import event

from .conftest import ALICE, FAR, HOME, MAIL, PATH, ROOT, SERVICE, Town, asked, ews, listed

BOB = "bob@office.example"
SRV = "_autodiscover._tcp.office.example"
KEY = "cd" * 32


def test_each_account_is_asked_for_once_and_reached_where_it_is(
    town: Town, home: ExchangeSandbox
) -> None:
    far = town.server(FAR)
    far.add_mailbox(SERVICE, impersonates=True)
    far.add_mailbox(BOB)
    home.directory.publish(BOB, ews(FAR))
    home.world.mailboxes[SERVICE].impersonates = True
    provider = town.provider(username=SERVICE, access="impersonation")
    for _ in range(2):
        for account in (ALICE, BOB):
            assert provider.connect(account).calendars()[0].primary
    assert len(asked(home)) == 4, "per account one question, refused without the login first"
    assert len(far.calls()) == len([entry for entry in home.calls() if entry.path != PATH]) > 0


def test_the_service_that_answered_is_asked_first_for_the_next_account(town: Town) -> None:
    sandbox = town.exchanges[0].sandbox
    town.services[SRV] = [Service(0, 0, 443, MAIL)]
    site = town.site(HOME, ROOT)
    sandbox.delegate(SERVICE, ALICE)
    provider = town.provider()
    provider.connect(ALICE).calendars()
    before = len(site.calls())
    provider.connect(SERVICE).calendars()
    assert len(site.calls()) == before == 2


def test_where_one_account_was_sent_is_not_where_the_next_one_is_asked_for(
    town: Town, home: ExchangeSandbox
) -> None:
    far = town.server(FAR)
    far.add_mailbox(ALICE)
    far.directory.publish(ALICE, ews(MAIL))
    home.directory.redirect(ALICE, "RedirectUrl", f"https://{FAR}{PATH}")
    home.delegate(SERVICE, ALICE)
    provider = town.provider()
    provider.connect(ALICE).calendars()
    assert provider.connect(SERVICE).calendars()[0].primary
    assert len(asked(far)) == 2


def test_news_come_from_the_server_that_was_found(town: Town, home: ExchangeSandbox) -> None:
    provider = town.provider()
    connector = provider.connect(ALICE)
    calendar = connector.calendars()[0].id
    connector.subscribe(calendar)
    hints: SimpleQueue[Any] = SimpleQueue()
    stopped = Event()
    thread = Thread(target=provider.listen, args=(hints.put, stopped.is_set))
    thread.start()
    try:
        assert hints.get(timeout=20).calendar == calendar
    finally:
        stopped.set()
        provider.close()
        thread.join(20)
    assert not thread.is_alive()
    assert len(asked(home)) == 2


def _leave(town: Town, old: ExchangeSandbox, how: str) -> None:
    """What the old server says from now on."""
    elsewhere = {"Location": ews(FAR), "X-MS-Location": ews(FAR)}
    match how:
        case "302" | "307" | "451" | "404":
            status = int(how)
            headers = elsewhere if how != "404" else {}
            old.faults.add(
                Fault("op=", "status", status=status, times=999, body="", headers=headers)
            )
        case "gone":
            old.drop_mailbox(ALICE)
            old.add_mailbox(SERVICE, impersonates=True)
        case "code":
            for operation in ("CreateItem", "GetFolder", "FindItem", "FindFolder", "GetItem"):
                old.fail(operation, "ErrorCrossSiteRequest", times=999)
        case "silent":
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                town.hosts[MAIL] = unused.getsockname()[1]


def _twin(town: Town, home: ExchangeSandbox) -> ExchangeSandbox:
    """A second server with Alice's mailbox in it."""
    far = town.server(FAR)
    far.add_mailbox(SERVICE, impersonates=True)
    far.add_mailbox(ALICE, zone="Europe/Berlin")
    home.world.mailboxes[SERVICE].impersonates = True
    return far


@pytest.mark.parametrize("how", ["302", "307", "451", "404", "gone", "code", "silent"])
def test_a_mailbox_that_moved_is_found_again_and_written_once(
    town: Town, home: ExchangeSandbox, how: str
) -> None:
    far = _twin(town, home)
    connector = town.connect(username=SERVICE, access="impersonation")
    connector.calendars()
    _leave(town, home, how)
    home.directory.publish(ALICE, ews(FAR))
    calendar = connector.calendars()[0].id
    connector.create(calendar, event(), KEY)
    changes, _cursor = listed(connector, calendar)
    assert len(changes) == 1
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    assert len(far.occurrences(ALICE, since, until)) == 1
    if how != "gone":
        assert home.occurrences(ALICE, since, until) == []
    assert town.exchanges[0].slept == [], "nobody waited for a server that has not got it"


def test_a_delegates_mailbox_that_moved_is_found_again(town: Town, home: ExchangeSandbox) -> None:
    far = _twin(town, home)
    for each in (home, far):
        each.delegate(ALICE, SERVICE)
    connector = town.connect(username=SERVICE)
    connector.calendars()
    home.drop_mailbox(ALICE)
    home.directory.publish(ALICE, ews(FAR))
    assert connector.calendars()[0].primary
    assert "GetFolder" in {entry.operation for entry in far.calls()}


def test_even_a_write_that_meets_the_move_first_arrives_once(
    town: Town, home: ExchangeSandbox
) -> None:
    far = _twin(town, home)
    connector = town.connect(username=SERVICE, access="impersonation")
    connector.calendars()
    calendar = far.world.mailboxes[ALICE].folder_of_role("calendar").id
    _leave(town, home, "302")
    home.directory.publish(ALICE, ews(FAR))
    connector.create(calendar, event(), KEY)
    assert len(far.calls("CreateItem")) == 1
    assert connector.find(calendar, KEY) is not None


def test_a_server_that_lost_the_mailbox_is_believed_if_nobody_knows_better(
    town: Town, home: ExchangeSandbox
) -> None:
    connector = town.connect()
    connector.calendars()
    _leave(town, home, "302")
    before = len(asked(home))
    with pytest.raises(FatalError) as caught:
        connector.calendars()
    assert caught.value.code == "moved"
    assert ews(FAR) in caught.value.message
    assert len(asked(home)) == before + 2, "asked again once"


def test_a_move_waits_for_autodiscover(town: Town, home: ExchangeSandbox) -> None:
    connector = town.connect()
    connector.calendars()
    _leave(town, home, "302")
    home.faults.add(Fault(PATH, "drop_before", times=99))
    with pytest.raises(RetryableError) as caught:
        connector.calendars()
    assert caught.value.operation == "Autodiscover"


def test_an_outage_stays_an_outage_if_the_mailbox_is_where_it_was(
    town: Town, home: ExchangeSandbox
) -> None:
    connector = town.connect()
    connector.calendars()
    _leave(town, home, "silent")
    town.hosts.pop(HOME)
    with pytest.raises(RetryableError) as caught:
        connector.calendars()
    assert (caught.value.operation, caught.value.code) == ("GetFolder", "unreachable")


@pytest.mark.parametrize("how", ["302", "451"])
def test_an_endpoint_of_the_config_is_kept_and_the_new_server_named(
    town: Town, home: ExchangeSandbox, how: str
) -> None:
    far = _twin(town, home)
    home.directory.publish(ALICE, ews(FAR))
    _leave(town, home, how)
    with pytest.raises(FatalError) as caught:
        town.connect(endpoint=ews(MAIL)).calendars()
    assert ews(FAR) in caught.value.message
    assert "`endpoint`" in caught.value.message
    assert asked(home) == []
    assert far.calls() == []


def test_a_sign_in_page_of_a_proxy_is_no_move(town: Town, home: ExchangeSandbox) -> None:
    location = {"Location": "/owa/auth/logon.aspx?url=secret"}
    home.faults.add(Fault("op=", "status", status=302, times=99, body="", headers=location))
    connector = town.connect()
    with pytest.raises(FatalError) as caught:
        connector.calendars()
    assert caught.value.code == "redirected"
    assert f"https://{MAIL}/owa/auth/logon.aspx, " in caught.value.message
    assert len(asked(home)) == 2


def test_many_at_once_ask_once(town: Town, home: ExchangeSandbox) -> None:
    home.faults.add(Fault(PATH, "delay", seconds=0.2))
    provider = town.provider()
    threads = [Thread(target=provider.connect(ALICE).calendars) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(asked(home)) == 2
    assert len(home.calls("GetFolder")) == 6
