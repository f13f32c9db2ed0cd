"""`calbridge sandbox`: everything to try the bridge with, from one line of output."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.cli import run as calbridge


@dataclass
class Running:
    """The command at work."""

    process: subprocess.Popen[str]
    line: dict[str, Any]
    config: Path

    def get(self, what: str) -> Any:
        answer = requests.get(f"{self.line['control']}/_sandbox/{what}", timeout=10)
        assert answer.status_code == 200
        return answer.json()

    def post(self, action: str, body: Any, at: str = "control") -> Any:
        answer = requests.post(f"{self.line[at]}/_sandbox/{action}", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    config = tmp_path / "sandbox.yaml"
    code = "import sys; from bridge.cli import main; main()"
    arguments = ["sandbox", "--config-out", str(config), "--world", "desk"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONTZPATH": ""},
    )
    try:
        assert process.stdout is not None
        yield Running(process, json.loads(process.stdout.readline()), config)
    finally:
        process.kill()
        process.communicate()


def test_one_command_gives_a_world_a_config_and_a_way_to_disturb_them(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"feishu", "google", "control"} <= running.line.keys()
    assert running.config.stat().st_mode & 0o077 == 0

    def command(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = calbridge([*arguments, "--json", "--config", str(running.config)])
        return code, json.loads(capsys.readouterr().out)

    assert running.get("state")["google"]["calendars"]["alice@office.example"]["events"] == []
    code, made = command("backfill")
    assert (code, made["writes"], made["links"][0]["created"]) == (0, 31, 31)
    code, found = command("verify")
    assert (code, found["differences"]) == (0, 0)
    requests_ = running.get("requests")
    assert requests_["count"] > 60
    inserts = [r for r in requests_["google"]["requests"] if r["operation"] == "events.insert"]
    assert len(inserts) == 31
    assert running.get("mails")["count"] == 0

    running.post("clock", {"advance": 60})
    assert command("sync")[0] == 0  # rooms that have answered only now
    running.post("faults", [{"match": r"GET \S+/events", "action": "status", "status": 400,
                             "times": 0}], at="feishu")  # fmt: skip
    assert calbridge(["sync", "--config", str(running.config)]) == 1
    running.post("faults", [], at="feishu")
    running.post("edit", {"user": "alice@office.example", "op": "create", "body": {
        "summary": "Made by hand",
        "start_time": {"timestamp": "1900000000"}, "end_time": {"timestamp": "1900003600"},
    }}, at="feishu")  # fmt: skip
    before = running.post("clock", {"advance": 5})["feishu"]["now"]
    assert running.post("clock", {"advance": 60})["feishu"]["now"] >= before + 60
    code, made = command("sync")
    assert (code, made["writes"]) == (0, 1)
    assert running.get("mails")["count"] == 0

    running.process.send_signal(signal.SIGTERM)
    rest, errors = running.process.communicate(timeout=30)
    assert (running.process.returncode, rest, errors) == (0, "", "")


def test_a_world_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert calbridge(["sandbox", "--world", "moon"]) == 2
    assert "moon" in capsys.readouterr().err
