"""The complaint: "I deleted the copy right after it had appeared, and the original stayed"."""

from typing import Any

import pytest


@pytest.mark.parametrize("copied_to", ["other", "hub"])
@pytest.mark.parametrize("echoed", [True, False])
def test_a_copy_deleted_after_it_was_made_takes_its_original_along(
    neighbours: Any, copied_to: str, *, echoed: bool
) -> None:
    original = {"other": "hub", "hub": "other"}[copied_to]
    neighbours.put(original, "Lunch")
    assert neighbours.sync() == 1
    if echoed:
        assert neighbours.sync() == 0
    neighbours.sides[copied_to].remove(neighbours.find(copied_to, "Lunch").id)
    neighbours.sync()
    assert neighbours.titles(original) == neighbours.titles(copied_to) == []
    writes = {name: client.writes for name, client in neighbours.sides.items()}
    assert [neighbours.sync() for _ in range(10)] == [0] * 10
    assert writes == {name: client.writes for name, client in neighbours.sides.items()}
