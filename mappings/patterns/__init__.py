"""Recurrence rules as the patterns of Exchange and Microsoft Graph, and back."""

from mappings.patterns.closed import expand_pattern
from mappings.patterns.model import (
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    EndDate,
    NoEnd,
    Numbered,
    Pattern,
    Range,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
)
from mappings.patterns.planner import plan
from mappings.patterns.profile import EWS, GRAPH, Profile
from mappings.patterns.result import Part, Plan, Single
from mappings.patterns.shape import Tier
from mappings.patterns.windows import iana_zone, windows_zone

__all__ = [
    "EWS",
    "GRAPH",
    "AbsoluteMonthly",
    "AbsoluteYearly",
    "Daily",
    "EndDate",
    "NoEnd",
    "Numbered",
    "Part",
    "Pattern",
    "Plan",
    "Profile",
    "Range",
    "RelativeMonthly",
    "RelativeYearly",
    "Single",
    "Tier",
    "Weekly",
    "expand_pattern",
    "iana_zone",
    "plan",
    "windows_zone",
]
