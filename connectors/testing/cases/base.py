"""What all cases share: the fixtures a connector's author provides, and how copies are compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from connectors.changes import apply_change, carry_over, parts_of
from connectors.contract import (
    Completes,
    Connector,
    Copy,
    Fragment,
    Gone,
    Listing,
    Page,
    Unreadable,
    Whole,
    fetch_again,
)
from connectors.testing.party import OtherParty
from mappings import merge, recurrence
from mappings.members import is_member
from mappings.model import Event, Key
from mappings.policy import AttendeePolicy, Policy
from mappings.projection import project

SINCE, UNTIL = datetime(2026, 2, 1, tzinfo=UTC), datetime(2028, 3, 15, tzinfo=UTC)
"""Two years and a leap day, around every event of the suite."""

PROVIDER_MADE = frozenset({"organizer", "attendees", "response", "redacted"})
"""Details that a provider sets by itself."""

_PARTS = {
    "BYMONTH": "by_month",
    "BYWEEKNO": "by_week_no",
    "BYYEARDAY": "by_year_day",
    "BYMONTHDAY": "by_month_day",
    "BYDAY": "by_day",
    "BYHOUR": "by_hour",
    "BYMINUTE": "by_minute",
    "BYSECOND": "by_second",
    "BYSETPOS": "by_set_pos",
}


@dataclass
class Reading:
    """What somebody knows who has read listings up to `cursor` and applied every change."""

    copies: dict[str, Copy] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    cursor: str = ""


class Cases:
    """The base of all cases.

    A connector's tests derive from `connectors.testing.contract.ConnectorContract` and provide
    the three fixtures. They may live as long as the author likes: no case expects an empty
    calendar, and each makes create keys of its own.
    """

    @pytest.fixture
    def connector(self) -> Connector:
        """The connector under test, one account."""
        raise NotImplementedError("provide the fixture `connector`")

    @pytest.fixture
    def calendar(self) -> str:
        """The id of a calendar that the account may write."""
        raise NotImplementedError("provide the fixture `calendar`")

    @pytest.fixture
    def other_party(self) -> OtherParty:
        """Somebody else at the same calendar."""
        raise NotImplementedError("provide the fixture `other_party`")

    @pytest.fixture(autouse=True)
    def nobody_is_mailed(self, other_party: OtherParty) -> Iterator[None]:
        """No case makes the service mail anybody."""
        before = other_party.sent_mails()
        yield
        assert other_party.sent_mails() == before, "the service sent mail or messages"

    @pytest.fixture
    def key(self, request: pytest.FixtureRequest, connector: Connector, calendar: str) -> str:
        """A create key that no other case uses."""
        return create_key(request.node.nodeid, calendar)

    @pytest.fixture
    def cursor(self, connector: Connector, calendar: str) -> str:
        """Where the calendar stood when the case began."""
        return read(connector, calendar, None).cursor


def create_key(*parts: str) -> str:
    """A create key as the bridge makes them: 64 hexadecimal digits."""
    return sha256("\0".join(parts).encode()).hexdigest()


def pages(connector: Connector, calendar: str, cursor: str | None) -> list[Page]:
    """A listing to its end, checked for its form."""
    found = list(connector.changes(calendar, cursor))
    expected = Listing.COMPLETE if cursor is None else Listing.DELTA
    assert found, "a listing has at least one page"
    assert {page.listing for page in found} == {expected}
    assert [page.cursor for page in found[:-1]] == [None] * (len(found) - 1)
    assert found[-1].cursor, "the last page carries the next cursor"
    return found


def read(
    connector: Connector,
    calendar: str,
    cursor: str | None,
    known: Mapping[str, Copy] | None = None,
) -> Reading:
    """Read a listing as the bridge does, starting from the copies already known."""
    reading = Reading(copies=dict(known or {}))
    found = pages(connector, calendar, cursor)
    for change in (change for page in found for change in page.changes):
        reading.named.add(change.ref)
        if isinstance(change, Gone):
            reading.gone.append(change.ref)
            reading.copies.pop(change.ref, None)
        elif isinstance(change, Unreadable):
            reading.unreadable.append(change.ref)
        else:
            shown = reading.copies.get(change.ref)
            copy = apply_change(shown, change)
            if copy is None:
                copy = connector.fetch(calendar, change.ref, _keys(change))
            elif isinstance(connector, Completes):
                parts = parts_of(change)
                if shown is not None:
                    copy = carry_over(copy, shown, connector.left_out, parts)
                copy = connector.complete(calendar, copy, parts)
            if copy:
                reading.copies[change.ref] = copy
    reading.cursor = found[-1].cursor or ""
    return reading


def _keys(change: Whole | Fragment) -> list[Key]:
    """The occurrences that a change says are exceptions."""
    source = change.copy.event if isinstance(change, Whole) else change
    return [override.key for override in source.overrides]


def fetched(connector: Connector, calendar: str, copy: Copy) -> Copy:
    """The unit as it is now; it has to be there."""
    found = fetch_again(connector, calendar, copy.ref, copy)
    assert found is not None, f"{copy.ref} is gone"
    return found


def assert_same(copy: Copy, other: Copy) -> None:
    """Both show the same unit; `updated` may differ, for it is only as good as the provider's
    clock and the way the unit was read."""
    assert replace(copy, updated=None) == replace(other, updated=None)


def projected(connector: Connector, event: Event) -> Event:
    """What the connector's side can hold of an event. Skips the case if that is nothing."""
    policy = Policy(attendees=AttendeePolicy.NONE)
    projection = project(event, policy, connector.capabilities.limits)
    if projection.event is None:
        pytest.skip(f"cannot hold this event: {projection.skipped}")
    return projection.event


def expressible(connector: Connector, event: Event) -> bool:
    """Whether the declared limits say that the side takes this recurrence as it is.

    What they do not say may be decomposed or refused, but never approximated.
    """
    limits, rule = connector.capabilities.limits.rules, event.rule
    if not limits.rdates and (event.rdates or _off_the_rule(event)):
        return False
    if rule is None:
        return True
    parts = {name for name, values in _PARTS.items() if getattr(rule, values)}
    return (
        rule.freq in limits.freqs
        and parts <= limits.parts
        and rule.interval <= (limits.max_interval or rule.interval)
    )


def _off_the_rule(event: Event) -> bool:
    """Whether a changed occurrence stands where the rule has none, like an extra date."""
    return any(
        not override.cancelled and not is_member(event, override.key)
        for override in event.overrides
    )


def assert_holds(connector: Connector, copy: Copy, wanted: Event) -> None:
    """The copy shows `wanted` (already projected), apart from what providers set themselves."""
    found = merge.changes(copy.event, wanted)
    differing = {path: change for path, change in found.items() if path[-1] not in PROVIDER_MADE}
    assert differing == {}


def happenings(event: Event) -> list[tuple[str, str, str]]:
    """Start, end and title of every occurrence by our own expansion, sorted."""
    return sorted(
        (str(each.start), str(each.end), each.details.title)
        for each in recurrence.expand(event, SINCE, UNTIL)
    )


def provider_happenings(
    connector: Connector, calendar: str, *refs: str
) -> list[tuple[str, str, str]]:
    """The same by the provider's own expansion."""
    return sorted(
        (str(each.start), str(each.end), each.details.title)
        for ref, each in connector.occurrences(calendar, SINCE, UNTIL)
        if ref in refs
    )
