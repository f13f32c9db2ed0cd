"""Colours: the nearest one of a palette, and Feishu's integers."""

from collections.abc import Sequence
from functools import lru_cache

_CALENDAR_COLOR = (0, -1)


def nearest(color: str, palette: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The palette's entry (name, `#rrggbb`) that looks most like `color`.

    Distance is CIE 1976 (Euclidean in CIELAB, white point D65), which follows the eye where
    distance in RGB does not. The first of equals wins. `palette` must not be empty.
    """
    return _nearest(color.lower(), tuple(palette))


@lru_cache(maxsize=1024)
def _nearest(color: str, palette: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    wanted = _lab(color)
    return min(palette, key=lambda entry: _distance(wanted, _lab(entry[1])))


def from_argb(value: int) -> str | None:
    """`#rrggbb` of a signed 32-bit ARGB value; None for 0 and -1, "as the calendar"
    (Feishu, event resource, field `color`)."""
    if value in _CALENDAR_COLOR:
        return None
    return f"#{value & 0xFFFFFF:06x}"


def to_argb(color: str | None) -> int:
    """The signed 32-bit opaque ARGB value of `#rrggbb`, -1 for None.

    White would read as "as the calendar", hence becomes the next shade of grey.
    """
    if color is None:
        return -1
    value = int(color.removeprefix("#"), 16)
    return (0xFF000000 | min(value, 0xFFFFFE)) - (1 << 32)


def _distance(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


@lru_cache(maxsize=1024)
def _lab(color: str) -> tuple[float, float, float]:
    digits = color.removeprefix("#")
    red, green, blue = (_linear(int(digits[at : at + 2], 16) / 255) for at in (0, 2, 4))
    x = _bend((0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047)
    y = _bend(0.2126729 * red + 0.7151522 * green + 0.0721750 * blue)
    z = _bend((0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _bend(value: float) -> float:
    return float(value ** (1 / 3)) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116
