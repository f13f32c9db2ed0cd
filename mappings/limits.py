"""What a target can hold, as plain facts, so that projection needs no provider's name."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mappings.model import Busy, Freq, Rule, Visibility

OWN_VIEW = frozenset({"visibility", "busy", "color", "reminders"})
"""What most providers let a participant change on an event that somebody else organises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLimits:
    """Which recurrence rules a target takes as they are (RFC 5545 part names).

    `parts` are the BY parts it understands, `rdates` whether extra dates may stand on a series.
    `spelled_out` = it shows every date that a rule does not give as an exception with all of its
    content (`mappings.spelled`).
    """

    freqs: frozenset[Freq] = frozenset({Freq.DAILY, Freq.WEEKLY, Freq.MONTHLY, Freq.YEARLY})
    parts: frozenset[str] = frozenset(
        {"BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYSETPOS"}
    )
    rdates: bool = True
    max_interval: int | None = None
    spelled_out: bool = False

    def takes(self, rule: Rule) -> bool:
        """Whether the rule can be written as it is."""
        used = {
            "BYMONTH": rule.by_month,
            "BYWEEKNO": rule.by_week_no,
            "BYYEARDAY": rule.by_year_day,
            "BYMONTHDAY": rule.by_month_day,
            "BYDAY": rule.by_day,
            "BYHOUR": rule.by_hour,
            "BYMINUTE": rule.by_minute,
            "BYSECOND": rule.by_second,
            "BYSETPOS": rule.by_set_pos,
        }
        short = self.max_interval is None or rule.interval <= self.max_interval
        parts = {part for part, values in used.items() if values}
        return short and rule.freq in self.freqs and parts <= self.parts


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLimits:
    """A provider's limits for one event. Lengths are characters, None = no known limit.

    `palette` maps the provider's colour name to `#rrggbb`; empty = colours are free or, with
    `colors` False, not held at all. `reminder_range` is minutes before the start (low, high).
    `marks` = the side can keep an invisible private mark on an event. `zone_rules` = the side has
    zone rules of its own, and a series was written under those that agreed with our zone data:
    when that data changes, each series has to be looked at again. `responses` = the account can
    answer an invitation, `own_view` = the details that a mere participant may change for himself.
    """

    title_length: int | None = None
    description_length: int | None = None
    location_length: int | None = None
    html: bool = True
    address: bool = True
    coordinates: bool = True
    colors: bool = True
    palette: tuple[tuple[str, str], ...] = ()
    reminders: int | None = None
    reminder_range: tuple[int, int] = (-20160, 20160)
    default_reminders: bool = True
    visibilities: frozenset[Visibility] = frozenset(Visibility)
    busy: frozenset[Busy] = frozenset({Busy.BUSY, Busy.FREE})
    statuses: bool = True
    meeting_url: bool = False
    attachments: bool = False
    responses: bool = False
    own_view: frozenset[str] = OWN_VIEW
    end_zone: bool = True
    zero_duration: bool = False
    earliest: datetime | None = None
    latest: datetime | None = None
    max_duration: timedelta | None = None
    rules: RuleLimits = field(default_factory=RuleLimits)
    marks: bool = False
    zone_rules: bool = False
