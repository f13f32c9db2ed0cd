"""How the bridge's short words are said to people; programs that read JSON get them as they are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from bridge.config import LinkConfig
from bridge.records import Link, Side

_SIDE = re.compile(r"\bon ([ab])(?=$|[:,)]| \()")
_FIELDS = {"exists": "occurrence cancelled or restored", "schedule": "time or repetition"}

_SIZES = (86_400, 3600, 60, 1)
_UNITS = (" d", " h", " min", " s")

Names = Mapping[str, str]
"""What the sides `a` and `b` are called."""


def counted(number: int, word: str) -> str:
    """`1 link`, `2 links`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def span(time: timedelta, units: Sequence[str] = _UNITS, joint: str = " ") -> str:
    """A length of time, in its largest unit, or its two largest below ten."""
    seconds = max(0, int(time.total_seconds()))
    for number, size in enumerate(_SIZES):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            told = f"{whole}{units[number]}"
            if whole < 10 and number + 1 < len(_SIZES) and (more := rest // _SIZES[number + 1]):
                told += f"{joint}{more}{units[number + 1]}"
            return told
    return f"0{units[-1]}"


def side_names(link: Link | LinkConfig) -> Names:
    """The sides of a link by their connectors' names."""
    return {Side.A.value: link.a.connector, Side.B.value: link.b.connector}


def sides(text: str, names: Names) -> str:
    """A sentence of the bridge with `on a` and `on b` called by these names."""
    return _SIDE.sub(lambda match: f"at {names[match[1]]}", text)


def field_word(name: str) -> str:
    """What people call a field that has changed."""
    return _FIELDS.get(name, name)


def field_words(names: Iterable[str]) -> str:
    """The same for several."""
    return ", ".join(map(field_word, names))
