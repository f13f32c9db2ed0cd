"""The complaint: "I was invited at both addresses, and the bridge made a third one of it"."""

from typing import Any

import pytest

from connectors.sandbox.clients import Sheet

THURSDAY = {"minutes": 30, "zone": "Asia/Shanghai"}


def board(neighbours: Any) -> Sheet:
    return Sheet(title="Board", start=neighbours.thursday(10), **THURSDAY)


def test_an_invitation_on_both_sides_is_linked_and_not_copied(neighbours: Any) -> None:
    for client in (neighbours.hub, neighbours.other):
        client.be_invited(board(neighbours))
    neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == ["Board"]
    neighbours.settled()


@pytest.mark.parametrize("side", ["hub", "other"])
@pytest.mark.parametrize("answer", ["accepted", "tentative"])
def test_an_answer_on_one_side_is_the_answer_on_the_other_where_it_can_be(
    neighbours: Any, side: str, answer: str
) -> None:
    for client in (neighbours.hub, neighbours.other):
        client.be_invited(board(neighbours))
    neighbours.sync()
    neighbours.sides[side].answer(neighbours.find(side, "Board").id, answer)
    neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == ["Board"]
    neighbours.settled()


def test_an_invitation_on_one_side_is_copied_once(neighbours: Any) -> None:
    neighbours.other.be_invited(board(neighbours))
    neighbours.sync()
    assert neighbours.titles("hub") == ["Board"]
    neighbours.settled()
