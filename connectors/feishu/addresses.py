"""Addresses of events that Feishu and Lark hand out, to ids (Event resource, `app_link`).

`key` is what all members of a series share, `originalTime` the original start of one occurrence,
0 for the event itself; together they are its `event_id`. `calendarId` is an internal number, so
there is no way back from an id to an address.
"""

import re
from urllib.parse import parse_qs, urlsplit

_HOST = re.compile(r"(?:[\w-]+\.)?(?:feishu\.cn|larksuite\.com)")
_KEY = re.compile(r"[0-9A-Za-z-]+")


def ids_in(address: str) -> tuple[str, ...]:
    """The ids of the event that the address shows: its own, and its series'."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return ()
    query = parse_qs(parts.query)
    key, original = query.get("key", [""])[0], query.get("originalTime", ["0"])[0]
    if not _HOST.fullmatch(parts.hostname or "") or not _KEY.fullmatch(key):
        return ()
    own = (f"{key}_{original}",) if original.isdecimal() and int(original) else ()
    return (*own, f"{key}_0")
