"""Chinese: the texts of the pages, and the sentences of the bridge."""

from collections.abc import Mapping, Sequence

CHINESE: Mapping[str, str] = {}
WORDS: Mapping[str, str] = {}
SAYINGS: Sequence[tuple[str, str]] = ()
