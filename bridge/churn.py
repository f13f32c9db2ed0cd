"""Stops an event that is rewritten over and over although nobody edits it.

A provider that never leaves alone what was written to it, or a second synchroniser between the
same calendars, gives back what stood there before, again and again. A person writes something new.
"""

from collections.abc import Mapping

from bridge.decision import Decision, Seen
from bridge.records import Op, Side, Unit, UnitState
from bridge.store import Store
from connectors.contract import Copy, Unreadable
from mappings import identity, jsonform

REWRITES = 10
"""So many updates of an event are believed before its history is looked at."""
CHURN = "CHURN"


def churning(
    store: Store, unit: Unit, seen: Mapping[Side, Seen], decision: Decision
) -> Unreadable | None:
    """Why the unit is to be parked instead of being written once more; None if it is not.

    One that a person sends on again (`parked retry`) is given as many tries as a new one.
    """
    updates = any(action.op is Op.UPDATE for action in decision.actions)
    sent_on = unit.state is UnitState.PARKED and unit.retry_at is not None
    if not updates or sent_on or unit.rewrites < REWRITES:
        return None
    entries = store.journal(link_id=unit.link_id, unit_id=unit.id, limit=2 * REWRITES)
    known = {
        identity.digest(content)
        for entry in entries
        for content in (entry.before, entry.after)
        if entry.op == Op.UPDATE.value and content is not None
    }
    shown = [copy for copy in seen.values() if isinstance(copy, Copy)]
    if any(identity.digest(jsonform.event_to_json(copy.event)) not in known for copy in shown):
        return None
    return Unreadable(
        ref=shown[0].ref if shown else "",
        code=CHURN,
        detail=f"written {unit.rewrites} times although nobody edited it: the provider or another "
        "synchroniser keeps changing it back; end that one, then `calbridge parked retry`",
    )
