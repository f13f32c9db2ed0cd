"""What else a copy is known by than the ids of its parts: how an event is recognised that comes
with another id, or that an invitation has put on both sides. Pure.
"""

from collections.abc import Iterator

from connectors.contract import Copy
from mappings.identity import pairing_key


def is_meeting(copy: Copy) -> bool:
    """Whether other people take part, so that the same event may stand in other calendars."""
    details = copy.event.details
    return not copy.organized or bool(details.attendees)


def names(copy: Copy) -> Iterator[str]:
    """The names by which `store.units_by_name` finds the copy's unit: the mark that the bridge
    left on it, and a meeting's iCalendar UID and pairing key."""
    if copy.origin:
        yield copy.origin
    if is_meeting(copy):
        yield from meeting_names(copy)


def meeting_names(copy: Copy) -> Iterator[str]:
    """Those of a meeting, if the event is one."""
    if copy.event.uid:
        yield copy.event.uid
    if (key := pairing_key(copy.event)) is not None:
        yield key
