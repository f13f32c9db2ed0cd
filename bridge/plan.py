"""A plan: the actions of one link with cause and risk for each, as a value that can be printed,
saved, reviewed and applied; and the guard that stops one that deletes too much. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.decision import Action
from bridge.records import Op
from mappings import jsonform
from mappings.identity import digest
from mappings.policy import DeleteGuard


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlan:
    """What one pass over a link would do."""

    link: str
    actions: tuple[Action, ...]
    parked: tuple[str, ...] = ()
    skipped: int = 0
    held: str = ""


def action_json(link: str, action: Action) -> dict[str, Any]:
    """An action for people and for `apply`: `digest` changes whenever its content or its base
    does, so that a stale plan is recognised."""
    desired = jsonform.event_to_json(action.desired) if action.desired else None
    base = jsonform.event_to_json(action.base.event) if action.base else None
    return {
        "link": link,
        "unit": action.unit_id,
        "side": action.side.value,
        "op": action.op.value,
        "cause": action.cause,
        "risk": action.risk,
        "fields": list(action.fields),
        "title": action.title,
        "digest": digest([link, action.unit_id, action.side.value, action.op.value, desired, base]),
    }


def plan_json(plans: Iterable[LinkPlan]) -> dict[str, Any]:
    """The whole plan as `plan --json` prints and `plan -o` saves it."""
    plans = list(plans)
    return {
        "actions": [action_json(plan.link, action) for plan in plans for action in plan.actions],
        "links": [
            {"link": plan.link, "held": plan.held, "skipped": plan.skipped,
             "parked": list(plan.parked)}
            for plan in plans
        ],
    }  # fmt: skip


def stale(saved: Sequence[dict[str, Any]], fresh: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """How a saved plan differs from what would be done now, one line each; empty = the same."""
    old = {item["digest"]: item for item in saved}
    new = {item["digest"]: item for item in fresh}
    lines = [f"no longer needed: {_line(item)}" for key, item in old.items() if key not in new]
    lines += [f"not in the plan: {_line(item)}" for key, item in new.items() if key not in old]
    return tuple(lines)


def _line(item: dict[str, Any]) -> str:
    return f"{item['op']} {item['title']!r} on {item['side']} of {item['link']}"


def guard(actions: Iterable[Action], known: int, limit: DeleteGuard) -> str:
    """Why the link must be held, empty if it need not. `known` is how many units it has."""
    deletes = sum(action.op is Op.DELETE for action in actions)
    return guard_count(deletes, known, limit)


def guard_count(deletes: int, known: int, limit: DeleteGuard) -> str:
    """The same for a bare number of deletions."""
    if deletes <= limit.count or deletes <= limit.share * known:
        return ""
    return (
        f"{deletes} of {known} events would be deleted, more than the delete guard allows "
        f"({limit.count} and {limit.share:.0%}); look at `calbridge plan`, then approve or pause"
    )
