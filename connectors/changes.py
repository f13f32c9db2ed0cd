"""What a side holds after a change: the one place where fragments are put together."""

from collections.abc import Collection
from dataclasses import replace

from connectors.contract import Copy, Fragment, Member, Whole
from mappings import recurrence
from mappings.model import Details, Event, Key

_OCCURRENCE = "occurrence:"


def occurrence_part(key: Key) -> str:
    """The `Member.part` of the exception that replaces the occurrence `key`."""
    return f"{_OCCURRENCE}{key}"


def apply_change(copy: Copy | None, change: Whole | Fragment) -> Copy | None:
    """The unit as it is after `change`, if `copy` is how it was last shown.

    A `Whole` stands for itself. A `Fragment` replaces what it names and leaves the rest. None if
    that is not enough to know the unit: exceptions of a series that was never shown; it must be
    fetched. Applying a change twice, or again after a newer one of the same listing, does no harm
    as long as it names the parts as they are now.
    """
    if isinstance(change, Whole):
        return change.copy
    base = change.main or copy
    if base is None:
        return None
    event = _event(copy.event if copy else None, base.event, change)
    times = [base.updated, change.updated, copy.updated if copy else None]
    return replace(
        base,
        event=event,
        members=_members(copy, change, recurring=event.recurring),
        updated=max((time for time in times if time), default=None),
    )


_MAIN = frozenset({"main"})


def parts_of(change: Whole | Fragment) -> frozenset[str]:
    """The members that a change shows anew."""
    if isinstance(change, Whole):
        keys = [override.key for override in change.copy.event.overrides]
        return frozenset({"main", *map(occurrence_part, keys)}) if keys else _MAIN
    main = {"main"} if change.main else set()
    return frozenset({*main, *(occurrence_part(each.key) for each in change.overrides)})


def carry_over(
    copy: Copy, shown: Copy, fields: Collection[str], parts: Collection[str] = ()
) -> Copy:
    """`copy` with these details as they were last shown, except in the members `parts`."""
    old = shown.event
    details = copy.event.details
    if "main" not in parts:
        details = _carried(details, old.details, fields)
    overrides = [
        override
        if override.details is None or occurrence_part(override.key) in parts
        else replace(
            override,
            details=_carried(override.details, _known(old, override.key), fields),
        )
        for override in copy.event.overrides
    ]
    event = replace(copy.event, details=details, overrides=tuple(overrides))
    return replace(copy, event=recurrence.tidy(event))


def _known(event: Event, key: Key) -> Details:
    override = event.overrides_by_key.get(key)
    return (override.details if override else None) or event.details


def _carried(details: Details, known: Details, fields: Collection[str]) -> Details:
    return replace(details, **{name: getattr(known, name) for name in fields})


def _event(shown: Event | None, main: Event, change: Fragment) -> Event:
    if not main.recurring:
        return replace(main, overrides=())
    overrides = dict(shown.overrides_by_key) if shown else {}
    for key in change.reverted:
        overrides.pop(key, None)
    overrides |= {override.key: override for override in change.overrides}
    return recurrence.tidy(replace(main, overrides=tuple(overrides.values())))


def _members(copy: Copy | None, change: Fragment, *, recurring: bool) -> tuple[Member, ...]:
    named = {occurrence_part(key) for key in change.reverted}
    named |= {occurrence_part(override.key) for override in change.overrides}
    members = {member.part: member for member in copy.members} if copy else {}
    for part in named:
        members.pop(part, None)
    for source in (change.main.members if change.main else (), change.members):
        members |= {member.part: member for member in source}
    return tuple(
        member
        for part, member in sorted(members.items())
        if recurring or not part.startswith(_OCCURRENCE)
    )
