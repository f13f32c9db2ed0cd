"""Values as text that both databases take: JSON, and free text from anywhere."""

import json
from typing import Any


def dump(value: Any) -> str:
    """Compact JSON. Half a surrogate pair, which no UTF-8 column takes, is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def dump_or_none(value: Any) -> str | None:
    """As `dump`, with None as SQL NULL."""
    return None if value is None else dump(value)


def load(text: str | None) -> Any:
    """The value again; None from NULL."""
    return None if text is None else json.loads(text)


def storable(text: str) -> str:
    """Text without what PostgreSQL refuses (NUL) or UTF-8 cannot hold (half a surrogate pair)."""
    return (
        text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
