"""What `explain` says of series that stand at Exchange in another shape."""

from typing import Any

import pytest

from connectors.contract import HoldsOtherwise
from connectors.testing.builders import event

PLAIN = event("Standup", rule="FREQ=WEEKLY;BYDAY=MO")
SPLIT = event("Payday", "2026-03-01T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=1,15")
NIGHT = event("Night shift", "2026-03-01T22:00", "Europe/Berlin", minutes=480, rule="FREQ=DAILY")


@pytest.mark.parametrize("held", [PLAIN, event("Lunch")], ids=["weekly", "single"])
def test_what_exchange_holds_as_it_is_needs_no_word(exchange: Any, held: Any) -> None:
    assert exchange.connect().shortcomings(held) == ()


def test_a_series_in_several_parts_says_so(exchange: Any) -> None:
    assert isinstance(exchange.connect(), HoldsOtherwise)
    (loss,) = exchange.connect().shortcomings(SPLIT)
    assert (loss.field, loss.detail) == ("rule", "The series is written as 2 series")


def test_what_is_set_only_for_some_years_says_so(exchange: Any) -> None:
    assert [loss.field for loss in exchange.connect().shortcomings(NIGHT)] == ["when"]
