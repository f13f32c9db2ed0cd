"""From the shapes of a series to the parts and singles of a plan, exceptions included."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile

from mappings.members import bound, clock_at, clock_of, in_rule, is_member, key_of, members
from mappings.model import Event, Key, Loss, Override, Rule
from mappings.occurrences import when_of
from mappings.patterns.closed import expand_pattern
from mappings.patterns.gaps import skipped_keys
from mappings.patterns.model import NoEnd
from mappings.patterns.moves import settle
from mappings.patterns.pins import Pins, begun, cut_days, pinned_until, pins
from mappings.patterns.profile import Profile
from mappings.patterns.result import Part, Plan, Single
from mappings.patterns.shape import (
    MAIN,
    SEGMENT_YEARS,
    Piece,
    Shape,
    Tier,
    days,
    segment,
    shape,
    singles,
)
from mappings.patterns.strands import Strand, strands
from mappings.patterns.windows import ZoneSpan

PAST = timedelta(days=92)
FUTURE = timedelta(days=731)
"""The window in which singles are kept: about three months back and two years ahead."""
NEXT_SEGMENT = timedelta(days=366)
"""A segment is written so long before it begins."""
MOST_SINGLES = 2_000

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A plan, and the members that are left out because a clock change moves them onto others."""

    plan: Plan
    without: frozenset[Key]


@dataclass(frozen=True, slots=True)
class _Woven:
    """One time of day of the series: the pieces, and the members beside them."""

    pieces: tuple[Piece, ...]
    rest: tuple[Key, ...]
    clock: time


def assemble(event: Event, profile: Profile, now: datetime, zone: ZoneSpan) -> Assembled:
    """The plan of a series at its first member, not yet checked.

    Raises `UnmappableError` as `mappings.expansion` does.
    """
    if event.rule is None:
        listed = _Woven((), (event.when.key, *event.rdates), time())
        made = Plan(tier=Tier.SEVERAL)
        return _assembled(event, profile, made, [listed], zone, _without(event, now, profile))
    window = _window(now)
    shapes = _shapes(event, event.rule, profile, now)
    if shapes is None:
        return only_singles(event, profile, now, "the target cannot repeat so often in a day")
    woven: list[_Woven] = []
    for strand, found in shapes:
        one = _woven(event, strand, found, window, profile)
        if one is None:
            reason = "again and again a clock change cuts into an occurrence"
            return only_singles(event, profile, now, reason)
        woven.append(one)
    tier = max(found.tier for _, found in shapes)
    segmented = any(found.tier is Tier.SEGMENTED and found.rest == () for _, found in shapes)
    last = (now + NEXT_SEGMENT).date() if segmented else window[1]
    ends = [found.verified for _, found in shapes if found.verified]
    reasons = [found.reason for _, found in shapes if found.reason]
    made = Plan(
        tier=tier,
        rolling=(window[0], last) if tier >= Tier.SEGMENTED else None,
        pinned=pinned_until(clock_of(event.when.start).date(), now) if profile.wall_ends else None,
        verified=min(ends) if ends else None,
        reason=reasons[0] if reasons else None,
    )
    if made.tier < Tier.SEVERAL and len(shapes) > 1:
        made = replace(made, tier=Tier.SEVERAL)
    without = _without(event, now, profile)
    if without and event.rule.until is None:
        if made.rolling is None:
            reason = "again and again a clock change moves an occurrence onto another"
            tier = max(made.tier, Tier.SEGMENTED)
            made = replace(made, rolling=window, tier=tier, reason=reason)
        without = frozenset(key for key in without if key < window[1].isoformat())
    return _assembled(event, profile, made, woven, zone, without)


def only_singles(event: Event, profile: Profile, now: datetime, reason: str) -> Assembled:
    """Every occurrence in the window as a single event."""
    since, until = _window(now)
    begin = datetime.combine(since, time())
    found = takewhile(
        lambda member: member.date() < until, members(event.rule, event.rdates, event.when, begin)
    )
    keys = [key_of(member, event.when) for member in islice(found, MOST_SINGLES + 1)]
    if len(keys) > MOST_SINGLES:
        until = max(since, date.fromisoformat(keys[-1][:10]))
        keys = [key for key in keys if key < until.isoformat()]
        reason = f"SUBDAILY_CAP: {reason}"
    made = Plan(tier=Tier.SINGLES, rolling=(since, until), reason=reason)
    woven = [_Woven((), tuple(keys), time())]
    without = skipped_keys(event, begin, datetime.combine(until, time()))
    return _assembled(event, profile, made, woven, ZoneSpan(None, False), without)


def passed_through(event: Event, profile: Profile) -> Plan | None:
    """The series as it is, for a target that takes such rules; None for any other."""
    rule, limits = event.rule, profile.rules
    if rule is None or limits is None or not limits.takes(rule):
        return None
    present = {item.key: item for item in event.overrides if is_member(event, item.key)}
    on_series = {
        key: item for key, item in present.items() if limits.rdates or key not in event.rdates
    }
    part = Part(
        key=MAIN,
        when=event.when,
        pattern=rule,
        bounds=NoEnd(),
        deletions=tuple(key for key, item in on_series.items() if item.cancelled),
        overrides=tuple(item for item in on_series.values() if not item.cancelled),
        rdates=event.rdates if limits.rdates else (),
        zone=event.when.zone,
    )
    alone = [key for key in event.rdates if not limits.rdates]
    alone += [item.key for item in event.overrides if item.key not in present]
    return Plan(tier=Tier.NATIVE, parts=(part,), singles=single_events(event, alone, frozenset()))


def _window(now: datetime) -> tuple[date, date]:
    today = now.astimezone(UTC)
    return (today - PAST).date(), (today + FUTURE).date()


def _shapes(
    event: Event, rule: Rule, profile: Profile, now: datetime
) -> list[tuple[Strand, Shape]] | None:
    """What each time of day of the rule becomes; None if the rule has too many of them."""
    found = strands(rule, event.when)
    if not found:
        return None
    gap = 1 if profile.overlap else max(1, -(-event.when.duration // _DAY))
    shapes = []
    for strand in found:
        far = _far(profile, strand, now)
        one = shape(strand.rule, strand.first, strand.last, gap, far)
        if one.tier is Tier.SEGMENTED and not one.pieces:
            pieces = _segments(strand, gap, profile, _window(now))
            # Within the segments nothing is left; where one fails, everything is single events.
            one = (
                singles(one.reason or "")
                if pieces is None
                else replace(one, pieces=pieces, rest=())
            )
        shapes.append((strand, one))
    return shapes


def _far(profile: Profile, strand: Strand, now: datetime) -> Profile:
    """The profile with a horizon well ahead of now, also for a series that began long ago."""
    years = profile.horizon
    while strand.last is None and strand.first.year + years < now.year + 5:
        years += 25
    return profile if years == profile.horizon else replace(profile, horizon=years)


def _ends_before(rule: Rule, day: date) -> bool:
    return rule.until is not None and rule.until < day.isoformat()


def _woven(
    event: Event, strand: Strand, found: Shape, window: tuple[date, date], profile: Profile
) -> _Woven | None:
    """None if a piece can begin with none of its occurrences."""
    rest: Iterable[date] = found.rest or ()
    if found.rest is None:
        until = window[1] - _DAY
        last = min(until, strand.last) if strand.last else until
        held = {day for piece in found.pieces for day in _dates(piece, last)}
        inside = map(date.fromordinal, days(strand.rule, strand.first, window[0], last))
        rest = [day for day in inside if day not in held]
    pieces, early = list(found.pieces), list[date]()
    if profile.wall_ends:
        pieces = []
        for piece in found.pieces:
            started = begun(piece, strand.clock, event.when)
            if started is None:
                return None
            pieces += [started[0]] if started[0] else []
            early += started[1]
    keys = tuple(_key(event, day, strand.clock) for day in (*rest, *early))
    return _Woven(tuple(pieces), keys, strand.clock)


def _segments(
    strand: Strand, gap: int, profile: Profile, window: tuple[date, date]
) -> tuple[Piece, ...] | None:
    """The segments that touch the window up to a year ahead; None if one cannot be written."""
    base = strand.first.year
    low = max(window[0], strand.first)
    high = window[1] - FUTURE + NEXT_SEGMENT
    if strand.last is not None:
        high = min(high, strand.last)
    found: list[Piece] = []
    for number in range(
        (low.year - base) // SEGMENT_YEARS, (high.year - base) // SEGMENT_YEARS + 1
    ):
        year = base + number * SEGMENT_YEARS
        since, until = date(year, 1, 1), date(year + SEGMENT_YEARS, 1, 1)
        last = min(until - _DAY, strand.last or until)
        inside = tuple(days(strand.rule, strand.first, since, last))
        pieces = segment(inside, gap, profile, f"SEG:{year}..{until.year}")
        if pieces is None:
            return None
        found += pieces
    return tuple(found)


def _without(event: Event, now: datetime, profile: Profile) -> frozenset[Key]:
    """The members that a clock change moves onto others, of an endless series those to come."""
    rule, first = event.rule, clock_of(event.when.start)
    listed = [first, *(clock_at(key, event.when) for key in event.rdates)]
    last = max(listed) if rule is None else max(bound(rule), *listed)
    if rule is not None and rule.until is None:
        last = datetime(min(max(first.year + profile.horizon, now.year + 10), 2499), 1, 1)  # noqa: DTZ001
    return skipped_keys(event, min(listed), last + _DAY)


def _assembled(
    event: Event,
    profile: Profile,
    made: Plan,
    woven: list[_Woven],
    zone: ZoneSpan,
    without: frozenset[Key],
) -> Assembled:
    """The pieces as parts with their exceptions, and all that stands alone."""
    cancelled = without | {item.key for item in event.overrides if item.cancelled}
    changed = {item.key: item for item in event.overrides if not item.cancelled}
    parts: list[Part] = []
    alone: list[Key] = []
    held: set[Key] = set()
    cut = False
    for strand in woven:
        alone += strand.rest
        days = cut_days(event.when, strand.clock, made.pinned) if made.pinned else ()
        for piece in strand.pieces:
            apart = pins(piece, strand.clock, event.when, days)
            cut = cut or apart != Pins()
            part, own, detached = _part(
                event, piece, strand.clock, profile, cancelled, changed, apart
            )
            held |= own
            alone += detached
            name = piece.key + _suffix(event, strand.clock)
            if any(other.key == name for other in parts):
                name += f"@{piece.first}"  # one pattern twice, the second time from then on
            parts.append(
                replace(part, key=name, zone=zone.windows, zone_substituted=zone.substituted)
            )
    rule = event.rule
    alone += [
        key
        for key in event.rdates
        if rule is None or not in_rule(rule, event.when, datetime.fromisoformat(key))
    ]
    alone += _strays(event, changed.values(), held | set(alone), made.rolling)
    singles = single_events(event, sorted(set(alone)), cancelled)
    if rule is None or not made.pinned or not cut or _ends_before(rule, made.pinned):
        made = replace(made, pinned=None)
    plan = replace(made, parts=tuple(parts), singles=singles, losses=_losses(made, len(parts)))
    return Assembled(plan, without)


def _part(
    event: Event,
    piece: Piece,
    clock: time,
    profile: Profile,
    cancelled: frozenset[Key],
    changed: Mapping[Key, Override],
    cut: Pins,
) -> tuple[Part, set[Key], tuple[Key, ...]]:
    """The part, which of the changed occurrences it has, and which must stand alone."""
    apart = tuple(_key(event, day, clock) for day in cut.apart)
    gone = [*(_key(event, day, clock) for day in piece.gone), *apart]
    own: set[Key] = set()
    overrides: tuple[Override, ...] = ()
    detached: tuple[Key, ...] = ()
    pinned = {_key(event, day, clock) for day in cut.pinned}
    touched = cancelled.union(changed, pinned)
    if touched:
        keys = _keys_through(event, piece, clock, max(touched), cancelled.union(gone))
        own = set(keys) & touched - set(gone)
        gone += sorted(own & cancelled)
        surviving = [key for key in keys if key not in set(gone)]
        present = {key: changed[key] for key in surviving if key in changed}
        present |= {key: _pin(event, key) for key in surviving if key in pinned - changed.keys()}
        settled = settle(surviving, present, event.when, profile)
        overrides, detached = settled.overrides, settled.detached
        gone += detached
    part = Part(
        key=piece.key,
        when=when_of(event, _key(event, piece.first, clock)),
        pattern=piece.pattern,
        bounds=piece.bounds,
        deletions=tuple(sorted(gone)),
        overrides=overrides,
    )
    return part, own, (*apart, *detached)


def _pin(event: Event, key: Key) -> Override:
    """The occurrence as it is, said explicitly."""
    return Override(key=key, details=event.details, when=when_of(event, key))


def _keys_through(
    event: Event, piece: Piece, clock: time, last: Key, gone: frozenset[Key]
) -> list[Key]:
    """The piece's occurrences up to `last`, and on to the first one after it that remains."""
    found: list[Key] = []
    for day in expand_pattern(piece.pattern, piece.bounds, piece.first):
        key = _key(event, day, clock)
        found.append(key)
        if key > last and key not in gone:
            break
    return found


def _dates(piece: Piece, last: date) -> Iterator[date]:
    dates = expand_pattern(piece.pattern, piece.bounds, piece.first)
    return takewhile(lambda day: day <= last, dates)


def _strays(
    event: Event,
    changed: Iterable[Override],
    held: set[Key],
    rolling: tuple[date, date] | None,
) -> list[Key]:
    """Changed occurrences that nothing else has: those whose key the rule no longer has, and
    those that have been moved into the window."""
    found = []
    for item in changed:
        if item.key in held:
            continue
        moved = clock_of((item.when or when_of(event, item.key)).start).date()
        inside = rolling is not None and rolling[0] <= moved < rolling[1]
        if inside or not is_member(event, item.key):
            found.append(item.key)
    return found


def single_events(event: Event, keys: Iterable[Key], gone: frozenset[Key]) -> tuple[Single, ...]:
    """Events that stand for those occurrences of a series at its first member, except `gone`."""
    changed = event.overrides_by_key
    found = []
    for key in keys:
        item = changed.get(key)
        if key in gone or (item and item.cancelled):
            continue
        found.append(
            Single(
                key=f"S:{key[:10]}{_suffix(event, clock_of(when_of(event, key).start).time())}",
                occurrence=key,
                when=(item and item.when) or when_of(event, key),
                details=(item and item.details) or event.details,
            )
        )
    return tuple(found)


def _suffix(event: Event, clock: time) -> str:
    """Tells parts at another time of day than the series' own from each other."""
    if event.when.all_day or clock == clock_of(event.when.start).time():
        return ""
    return f"@{clock:%H:%M:%S}".removesuffix(":00")


def _key(event: Event, day: date, clock: time) -> Key:
    if event.when.all_day:
        return Key(day.isoformat())
    return Key(f"{day.isoformat()}T{clock.isoformat('seconds')}")


def _losses(made: Plan, parts: int) -> tuple[Loss, ...]:
    losses = []
    if made.pinned:
        detail = f"From {made.pinned.year} on an occurrence may end at another time if the clocks"
        losses.append(Loss(field="when", detail=f"{detail} change during it"))
    if made.tier is Tier.SINGLES:
        detail = "The series is written as single events, about two years ahead"
    elif made.tier is Tier.SEGMENTED:
        detail = "The series is written some years ahead and continued in time"
    elif parts > 1:
        detail = f"The series is written as {parts} series"
    else:
        return tuple(losses)
    return (Loss(field="rule", detail=detail), *losses)
