"""`init`: from a few answers to a config that passes `check`, by flags and by questions."""

import io
import itertools
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import config
from bridge.cli import run
from bridge.commands.template import scalar
from bridge.config import Config

SECRETS = ("FEISHU_APP_SECRET", "GOOGLE_CLIENT_SECRET", "EXCHANGE_PASSWORD")
WITH = {"google": ["--with", "google"], "exchange": ["--with", "exchange"], "both": [
    "--with", "exchange", "--with", "google"], "caldav": ["--with", "caldav"]}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*SECRETS, "FEISHU_APP_ID", "GOOGLE_CLIENT_ID", "CALBRIDGE_PASSWORD_HASH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `init` for somebody at a terminal who types these lines."""

    def typed(*lines: str, flags: tuple[str, ...] = ()) -> int:
        keyboard = io.StringIO("".join(f"{line}\n" for line in lines))
        monkeypatch.setattr(keyboard, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", keyboard)
        code = run(["init", *flags])
        assert keyboard.read() == "", "more was answered than asked"
        return code

    return typed


def loaded() -> Config:
    assert run(["check"]) == 0
    return config.load(Path("config.yaml"), {})


def settings(found: Config, name: str) -> Any:
    return found.connectors[name].settings


@pytest.mark.parametrize(
    ("domain", "services", "count"),
    list(itertools.product(("feishu", "lark", "https://open.example.com"), WITH, (1, 3))),
)
def test_every_combination_of_flags_passes_check(domain: str, services: str, count: int) -> None:
    users = [flag for number in range(count) for flag in ("--user", f"u{number}")]
    assert run(["init", "--yes", "--domain", domain, *WITH[services], *users]) == 0
    found = loaded()
    wanted = ["google", "exchange"] if services == "both" else [services]
    assert [link.name for link in found.links] == [
        f"u{number}/{name}" for number in range(count) for name in wanted
    ]
    assert sorted(found.connectors) == sorted(["feishu", *wanted])
    assert found.web.open_on_loopback is (count == 1)
    assert settings(found, "feishu").domain == domain


@pytest.mark.parametrize("services", WITH)
@pytest.mark.parametrize("hub", ["feishu", "lark"])
def test_every_combination_of_answers_passes_check(
    answer: Callable[..., int], hub: str, services: str
) -> None:
    lines = [hub, "cli_1", "HUB_SECRET", services]
    if services in ("google", "both"):
        lines += ["client-1", "G_SECRET"]
    if services in ("exchange", "both"):
        lines += ["https://mail.example.com/EWS/Exchange.asmx", r"EXAMPLE\svc", "E_PASS"]
        lines += ["Europe/Berlin"]
    if services == "caldav":
        lines += ["https://dav.example.org/", "D_PASS"]
    other = ["ann@other.example.com"] * (2 if services == "both" else 1)
    assert answer(*lines, "many", "ann", "ann@hub.example.com", *other, "bob", "", *other, "") == 0
    found = loaded()
    assert [item.message.split()[2] for item in found.unset if "HASH" not in item.message] == [
        "HUB_SECRET",
        *(["G_SECRET"] if services in ("google", "both") else []),
        *(["E_PASS"] if services in ("exchange", "both") else []),
        *(["D_PASS"] if services == "caldav" else []),
    ]
    assert settings(found, "feishu").app_id == "cli_1"
    if services in ("google", "both"):
        assert settings(found, "google").client_id == "client-1"
    if services == "caldav":
        assert settings(found, "caldav").url == "https://dav.example.org/"
    if services in ("exchange", "both"):
        assert settings(found, "exchange").username == r"EXAMPLE\svc"
        assert settings(found, "exchange").zone == "Europe/Berlin"
    assert {link.a.account for link in found.links} == {"ann@hub.example.com", "bob@example.com"}
    assert {link.b.account for link in found.links} == {"ann@other.example.com"}
    assert not found.web.served, "no dashboard before there is a password"


def test_enter_alone_answers_everything(answer: Callable[..., int]) -> None:
    assert answer(*[""] * 10) == 0
    assert [link.name for link in loaded().links] == ["alice/google"]


def test_every_account_at_a_caldav_server_has_a_password_of_its_own(
    answer: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer("", "", "", "google, caldav", "", "", "", "", "many", "ann", "", "", "ann",
                  "Bob-B", "", "", "bob", "张三", "", "", "z", "") == 0  # fmt: skip
    said = capsys.readouterr().out
    variables = ["CALDAV_PASSWORD_ANN", "CALDAV_PASSWORD_BOB_B", "CALDAV_PASSWORD_3"]
    assert " ".join(variables) in said
    assert "docs/setup-caldav.md" in said
    found = loaded()
    assert list(settings(found, "caldav").accounts) == ["ann", "bob", "z"]
    assert [name for name in variables for item in found.unset if name in item.message] == variables
    assert [(link.name, link.b.account) for link in found.links if "caldav" in link.name] == [
        ("ann/caldav", "ann"), ("Bob-B/caldav", "bob"), ("张三/caldav", "z"),
    ]  # fmt: skip


def test_what_was_said_by_flag_is_not_asked(answer: Callable[..., int]) -> None:
    flags = ("--domain", "lark", "--app-id", "cli_1", "--app-secret-env", "S", "--with", "google",
             "--google-client-id", "c", "--google-secret-env", "T", "--user", "ann",
             "--feishu-account", "ou_1", "--google-account", "ann@example.com")  # fmt: skip
    assert answer(flags=flags) == 0
    assert loaded().links[0].a.account == "ou_1"


def test_an_answer_that_does_not_fit_is_asked_for_again(
    answer: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer("larkk", "lark", "cli_1", "x7Gq0sEcReT", "", "exchange",
                  "http://mail.example.com/", "", "", "", "Mars/Olympus", "UTC", "two", "one",
                  "a b", "ann", "", "") == 0  # fmt: skip
    said = capsys.readouterr()
    assert "the secret itself must not be written" in said.err
    found = loaded()
    assert settings(found, "feishu").domain == "lark"
    assert settings(found, "exchange").endpoint is None
    for path in Path().iterdir():
        assert "x7Gq0sEcReT" not in path.read_text()


def test_a_secret_given_in_place_of_a_name_is_neither_written_nor_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["init", "--yes", "--app-secret-env", "x7Gq0sEcReT"]) == 2
    said = capsys.readouterr()
    assert "no name of an environment variable" in said.err
    assert "x7Gq0sEcReT" not in said.out + said.err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--user", "a", "--user", "a"], "same name"),
        (["--user", "a b"], "neither spaces nor slashes"),
        (["--user", "a", "--user", "b", "--feishu-account", "x"], "once for every --user"),
        (["--exchange-account", "x"], "needs --with exchange"),
        (["--with", "caldav", "--caldav-url", "http://dav.example.com/"], "https address"),
        (["--domain", "feichu"], "write feishu or lark"),
        (["--with", "exchange", "--exchange-zone", "Mars"], "IANA time zone"),
    ],
)
def test_flags_that_make_no_config_leave_nothing_behind(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--yes", *flags]) == 2
    assert said in capsys.readouterr().err
    assert not Path("config.yaml").exists()


def test_what_is_set_is_no_longer_noted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["init", "--yes", "--app-id", "cli_1"]) == 0
    monkeypatch.setenv("FEISHU_APP_SECRET", "known-to-nobody")
    capsys.readouterr()
    assert run(["check"]) == 0
    said = capsys.readouterr().out
    assert "GOOGLE_CLIENT_SECRET is not set yet" in said
    assert "FEISHU" not in said
    assert "known-to-nobody" not in said


def test_nobody_is_sent_to_a_provider_with_a_placeholder_for_an_app(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["init", "--yes"]) == 0
    assert run(["connect", "feishu", "--user", "alice"]) == 2
    said = capsys.readouterr().err
    assert "FEISHU_APP_ID is not set yet" in said
    assert "http" not in said


def test_the_config_is_written_where_other_commands_would_look_for_it(here: Path) -> None:
    assert run(["--config", "one.yaml", "init", "--yes"]) == 0
    assert run(["init", "--yes", "--config", "two.yaml"]) == 0
    assert run(["init", "three.yaml", "--yes"]) == 0
    assert sorted(path.stem for path in here.glob("*.yaml")) == ["one", "three", "two"]


def test_a_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "nowhere/config.yaml", "--yes"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["on", "null", "12", "a: b", "#1", "O'Hara, Ann", '"', "张三"])
def test_any_text_is_read_back_as_it_was_given(text: str) -> None:
    assert run(["init", "--yes", "--feishu-account", text, "--app-id", text]) == 0
    assert loaded().links[0].a.account == text
    assert scalar("ann@example.com") == "ann@example.com"


def test_at_a_real_terminal_it_asks_and_in_a_pipe_it_does_not(here: Path) -> None:
    program = [sys.executable, "-c", "from bridge.cli import main; main()", "init"]
    piped = subprocess.run([*program, "piped.yaml"], stdin=subprocess.DEVNULL, capture_output=True)
    assert (piped.returncode, (here / "piped.yaml").exists()) == (0, True)
    ours, theirs = pty.openpty()
    asked = subprocess.Popen([*program, "asked.yaml"], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        os.write(ours, b"lark\n" + b"\n" * 9)
        while select.select([ours], [], [], 60)[0]:
            shown += os.read(ours, 4096)
    except OSError:
        pass  # the terminal is gone with its last program
    finally:
        os.close(ours)
    assert asked.wait(60) == 0, shown.decode()
    assert b"Feishu or Lark?" in shown
    assert "domain: lark" in (here / "asked.yaml").read_text()
