"""The complaint: "I dragged a meeting into another calendar and back, now it is there twice"."""

from typing import Any

import pytest

from connectors.sandbox.clients import Repeat

WEEKLY = Repeat(freq="WEEKLY", days=("TH",))
HOMES = pytest.mark.parametrize("home", ["hub", "other"])


@HOMES
@pytest.mark.parametrize("repeat", [None, WEEKLY], ids=["single", "series"])
def test_out_and_back_before_anybody_looked_is_nothing(
    neighbours: Any, home: str, repeat: Repeat | None
) -> None:
    neighbours.put(home, "Lunch", repeat)
    neighbours.sync()
    neighbours.other.put_away(neighbours.find("other", "Lunch").id)
    neighbours.other.fetch_back()
    assert neighbours.sync() == 0
    neighbours.hub.write(neighbours.find("hub", "Lunch").id, title="Dinner")
    neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == ["Dinner"]
    neighbours.settled()


@HOMES
def test_out_is_gone_and_back_is_there_again_once(neighbours: Any, home: str) -> None:
    neighbours.put(home, "Lunch")
    neighbours.sync()
    neighbours.sync()
    neighbours.other.put_away(neighbours.find("other", "Lunch").id)
    neighbours.sync()
    assert neighbours.titles("hub") == []
    neighbours.other.fetch_back()
    neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == ["Lunch"]
    neighbours.settled()


@HOMES
def test_what_is_taken_out_of_the_bin_is_there_again_once(neighbours: Any, home: str) -> None:
    neighbours.put(home, "Lunch")
    neighbours.sync()
    neighbours.sync()
    neighbours.other.remove(neighbours.find("other", "Lunch").id)
    neighbours.sync()
    assert neighbours.titles("hub") == []
    neighbours.other.restore()
    neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == ["Lunch"]
    neighbours.settled()
