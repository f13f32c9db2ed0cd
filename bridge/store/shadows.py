"""What one side holds of a unit, to JSON and back."""

from datetime import datetime
from typing import Any

from connectors.contract import Copy, Member
from mappings.jsonform import event_from_json, event_to_json


def copy_to_json(copy: Copy) -> dict[str, Any]:
    """A JSON value; what is at its default is left out."""
    value: dict[str, Any] = {
        "ref": copy.ref,
        "event": event_to_json(copy.event),
        "members": [[member.part, member.id, member.version] for member in copy.members],
    }
    if copy.origin is not None:
        value["origin"] = copy.origin
    if not copy.organized:
        value["organized"] = False
    if copy.updated is not None:
        value["updated"] = copy.updated.isoformat()
    if copy.extend_at is not None:
        value["extend_at"] = copy.extend_at.isoformat()
    return value


def copy_from_json(value: Any) -> Copy:
    """The copy again, equal to the one that was written."""
    updated, extend_at = value.get("updated"), value.get("extend_at")
    return Copy(
        ref=value["ref"],
        event=event_from_json(value["event"]),
        members=tuple(
            Member(part=part, id=id_, version=version) for part, id_, version in value["members"]
        ),
        origin=value.get("origin"),
        organized=value.get("organized", True),
        updated=None if updated is None else datetime.fromisoformat(updated),
        extend_at=None if extend_at is None else datetime.fromisoformat(extend_at),
    )
