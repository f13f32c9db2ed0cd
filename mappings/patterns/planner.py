"""Which series and single events show an event exactly at a target that has patterns, not rules.

The occurrences decide, not the words of the rule: what is proposed is expanded and compared, and
what does not fit is written another way, down to single events in a window that moves with time.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mappings import zones
from mappings.errors import UnmappableError
from mappings.expansion import pattern as rule_pattern
from mappings.members import clock_at, key_of, rule_members
from mappings.model import Event, Rule
from mappings.patterns.assembly import assemble, only_singles, passed_through
from mappings.patterns.check import difference
from mappings.patterns.profile import Profile
from mappings.patterns.result import Plan, Single
from mappings.patterns.shape import MAIN, Tier
from mappings.patterns.windows import AHEAD, ZoneSpan, zone_spans
from mappings.rule_normal import normal
from mappings.series import rebase

_SECOND = timedelta(seconds=1)


def plan(
    event: Event,
    profile: Profile,
    now: datetime,
    *,
    preferred: Sequence[str] = (),
    known: Collection[str] | None = None,
) -> Plan:
    """What is to be written so that the target shows the event, occurrence by occurrence.

    The same input gives the same plan. `now` (aware) only matters for the upper two tiers, and
    for how far ahead zones and endless series are compared. `preferred` and `known` Windows zones
    are those of `mappings.patterns.windows.windows_zone`. A rule that is wrong or matches nothing
    gives an empty plan whose `reason` begins with the error's code; nothing is ever approximated.
    """
    if not event.recurring:
        single = Single(key=MAIN, occurrence=event.when.key, when=event.when, details=event.details)
        return Plan(tier=Tier.NATIVE, singles=(single,))
    try:
        event = rebase(event)
        if (plain := passed_through(event, profile)) is not None:
            return plain
        if event.when.zone is None or event.rule is None or not profile.windows_zones:
            return _checked(event, profile, now, ZoneSpan(event.when.zone, False))
        return _in_zones(event, event.rule, profile, now, preferred, known)
    except UnmappableError as error:
        return Plan(tier=Tier.SINGLES, reason=f"{error.code}: {error.detail}")


def _checked(event: Event, profile: Profile, now: datetime, zone: ZoneSpan) -> Plan:
    """The plan in one zone of the target, or singles if anything about it is wrong."""
    if event.when.zone is not None and zone.windows is None:
        reason = "ZONE_UNRESOLVED: no zone of the target behaves like it"
        return only_singles(event, profile, now, reason).plan
    made = assemble(event, profile, now, zone)
    wrong = difference(event, made.plan, made.without)
    if wrong is None:
        return made.plan
    return only_singles(event, profile, now, f"SELF_CHECK: {wrong}").plan


def _in_zones(
    event: Event,
    rule: Rule,
    profile: Profile,
    now: datetime,
    preferred: Sequence[str],
    known: Collection[str] | None,
) -> Plan:
    """The plan in the zones of the target, cut where one zone cannot stand for all the time."""
    zone = event.when.zone or "UTC"
    first = zones.start_instant(event.when)
    last = max(first, now) + AHEAD
    if rule.until is not None:
        last = min(last, zones.instant(clock_at(rule.until, event.when), zone))
    spans = zone_spans(zone, first, last, preferred=preferred, known=known)
    if len(spans) == 1:
        return _checked(event, profile, now, spans[0])
    plans: list[Plan] = []
    left = event
    for span in spans:
        head, tail = _cut(left, span.until)
        if head is not None:
            made = _checked(head, profile, now, span)
            prefix = f"{span.windows or 'UTC'}/"
            parts = tuple(replace(part, key=prefix + part.key) for part in made.parts)
            plans.append(replace(made, parts=parts))
        if tail is None:
            break
        left = tail
    return _joined(plans)


def _cut(event: Event, until: datetime | None) -> tuple[Event | None, Event | None]:
    """The series before the aware instant and from then on; None for a half without members.

    Extra dates and exceptions go with the half in which their key lies, if it has members.
    """
    rule, first = event.rule, event.when
    if until is None or rule is None:
        return event, None
    wall = zones.wall(until, first.zone or "UTC")[0]
    following = next(rule_members(rule, first, wall), None)
    last = rule_pattern(rule, first.start).last(wall - _SECOND)
    if following is None:
        return event, None
    if last is None:
        return None, event
    pivot = key_of(following, first)
    head = replace(
        event,
        rule=replace(rule, until=key_of(last, first), count=None),
        rdates=tuple(key for key in event.rdates if key < pivot),
        overrides=tuple(item for item in event.overrides if item.key < pivot),
    )
    tail = replace(
        event,
        when=replace(first, start=following, fold=0),
        rule=replace(normal(rule, following), count=None),
        rdates=tuple(key for key in event.rdates if key >= pivot),
        overrides=tuple(item for item in event.overrides if item.key >= pivot),
    )
    return head, tail


def _joined(plans: Sequence[Plan]) -> Plan:
    windows = [made.rolling for made in plans if made.rolling]
    ends = [made.verified for made in plans if made.verified]
    reasons = [made.reason for made in plans if made.reason]
    losses = dict.fromkeys(loss for made in plans for loss in made.losses)
    return Plan(
        tier=max(Tier.SEGMENTED, *(made.tier for made in plans)),
        parts=tuple(part for made in plans for part in made.parts),
        singles=tuple(single for made in plans for single in made.singles),
        losses=tuple(losses),
        rolling=windows[0] if windows else None,
        verified=min(ends) if ends else None,
        reason=reasons[0] if reasons else "the zone parts from every zone of the target",
    )
