"""The commands by which a person understands and repairs, over calendars in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.records import LinkState
from connectors.errors import RetryableError
from connectors.memory.world import Call
from connectors.testing.builders import event
from mappings.model import Event

DAY = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")


def lunch(title: str = "Lunch", **details: Any) -> Event:
    return event(title, f"{DAY}T12:00", **details)


def row(answer: Any, name: str = "ann/other") -> Any:
    return next(item for item in answer.json["links"] if item["link"] == name)


def one_unit(calbridge: Any) -> str:
    with calbridge.store() as store:
        (unit,) = store.units(store.link("ann/other").id)
    return str(unit.id)


def writes(calbridge: Any) -> int:
    """What two more looks at everything change."""
    return sum(int(calbridge("backfill", "--json").json["writes"]) for _ in range(2))


# -- journal ---------------------------------------------------------------------------------------


def test_the_journal_tells_runs_with_what_they_did_the_newest_last(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.a.person_edits(ref, title="Dinner", description="late")
    calbridge("sync")
    runs = calbridge("journal", "--json").json["runs"]
    assert [run["kind"] for run in runs] == ["backfill", "sync"]
    (first,), (second,) = (run["entries"] for run in runs)
    assert (first["op"], first["side"], first["title"]) == ("create", "b", "Lunch")
    assert (second["op"], second["fields"]) == ("update", ["description", "title"])
    assert second["cause"] == "changed on a"
    assert runs[1]["link"] == "ann/other"
    told = calbridge("journal").out
    assert told.index("create at other 'Lunch'") < told.index("update at other 'Dinner'")


def test_the_journal_is_narrowed_by_link_run_unit_day_and_number(calbridge: Any) -> None:
    calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.hub.add_calendar("bob", "main").person_puts(lunch("Bob's"))
    calbridge("backfill")

    def titles(*options: str) -> list[str]:
        runs = calbridge("journal", "--json", *options).json["runs"]
        return [entry["title"] for run in runs for entry in run["entries"]]

    run = str(calbridge("journal", "--json").json["runs"][-1]["run"])
    assert titles() == ["Lunch", "Bob's"]
    assert titles("--link", "bob/other") == ["Bob's"]
    assert titles("--run", run) == ["Bob's"]
    assert titles("--limit", "1") == ["Bob's"]
    assert titles("--unit", one_unit(calbridge)) == ["Lunch"]
    assert titles("--since", "2999-01-01") == []
    assert calbridge("journal", "--since", "2999-01-01").code == 0


def test_the_journal_keeps_what_a_conflict_overruled(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.a.person_edits(ref, title="From A")
    calbridge.b.person_edits(calbridge.b.refs()[0], title="From B")
    calbridge("sync")
    (entry,) = calbridge("journal", "--json").json["runs"][-1]["entries"]
    assert list(entry["lost"]) == ["title"]
    assert "overruled title = From" in calbridge("journal").out
    shown = calbridge("explain", ref, "--json").json
    assert shown["decisions"][-1]["lost"] == entry["lost"]


# -- explain ---------------------------------------------------------------------------------------


def test_explain_finds_an_event_by_every_name_it_has(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    unit = one_unit(calbridge)
    for name in (unit, ref, calbridge.b.refs()[0], "lunc", "Lunch"):
        answer = calbridge("explain", name, "--json")
        assert (answer.code, answer.json["unit"]) == (0, unit), name
    assert answer.json["sides"]["a"]["ref"] == ref
    assert answer.json["sides"]["b"]["ours"] is True
    assert answer.json["next"] == ["nothing: there is nothing to carry over"]
    assert "Lunch" in calbridge("explain", unit).out


def test_explain_lists_several_and_refuses_unknown_ones(calbridge: Any) -> None:
    for title in ("Lunch one", "Lunch two"):
        calbridge.a.person_puts(lunch(title))
    calbridge("backfill")
    answer = calbridge("explain", "lunch", "--json")
    assert answer.code == 1
    assert sorted(item["title"] for item in answer.json["matches"]) == ["Lunch one", "Lunch two"]
    told = calbridge("explain", "lunch").out
    assert answer.json["matches"][0]["unit"] in told
    for wrong in ("dinner", "https://example.com/event/1"):
        refused = calbridge("explain", wrong)
        assert (refused.code, refused.out) == (2, "")
        assert "title" in refused.err


def test_explain_says_what_happens_next_without_doing_it(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.a.person_edits(ref, title="Dinner")
    shown = calbridge("explain", ref, "--json").json
    assert shown["next"] == ["update on b: title (changed on a)"]
    assert shown["sides"]["a"]["now"] == "changed since: title"
    differing = [item["field"] for item in shown["fields"] if item["differs"]]
    assert differing == ["title"]
    assert calbridge.titles() == ["Lunch"]
    offline = calbridge("explain", ref, "--offline", "--json").json
    assert offline["sides"]["a"]["now"] == "not asked"
    calbridge.a.person_deletes(ref)
    told = calbridge("explain", ref, "--json").json
    assert told["next"] == ["delete on b (deleted on a), unless the delete guard holds the link"]
    assert calbridge.titles() == ["Lunch"]


def test_explain_tells_why_an_event_is_parked_and_what_to_do(calbridge: Any) -> None:
    bad = calbridge.a.person_puts(lunch("Bad"))
    calbridge.a.person_spoils(bad)
    calbridge("backfill")
    shown = calbridge("explain", bad, "--json").json
    assert shown["state"].startswith("parked: MALFORMED: spoilt; change the event")
    assert f"calbridge parked retry {shown['unit']}" in shown["state"]
    assert shown["next"] == ["side a cannot be read: it waits, and everything else goes on"]


# -- parked ----------------------------------------------------------------------------------------


def test_parked_events_are_listed_retried_and_well_again(calbridge: Any) -> None:
    bad = calbridge.a.person_puts(lunch("Bad"))
    calbridge.a.person_spoils(bad)
    calbridge("backfill")
    listed = calbridge("parked", "list", "--json")
    assert listed.code == 1
    (item,) = listed.json["parked"]
    assert (item["link"], item["code"], item["ref_a"]) == ("ann/other", "MALFORMED", bad)
    assert item["unit"] in calbridge("parked", "list").out
    calbridge.a._units[bad].unreadable = None
    assert calbridge("sync", "--json").json["writes"] == 0
    assert calbridge("parked", "retry", item["unit"]).code == 0
    calbridge("sync")
    assert calbridge.titles() == ["Bad"]
    assert calbridge("parked", "list", "--json").json == {"parked": []}
    assert "nothing is parked" in calbridge("parked", "list").out


@pytest.mark.parametrize("options", [["--all"], ["--link", "ann/other"]])
def test_all_parked_events_are_retried_at_once(calbridge: Any, options: list[str]) -> None:
    for number in range(2):
        bad = calbridge.a.person_puts(lunch(f"Bad {number}"))
        calbridge.a.person_spoils(bad)
    calbridge("backfill")
    for unit in calbridge.a._units.values():
        unit.unreadable = None
    assert len(calbridge("parked", "retry", *options, "--json").json["retry"]) == 2
    calbridge("sync")
    assert calbridge.titles() == ["Bad 0", "Bad 1"]


def test_a_dropped_event_is_left_alone_whatever_happens_to_it(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    unit = one_unit(calbridge)
    assert calbridge("parked", "drop", unit, "--json").json == {"dropped": unit}
    calbridge.a.person_edits(ref, title="Dinner")
    calbridge.b.person_edits(calbridge.b.refs()[0], description="mine")
    assert writes(calbridge) == 0
    assert calbridge.titles() == ["Lunch"]
    assert calbridge("verify").code == 0
    assert row(calbridge("status", "--json"))["dropped"] == 1
    shown = calbridge("explain", unit, "--json").json
    assert shown["state"].startswith("left alone for good: a person dropped it")
    assert shown["next"] == ["nothing: it is left alone"]
    assert [item["op"] for item in shown["decisions"]] == ["create", "drop"]
    calbridge.a.person_spoils(ref)
    calbridge("sync")
    assert row(calbridge("status", "--json"))["parked"] == 0
    calbridge.a._units[ref].unreadable = None

    assert calbridge("parked", "retry", unit).code == 0
    calbridge("sync")
    details = calbridge.b.event(calbridge.b.refs()[0]).details
    assert (details.title, details.description) == ("Dinner", "mine")
    assert writes(calbridge) == 0
    assert calbridge("verify").code == 0


def test_a_dropped_event_that_is_deleted_takes_nothing_with_it(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge("parked", "drop", ref)
    calbridge.a.person_deletes(ref)
    assert writes(calbridge) == 0
    assert calbridge.titles() == ["Lunch"]


# -- undo ------------------------------------------------------------------------------------------


def test_undo_brings_back_what_a_mistake_deleted(calbridge: Any) -> None:
    refs = [calbridge.a.person_puts(lunch(f"E{n}")) for n in range(4)]
    calbridge("backfill")
    for ref in refs:
        calbridge.a.person_deletes(ref)
    calbridge("sync")
    approved = calbridge("approve", "ann/other", "--json").json
    assert sorted(approved["titles"]) == ["E0", "E1", "E2", "E3"]
    assert calbridge.b.refs() == []

    dry = calbridge("undo", "last", "--link", "ann/other", "--dry-run", "--json").json
    assert [item["op"] for item in dry["actions"]] == ["create"] * 4
    assert calbridge.b.refs() == []
    refused = calbridge("undo", str(dry["undone"]))
    assert refused.code == 2
    assert "--yes" in refused.err
    assert "create at other 'E0'" in refused.out
    assert calbridge.b.refs() == []

    done = calbridge("undo", str(dry["undone"]), "--yes", "--json")
    assert (done.code, done.json["created"]) == (0, 4)
    assert calbridge.titles() == ["E0", "E1", "E2", "E3"]
    assert calbridge("sync", "--json").json["writes"] == 4  # on their way back to a
    assert len(calbridge.a.refs()) == 4
    assert writes(calbridge) == 0
    assert calbridge("verify").code == 0
    assert calbridge.state() is LinkState.ACTIVE
    shown = calbridge("explain", "E0", "--json").json
    causes = [item["cause"] for item in shown["decisions"]]
    assert f"undo of run {dry['undone']}" in causes


def test_what_stands_on_purpose_is_told_wherever_somebody_looks(calbridge: Any) -> None:
    path = calbridge.folder / "config.yaml"
    path.write_text(path.read_text().replace("defaults: {", "defaults: {direction: to-target, "))
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.a.person_edits(ref, title="BROKEN")
    calbridge("sync")
    run = str(calbridge("journal", "--json").json["runs"][-1]["run"])
    assert calbridge("undo", run, "--yes").code == 0
    assert calbridge.titles() == ["Lunch"]
    assert writes(calbridge) == 0
    told = f"restored by undo of run {run}"
    shown = calbridge("explain", ref, "--json").json
    assert shown["state"] == (
        f"kept the same, except title on b: {told}, stays until side a changes it"
    )
    assert [item["field"] for item in shown["fields"] if item["differs"]] == ["title"]
    verified = calbridge("verify", "--json")
    assert (verified.code, verified.json["differences"]) == (0, 0)
    assert row(verified)["known"][0]["why"] == told
    assert told in calbridge("verify").out
    assert row(calbridge("status", "--json"))["restored"] == 1


def test_undo_says_what_it_leaves(calbridge: Any) -> None:
    calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.b.person_edits(calbridge.b.refs()[0], description="mine")
    run = str(calbridge("journal", "--json").json["runs"][-1]["run"])
    answer = calbridge("undo", run, "--yes")
    assert answer.code == 1
    assert "stays: 'Lunch' at other [description]: somebody changed it since" in answer.out
    assert "--force" in answer.out
    assert calbridge("undo", run, "--yes", "--force").code == 0
    assert calbridge.b.refs() == []
    assert len(calbridge.a.refs()) == 1
    assert writes(calbridge) == 0


def test_an_undo_that_a_fault_stopped_is_told_and_goes_on(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.a.person_deletes(ref)
    calbridge("sync")

    def fail(call: Call) -> None:
        if call.operation == "create":
            raise RetryableError("the line is bad")

    calbridge.other.before = fail
    first = calbridge("undo", "last", "--link", "ann/other", "--yes", "--json")
    assert (first.code, first.json["failed"]) == (1, 1)
    calbridge.other.before = lambda call: None
    assert calbridge("undo", str(first.json["undone"]), "--yes").code == 0
    assert calbridge.titles() == ["Lunch"]


# -- unlink ----------------------------------------------------------------------------------------


def test_a_link_that_ended_rests_and_doubles_nothing_when_it_begins_again(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge.b.person_puts(lunch("Made on b"))
    calbridge("backfill")
    assert calbridge("unlink", "ann/other").code == 2
    assert calbridge.state() is LinkState.ACTIVE
    assert calbridge("unlink", "ann/other", "--yes", "--json").json["state"] == "ended"
    with calbridge.store() as store:
        link = store.link("ann/other")
        assert store.job(link.id) is None
    calbridge.a.person_edits(ref, title="Dinner")
    assert calbridge("sync", "--link", "ann/other", "--json").json["writes"] == 0
    status = row(calbridge("status", "--json"))
    assert (status["state"], "resume" in status["advice"]) == ("ended", True)
    assert calbridge("unlink", "ann/other", "--yes").code == 2
    assert calbridge("pause", "ann/other").code == 2
    assert calbridge.titles() == ["Lunch", "Made on b"]

    assert calbridge("resume", "ann/other").code == 0
    assert row(calbridge("backfill", "--json"))["updated"] == 1
    assert calbridge.titles() == ["Dinner", "Made on b"]
    assert len(calbridge.a.refs()) == 2
    assert writes(calbridge) == 0


def test_only_the_bridges_copies_go_and_come_back_when_it_begins_again(calbridge: Any) -> None:
    calbridge.a.person_puts(lunch("Made on a"))
    calbridge.b.person_puts(lunch("Made on b"))
    for calendar in (calbridge.a, calbridge.b):
        calendar.person_puts(event("On both", f"{DAY}T15:00"))
    calbridge("backfill")
    dry = calbridge("unlink", "ann/other", "--remove-copies", "--dry-run", "--json").json
    assert dry["remove"] == {"a": 1, "b": 1}
    done = calbridge("unlink", "ann/other", "--remove-copies", "--yes", "--json")
    assert (done.code, done.json["deleted"], done.json["state"]) == (0, 2, "ended")
    assert calbridge.titles() == ["Made on b", "On both"]
    a = calbridge.a
    assert sorted(a.event(ref).details.title for ref in a.refs()) == ["Made on a", "On both"]

    calbridge("resume", "ann/other")
    assert row(calbridge("backfill", "--json"))["created"] == 2
    assert calbridge.titles() == ["Made on a", "Made on b", "On both"]
    assert len(a.refs()) == 3
    assert writes(calbridge) == 0


def test_the_last_copy_of_an_event_is_never_removed(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge("backfill")
    calbridge.a.person_deletes(ref)
    calbridge("sync")
    calbridge("undo", "last", "--link", "ann/other", "--yes")
    done = calbridge("unlink", "ann/other", "--remove-copies", "--yes", "--json").json
    assert [item["why"] for item in done["kept"]] == ["it is the only one left"]
    assert calbridge.titles() == ["Lunch"]


def test_a_removal_that_breaks_off_pauses_the_link_and_goes_on(calbridge: Any) -> None:
    for number in range(3):
        calbridge.a.person_puts(lunch(f"E{number}"))
    calbridge("backfill")
    broken = []

    def fail(call: Call) -> None:
        if call.operation == "delete" and not broken:
            broken.append(call)
            raise RetryableError("the line is bad")

    calbridge.other.before = fail
    first = calbridge("unlink", "ann/other", "--remove-copies", "--yes", "--json")
    assert (first.code, first.json["failed"], first.json["deleted"]) == (1, 1, 2)
    assert calbridge.state() is LinkState.PAUSED
    assert calbridge("sync", "--json").json["writes"] == 0
    assert "unlinking broke off" in calbridge("status").out
    assert calbridge("unlink", "ann/other", "--remove-copies", "--yes").code == 0
    assert (calbridge.b.refs(), len(calbridge.a.refs())) == ([], 3)
    assert calbridge.state() is LinkState.ENDED


# -- states ----------------------------------------------------------------------------------------


def test_a_held_link_that_was_paused_asks_again_after_resume(calbridge: Any) -> None:
    refs = [calbridge.a.person_puts(lunch(f"E{n}")) for n in range(4)]
    calbridge("backfill")
    for ref in refs:
        calbridge.a.person_deletes(ref)
    calbridge("sync")
    status = row(calbridge("status", "--json"))
    assert (status["state"], "approve" in status["advice"]) == ("held", True)
    calbridge("pause", "ann/other")
    assert calbridge("approve", "ann/other").code == 2
    calbridge("resume", "ann/other")
    calbridge("sync")
    assert calbridge.state() is LinkState.HELD
    told = calbridge("approve", "ann/other")
    assert told.code == 0
    for number in range(4):
        assert f"delete at other 'E{number}' (deleted at hub)" in told.out
    assert calbridge.b.refs() == []


def test_resume_wakes_a_link_whose_job_had_given_up(calbridge: Any) -> None:
    calbridge("backfill")
    with calbridge.store() as store, store.begin() as tx:
        link = store.link("ann/other")
        tx.hint([link.id], datetime.now(UTC))
        (claim,) = (c for c in tx.claim("me", 9, datetime.now(UTC), 30) if c.link_id == link.id)
        tx.fail(claim.link_id, "me", "no more", None)
    calbridge("resume", "ann/other")
    with calbridge.store() as store:
        job = store.job(link.id)
    assert (job.parked, job.run_at is not None) == (False, True)


@pytest.mark.parametrize(
    "arguments",
    [["explain"], ["explain", "x", "--link", "no/such"], ["journal", "--run", "999"],
     ["journal", "--run", "x"], ["journal", "--link", "no/such"], ["journal", "--since", "soon"],
     ["undo"], ["undo", "999"], ["undo", "first"], ["undo", "last"], ["undo", "0", "--yes"],
     ["parked"], ["parked", "retry"], ["parked", "retry", "x", "--all"], ["parked", "drop"],
     ["parked", "drop", "x"], ["parked", "frob"], ["unlink"], ["unlink", "no/such"],
     ["unlink", "ann/other", "--yes"], ["approve", "ann/other"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_ends_with_2_and_advice(calbridge: Any, arguments: list[str]) -> None:
    answer = calbridge(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err
