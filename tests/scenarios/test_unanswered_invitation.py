"""The complaint: "I have accepted it here, and over there it still asks me"."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.records import UnitState
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

ALICE, BOSS = "alice@office.example", "boss@office.example"
TITLE, ZONE = "Board", "Europe/Berlin"
AT_GOOGLE = {"accept": "accepted", "tentative": "tentative", "decline": "declined"}
AT_EXCHANGE = {"accept": "Accept", "tentative": "Tentative"}


def day_of(desk: Any) -> Any:
    return monday_of(desk.feishu.clock) + timedelta(days=9)


def invited_at_feishu(desk: Any) -> str:
    boss = desk.feishu.add_user("Boss", BOSS)
    body = timed(TITLE, day_of(desk), 9, 0, 60, ZONE)
    guests = [{"type": "user", "user_id": desk.alice.user.open_id}]
    return str(desk.feishu.as_user(boss).create(boss.primary, body, guests)["event_id"])


def answer_at_feishu(desk: Any, event_id: str) -> str:
    return str(desk.alice.get(desk.primary, event_id)["self_rsvp_status"])


@pytest.fixture
def at_google(desk: Any) -> tuple[str, str]:
    """The meeting to which Alice was invited at both; its ids at Feishu and Google."""
    desk.configure(defaults={"direction": "two-way"})
    desk.google.add_user(BOSS)
    span = {
        name: {"dateTime": f"{day_of(desk)}T{hour}:00:00", "timeZone": ZONE}
        for name, hour in (("start", "09"), ("end", "10"))
    }
    body = {"summary": TITLE, "attendees": [{"email": ALICE}], **span}
    made = desk.google.edit(BOSS, "create", BOSS, body)
    ids = invited_at_feishu(desk), str(made["id"])
    desk.run()
    assert desk.titles().count(TITLE) == desk.source_titles().count(TITLE) == 1
    return ids


def answer_at_google(desk: Any, event_id: str) -> str:
    shown = desk.google.edit(ALICE, "get", ALICE, event_id)
    return next(str(line["responseStatus"]) for line in shown["attendees"] if line.get("self"))


@pytest.mark.parametrize("answer", AT_GOOGLE)
def test_an_answer_given_at_feishu_stands_at_google_and_with_its_organiser(
    desk: Any, at_google: tuple[str, str], answer: str
) -> None:
    here, there = at_google
    desk.alice.reply(desk.primary, here, answer)
    desk.run()
    assert answer_at_google(desk, there) == AT_GOOGLE[answer]
    (line,) = desk.google.edit(BOSS, "get", BOSS, there)["attendees"]
    assert line["responseStatus"] == AT_GOOGLE[answer]
    quiet(desk)


@pytest.mark.parametrize("answer", AT_GOOGLE)
def test_an_answer_given_at_google_stands_at_feishu(
    desk: Any, at_google: tuple[str, str], answer: str
) -> None:
    here, there = at_google
    desk.google.edit(ALICE, "respond", ALICE, there, AT_GOOGLE[answer])
    desk.run()
    assert answer_at_feishu(desk, here) == answer
    quiet(desk)


def quiet(desk: Any) -> None:
    """Nothing is left to do."""
    for full in (False, True):
        counts = desk.run(full=full).counts
        assert (counts.writes, counts.parked) == (0, 0)


@pytest.fixture
def at_exchange(mailbox: Any) -> tuple[str, str]:
    """The same with Exchange."""
    mailbox.configure(defaults={"direction": "two-way"})
    day = day_of(mailbox)
    fields = {
        "subject": TITLE,
        "zone": ZONE,
        "start": f"{day}T09:00:00",
        "end": f"{day}T10:00:00",
        "attendees": [ALICE],
    }
    made = mailbox.outlook("receive", BOSS, fields)
    ids = invited_at_feishu(mailbox), str(made["id"])
    mailbox.run()
    assert mailbox.titles().count(TITLE) == mailbox.source_titles().count(TITLE) == 1
    return ids


def answer_at_exchange(mailbox: Any) -> str:
    """What the item in the calendar says of Alice's answer."""
    item = mailbox.exchange.world.mailbox(ALICE).item(mailbox.at_exchange(TITLE)["id"])
    return str(item.values["calendar:MyResponseType"])


@pytest.mark.parametrize("answer", AT_EXCHANGE)
def test_an_answer_given_at_feishu_stands_at_exchange(
    mailbox: Any, at_exchange: tuple[str, str], answer: str
) -> None:
    here, _ = at_exchange
    mailbox.alice.reply(mailbox.primary, here, answer)
    mailbox.run()
    assert answer_at_exchange(mailbox) == AT_EXCHANGE[answer]
    quiet(mailbox)


def test_a_meeting_declined_at_feishu_leaves_the_calendar_at_exchange_and_nothing_else(
    mailbox: Any, at_exchange: tuple[str, str]
) -> None:
    here, _ = at_exchange
    mailbox.alice.reply(mailbox.primary, here, "decline")
    mailbox.run()
    assert mailbox.thrown_away() == [TITLE]
    quiet(mailbox)
    assert answer_at_feishu(mailbox, here) == "decline"
    (unit,) = [unit for unit in mailbox.units() if unit.ref_a == here]
    assert unit.state is UnitState.DROPPED
