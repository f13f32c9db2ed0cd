"""What several series that stand for one rule are about, if people change some of them.

A person who renames one of the series that together are one event means the event. What was edited
is told by what the bridge wrote: every item carries short digests of it. Field by field, then:
what nobody edited is as the bridge wrote it last; an edit that is the same wherever there is one
counts for the whole event, be it on one item or on all; different edits of the same field cannot
be one event. The number of items and their order play no part in it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from mappings.errors import UnmappableError
from mappings.jsonform import details_to_json
from mappings.model import Details

FIELDS = ("title", "description", "location", "visibility", "busy", "reminders", "attendees")
"""The details that people edit at Exchange and that a digest is kept of."""
_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Told:
    """One series: its part, when the bridge wrote it, the digests of what it wrote (empty =
    unknown), and what it shows now."""

    part: str
    at: datetime
    wrote: str
    details: Details


def digests(details: Details) -> str:
    """A short digest of each of `FIELDS`, one after the other."""
    shown = details_to_json(details)
    shown["attendees"] = sorted(str(guest.person.email) for guest in details.attendees)
    return "".join(_digest(shown.get(name)) for name in FIELDS)


def agreed(items: Sequence[Told]) -> Details:
    """The details of the event. Raises `UnmappableError` `DECOMPOSED` where people edited the
    same field of several items differently."""
    last = max(items, key=lambda item: (item.at, item.part)).details
    for place, name in enumerate(FIELDS):
        edits: list[Any] = []
        for item in items:
            value = getattr(item.details, name)
            if _edited(item, place) and value not in edits:
                edits.append(value)
        if len(edits) > 1:
            raise UnmappableError(
                "DECOMPOSED",
                f"The series stands at Exchange as {len(items)} items, and their {name} was "
                "changed there in different ways. Make it the same on all of them, or change it "
                "on the other side.",
            )
        if edits:
            last = replace(last, **{name: edits[0]})
    return last


def uneven(shown: Sequence[Details]) -> bool:
    """True if not all of them show the same: what a person changed on one has to follow on the
    others."""
    if len(shown) < 2:
        return False
    return len({(digests(details), details.footer) for details in shown}) > 1


def _edited(item: Told, place: int) -> bool:
    begin = place * _LENGTH
    return bool(item.wrote) and (
        item.wrote[begin : begin + _LENGTH] != digests(item.details)[begin : begin + _LENGTH]
    )


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:_LENGTH]
