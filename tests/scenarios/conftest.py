"""Whole stories over the wire: the real bridge, the real SDKs, the sandboxes, real sockets."""

import json
import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from bridge import config as config_file
from bridge.commands.trial import consent_all, write_config
from bridge.records import RunKind
from bridge.runtime import ReadyLink, Runtime
from bridge.sync import Outcome
from bridge.verify import Comparison, verify
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.worlds import WORLDS, Trial

ALICE = "alice@office.example"


@dataclass
class Desk:
    """The world `desk` with a config file for it, Alice's consent already given."""

    trial: Trial
    path: Path

    @property
    def feishu(self) -> FeishuSandbox:
        sandbox = self.trial.sandboxes["feishu"]
        assert isinstance(sandbox, FeishuSandbox)
        return sandbox

    @property
    def google(self) -> GoogleSandbox:
        sandbox = self.trial.sandboxes["google"]
        assert isinstance(sandbox, GoogleSandbox)
        return sandbox

    @property
    def alice(self) -> Any:
        user = self.feishu.world.user_by(ALICE)
        return self.feishu.as_user(user)

    @property
    def primary(self) -> str:
        return str(self.alice.user.primary)

    def runtime(self) -> Runtime:
        return Runtime(config_file.load(self.path))

    def run(self, kind: RunKind = RunKind.SYNC, *, full: bool = False) -> Outcome:
        """One pass in this process."""
        with self.runtime() as runtime:
            return runtime.link_pass(self._ready(runtime), full=full).run(kind)

    def verify(self) -> Comparison:
        with self.runtime() as runtime:
            item = self._ready(runtime)
            return verify(
                item.link,
                runtime.rules(item.config, item.link),
                runtime.connectors(item.link),
                runtime.store,
                runtime.system.now(),
            )

    def _ready(self, runtime: Runtime) -> ReadyLink:
        return runtime.ready(runtime.select())[0]

    def titles(self) -> list[str]:
        """The titles at Google of all singles and masters, sorted; a double shows twice."""
        return sorted(
            item.get("summary", "")
            for item in self.google.events(ALICE)
            if "recurringEventId" not in item
        )

    def source_titles(self) -> list[str]:
        """The same at Feishu."""
        return sorted(
            item.get("summary", "")
            for item in self.alice.events(self.primary)
            if item["event_id"].endswith("_0") and item["status"] != "cancelled"
        )

    def configure(self, **sections: Any) -> None:
        """Change sections of the config file."""
        import yaml

        content = yaml.safe_load(self.path.read_text())
        content.update(sections)
        self.path.write_text(yaml.safe_dump(content))


@pytest.fixture(autouse=True)
def _quiet_sdks() -> Iterator[None]:
    """The SDKs' own import-time warnings are not ours to mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A fresh desk."""
    trial = WORLDS["desk"](7)
    try:
        path = tmp_path / "config.yaml"
        write_config(trial, path)
        made = Desk(trial, path)
        with made.runtime() as runtime:
            consent_all(trial, runtime)
        yield made
    finally:
        trial.stop()


@pytest.fixture(scope="session")
def spawn() -> Callable[..., BaseProcess]:
    """Starts `calbridge ...` in a process of its own, forked from one that has all SDKs loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["bridge.commands.copying", "bridge.commands.run", "lark_oapi", "googleapiclient.discovery"]
    )

    def start(*arguments: str) -> BaseProcess:
        from bridge.cli import run

        process = context.Process(target=run, args=(list(arguments),))
        process.start()
        return process

    return start


def as_json(text: str) -> Any:
    return json.loads(text)
