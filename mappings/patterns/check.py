"""The last look at a plan before it is trusted: does it show what the event shows?"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import takewhile

from mappings.members import is_member
from mappings.model import Event, Key, Rule
from mappings.patterns.closed import expand_pattern
from mappings.patterns.result import Part, Plan
from mappings.patterns.shape import Tier
from mappings.recurrence import keys

_FEW, _MANY = 64, 256


def part_keys(part: Part) -> Iterator[Key]:
    """The occurrences that the part has at the target, in order, by their nominal local start."""
    assert not isinstance(part.pattern, Rule)
    deleted = set(part.deletions)
    tail = part.when.key[10:]
    dates = expand_pattern(part.pattern, part.bounds, date.fromisoformat(part.when.key[:10]))
    return (key for day in dates if (key := Key(day.isoformat() + tail)) not in deleted)


def difference(event: Event, plan: Plan, without: frozenset[Key]) -> str | None:
    """What is wrong with the plan, None if nothing is.

    Compares the first occurrences of a plain plan and those in the window of a rolling one, the
    detached ones included. `without` are the members that a clock change moves onto others.
    Needs the series at its first member (`mappings.series.rebase`).
    """
    low, high = Key(""), Key("9")
    after = None
    limit = _FEW if plan.tier is Tier.NATIVE else _MANY
    if plan.rolling is not None:
        low = Key(plan.rolling[0].isoformat())
        high = Key(plan.rolling[1].isoformat())
        after = Key((plan.rolling[0] - timedelta(days=1)).isoformat())
        after = after if event.when.all_day else Key(f"{after}T23:59:59")
        limit = 100_000
    elif plan.verified is not None:
        high = Key((plan.verified + timedelta(days=1)).isoformat())
    members = keys(event.rule, event.rdates, event.when, after=after, limit=limit)
    wanted = list(takewhile(lambda key: key < high, members))
    if plan.rolling is None and len(wanted) == limit:
        high = Key(wanted[-1] + "!")  # just after it
    gone = {item.key for item in event.overrides if item.cancelled} | without
    orphans = {
        item.key
        for item in event.overrides
        if not item.cancelled and low <= item.key < high and not is_member(event, item.key)
    }
    expected = (set(wanted) - gone) | orphans
    found = Counter(single.occurrence for single in plan.singles if low <= single.occurrence < high)
    for part in plan.parts:
        held = takewhile(lambda key: key < high, part_keys(part))
        found.update(key for key in held if key >= low)
    for key in sorted(found.keys() | expected):
        times, due = found[key], int(key in expected)
        if times != due:
            return f"{key} would be written {times} times instead of {due}"
    return None
