"""The complaint: "we restored last night's backup, and this morning's meetings were gone, or there
twice". What a backup does not know is found on both sides again."""

from typing import Any

import pytest

from bridge.simulation.wire.telling import _Kept
from connectors.sandbox.clients import Repeat

WEEKLY = Repeat(freq="WEEKLY", days=("TH",))


def restore(neighbours: Any, backup: bytes) -> None:
    """End the bridge, put the backup in place of its database, and start it again."""
    teller = neighbours.teller
    teller.runtime.close()
    teller._database.forget()
    teller._database = _Kept(backup)
    teller.runtime = teller._open()


def a_morning(neighbours: Any) -> None:
    """People go on on both sides, and the bridge with them."""
    hub, other = neighbours.hub, neighbours.other
    hub.write(neighbours.find("hub", "Mine").id, title="Mine, renamed", place="Roof")
    other.write(neighbours.find("other", "Yours").id, title="Yours, renamed")
    hub.remove(neighbours.find("hub", "Mine, off").id)
    other.remove(neighbours.find("other", "Yours, off").id)
    series = neighbours.find("hub", "Weekly").id
    hub.write(hub.places(series)[1].id, title="Second")
    copy = neighbours.find("other", "Weekly").id
    other.remove(other.places(copy)[2].id)
    neighbours.put("hub", "New here", place="Canteen")
    neighbours.put("other", "New there", WEEKLY)
    neighbours.put("hub", "Fleeting")
    neighbours.sync()
    neighbours.sync()
    other.remove(neighbours.find("other", "Fleeting").id)
    neighbours.sync()
    neighbours.sync()


@pytest.mark.parametrize("found", ["by their cursors", "by a full listing", "without cursors"])
def test_an_old_backup_loses_doubles_and_brings_back_nothing(neighbours: Any, found: str) -> None:
    for title in ("Mine", "Mine, off"):
        neighbours.put("hub", title)
    for title in ("Yours", "Yours, off"):
        neighbours.put("other", title)
    neighbours.put("hub", "Weekly", WEEKLY)
    neighbours.sync()
    neighbours.sync()
    backup = neighbours.teller._database.content()
    a_morning(neighbours)
    told = {side: sorted(map(shown, client.lines())) for side, client in neighbours.sides.items()}
    assert told["hub"] == told["other"]
    writes = {side: client.writes for side, client in neighbours.sides.items()}

    restore(neighbours, backup)
    if found == "without cursors":
        for place in neighbours.teller.clients:
            neighbours.town.storm(place, "cursors expired", 0)
    neighbours.sync(full=found == "by a full listing")
    neighbours.town.clear()
    neighbours.sync()
    assert {s: sorted(map(shown, c.lines())) for s, c in neighbours.sides.items()} == told
    assert {side: client.writes for side, client in neighbours.sides.items()} == writes, (
        "there was nothing to write: both sides were the same"
    )
    neighbours.settled()
    copy = neighbours.find("other", "New here")
    neighbours.other.write(copy.id, title="New everywhere")
    neighbours.hub.remove(neighbours.find("hub", "New there").id)
    neighbours.sync()
    neighbours.sync()
    expected = ["Mine, renamed", "New everywhere", "Weekly", "Yours, renamed"]
    assert neighbours.titles("hub") == neighbours.titles("other") == expected
    neighbours.settled()


def shown(line: Any) -> tuple[Any, ...]:
    """What a person sees of an event, whichever side it stands on."""
    return (line.title, line.starts)


def test_what_people_do_while_the_backup_is_restored_travels(neighbours: Any) -> None:
    for title in ("Mine", "Mine, off"):
        neighbours.put("hub", title)
    neighbours.sync()
    backup = neighbours.teller._database.content()
    neighbours.put("other", "New there")
    neighbours.sync()
    neighbours.put("hub", "Not copied yet")
    neighbours.other.write(neighbours.find("other", "Mine").id, title="Mine, renamed")
    neighbours.hub.remove(neighbours.find("hub", "Mine, off").id)
    neighbours.hub.write(neighbours.find("hub", "New there").id, place="Roof")
    restore(neighbours, backup)
    for _ in range(3):
        neighbours.sync()
    expected = ["Mine, renamed", "New there", "Not copied yet"]
    assert neighbours.titles("hub") == neighbours.titles("other") == expected
    assert "Roof" in " ".join(neighbours.find("other", "New there").texts)
    neighbours.settled()


def test_who_deleted_an_event_that_the_backup_does_not_know_gets_it_back_and_no_more(
    neighbours: Any,
) -> None:
    """Nobody remembers that it stood on both sides, so the copy that is left counts as new; better
    twice asked than once lost."""
    neighbours.put("hub", "Before")
    neighbours.sync()
    backup = neighbours.teller._database.content()
    neighbours.put("hub", "After")
    neighbours.sync()
    neighbours.sync()
    neighbours.other.remove(neighbours.find("other", "After").id)
    restore(neighbours, backup)
    for _ in range(3):
        neighbours.sync()
    assert neighbours.titles("hub") == neighbours.titles("other") == ["After", "Before"]
    neighbours.settled()
