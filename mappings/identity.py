"""Names for links, units and writes that come out the same after any crash or loss of the
database, and digests that say whether two values are the same."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from mappings import jsonform, zones
from mappings.model import Event

Endpoint = tuple[str, str, str]
"""One side of a link: connector, account, calendar."""


def digest(value: Any) -> str:
    """64 hexadecimal digits (SHA-256) of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def link_uid(a: Endpoint, b: Endpoint) -> str:
    """The name of the link between two calendars, 32 hexadecimal digits. The order counts."""
    return digest(["link", a, b])[:32]


def unit_id(link_uid: str, side: str, ref: str) -> str:
    """The name of a unit by where it was first seen, 32 hexadecimal digits."""
    return digest(["unit", link_uid, side, ref])[:32]


def create_key(link_uid: str, unit_id: str, side: str, generation: int) -> str:
    """The idempotency key of a create, 64 hexadecimal digits.

    Fits Google's event ids (`[a-v0-9]{5,1024}`) and Feishu's `idempotency_key` (32 to 128).
    """
    return digest(["create", link_uid, unit_id, side, generation])


def restore_key(connector: str, calendar: str, ref: str, generation: int) -> str:
    """The idempotency key with which an event that was deleted is brought back, 64 hexadecimal
    digits: the same for all links of a calendar, so that it comes back once."""
    return digest(["restore", connector, calendar, ref, generation])


def fingerprint(event: Event) -> str:
    """The digest of an event's content. `uid` and `Rule.count` are hints and take no part."""
    value = jsonform.event_to_json(event)
    value.pop("uid", None)
    if isinstance(value.get("rule"), dict):
        value["rule"].pop("count", None)
    return digest(value)


def pairing_key(event: Event) -> str | None:
    """Equal for events of two calendars that are probably the same meeting: same start, same
    length, same title, and both or neither a series.

    None where there is too little to go by. The organiser is left to `same_organizer`, because
    not every provider tells his address.
    """
    title = event.details.title.casefold()
    if not title or event.details.redacted:
        return None
    when = event.when
    start = when.key if when.all_day else zones.start_instant(when).astimezone(UTC).isoformat()
    return digest([start, when.duration.total_seconds(), title, event.recurring])


def same_organizer(events: Sequence[Event]) -> bool:
    """False if the organisers of the events are known to be different people."""
    people = [event.details.organizer for event in events]
    return len({person.email for person in people if person is not None and person.email}) <= 1
