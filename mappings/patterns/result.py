"""A plan: what is to be written at a target so that it shows a series exactly."""

from dataclasses import dataclass
from datetime import date

from mappings.model import Details, Key, Loss, Override, Rule, When
from mappings.patterns.model import Pattern, Range
from mappings.patterns.shape import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One series at the target.

    `key` names the part for as long as the rule has it. `when` is its first occurrence, whose
    date is also the pattern's start. `pattern` is a rule only for targets that take rules.
    `deletions` are the occurrences to delete after it is written, by their nominal local start.
    `overrides` follow in the order in which they can be applied: forward moves from last to
    first, backward moves from first to last, then those that stay in place; applied so, no
    occurrence ever crosses another. `zone` is the target's name of the zone (None = all-day),
    `zone_substituted` says that it is not the usual name for the zone but behaves like it.
    """

    key: str
    when: When
    pattern: Pattern | Rule
    bounds: Range
    deletions: tuple[Key, ...] = ()
    overrides: tuple[Override, ...] = ()
    rdates: tuple[Key, ...] = ()
    zone: str | None = None
    zone_substituted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One occurrence as an event of its own: what no series of the plan can hold."""

    key: str
    occurrence: Key
    when: When
    details: Details


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The series and single events that together show exactly what the event shows.

    `rolling` is the span of local dates [from, until) outside which a plan of the upper tiers
    writes nothing: what lies before it is left alone, and the plan must be made again from time
    to time. None = the plan stands by itself. `verified` = until when an endless series has been
    compared, where that is not for ever. `pinned` = until when occurrences over which the clocks
    change have an end of their own, where more of them follow; the plan must be made again before.
    `reason` tells why the tier is not better.
    """

    tier: Tier
    parts: tuple[Part, ...] = ()
    singles: tuple[Single, ...] = ()
    losses: tuple[Loss, ...] = ()
    rolling: tuple[date, date] | None = None
    verified: date | None = None
    pinned: date | None = None
    reason: str | None = None
