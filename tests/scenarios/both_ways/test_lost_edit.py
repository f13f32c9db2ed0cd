"""The complaint: "we both changed the meeting, and one of the changes was gone"."""

from typing import Any

from connectors.sandbox.clients import Repeat

WEEKLY = Repeat(freq="WEEKLY", days=("TH",))


def test_different_fields_changed_on_both_sides_all_stand_on_both(neighbours: Any) -> None:
    there = neighbours.put("hub", "Lunch", text="soup", place="Canteen")
    neighbours.sync()
    neighbours.hub.write(there, place="Roof")
    neighbours.other.write(neighbours.find("other", "Lunch").id, title="Dinner", reminder=20)
    neighbours.sync()
    for side in ("hub", "other"):
        texts = " ".join(neighbours.find(side, "Dinner").texts)
        assert "Roof" in texts
        assert "soup" in texts
    neighbours.settled()


def test_a_time_and_a_title_changed_on_the_two_sides_both_stand(neighbours: Any) -> None:
    there = neighbours.put("other", "Lunch")
    neighbours.sync()
    neighbours.hub.write(neighbours.find("hub", "Lunch").id, title="Late lunch")
    neighbours.other.move(there, neighbours.thursday(14), 30, "Asia/Shanghai")
    neighbours.sync()
    for side in ("hub", "other"):
        assert neighbours.find(side, "Late lunch").starts == ("2026-03-05T06:00:00+00:00",)
    neighbours.settled()


def test_different_occurrences_changed_on_both_sides_all_stand(neighbours: Any) -> None:
    here = neighbours.put("hub", "Weekly", WEEKLY)
    neighbours.sync()
    there = neighbours.find("other", "Weekly").id
    neighbours.hub.write(neighbours.hub.places(here)[1].id, title="Second")
    neighbours.other.remove(neighbours.other.places(there)[2].id)
    neighbours.other.write(neighbours.other.places(there)[0].id, title="First")
    neighbours.sync()
    for client in (neighbours.hub, neighbours.other):
        (line,) = client.lines()
        assert {"First", "Second"} <= set(line.texts)
        assert [str(place.original) for place in client.places(line.id)][:3] == [
            "2026-03-05",
            "2026-03-12",
            "2026-03-26",
        ]
    neighbours.settled()


def test_what_is_written_while_the_bridge_writes_stands_too(neighbours: Any) -> None:
    """Between its reading of Feishu and its writing there."""
    here = neighbours.put("hub", "Lunch", place="Canteen")
    neighbours.sync()
    neighbours.other.write(neighbours.find("other", "Lunch").id, title="Dinner")
    neighbours.town.meanwhile("feishu", 0, lambda _call: neighbours.hub.write(here, place="Roof"))
    neighbours.sync()
    neighbours.sync()
    for side in ("hub", "other"):
        assert "Roof" in neighbours.find(side, "Dinner").texts
    neighbours.settled()
