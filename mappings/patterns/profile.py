"""What a target's recurrences can express, as plain facts."""

from dataclasses import dataclass

from mappings.limits import RuleLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a target writes series.

    `rules` = it takes recurrence rules of that kind as they are (None: patterns only); `clamp` =
    a day that a month lacks becomes the last day; `yearly_interval` = yearly patterns may have an
    interval; `sets` = a relative pattern may name any set of weekdays. `one_per_date`: no two
    occurrences of a series on one local date; `overlap`: they may overlap; `exdate`: single
    occurrences can be deleted; `count`: the largest number of occurrences in a range.
    `windows_zones`: zones are named as Windows does. `wall_ends`: an occurrence over which the
    clocks change may end by the wall clock there instead of lasting as long as the others.
    `max_days`, `max_weeks` and `max_months` are the longest intervals. `horizon` = years over
    which an endless series is compared with what is written for it. `series` and `many` bound
    the series written instead of one: as long as one with some deletions would do as well, and
    at most.
    """

    rules: RuleLimits | None = None
    clamp: bool = True
    yearly_interval: bool = False
    sets: bool = False
    max_days: int = 999
    max_weeks: int = 99
    max_months: int = 99
    one_per_date: bool = True
    overlap: bool = False
    exdate: bool = True
    count: int = 999
    windows_zones: bool = True
    wall_ends: bool = True
    horizon: int = 50
    series: int = 4
    many: int = 12


EWS = Profile()
"""Exchange Web Services (Types.xsd; Recurrence elements of the EWS reference)."""

GRAPH = Profile(yearly_interval=True, sets=True, windows_zones=False)
"""Microsoft Graph v1.0 (recurrencePattern resource type)."""
