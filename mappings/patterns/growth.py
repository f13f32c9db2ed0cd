"""What becomes of the copies at a target when a plan is made again."""

from dataclasses import dataclass

from mappings.patterns.model import EndDate
from mappings.patterns.result import Part, Plan, Single

Item = Part | Single


@dataclass(frozen=True, slots=True)
class Rolled:
    """The way from one plan to the next: what stays (as it was and as it is to be), what is to be
    created and what is to be deleted. `left` is no longer planned, but lies in the past of a
    rolling window and stays where it is."""

    kept: tuple[tuple[Item, Item], ...]
    added: tuple[Item, ...]
    dropped: tuple[Item, ...]
    left: tuple[Item, ...] = ()


def rolled(before: Plan, after: Plan) -> Rolled:
    """Compares two plans of one series by the keys of their parts and singles.

    What has the same key keeps its identity at the target, so the ids that people and other
    programs know survive a change of the rule as far as they can.
    """
    old, new = _items(before), _items(after)
    gone = [item for key, item in old.items() if key not in new]
    left = tuple(item for item in gone if _past(item, before, after))
    return Rolled(
        kept=tuple((old[key], new[key]) for key in new if key in old),
        added=tuple(item for key, item in new.items() if key not in old),
        dropped=tuple(item for item in gone if item not in left),
        left=left,
    )


def _items(plan: Plan) -> dict[str, Item]:
    items: tuple[Item, ...] = (*plan.parts, *plan.singles)
    return {item.key: item for item in items}


def _past(item: Item, before: Plan, after: Plan) -> bool:
    if before.rolling is None or after.rolling is None:
        return False
    since = after.rolling[0]
    if isinstance(item, Single):
        return item.occurrence < since.isoformat()
    return isinstance(item.bounds, EndDate) and item.bounds.last < since
