"""Dates beside a Feishu series.

A series there has its rule and nothing else: no RDATE, and no exception where the rule has no
occurrence. Such a date is an event of its own. Events carry no private marks (docs: event
resource), so a line in the bridge's own footer says which date of which series it is; whoever
takes the line away makes it an event for itself.
"""

import re
from dataclasses import dataclass, replace

from mappings.model import Details, Key

_LINE = re.compile(
    r"Extra date of a series: (?P<key>\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d)?) (?P<main>\S+_0)"
)


@dataclass(frozen=True, slots=True)
class Extra:
    """The date `key` of the series whose master is `main`."""

    main: str
    key: Key

    @property
    def line(self) -> str:
        """As it stands in the footer."""
        return f"Extra date of a series: {self.key} {self.main}"


def marked(details: Details, extra: Extra) -> Details:
    """The details as they are written for that date."""
    return replace(details, footer=(*details.footer, extra.line))


def unmarked(details: Details) -> tuple[Details, Extra | None]:
    """The details without the line, and what it said; None if there is none."""
    found = [match for line in details.footer if (match := _LINE.fullmatch(line))]
    if not found:
        return details, None
    kept = tuple(line for line in details.footer if not _LINE.fullmatch(line))
    last = found[-1]
    return replace(details, footer=kept), Extra(last["main"], Key(last["key"]))
