"""The complaint: "it rewrites my mailbox over and over, and burns its budget doing it"."""

from datetime import date, timedelta
from typing import Any

import pytest

from bridge.records import RunKind
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

WRITES = ("CreateItem", "UpdateItem", "DeleteItem")


def test_a_second_backfill_and_a_second_sync_write_nothing(mailbox: Any) -> None:
    first = mailbox.run(RunKind.BACKFILL, full=True)
    assert first.counts.created == len(mailbox.source_titles()) == 31
    assert mailbox.titles() == mailbox.source_titles()
    stored, written = mailbox.stored(), mailbox.exchange_calls(*WRITES)
    for full in (True, False, True):
        outcome = mailbox.run(full=full)
        assert (outcome.counts.writes, outcome.counts.adopted, outcome.held) == (0, 0, "")
    assert mailbox.exchange_calls(*WRITES) == written
    assert mailbox.stored() == stored
    assert mailbox.verify().differences == []
