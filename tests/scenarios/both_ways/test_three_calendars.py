"""The complaint: "what I change at Google never gets to Outlook"."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.simulation.wire.telling import at_home
from connectors.sandbox.clients import Repeat, Sheet


def titles(teller: Any) -> list[list[str]]:
    return [sorted(line.title for line in client.lines()) for client in teller.clients.values()]


@pytest.mark.parametrize("place", ["google", "exchange"])
def test_edits_go_through_the_hub_to_the_third_calendar(town: Any, place: str) -> None:
    start = datetime.fromisoformat("2026-03-05T09:00")
    with at_home(town, ["google", "exchange"], {}) as teller:

        def rounds(many: int) -> int:
            written = 0
            for _ in range(many):
                town.wait(60)
                writes, failed = teller.round()
                assert failed == []
                written += writes
            return written

        client = teller.clients[place]
        weekly = Repeat(freq="WEEKLY", days=("TH",))
        made = client.create(
            Sheet(title="Weekly", start=start, minutes=30, zone="Asia/Shanghai", repeat=weekly)
        )
        rounds(2)
        assert titles(teller) == [["Weekly"]] * 3
        at = client.places(made)[1]
        client.move(at.id, at.start + timedelta(hours=2), 30, "Asia/Shanghai")
        client.write(made, title="Fortnightly")
        rounds(2)
        assert titles(teller) == [["Fortnightly"]] * 3
        moved = [client.lines()[0].starts for client in teller.clients.values()]
        assert len({tuple(sorted(starts)) for starts in moved}) == 1
        client.remove(made)
        rounds(2)
        assert titles(teller) == [[]] * 3
        assert rounds(2) == 0
        assert town.mails == []
