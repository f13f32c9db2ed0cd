"""The complaint: "both calendars were full already, and now I have everything twice"."""

from typing import Any

from bridge.records import Op
from connectors.sandbox.clients import Repeat

WEEKLY = Repeat(freq="WEEKLY", days=("TH",))


def test_what_stands_on_both_sides_is_linked_and_the_rest_copied(neighbours: Any) -> None:
    for side in ("hub", "other"):
        neighbours.put(side, "Lunch", place="Canteen" if side == "hub" else "")
        neighbours.put(side, "Weekly", WEEKLY)
        neighbours.put(side, f"Only {side}")
    neighbours.sync()
    for side in ("hub", "other"):
        assert neighbours.titles(side) == ["Lunch", "Only hub", "Only other", "Weekly"]
    assert "Canteen" in neighbours.find("other", "Lunch").texts
    neighbours.settled()


def test_a_plan_names_pairs_and_copies_before_anything_is_written(neighbours: Any) -> None:
    for side in ("hub", "other"):
        neighbours.put(side, "Lunch")
        neighbours.put(side, f"Only {side}")
    (ready,) = neighbours.teller.links()
    plan = neighbours.teller.runtime.link_pass(ready).plan()
    told = sorted((action.op, action.title) for action in plan.actions)
    assert told == [
        (Op.ADOPT, "Lunch"),
        (Op.CREATE, "Only hub"),
        (Op.CREATE, "Only other"),
    ]
    assert [neighbours.sides[side].writes for side in ("hub", "other")] == [0, 0]


def test_linked_events_go_on_as_one(neighbours: Any) -> None:
    for side in ("hub", "other"):
        neighbours.put(side, "Weekly", WEEKLY)
    neighbours.sync()
    neighbours.hub.write(neighbours.find("hub", "Weekly").id, title="Fortnightly")
    neighbours.sync()
    assert neighbours.titles("other") == ["Fortnightly"]
    neighbours.other.remove(neighbours.find("other", "Fortnightly").id)
    neighbours.sync()
    assert neighbours.titles("hub") == []
    neighbours.settled()
