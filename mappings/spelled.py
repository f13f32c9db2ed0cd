"""Series for a target that knows nothing but a rule and what its occurrences show instead."""

from dataclasses import replace

from mappings import recurrence
from mappings.errors import UnmappableError
from mappings.limits import RuleLimits
from mappings.model import Event, Freq, Key, Override, Rule

MOST_DATES = 200
"""A rule that the target does not know is spelled out only if it has no more occurrences."""


def spelled_out(event: Event, limits: RuleLimits) -> Event:
    """The same occurrences, each date that the rule does not give as an exception that says all.

    Where the target does not take the rule, or there is none, the first occurrence is a series of
    its own. An endless rule that it does not take stays as it is, as does one without a date.
    """
    if not event.recurring:
        return event
    dates, rule = set(event.rdates), event.rule
    if rule is None or not limits.takes(rule):
        try:
            event = recurrence.rebase(event)
        except UnmappableError:
            return event
        found = _dates(event.rule, event)
        if found is None:
            return event
        dates |= found
        rule = Rule(freq=Freq.DAILY, until=event.when.key)
    loose = tuple(
        Override(key=key, details=event.details, when=recurrence.when_of(event, key))
        for key in sorted(dates - event.overrides_by_key.keys())
    )
    result = replace(event, rule=rule, rdates=(), overrides=(*event.overrides, *loose))
    return recurrence.tidy(result)


def _dates(rule: Rule | None, event: Event) -> set[Key] | None:
    """The dates of a rule; None if they are too many."""
    if rule is None:
        return set()
    if rule.until is None:
        return None
    found = list(recurrence.keys(rule, (), event.when, limit=MOST_DATES + 1))
    return set(found) if len(found) <= MOST_DATES else None
