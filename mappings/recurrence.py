"""Recurrence rules: from text to the normal form, to text again, and to the dates they give.

A series is understood by the set of its occurrences, not by the spelling of its rule. The
functions of `mappings.occurrences` and `mappings.series` are part of this module's interface.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Literal

from mappings import zones
from mappings.expansion import END, Pattern, pattern
from mappings.members import clock_at, clock_of, key_of, members
from mappings.model import Freq, Key, Rule, When
from mappings.occurrences import (
    expand,
    first_start,
    key_of_instant,
    last_end,
    match_key,
    overlaps,
    when_of,
)
from mappings.rule_normal import clamped, normal
from mappings.rule_text import invalid, read, write
from mappings.series import rebase, rekey, renamed, tidy

__all__ = [
    "expand",
    "first_start",
    "format_rule",
    "key_of_instant",
    "keys",
    "last_end",
    "match_key",
    "normalise",
    "overlaps",
    "parse_rule",
    "rebase",
    "rekey",
    "renamed",
    "tidy",
    "when_of",
]

UntilDate = Literal["midnight", "whole_day"]
"""How a bare date in UNTIL bounds a timed series: before that day's occurrence, or after it."""

_UNTIL = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?")
_NEAR = timedelta(hours=25)
_SECOND = timedelta(seconds=1)


def parse_rule(text: str, first: When, *, until_date: UntilDate = "midnight") -> Rule | None:
    """The rule of an RRULE value (with or without `RRULE:`), None for an empty text.

    `first` is the event's own time: it gives what the rule leaves implied, the zone of UNTIL and
    the beginning of COUNT. It is no member unless it matches. Both bounds become the key of the
    last real occurrence (the earlier one, if both are given); from year 2500 on there is none.
    Raises `UnmappableError` `RULE_INVALID` for a rule that is wrong, matches nothing, or would
    take too long to follow. (RFC 5545 section 3.3.10, RFC 7529 for SKIP=BACKWARD.)
    """
    if text.strip().upper() in {"", "RRULE:"}:
        return None
    return _parsed(text, first.start, first.zone, until_date)


def format_rule(rule: Rule, first: When, *, count: bool = False) -> str:
    """The RRULE value without `RRULE:`, parts in a fixed order.

    The bound is UNTIL: the last start in UTC for timed series, its date for all-day ones, so
    that readers who compare dates and readers who compare seconds agree. With `count` a bound
    that the source gave as COUNT is written so; whoever moves `until` clears `count`.
    """
    if count and rule.count is not None:
        return write(rule, f"COUNT={rule.count}")
    if rule.until is None:
        return write(rule)
    if first.all_day:
        return write(rule, f"UNTIL={rule.until[:10].replace('-', '')}")
    fold = first.fold if rule.until == first.key else 0
    last = zones.instant(clock_at(rule.until, first), first.zone or "UTC", fold)
    return write(rule, f"UNTIL={last:%Y%m%dT%H%M%SZ}")


def normalise(rule: Rule, first: When) -> Rule:
    """The normal form of a rule that was put together by hand, its bound untouched."""
    return normal(rule, first.start)


def keys(
    rule: Rule | None,
    rdates: Iterable[Key],
    first: When,
    *,
    after: Key | None = None,
    limit: int,
) -> Iterator[Key]:
    """The keys of at most `limit` members in order, each once; `after` a key, without that one.

    Cancelled ones are included. A `first` that the rule does not match is no member; `rebase`
    moves it. Without a rule, `first` and the extra dates are the members.
    """
    since = None if after is None else clock_at(after, first) + _SECOND
    for member in islice(members(rule, tuple(rdates), first, since), limit):
        yield key_of(member, first)


@lru_cache(maxsize=8192)
def _parsed(text: str, start: datetime | date, zone: str | None, until_date: UntilDate) -> Rule:
    first = When(start=start, duration=timedelta(0), zone=zone)
    parts = read(text)
    rule = normal(parts.rule, start)
    if parts.skip != "OMIT" and rule.freq in (Freq.MONTHLY, Freq.YEARLY) and rule.by_month_day:
        if parts.skip != "BACKWARD":
            raise invalid("SKIP=FORWARD is not supported")
        rule = normal(clamped(rule), start)
    series = pattern(rule, start)
    earliest = series.nth(1)
    if earliest is None:
        raise invalid("the rule matches no date")
    ends = []
    if parts.until and (limit := _limit(parts.until, first, until_date)):
        last = _last(series, first, limit)
        if last is None:
            raise invalid(f"UNTIL={parts.until} lies before the first occurrence")
        ends.append(last)
    count = parts.count
    if count is not None and (last := series.nth(count)) is not None:
        if ends and ends[0] < last:
            count = None
        ends.append(last)
    until = key_of(min(ends), first) if ends else None
    return replace(rule, until=until, count=count if until else None)


def _limit(text: str, first: When, until_date: UntilDate) -> datetime | None:
    """UNTIL as a naive wall clock, or as an aware instant where it is given in UTC.

    None = so late that there is no bound.
    """
    found = _UNTIL.fullmatch(text)
    try:
        numbers = [int(number) for number in found.groups()[:6] if number] if found else []
        limit = datetime(*numbers)  # type: ignore[arg-type]  # noqa: DTZ001  (wall clock)
    except (TypeError, ValueError):
        raise invalid(f"UNTIL={text} is not a date") from None
    if limit.year >= END.year:
        return None
    if first.all_day:
        return clock_of(limit.date())
    if len(numbers) == 3 and until_date == "whole_day":
        return limit + timedelta(days=1) - _SECOND
    return limit.replace(tzinfo=UTC) if text.endswith("Z") else limit


def _last(series: Pattern, first: When, limit: datetime) -> datetime | None:
    """The last member at or before `limit`, by instant if that is aware."""
    if limit.tzinfo is None:
        return series.last(limit)
    zone = first.zone or "UTC"
    wall, fold = zones.wall(limit, zone)
    last = series.last(wall)
    if not fold and (last is None or zones.instant(last, zone) <= limit):
        return last
    # Near a clock change a later wall clock may be an earlier instant, and the reverse.
    found = series.last(wall - _NEAR)
    for member in series.after(wall - _NEAR):
        if member > wall + _NEAR:
            break
        if zones.instant(member, zone) <= limit:
            found = member
    return found
