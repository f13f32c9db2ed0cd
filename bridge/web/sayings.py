"""The bridge's own sentences in other languages. What is not known here stays as it was said."""

import re
from collections.abc import Callable

from bridge.web.chinese import PHRASES, SAYINGS, VALUES, WORDS

_PATTERNS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.DOTALL), text) for pattern, text in SAYINGS
]


_TYPED: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"; look at `calbridge plan`, then approve or pause$"), ""),
    (re.compile(r", or `calbridge parked retry \S+`, or `calbridge parked drop \S+`$"),
     ", try it again, or leave it alone"),
    (re.compile(r"; `calbridge parked retry` takes it back$"), "; “Try again” takes it back"),
    (re.compile(r", or run `calbridge connect \S+ --user NAME`(?=\.?$)"), ""),
]  # fmt: skip
"""Advice for a terminal, and what it is here, where there are buttons."""


def retold(language: str, text: str) -> str:
    """`text` in that language."""
    for typed, clicked in _TYPED:
        text = typed.sub(clicked, text)
    tell = _TELLERS.get(language)
    return tell(text) if tell else text


def value(language: str, field: str, text: str) -> str:
    """What a field of an event holds, in that language, as far as the words are not people's."""
    if language != "zh":
        return text
    if field in VALUES:
        return VALUES[field].get(text, text)
    for pattern, translation in PHRASES.get(field, ()):
        text = re.sub(pattern, translation, text)
    return text


def _chinese(text: str) -> str:
    if text in WORDS:
        return WORDS[text]
    for pattern, translation in _PATTERNS:
        match = pattern.fullmatch(text)
        if match is not None:
            return translation.format(*map(_part, match.groups("")))
    return text


def _part(text: str) -> str:
    """A part of a sentence: a list of words, or another sentence."""
    items = text.split(", ")
    if len(items) > 1 and all(item in WORDS for item in items):
        return "、".join(WORDS[item] for item in items)
    return _chinese(text)


_TELLERS: dict[str, Callable[[str], str]] = {"zh": _chinese}
