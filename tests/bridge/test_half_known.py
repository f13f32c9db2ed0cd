"""Edits of both sides, written while nobody knew yet that the copy had been made."""

from bridge.records import Side
from bridge.store import Store
from connectors.testing.builders import event

from .test_apply import TWO_WAY, make
from .test_recovery import break_off, places, put_at


def test_an_edit_stands_although_the_one_before_went_with_an_edit_of_the_original(
    store: Store,
) -> None:
    pair = make(store, TWO_WAY)
    ref = pair.a.person_puts(event("Lunch"))
    break_off(pair, "create", Side.B)
    pair.run()
    (twin,) = pair.b.refs()
    put_at(pair.b, twin, "Room 7")
    pair.a.person_edits(ref, title="Dinner")
    break_off(pair, "update", Side.A)
    pair.run()
    put_at(pair.b, twin, "Room 8")
    pair.run()
    pair.run()
    assert places(pair) == ["Room 8", "Room 8"]
    assert pair.titles(Side.A) == pair.titles(Side.B) == ["Dinner"]
