"""What a newcomer does after reading the README: `sandbox`, `init`, `run`, and the browser."""

import os
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import config
from bridge.cli import run
from bridge.commands.trial import write_config
from bridge.runtime import Runtime
from bridge.service import Service
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.worlds import WORLDS, Trial

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def trial() -> Iterator[Trial]:
    """What `calbridge sandbox` starts, with whoever has to consent already signed in there."""
    made = WORLDS["office"](0)
    for consent in made.consents:
        consent.sign_in()
    yield made
    made.stop()
    assert made.mails() == 0


def test_from_init_to_synced_calendars_through_the_browser(
    trial: Trial,
    browse: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_config(trial, tmp_path / "sandbox.yaml")
    assert run(["init", "--sandbox", "sandbox.yaml"]) == 0
    for name, value in re.findall(r"export (\w+)=(\S+)", capsys.readouterr().out):
        assert value not in (tmp_path / "config.yaml").read_text()
        monkeypatch.setenv(name, value)
    assert run(["check"]) == 0
    assert "not set" not in capsys.readouterr().out
    path = tmp_path / "config.yaml"  # as it is, but for the port, which another test may have
    path.write_text(path.read_text().replace("127.0.0.1:8377", "127.0.0.1:0"))
    with Runtime(config.load(path, os.environ)) as runtime:
        service = Service(runtime)
        service.start()
        try:
            connect_everything(browse(service.address))
            link = until_it_ran(service, runtime)
            live = runtime.store.count_units(link)["live"]
            google = trial.sandboxes["google"]
            assert isinstance(google, GoogleSandbox)
            here = google.events(runtime.config.links[0].b.account)
            assert len([each for each in here if "recurringEventId" not in each]) == live > 100
        finally:
            service.stop()


def connect_everything(admin: Any) -> None:
    for _ in range(2):
        admin.get("/accounts")
        assert "not connected" in admin.text
        row = re.search(r'name="connector" value="([^"]+)"><input[^>]*value="([^"]+)"',
                        admin.page.text.replace("\n", ""))  # fmt: skip
        assert row is not None
        admin.post("/accounts/invite", connector=row[1], account=row[2])
        link = re.search(r'readonly value="([^"]+)"', admin.page.text)
        assert link is not None
        user = type(admin)(admin.address)
        user.get(link[1])
        user.post(link[1].removeprefix(admin.address))
        onward = re.search(r'<a class="button main" href="([^"]+)"', user.page.text)
        assert onward is not None
        user.get(unescape(onward[1]))  # the provider's page sends whoever is signed in there back
        assert "is connected" in user.text
    assert "not connected" not in admin.get("/accounts").text


def until_it_ran(service: Service, runtime: Runtime) -> int:
    """The link, once its first pass is through."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        (link,) = [link.id for link in runtime.store.links()] or [0]
        if link and any(each.outcome == "ok" for each in runtime.store.runs(link)):
            assert service.wait_idle(90)
            return link
        time.sleep(0.05)
    raise AssertionError("it never ran")


def test_the_readme_names_these_steps() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    steps = [
        "calbridge sandbox --config-out sandbox.yaml",
        "calbridge init --sandbox sandbox.yaml",
        "calbridge run",
        "http://127.0.0.1:8377/accounts",
    ]
    assert [step for step in steps if step not in readme] == []


def test_a_file_that_is_no_config_of_the_sandboxes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.yaml"
    connectors = {"hub": {"type": "memory"}, "other": {"type": "memory"}}
    user = {"hub": {"account": "ann"}, "links": [{"to": "other", "account": "ann"}]}
    for content in (
        "- nothing",
        yaml.safe_dump({"connectors": connectors, "users": {"ann": user}}),
    ):
        other.write_text(content)
        assert run(["init", "--sandbox", "other.yaml"]) == 2
        assert "other.yaml" in capsys.readouterr().err
    assert not (tmp_path / "config.yaml").exists()
