"""The log: lines for people, or one JSON object a line for programs that gather them.

What is logged are fixed sentences and facts (link, run, unit); nobody's text and no secret.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_about: ContextVar[Mapping[str, object]] = ContextVar("about", default={})  # noqa: B039 never changed


@contextmanager
def about(**facts: object) -> Iterator[None]:
    """Whatever this thread logs meanwhile is about that."""
    before = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(before)


def told(message: str, facts: Mapping[str, object]) -> Mapping[str, Any]:
    """What a logger wants as `extra` so that both forms can be made of it."""
    return {"sentence": message, "facts": facts}


class Lines(logging.Formatter):
    """One JSON object for each record: `time` (UTC), `level`, `logger`, `message` and the facts."""

    def format(self, record: logging.LogRecord) -> str:
        """The object as text."""
        at = datetime.fromtimestamp(record.created, UTC)
        content: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": getattr(record, "sentence", None) or record.getMessage(),
        }
        for name, value in {**_about.get(), **getattr(record, "facts", {})}.items():
            content.setdefault(name, value)
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)


def write_as(kind: Literal["text", "json"]) -> None:
    """From now on everything that is logged to standard error looks like this."""
    formatter = Lines() if kind == "json" else logging.Formatter(TEXT)
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(formatter)
