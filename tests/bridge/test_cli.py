"""The command line, run in this process over calendars in memory."""

import itertools
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import COMMANDS, SUMMARIES, run
from bridge.commands import copying
from bridge.records import LinkState
from bridge.store import Store, open_store
from bridge.vault import Vault
from connectors.contract import Role
from connectors.errors import FatalError, RateLimitedError, ReauthorizeError, RetryableError
from connectors.memory import MemoryWorld, named_world
from connectors.memory.calendar import MemoryCalendar
from connectors.testing.builders import event
from mappings.model import Event

KEY = Vault.generate_key()
CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: hub-{n}, accounts: {{ann: [main], bob: [main]}}}}
  other: {{type: memory, world: other-{n}, accounts: {{ann: [main], bob: [main]}}}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
  bob:
    hub: bob
    links: [{{to: other, account: bob}}]
defaults: {{delete_guard: {{count: 2, share: 0}}}}
"""
_numbers = itertools.count(1)
DAY = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")


@dataclass
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Terminal:
    """A config over two worlds of its own, and a way to type commands."""

    folder: Path
    hub: MemoryWorld
    other: MemoryWorld
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Answer:
        code = run(["--config", str(self.folder / "config.yaml"), *arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(code, out, err)

    @property
    def a(self) -> MemoryCalendar:
        return self.hub.add_calendar("ann", "main")

    @property
    def b(self) -> MemoryCalendar:
        return self.other.add_calendar("ann", "main")

    def titles(self) -> list[str]:
        return sorted(self.b.event(ref).details.title for ref in self.b.refs())

    def store(self) -> Store:
        url = f"sqlite:///{self.folder / 'calbridge.db'}"
        return open_store(url, vault=Vault([KEY]), now=lambda: datetime.now(UTC))

    def state(self) -> LinkState:
        with self.store() as store:
            link = store.link("ann/other")
        assert link is not None
        return link.state


@pytest.fixture
def calbridge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    number = next(_numbers)
    (tmp_path / "config.yaml").write_text(CONFIG.format(n=number, key=KEY))
    worlds = [named_world(f"{side}-{number}") for side in ("hub", "other")]
    for world in worlds:
        for account in ("ann", "bob"):
            world.add_calendar(account, "main")
    return Terminal(tmp_path, *worlds, capsys)


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


def test_check_online_names_what_is_missing(calbridge: Terminal) -> None:
    good = calbridge("check", "--online", "--json")
    assert (good.code, good.json["ok"], good.json["links"]) == (0, True, 2)
    calbridge.other.before = raising("calendars", ReauthorizeError("consent was withdrawn"))
    bad = calbridge("check", "--online", "--json")
    assert (bad.code, bad.json["ok"]) == (1, False)
    assert any("consent was withdrawn" in row["detail"] for row in bad.json["findings"])


def test_backfill_then_sync_then_verify(calbridge: Terminal) -> None:
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


def test_verify_finds_what_somebody_broke(calbridge: Terminal) -> None:
    calbridge.a.person_puts(lunch())
    calbridge("backfill")
    (copy,) = calbridge.b.refs()
    calbridge.b.person_edits(copy, title="Vandalised")
    answer = calbridge("verify", "--json")
    assert (answer.code, answer.json["differences"]) == (1, 1)
    (difference,) = answer.json["links"][0]["differences"]
    assert difference["what"] == "different"
    assert calbridge("verify").code == 1


def test_a_dry_run_and_a_plan_write_nothing_anywhere(calbridge: Terminal) -> None:
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
        assert "1 action(s)" in calbridge(*arguments).out
    assert calbridge.b.refs() == []
    assert not list(calbridge.folder.glob("*.db*")), "not even a database is made"


def test_a_link_that_waited_for_a_person_is_active_again_after_a_good_pass(
    calbridge: Terminal,
) -> None:
    calbridge("sync")
    with calbridge.store() as store, store.begin() as tx:
        tx.set_link_state(store.links()[0].id, LinkState.WAITING, "consent was withdrawn")
    assert calbridge("sync").code == 0
    with calbridge.store() as store:
        assert store.links()[0].state is LinkState.ACTIVE


def test_since_and_until_bound_a_backfill(calbridge: Terminal) -> None:
    calbridge.a.person_puts(lunch())
    calbridge.a.person_puts(event("Next year", "2035-03-03T12:00"))
    answer = calbridge("backfill", "--since", DAY, "--until", "2034-01-01", "--json")
    assert answer.json["writes"] == 1
    assert calbridge.titles() == ["Lunch"]
    assert calbridge("backfill", "--since", "tomorrow").code == 2


# -- plans -----------------------------------------------------------------------------------------


def test_a_saved_plan_is_applied_exactly(calbridge: Terminal) -> None:
    calbridge.a.person_puts(lunch())
    file = str(calbridge.folder / "plan.json")
    assert calbridge("plan", "-o", file, "--json").code == 0
    answer = calbridge("apply", file, "--json")
    assert (answer.code, answer.json["writes"]) == (0, 1)
    assert calbridge.titles() == ["Lunch"]


def test_a_stale_plan_is_refused_and_nothing_is_done(calbridge: Terminal) -> None:
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
    calbridge: Terminal, monkeypatch: pytest.MonkeyPatch
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
def test_a_file_that_is_no_plan_is_a_mistake(calbridge: Terminal, text: str) -> None:
    calbridge.a.person_puts(lunch())
    path = calbridge.folder / "plan.json"
    path.write_text(text)
    answer = calbridge("apply", str(path))
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1
    assert calbridge.b.refs() == []


def test_a_file_that_is_not_there_or_cannot_be_written_is_a_mistake(calbridge: Terminal) -> None:
    assert calbridge("apply", str(calbridge.folder / "none.json")).code == 2
    answer = calbridge("plan", "-o", str(calbridge.folder / "no" / "plan.json"))
    assert answer.code == 2
    assert "plan.json" in answer.err


# -- a person's word -------------------------------------------------------------------------------


def test_a_mass_deletion_waits_for_approval(calbridge: Terminal) -> None:
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


def test_a_paused_link_rests_until_it_is_resumed(calbridge: Terminal) -> None:
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


def test_status_counts_units_and_names_parked_ones(calbridge: Terminal) -> None:
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


# -- mistakes and faults ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["frobnicate"], ["sync", "--frob"], ["sync", "--link"], ["sync", "--link", "no/such"],
     ["plan", "--user", "nobody"], ["pause"], ["pause", "no/such"], ["connect", "hub"],
     ["connect", "nothing", "--user", "ann"], ["run", "--only", "nothing"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_ends_with_2_and_advice(calbridge: Terminal, arguments: list[str]) -> None:
    answer = calbridge(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err


@pytest.mark.parametrize("command", ["check", "plan", "sync", "backfill", "verify", "status"])
def test_a_config_that_is_wrong_or_missing_ends_with_2(calbridge: Terminal, command: str) -> None:
    (calbridge.folder / "config.yaml").write_text("conectors: {}\n")
    answer = calbridge(command)
    assert answer.code == 2
    assert "did you mean 'connectors'?" in answer.err
    (calbridge.folder / "config.yaml").unlink()
    answer = calbridge(command)
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1


def test_a_config_without_a_key_says_how_to_get_one(calbridge: Terminal) -> None:
    path = calbridge.folder / "config.yaml"
    path.write_text(path.read_text().replace(KEY, '""'))
    answer = calbridge("sync")
    assert answer.code == 2
    assert "calbridge init" in answer.err


def test_a_database_that_cannot_be_opened_ends_with_2(calbridge: Terminal) -> None:
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
    calbridge: Terminal, error: Exception, advice: str
) -> None:
    calbridge("backfill")
    calbridge.hub.before = raising("changes", error)
    answer = calbridge("sync", "--json")
    assert answer.code == 1
    assert advice in answer.err
    assert len(answer.json["failures"]) == 2
    assert calbridge("plan").code == 1


def test_one_link_that_fails_does_not_keep_the_others(calbridge: Terminal) -> None:
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
    calbridge: Terminal, facts: dict[str, Any], said: str, command: str
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


def test_a_calendar_that_is_not_there_is_named_with_those_that_are(calbridge: Terminal) -> None:
    path = calbridge.folder / "config.yaml"
    path.write_text(path.read_text().replace("account: ann}", "account: ann, calendar: x}", 1))
    answer = calbridge("sync")
    assert answer.code == 2
    assert "'main'" in answer.err


# -- options and weight ----------------------------------------------------------------------------


def test_config_and_json_may_stand_before_and_after_the_command(
    calbridge: Terminal, capsys: pytest.CaptureFixture[str]
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
