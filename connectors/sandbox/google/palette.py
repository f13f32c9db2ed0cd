"""The colours that ids stand for ("Colors" reference)."""

from typing import Any

EVENT_COLORS = {
    "1": "#a4bdfc", "2": "#7ae7bf", "3": "#dbadff", "4": "#ff887c", "5": "#fbd75b",
    "6": "#ffb878", "7": "#46d6db", "8": "#e1e1e1", "9": "#5484ed", "10": "#51b749",
    "11": "#dc2127",
}  # fmt: skip
FOREGROUND = "#1d1d1d"
_BACKGROUNDS = (
    "ac725e", "d06b64", "f83a22", "fa573c", "ff7537", "ffad46", "42d692", "16a765",
    "7bd148", "b3dc6c", "fbe983", "fad165", "92e1c0", "9fe1e7", "9fc6e7", "4986e7",
    "9a9cff", "b99aff", "c2c2c2", "cabdbf", "cca6ac", "f691b2", "cd74e6", "a47ae2",
)  # fmt: skip
CALENDAR_COLORS = {
    str(number): (f"#{color}", "#000000") for number, color in enumerate(_BACKGROUNDS, 1)
}


def colors() -> dict[str, Any]:
    """The answer of colors.get."""
    return {
        "kind": "calendar#colors",
        "updated": "2012-02-14T00:00:00.000Z",
        "calendar": {
            name: {"background": background, "foreground": foreground}
            for name, (background, foreground) in CALENDAR_COLORS.items()
        },
        "event": {
            name: {"background": color, "foreground": FOREGROUND}
            for name, color in EVENT_COLORS.items()
        },
    }
