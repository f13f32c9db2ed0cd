"""The command line, run in this process over calendars in memory."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import COMMANDS, SUMMARIES, run
from bridge.records import LinkState
from connectors.contract import Role
from connectors.errors import FatalError, RateLimitedError, ReauthorizeError, RetryableError
from connectors.testing.builders import event
from mappings.model import Event

DAY = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")


def lunch(title: str = "Lunch") -> Event:
    return event(title, f"{DAY}T12:00")


# -- from nothing to a copy ------------------------------------------------------------------------


def test_init_writes_a_config_and_a_key_that_only_their_owner_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    for name in ("config.yaml", "config.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    key = (tmp_path / "config.key").read_text()
    assert key.strip() not in (tmp_path / "config.yaml").read_text()
    assert run(["check"]) == 0
    assert "valid" in capsys.readouterr().out


def test_init_overwrites_nothing_unless_told_to_and_never_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("mine")
    assert run(["init"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "config.yaml").read_text() == "mine"
    assert not (tmp_path / "config.key").exists()
    assert run(["init", "--force", "--user", "carla"]) == 0
    key = (tmp_path / "config.key").read_text()
    assert "carla" in (tmp_path / "config.yaml").read_text()
    assert run(["init", "--force"]) == 0
    assert (tmp_path / "config.key").read_text() == key


def test_check_online_names_what_is_missing(calbridge: Any) -> None:
    good = calbridge("check", "--online", "--json")
    assert (good.code, good.json["ok"], good.json["links"]) == (0, True, 2)
    calbridge.other.before = raising("calendars", ReauthorizeError("consent was withdrawn"))
    bad = calbridge("check", "--online", "--json")
    assert (bad.code, bad.json["ok"]) == (1, False)
    assert any("consent was withdrawn" in row["detail"] for row in bad.json["findings"])


def test_check_online_prints_a_table_and_below_it_what_to_do(calbridge: Any) -> None:
    good = calbridge("check", "--online")
    rows = [line.split() for line in good.out.splitlines() if "│" in line]
    assert ["│", "other", "ann", "│", "main", "│", "ok", "│", "│"] in rows
    assert ["│", "link", "ann/other", "│", "calendars", "│", "ok", "│", "│"] in rows
    assert "FAIL" not in good.out
    withdrawn = ReauthorizeError("consent was withdrawn at the provider's own page", code="20064")
    calbridge.other.before = raising("calendars", withdrawn)
    bad = calbridge("check", "--online")
    assert bad.code == 1
    assert re.search(r"│ link ann/other +│ calendars +│ FAIL +│ 20064 +│", bad.out)
    told = bad.out.rpartition("┘")[2]
    assert "FAIL link ann/other: calendars: consent was withdrawn at the provider's own" in told
    assert "FAIL other bob: " in told


def test_backfill_then_sync_then_verify(calbridge: Any) -> None:
    ref = calbridge.a.person_puts(lunch())
    calbridge.a.person_puts(event("Standup", f"{DAY}T09:00", rule="FREQ=DAILY;COUNT=5"))

    first = calbridge("backfill", "--json")
    assert first.code == 0
    assert first.json["writes"] == 2
    row = next(row for row in first.json["links"] if row["link"] == "ann/other")
    wanted = {"created": 2, "updated": 0, "deleted": 0, "adopted": 0, "parked": 0, "held": ""}
    assert {name: row[name] for name in wanted} == wanted
    assert first.json["seconds"] >= 0

    assert calbridge("backfill", "--json").json["writes"] == 0
    calbridge.a.person_edits(ref, title="Dinner")
    second = calbridge("sync", "--link", "ann/other", "--json")
    assert (second.code, second.json["writes"]) == (0, 1)
    assert second.json["links"][0]["updated"] == 1

    compared = calbridge("verify", "--json")
    assert (compared.code, compared.json["differences"]) == (0, 0)
    row = next(row for row in compared.json["links"] if row["link"] == "ann/other")
    assert (row["units"], row["occurrences"], row["differences"]) == (2, 6, [])


def test_verify_finds_what_somebody_broke(calbridge: Any) -> None:
    calbridge.a.person_puts(lunch())
    calbridge("backfill")
    (copy,) = calbridge.b.refs()
    calbridge.b.person_edits(copy, title="Vandalised")
    answer = calbridge("verify", "--json")
    assert (answer.code, answer.json["differences"]) == (1, 1)
    (difference,) = answer.json["links"][0]["differences"]
    assert difference["what"] == "different"
    assert calbridge("verify").code == 1


def test_a_mass_deletion_waits_for_approval(calbridge: Any) -> None:
    refs = [calbridge.a.person_puts(lunch(f"E{n}")) for n in range(4)]
    calbridge("backfill")
    for ref in refs:
        calbridge.a.person_deletes(ref)
    held = calbridge("sync", "--json")
    assert held.code == 1
    row = next(row for row in held.json["links"] if row["link"] == "ann/other")
    assert "delete guard" in row["held"]
    assert len(calbridge.b.refs()) == 4

    status = calbridge("status", "--json")
    assert status.code == 1
    assert status.json["links"][0]["state"] == "held"
    assert calbridge("sync").code == 1
    assert calbridge("resume", "ann/other").code == 2
    assert len(calbridge.b.refs()) == 4

    approved = calbridge("approve", "ann/other", "--json")
    assert (approved.code, approved.json["deleted"]) == (0, 4)
    assert calbridge.b.refs() == []
    assert calbridge.state() is LinkState.ACTIVE
    assert calbridge("approve", "ann/other").code == 2


def test_a_paused_link_rests_until_it_is_resumed(calbridge: Any) -> None:
    calbridge("backfill")
    assert calbridge("pause", "ann/other", "--reason", "holidays").code == 0
    calbridge.a.person_puts(lunch())
    answer = calbridge("sync", "--json")
    assert answer.code == 1
    assert calbridge.b.refs() == []
    shown = calbridge("status", "--json").json["links"][0]
    assert (shown["state"], shown["reason"]) == ("paused", "holidays")
    assert "holidays" in calbridge("status").out
    assert calbridge("resume", "ann/other", "--json").json["state"] == "active"
    assert calbridge("sync").code == 0
    assert calbridge.titles() == ["Lunch"]


def test_status_counts_units_and_names_parked_ones(calbridge: Any) -> None:
    assert calbridge("status", "--json").json["links"][0]["state"] == "new"
    bad = calbridge.a.person_puts(lunch("Bad"))
    calbridge.a.person_puts(lunch())
    calbridge.a.person_spoils(bad)
    calbridge("backfill")
    answer = calbridge("status", "--json")
    row = answer.json["links"][0]
    assert (answer.code, row["state"], row["units"], row["parked"]) == (0, "active", 1, 1)
    assert row["parked_units"][0]["code"] == "MALFORMED"
    assert row["last_outcome"] == "ok"


def test_status_is_a_table_with_a_line_for_each_link_and_below_it_what_to_do(
    calbridge: Any,
) -> None:
    bad = calbridge.a.person_puts(lunch("Bad"))
    calbridge.a.person_puts(lunch())
    calbridge.a.person_spoils(bad)
    calbridge("backfill", "--link", "ann/other")
    told = calbridge("status").out
    rows = [
        re.split(r" *[│┃] *", line.strip("│┃ ")) for line in told.splitlines() if line[0] in "│┃"
    ]
    head, ann, bob = rows
    assert head == ["link", "state", "events", "parked", "dropped", "last run", "outcome"]
    assert ann[:5] == ["ann/other", "active", "1", "1", "0"]
    assert re.fullmatch(r"\d+ (s|min|h)( \d+ \w+)? ago", ann[5])
    assert ann[6] == "ok"
    assert bob[1:6] == ["new", "0", "0", "0", "never"]
    below = told.rpartition("┘")[2]
    assert "ann/other: `calbridge parked list`" in below
    assert "MALFORMED" in below
    assert f"{bob[0]} is new: never ran" in below


# -- mistakes and faults ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["frobnicate"], ["sync", "--frob"], ["sync", "--link"], ["sync", "--link", "no/such"],
     ["plan", "--user", "nobody"], ["pause"], ["pause", "no/such"], ["connect", "hub"],
     ["connect", "nothing", "--user", "ann"], ["run", "--only", "nothing"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_ends_with_2_and_advice(calbridge: Any, arguments: list[str]) -> None:
    answer = calbridge(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err


def test_connect_asks_which_of_a_users_accounts_is_meant(calbridge: Any) -> None:
    config = calbridge.folder / "config.yaml"
    both = "links: [{to: other, account: bob}, {to: other, account: ann}]"
    config.write_text(config.read_text().replace("links: [{to: other, account: bob}]", both))
    for answer in (
        calbridge("connect", "other", "--user", "bob"),
        calbridge("connect", "other", "--user", "bob", "--account", "carol"),
    ):
        assert answer.code == 2
        assert "bob, ann; say one of them with --account" in answer.err
    known = calbridge("connect", "other", "--user", "bob", "--account", "ann")
    assert "needs no consent" in known.err


@pytest.mark.parametrize(("wrong", "right"), [("stat", "status"), ("backfil", "backfill")])
def test_a_misspelt_command_is_told_the_nearest_one(calbridge: Any, wrong: str, right: str) -> None:
    answer = calbridge(wrong)
    assert answer.code == 2
    assert f"there is no command '{wrong}'; '{right}'?" in answer.err


@pytest.mark.parametrize("command", ["check", "plan", "sync", "backfill", "verify", "status"])
def test_a_config_that_is_wrong_or_missing_ends_with_2(calbridge: Any, command: str) -> None:
    (calbridge.folder / "config.yaml").write_text("conectors: {}\n")
    answer = calbridge(command)
    assert answer.code == 2
    assert "did you mean 'connectors'?" in answer.err
    (calbridge.folder / "config.yaml").unlink()
    answer = calbridge(command)
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1


def test_a_config_without_a_key_says_how_to_get_one(calbridge: Any) -> None:
    path = calbridge.folder / "config.yaml"
    path.write_text(path.read_text().replace("secret_key:", "secret_key: ''  #"))
    answer = calbridge("sync")
    assert answer.code == 2
    assert "calbridge init" in answer.err


def test_a_database_that_cannot_be_opened_ends_with_2(calbridge: Any) -> None:
    path = calbridge.folder / "config.yaml"
    path.write_text(path.read_text() + "database: sqlite:////proc/no/such.db\n")
    answer = calbridge("sync")
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1


def raising(operation: str, error: Exception) -> Callable[[Any], None]:
    def fault(call: Any) -> None:
        if call.operation == operation:
            raise error

    return fault


def test_one_account_without_consent_does_not_keep_the_others(calbridge: Any) -> None:
    calbridge.hub.add_calendar("bob", "main").person_puts(lunch())

    def no_ann(call: Any) -> None:
        if call.account == "ann":
            raise ReauthorizeError("no consent yet")

    calbridge.hub.before = no_ann
    answer = calbridge("backfill", "--json")
    assert (answer.code, answer.json["writes"]) == (1, 1)
    assert "no consent yet" in answer.err


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ReauthorizeError("consent was withdrawn"), "calbridge connect"),
        (FatalError("the calendar is gone"), "nothing was deleted"),
        (RateLimitedError("too many calls", after=7), "7 s"),
        (RetryableError("the line is dead"), "run the command again"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_of_a_provider_ends_with_1_and_advice(
    calbridge: Any, error: Exception, advice: str
) -> None:
    calbridge("backfill")
    calbridge.hub.before = raising("changes", error)
    answer = calbridge("sync", "--json")
    assert answer.code == 1
    assert advice in answer.err
    assert len(answer.json["failures"]) == 2
    assert calbridge("plan").code == 1


def test_one_link_that_fails_does_not_keep_the_others(calbridge: Any) -> None:
    calbridge.hub.add_calendar("bob", "main").person_puts(lunch())
    calbridge("plan")

    def only_ann(call: Any) -> None:
        if call.operation == "changes" and call.account == "ann":
            raise RetryableError("the line is dead")

    calbridge.hub.before = only_ann
    answer = calbridge("backfill", "--json")
    assert answer.code == 1
    assert answer.json["writes"] == 1


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"foreign": "google"}, "bound to google"),
        ({"role": Role.READER}, "share it as writer"),
        ({"role": Role.FREE_BUSY}, "share it as writer"),
    ],
    ids=["bound natively", "reader", "free-busy"],
)
@pytest.mark.parametrize("command", ["plan", "backfill", "sync"])
def test_a_calendar_that_may_not_be_bridged_ends_with_2_and_nothing_written(
    calbridge: Any, facts: dict[str, Any], said: str, command: str
) -> None:
    calbridge.other.add_calendar("ann", "special", **facts)
    path = calbridge.folder / "config.yaml"
    path.write_text(
        path.read_text().replace("account: ann}", "account: ann, calendar: special}", 1)
    )
    calbridge.a.person_puts(lunch())
    answer = calbridge(command)
    assert answer.code == 2
    (line,) = answer.err.strip().splitlines()
    assert said in line
    assert "config.yaml:8: users.ann.links[0]" in line
    assert calbridge.b.refs() == []
    with calbridge.store() as store:
        assert store.links() == []


def test_a_calendar_that_is_not_there_is_named_with_those_that_are(calbridge: Any) -> None:
    path = calbridge.folder / "config.yaml"
    path.write_text(path.read_text().replace("account: ann}", "account: ann, calendar: x}", 1))
    answer = calbridge("sync")
    assert answer.code == 2
    assert "'main'" in answer.err


# -- options and weight ----------------------------------------------------------------------------


def test_config_and_json_may_stand_before_and_after_the_command(
    calbridge: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(calbridge.folder / "config.yaml")
    for arguments in (
        ["--config", path, "--json", "status"],
        ["status", "--config", path, "--json"],
        ["--json", "status", "--config", path],
        ["--config", "/nowhere.yaml", "--json", "status", "--config", path],
    ):
        assert run(arguments) == 0
        assert len(json.loads(capsys.readouterr().out)["links"]) == 2


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert set(COMMANDS) == set(SUMMARIES)
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert run(["--version"]) == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--config" in shown
    assert "--json" in shown


def test_help_loads_nothing_heavy() -> None:
    heavy = ["sqlalchemy", "pydantic", "lark_oapi", "googleapiclient", "google.auth", "requests",
             "uvicorn", "starlette", "yaml", "rich", "cryptography", "exchangelib"]  # fmt: skip
    program = (
        "import sys; from bridge.cli import run; code = run(['--help'])\n"
        f"found = [name for name in {heavy} if name in sys.modules]\n"
        "sys.exit(f'loaded {found}' if found or code else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
