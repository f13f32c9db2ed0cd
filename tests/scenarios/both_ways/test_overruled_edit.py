"""The complaint: "the other calendar won, and nobody can tell me what I had written"."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.sandbox.clients import Repeat


@pytest.mark.parametrize("target", ["google", "exchange"])
@pytest.mark.parametrize(
    ("policy", "kept", "lost"),
    [("a", "hers", "his"), ("b", "his", "hers"), ("newest", "hers", "his")],
)
def test_of_two_titles_one_stands_and_the_journal_keeps_the_other(
    live: Callable[..., Any], target: str, policy: str, kept: str, lost: str
) -> None:
    neighbours = live(target, conflict=policy)
    here = neighbours.put("hub", "Lunch")
    neighbours.sync()
    neighbours.hub.write(here, title="hers")
    neighbours.town.wait(60)
    neighbours.other.write(neighbours.find("other", "Lunch").id, title="his")
    neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == [kept]
    assert neighbours.lost() == [{"title": lost}]
    neighbours.settled()


def test_of_two_times_of_an_occurrence_one_stands_and_the_journal_keeps_the_other(
    live: Callable[..., Any],
) -> None:
    neighbours = live("google", conflict="a")
    here = neighbours.put("hub", "Weekly", Repeat(freq="WEEKLY", days=("TH",)))
    neighbours.sync()
    there = neighbours.find("other", "Weekly").id
    for client, event, hour in ((neighbours.hub, here, 11), (neighbours.other, there, 15)):
        place = client.places(event)[1]
        client.move(place.id, place.start.replace(hour=hour), 30, "Asia/Shanghai")
    neighbours.sync()
    for side in ("hub", "other"):
        assert neighbours.find(side, "Weekly").starts[1] == "2026-03-12T03:00:00+00:00"
    ((path, value),) = neighbours.lost()[0].items()
    assert path.endswith("/when")
    assert "15, 0" in value
    neighbours.settled()
