"""The complaint: "I sent the log to support, and my app secret was in it"."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from bridge.cli import run as calbridge

ALICE = "alice@office.example"


@pytest.fixture
def told(
    desk: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[list[str]]:
    """All that was printed or logged; in the end nothing of it is a secret."""
    lines: list[str] = []
    yield lines
    printed = capfd.readouterr()
    told = "\n".join([*lines, printed.out, printed.err, caplog.text])
    assert [secret for secret in desk.secrets() if secret in told] == []


def stored(path: Path) -> bytes:
    """Every byte that the bridge has written beside its config."""
    files = [item for item in path.parent.rglob("*") if item.is_file() and item != path]
    assert any(item.suffix == ".db" for item in files)
    return b"".join(item.read_bytes() for item in files)


def test_the_database_holds_no_secret_in_clear(desk: Any) -> None:
    desk.run()
    desk.feishu.desk.expire(desk.alice.user)
    desk.run()
    content = stored(desk.path)
    assert b"Weekly check-in" in content
    assert [secret for secret in desk.secrets() if secret.encode() in content] == []
    desk.restart()
    content = stored(desk.path)
    assert [secret for secret in desk.secrets() if secret.encode() in content] == []
    assert desk.path.with_suffix(".db").stat().st_mode & 0o077 == 0


def test_no_command_prints_or_logs_a_secret(desk: Any, told: list[str]) -> None:
    logging.getLogger("calbridge").setLevel(logging.DEBUG)
    for command in (
        ["check"], ["check", "--online"], ["plan"], ["backfill", "-v"], ["sync", "-v"],
        ["verify"], ["status"], ["status", "--json"], ["pause", "alice/google"],
        ["resume", "alice/google"],
    ):  # fmt: skip
        assert calbridge([*command, "--config", str(desk.path)]) == 0, command


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "oauth/token", "action": "status", "status": 400,
         "body": {"code": 20002, "error": "invalid_client", "error_description": "bad secret"}},
        {"match": "oauth/token", "action": "html", "status": 502},
        {"match": "GET ", "action": "truncate"},
        {"match": "GET ", "action": "drop_after"},
        {"match": "GET ", "action": "status", "status": 400,
         "body": {"code": 99992402, "msg": "field validation failed"}},
    ],
)  # fmt: skip
def test_no_failure_at_feishu_tells_a_secret(desk: Any, told: list[str], fault: Any) -> None:
    desk.run()
    desk.feishu.desk.expire(desk.alice.user)
    desk.weather("feishu", **fault)
    desk.restart()
    desk.connector("feishu", attempts=1)
    for command in ("sync", "backfill", "check --online"):
        assert calbridge([*command.split(), "-v", "--config", str(desk.path)]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "/token", "action": "status", "status": 400,
         "body": {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}},
        {"match": r"POST \S+/events", "action": "status", "status": 403,
         "body": {"error": {"code": 403, "message": "no", "errors": [{"reason": "forbidden"}]}}},
    ],
)  # fmt: skip
def test_no_failure_at_google_tells_a_secret(desk: Any, told: list[str], fault: Any) -> None:
    desk.weather("google", **fault)
    calbridge(["backfill", "-v", "--config", str(desk.path)])
    calbridge(["status", "--json", "--config", str(desk.path)])


def test_a_wrong_config_is_explained_without_its_secrets(desk: Any, told: list[str]) -> None:
    content = yaml.safe_load(desk.path.read_text())
    content["connectors"]["feishu"]["app_secrett"] = content["connectors"]["feishu"]["app_secret"]
    content["connectors"]["google"]["service_account"].pop("client_email")
    content["connectors"]["google"]["calls_per_minute"] = content["secret_key"]
    broken = desk.path.with_name("broken.yaml")
    broken.write_text(yaml.safe_dump(content))
    assert calbridge(["check", "--config", str(broken)]) == 2


def test_the_running_service_tells_no_secret(desk: Any, told: list[str]) -> None:
    desk.by_webhook()
    with desk.serving() as service:
        desk.point(service)
        for path in ("/hooks/feishu", "/healthz", "/", "/hooks/../config.yaml"):
            for method in ("GET", "POST"):
                answer = requests.request(method, service.address + path, data=b"{}", timeout=5)
                told.append(f"{answer.headers}{answer.text}")
        desk.feishu.control("revoke", {"user": ALICE})
        desk.feishu.clock.advance(10)
        assert desk.until(lambda: desk.link().reason)
        told.append(desk.link().reason)
