"""The complaint: "after the mailbox was reorganised every edit made a second meeting"."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.sandbox.clients import Repeat


@pytest.mark.parametrize("home", ["hub", "other"])
@pytest.mark.parametrize("at_once", [False, True], ids=["told of", "untold"])
def test_an_exchange_item_with_another_id_is_still_the_same(
    live: Callable[..., Any], home: str, at_once: bool
) -> None:
    """A move gives an item another id; `at_once`: before the bridge has seen its own copy."""
    neighbours = live("exchange")
    neighbours.put(home, "Weekly", Repeat(freq="WEEKLY", days=("TH",)))
    neighbours.sync()
    if not at_once:
        neighbours.sync()
    old = neighbours.find("other", "Weekly").id
    neighbours.other.put_away(old)
    new = neighbours.other.fetch_back()
    assert new != old
    neighbours.hub.write(neighbours.find("hub", "Weekly").id, title="Fortnightly")
    neighbours.sync()
    assert neighbours.find("other", "Fortnightly").id == new
    neighbours.other.write(new, place="Roof")
    neighbours.sync()
    assert "Roof" in neighbours.find("hub", "Fortnightly").texts
    neighbours.settled()
