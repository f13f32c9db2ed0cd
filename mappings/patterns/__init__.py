"""Recurrence rules as the patterns of Exchange and Microsoft Graph, and back."""

from mappings.patterns.closed import expand_pattern
from mappings.patterns.growth import Rolled, rolled
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
from mappings.patterns.origin import (
    Copy,
    Joined,
    Origin,
    join,
    origin_of,
    read_origin,
    write_origin,
)
from mappings.patterns.planner import plan
from mappings.patterns.profile import EWS, GRAPH, Profile
from mappings.patterns.result import Part, Plan, Single
from mappings.patterns.reverse import unplan
from mappings.patterns.shape import Tier
from mappings.patterns.windows import iana_zone, windows_zone

__all__ = [
    "EWS",
    "GRAPH",
    "AbsoluteMonthly",
    "AbsoluteYearly",
    "Copy",
    "Daily",
    "EndDate",
    "Joined",
    "NoEnd",
    "Numbered",
    "Origin",
    "Part",
    "Pattern",
    "Plan",
    "Profile",
    "Range",
    "RelativeMonthly",
    "RelativeYearly",
    "Rolled",
    "Single",
    "Tier",
    "Weekly",
    "expand_pattern",
    "iana_zone",
    "join",
    "origin_of",
    "plan",
    "read_origin",
    "rolled",
    "unplan",
    "windows_zone",
    "write_origin",
]
