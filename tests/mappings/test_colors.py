import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import colors
from mappings.google import PALETTE

HEX = st.integers(0, 0xFFFFFE).map("#{:06x}".format)


@pytest.mark.parametrize("value", [0, -1])
def test_zero_and_minus_one_are_the_calendars_colour(value: int) -> None:
    assert colors.from_argb(value) is None


def test_no_colour_is_written_as_minus_one() -> None:
    assert colors.to_argb(None) == -1


def test_red_is_a_negative_integer_with_full_alpha() -> None:
    assert colors.to_argb("#ff0000") == -65536
    assert colors.from_argb(-65536) == "#ff0000"


def test_white_does_not_turn_into_the_calendars_colour() -> None:
    assert colors.from_argb(colors.to_argb("#ffffff")) == "#fffffe"


@given(HEX)
def test_argb_round_trip(color: str) -> None:
    assert colors.from_argb(colors.to_argb(color)) == color
    assert -(2**31) <= colors.to_argb(color) < 2**31


@pytest.mark.parametrize("entry", PALETTE)
def test_a_colour_of_the_palette_is_its_own_nearest(entry: tuple[str, str]) -> None:
    assert colors.nearest(entry[1].upper(), PALETTE) == entry


@pytest.mark.parametrize(
    ("color", "name"),
    [("#ff0000", "11"), ("#00aa00", "10"), ("#0000ff", "9"), ("#ffff00", "5"), ("#dddddd", "8")],
)
def test_nearest_follows_the_eye(color: str, name: str) -> None:
    assert colors.nearest(color, PALETTE)[0] == name
