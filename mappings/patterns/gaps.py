"""Members that a change of the clock moves onto another member, which then stands for both."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mappings.members import clock_at, clock_of, is_member, key_of, members
from mappings.model import Event, Key
from mappings.patterns.windows import transitions

_WHOLE_DAY = timedelta(hours=20)


def skipped_keys(event: Event, since: datetime, until: datetime) -> frozenset[Key]:
    """The keys of those members between two naive wall clocks (RFC 5545 section 3.3.5).

    They are no occurrences of their own, although rule and pattern have them.
    """
    first = event.when
    if first.zone is None or first.zone in ("UTC", "Etc/UTC"):
        return frozenset()
    several = _several_a_day(event)
    found = set()
    for begin, length in _gaps(first.zone, since.year, until.year):
        if not several and length < _WHOLE_DAY:
            continue  # one time of day cannot be moved onto itself
        for member in members(event.rule, event.rdates, first, begin):
            if member >= min(begin + length, until):
                break
            key = key_of(member, first)
            fixed = member < since or key == first.key
            if not fixed and is_member(event, key_of(member + length, first)):
                found.add(key)
    return frozenset(found)


def _several_a_day(event: Event) -> bool:
    rule = event.rule
    if event.rdates or rule is None:
        clocks = {clock_at(key, event.when).time() for key in event.rdates}
        if clocks - {clock_of(event.when.start).time()}:
            return True
    if rule is None:
        return False
    by_time = rule.by_hour or rule.by_minute or rule.by_second
    return bool(by_time) or rule.freq not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")


def _gaps(zone: str, first: int, last: int) -> Iterator[tuple[datetime, timedelta]]:
    """The wall clocks that are skipped: the first of them and how much is left out."""
    for year in range(first, last + 1):
        for at, before, after in transitions(zone, year):
            if after > before:
                yield (at + before).astimezone(UTC).replace(tzinfo=None), after - before
