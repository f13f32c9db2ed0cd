"""`plan`, `apply` and the dry run: nothing that was not agreed, nothing left behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.commands import copying
from bridge.records import LinkState
from connectors.testing.builders import event
from mappings.model import Event

DAY = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")


def lunch(title: str = "Lunch") -> Event:
    return event(title, f"{DAY}T12:00")


def test_a_dry_run_and_a_plan_write_nothing_anywhere(calbridge: Any) -> None:
    calbridge.a.person_puts(lunch())
    for arguments in (["backfill", "--dry-run"], ["plan"]):
        answer = calbridge(*arguments, "--json")
        assert answer.code == 0
        (action,) = answer.json["actions"]
        for name, value in {
            "link": "ann/other",
            "op": "create",
            "side": "b",
            "risk": "low",
        }.items():
            assert action[name] == value
        assert set(action) >= {"unit", "cause", "fields"}
        assert "1 action\n" in calbridge(*arguments).out
    assert calbridge.b.refs() == []
    assert not list(calbridge.folder.glob("*.db*")), "not even a database is made"


def test_a_link_that_waited_for_a_person_is_active_again_after_a_good_pass(
    calbridge: Any,
) -> None:
    calbridge("sync")
    with calbridge.store() as store, store.begin() as tx:
        tx.set_link_state(store.links()[0].id, LinkState.WAITING, "consent was withdrawn")
    assert calbridge("sync").code == 0
    with calbridge.store() as store:
        assert store.links()[0].state is LinkState.ACTIVE


def test_since_and_until_bound_a_backfill(calbridge: Any) -> None:
    calbridge.a.person_puts(lunch())
    calbridge.a.person_puts(event("Next year", "2035-03-03T12:00"))
    answer = calbridge("backfill", "--since", DAY, "--until", "2034-01-01", "--json")
    assert answer.json["writes"] == 1
    assert calbridge.titles() == ["Lunch"]
    assert calbridge("backfill", "--since", "tomorrow").code == 2


# -- plans -----------------------------------------------------------------------------------------


def test_a_saved_plan_is_applied_exactly(calbridge: Any) -> None:
    calbridge.a.person_puts(lunch())
    file = str(calbridge.folder / "plan.json")
    assert calbridge("plan", "-o", file, "--json").code == 0
    answer = calbridge("apply", file, "--json")
    assert (answer.code, answer.json["writes"]) == (0, 1)
    assert calbridge.titles() == ["Lunch"]


def test_a_stale_plan_is_refused_and_nothing_is_done(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    file = str(calbridge.folder / "plan.json")
    calbridge("plan", "-o", file)
    calbridge.a.person_edits(ref, title="Dinner")
    answer = calbridge("apply", file)
    assert answer.code == 1
    assert "stale" in answer.err
    assert calbridge.b.refs() == []
    calbridge("plan", "-o", file)
    assert calbridge("apply", file).code == 0
    assert calbridge("apply", file).code == 1, "what is done is not done again"
    assert calbridge.titles() == ["Dinner"]


def test_a_plan_applies_what_was_agreed_even_if_more_comes_in_between(
    calbridge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calbridge.a.person_puts(lunch())
    file = str(calbridge.folder / "plan.json")
    calbridge("plan", "-o", file)
    compare = copying.stale

    def and_then_somebody_adds_an_event(saved: Any, fresh: Any) -> Any:
        calbridge.a.person_puts(event("Too late", "2027-03-04T12:00"))
        return compare(saved, fresh)

    monkeypatch.setattr(copying, "stale", and_then_somebody_adds_an_event)
    assert calbridge("apply", file).code == 0
    assert calbridge.titles() == ["Lunch"]
    assert calbridge("sync").code == 0
    assert calbridge.titles() == ["Lunch", "Too late"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 1}', '{"version": 99, "of": [], "actions": []}',
     '{"version": 1, "of": ["ann/other"], "actions": [{}]}',
     '{"version": 1, "of": ["ann/other"], "actions": "x"}',
     '{"version": 1, "of": 5, "actions": []}'],
)  # fmt: skip
def test_a_file_that_is_no_plan_is_a_mistake(calbridge: Any, text: str) -> None:
    calbridge.a.person_puts(lunch())
    path = calbridge.folder / "plan.json"
    path.write_text(text)
    answer = calbridge("apply", str(path))
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1
    assert calbridge.b.refs() == []


def test_a_file_that_is_not_there_or_cannot_be_written_is_a_mistake(calbridge: Any) -> None:
    assert calbridge("apply", str(calbridge.folder / "none.json")).code == 2
    answer = calbridge("plan", "-o", str(calbridge.folder / "no" / "plan.json"))
    assert answer.code == 2
    assert "plan.json" in answer.err


# -- a person's word -------------------------------------------------------------------------------
