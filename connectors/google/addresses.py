"""Addresses of events in a browser, to ids and back.

The page of an event (`htmlLink`) names it by `eid`: base64url, without padding, of the event's id
and its calendar's, with the calendar's domain shortened; the editor has the same as the last part
of its path. Nobody documents the form, so an address that has another one just names nothing.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

_HOST = re.compile(r"(?:www|calendar)\.google\.com")
_OCCURRENCE = re.compile(r"_R?\d{8}(?:T\d{6}Z?)?$")
_SHORT = {"@group.calendar.google.com": "@g", "@gmail.com": "@m"}
_PAGE = "https://www.google.com/calendar/event?eid="


def ids_in(address: str) -> tuple[str, ...]:
    """The ids of the event that the address shows: its own, and its series'."""
    return tuple(dict.fromkeys(_ids(address)))


def _ids(address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return
    if not _HOST.fullmatch(parts.hostname or ""):
        return
    last = parts.path.rstrip("/").rpartition("/")[2]
    for eid in [*parse_qs(parts.query).get("eid", ()), last]:
        try:
            text = urlsafe_b64decode(eid + "=" * (-len(eid) % 4)).decode("ascii")
        except ValueError:
            continue
        if re.fullmatch(r"[\w-]+ \S+", text):
            event = text.partition(" ")[0]
            yield event
            yield _OCCURRENCE.sub("", event)


def address_of(calendar: str, ref: str) -> str:
    """Where a browser shows an event of that calendar."""
    for domain, short in _SHORT.items():
        if calendar.endswith(domain):
            calendar = calendar.removesuffix(domain) + short
    return _PAGE + urlsafe_b64encode(f"{ref} {calendar}".encode()).decode().rstrip("=")
