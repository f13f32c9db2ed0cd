"""The complaint: "I changed this and all following meetings, and over there it is a mess"."""

from typing import Any

import pytest

from connectors.sandbox.clients import Repeat

WEEKLY = Repeat(freq="WEEKLY", days=("TH",), count=8)
DATES = ["03-05", "03-12", "03-19", "03-26", "04-02", "04-09", "04-16", "04-23"]


@pytest.mark.parametrize("home", ["hub", "other"])
@pytest.mark.parametrize("side", ["hub", "other"])
def test_a_split_arrives_as_two_series_with_every_date_once(
    neighbours: Any, home: str, side: str
) -> None:
    neighbours.put(home, "Weekly", WEEKLY)
    neighbours.sync()
    client = neighbours.sides[side]
    line = neighbours.find(side, "Weekly")
    client.write(client.places(line.id)[1].id, title="Special")
    client.split(line.id, client.places(line.id)[3], "Monthly")
    special = neighbours.find(side, "Weekly").texts.count("Special")
    neighbours.sync()
    for each in neighbours.sides.values():
        found = {line.title: each.places(line.id) for line in each.lines()}
        assert [f"{place.original:%m-%d}" for place in found["Weekly"]] == DATES[:3]
        assert [f"{place.original:%m-%d}" for place in found["Monthly"]][:5] == DATES[3:]
    # Exchange forgets exceptions by itself when a series is ended earlier.
    assert neighbours.find("hub", "Weekly").texts.count("Special") == special
    assert neighbours.find("other", "Weekly").texts.count("Special") == special
    neighbours.settled()


@pytest.mark.parametrize("side", ["hub", "other"])
def test_after_a_split_both_halves_are_edited_from_either_side(neighbours: Any, side: str) -> None:
    neighbours.put("hub", "Weekly", WEEKLY)
    neighbours.sync()
    client = neighbours.sides[side]
    line = neighbours.find(side, "Weekly")
    client.split(line.id, client.places(line.id)[3], "Monthly")
    neighbours.sync()
    neighbours.hub.write(neighbours.find("hub", "Monthly").id, place="Roof")
    neighbours.other.write(neighbours.find("other", "Weekly").id, title="Early")
    neighbours.sync()
    assert "Roof" in neighbours.find("other", "Monthly").texts
    assert neighbours.titles("hub") == ["Early", "Monthly"]
    neighbours.settled()
