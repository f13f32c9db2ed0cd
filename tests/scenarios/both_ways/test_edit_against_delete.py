"""The complaint: "somebody deleted it while I was still writing, and my text is gone"."""

from collections.abc import Callable
from typing import Any

import pytest

SIDES = [("hub", "other"), ("other", "hub")]


@pytest.mark.parametrize(("deletes", "edits"), SIDES)
@pytest.mark.parametrize("home", ["hub", "other"])
def test_what_was_edited_comes_back_where_it_was_deleted(
    neighbours: Any, deletes: str, edits: str, home: str
) -> None:
    neighbours.put(home, "Lunch", text="soup")
    neighbours.sync()
    neighbours.sync()
    neighbours.sides[edits].write(neighbours.find(edits, "Lunch").id, title="Dinner")
    neighbours.sides[deletes].remove(neighbours.find(deletes, "Lunch").id)
    neighbours.sync()
    for side in ("hub", "other"):
        assert "soup" in " ".join(neighbours.find(side, "Dinner").texts)
    neighbours.settled()


@pytest.mark.parametrize("target", ["google", "exchange"])
def test_a_deletion_wins_where_the_policy_says_so_and_the_text_is_in_the_journal(
    live: Callable[..., Any], target: str
) -> None:
    neighbours = live(target, edit_versus_delete="delete-wins")
    here = neighbours.put("hub", "Lunch")
    neighbours.sync()
    neighbours.sync()
    neighbours.hub.write(here, title="Dinner")
    neighbours.other.remove(neighbours.find("other", "Lunch").id)
    neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == []
    assert any("Dinner" in str(entry.before) for entry in neighbours.journal())
    neighbours.settled()
