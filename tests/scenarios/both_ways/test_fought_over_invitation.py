"""The complaint: "I am only invited, and the two calendars fight over the meeting for ever"."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.sandbox.clients import Sheet

PUT_BACK = "only its organiser can change it"


@pytest.mark.parametrize("side", ["hub", "other"])
def test_a_participants_copy_is_put_back_once_with_the_reason(neighbours: Any, side: str) -> None:
    """The invitation stands on the other side than the edit."""
    host = neighbours.sides["other" if side == "hub" else "hub"]
    host.be_invited(
        Sheet(title="Board", start=neighbours.thursday(10), minutes=30, zone="Asia/Shanghai")
    )
    neighbours.sync()
    client = neighbours.sides[side]
    line = neighbours.find(side, "Board")
    client.write(line.id, title="Bored")
    client.move(line.id, neighbours.thursday(16), 30, "Asia/Shanghai")
    assert neighbours.sync() == 1
    for each in ("hub", "other"):
        assert neighbours.find(each, "Board").starts == ("2026-03-05T02:00:00+00:00",)
    assert sum(PUT_BACK in entry.cause for entry in neighbours.journal()) == 1
    neighbours.settled()


@pytest.mark.parametrize("target", ["google", "exchange"])
def test_a_participants_copy_may_differ_where_the_policy_says_so(
    live: Callable[..., Any], target: str
) -> None:
    neighbours = live(target, unwritable="keep")
    neighbours.hub.be_invited(
        Sheet(title="Board", start=neighbours.thursday(10), minutes=30, zone="Asia/Shanghai")
    )
    neighbours.sync()
    neighbours.other.write(neighbours.find("other", "Board").id, title="Bored")
    assert neighbours.sync() == 0
    assert neighbours.titles("hub") == ["Board"]
    assert neighbours.titles("other") == ["Bored"]
    assert neighbours.sync(full=True) == 0


def test_a_reminder_of_ones_own_travels_to_the_invitation(neighbours: Any) -> None:
    neighbours.hub.be_invited(
        Sheet(title="Board", start=neighbours.thursday(10), minutes=30, zone="Asia/Shanghai")
    )
    neighbours.sync()
    neighbours.other.write(neighbours.find("other", "Board").id, reminder=25)
    assert neighbours.sync() == 1
    neighbours.settled()
