"""What stands at Exchange compared with what is wanted there. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from connectors.contract import Copy
from connectors.exchange.reading import Group, Item
from mappings.exchange_recurrence import alike
from mappings.exchange_units import Draft, Held, Mark
from mappings.members import is_member
from mappings.model import Event, Key

_WHOLE = "MAIN"
"""The name of the one item that stands for a whole rule."""


def name_of(mark: Mark | None) -> str:
    """What the plan calls an item; a unit of one item needs no name."""
    return mark.origin.part if mark and mark.origin else _WHOLE


def uid_of(group: Group) -> str:
    """What the marks of the unit's items call it."""
    mark = group.main.mark
    return mark.origin.uid if mark and mark.origin else group.ref


def beside(draft: Draft) -> Draft:
    """A further item of a unit that has its main one."""
    return replace(draft, mark=replace(draft.mark, main=False))


def alone(group: Group) -> frozenset[Key]:
    """The occurrences for which single events stand."""
    origins = [item.mark.origin for item in group.items if item.mark]
    return frozenset(each.occurrence for each in origins if each and each.occurrence)


def removed(group: Group, event: Event) -> frozenset[Key]:
    """The occurrences that were taken out of the unit's series and are wanted again."""
    cancelled = {item.key for item in event.overrides if item.cancelled}
    gone = {each.key for item in group.items for each in item.held.shown.event.overrides}
    return frozenset(key for key in gone - cancelled if is_member(event, key))


def in_place(group: Group, wanted: Sequence[Draft]) -> bool:
    """True if no series loses exceptions, no removed occurrence has to come back, and no rule
    that takes several items changes. Further series of the same rule may follow."""
    drafts = {name_of(draft.mark): draft for draft in wanted}
    items = {name_of(item.mark): item for item in group.items}
    many = len(items) > 1 or len(drafts) > 1
    for part in items.keys() | drafts.keys():
        item, draft = items.get(part), drafts.get(part)
        if draft is None:
            if item is group.main or (item and item.held.shown.pattern is not None):
                return False
            continue
        if item is None:
            if draft.pattern is not None and not _continues(group, draft):
                return False
            continue
        same = same_shape(item.held, draft)
        if draft.pattern is None and item.held.shown.pattern is None:
            if many and not same_rule(item, draft):
                return False
            continue
        if many and not (same and same_rule(item, draft)):
            return False
        if draft.pattern is None or item.held.shown.pattern is None:
            continue
        gone = {each.key for each in item.held.shown.event.overrides}
        if gone - set(draft.deletions) if same else item.held.event.overrides:
            return False
    return True


def _continues(group: Group, draft: Draft) -> bool:
    """True if the draft is a further piece of a series that is written piece by piece."""
    return group.planned is not None and all(
        item.mark is not None and same_rule(item, draft) for item in group.items
    )


def same_shape(held: Held, draft: Draft) -> bool:
    """True if time and pattern stay."""
    shown = held.shown
    if (shown.pattern is None) != (draft.pattern is None) or held.event.when != draft.when:
        return False
    if shown.pattern is None or draft.pattern is None:
        return True
    return alike(shown.pattern, draft.pattern) and shown.bounds == draft.bounds


def same_zones(group: Group, wanted: Sequence[Draft]) -> bool:
    """True if what stands there was written in the zones that are wanted."""
    zoned = {name_of(draft.mark): draft.mark.zoning for draft in wanted}
    return all(
        (zoning := zoned.get(name_of(item.mark))) is None or zoning == item.mark.zoning
        for item in group.items
        if item.mark
    )


def same_rule(item: Item, draft: Draft) -> bool:
    """True if both stand for the same rule, or a person's own series goes on as it is."""
    old, new = item.mark.origin if item.mark else None, draft.mark.origin
    if old is None or new is None:
        return item.mark is None
    return (old.rule, old.first, old.rdates) == (new.rule, new.first, new.rdates)


def marked_anew(item: Item, draft: Draft, same: bool) -> bool:
    """True if the item's mark has to be written: a person's own item gets one only where it has
    others beside it, or another pattern."""
    if item.mark is None:
        return draft.mark.items > 1 or not same
    new = replace(draft.mark, main=item.mark.main, at=item.mark.at)
    if item.mark.items > 1 and (new.items > 1 or not new.main):
        new = replace(new, items=item.mark.items)  # how many others there are is found anyway
    return item.mark != new


def changed(copy: Copy, now: Copy) -> bool:
    """True if the unit is no longer what the copy shows."""
    return copy.members != now.members and copy.event != now.event
