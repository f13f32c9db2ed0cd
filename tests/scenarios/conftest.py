"""Whole stories over the wire: the real bridge, the real SDKs, the sandboxes, real sockets."""

import json
import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import pytest

from bridge import config as config_file
from bridge.commands.trial import consent_all, write_config
from bridge.records import Link, RunKind, Unit, UnitState
from bridge.runtime import ReadyLink, Runtime, System
from bridge.service import Service
from bridge.sync import Outcome
from bridge.verify import Comparison, verify
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.faults import Fault
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.http import Request, Response
from connectors.sandbox.worlds import WORLDS, Trial

ALICE = "alice@office.example"
ENCRYPT_KEY = "scenario-encrypt-key"
VERIFICATION_TOKEN = "scenario-verification-token"
OF_TOKENS = ("oauth.token", "auth.tenant_token", "oauth.authorize", "authen.user_info")


def _count(calls: list[Any], operations: tuple[str, ...]) -> int:
    if operations:
        return sum(call.operation in operations for call in calls)
    return sum(call.operation not in OF_TOKENS for call in calls)


@dataclass
class Desk:
    """The world `desk` with a config file for it, Alice's consent already given.

    The bridge lives by the sandboxes' clock. Its naps are short; `naps` is how long they were
    meant to be.
    """

    trial: Trial
    path: Path
    naps: list[float] = field(default_factory=list)
    _open: Runtime | None = None
    _skipped: float = 0.0
    _at_work: bool = False
    _napping: Lock = field(default_factory=Lock)

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

    @contextmanager
    def runtime(self) -> Iterator[Runtime]:
        """The bridge in this process; the same one until the config changes or it restarts."""
        if self._open is None:
            system = System(
                now=self.feishu.clock.now,
                sleep=self._nap,
                monotonic=self._passed,
                random=lambda: 0.5,
            )
            self._open = Runtime(config_file.load(self.path), system)
        yield self._open

    def restart(self) -> None:
        """Forget everything that is not in the database."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def _nap(self, seconds: float) -> None:
        self.naps.append(seconds)
        clock = self.feishu.clock
        over, then = self._passed() + seconds, clock.now() + timedelta(seconds=seconds)
        time.sleep(min(seconds, 0.005))
        if self._at_work:  # a service's own patience is of real seconds
            return
        with self._napping:
            self._skipped = max(self._skipped, over - time.monotonic())
            clock.advance(max(0.0, (then - clock.now()).total_seconds()))

    def _passed(self) -> float:
        """The time that naps were meant to take has passed."""
        return time.monotonic() + self._skipped

    @contextmanager
    def serving(self) -> Iterator[Service]:
        """The service, at work and idle for the first time."""
        with self.runtime() as runtime:
            service = Service(runtime)
            self._at_work = True
            service.start()
            try:
                assert service.wait_idle(30)
                yield service
            finally:
                service.stop()
                self._at_work = False

    def consent(self) -> None:
        """Alice agrees (again)."""
        with self.runtime() as runtime:
            consent_all(self.trial, runtime)

    def weather(self, sandbox: str, match: str, action: Any, **more: Any) -> None:
        """From now on requests that match fare like this, for ever unless `times` is given."""
        fault = Fault(match=match, action=action, **{"times": 0, **more})
        self.trial.sandboxes[sandbox].faults.add(fault)

    def spoil(self, sandbox: str, match: str, change: Callable[[Any], None], **more: Any) -> None:
        """Let `change` have its way with the JSON of every answer to requests that match."""

        def rewrite(_name: str, _request: Request, response: Response) -> Response:
            body = json.loads(response.body)
            if response.status == 200:
                change(body)
            response.body = json.dumps(body).encode()
            return response

        self.trial.sandboxes[sandbox].rewrite = rewrite  # type: ignore[method-assign]
        self.weather(sandbox, match, "rewrite", **more)

    def clear(self) -> None:
        """Fair weather again."""
        for sandbox in self.trial.sandboxes.values():
            sandbox.faults.clear()

    def until(self, true: Callable[[], Any], patience: float = 20.0) -> Any:
        """What `true` answers as soon as it is true, or in the end."""
        deadline = time.monotonic() + patience
        while not (found := true()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def google_calls(self, *operations: str, since: int = 0) -> int:
        """How many such calls reached Google; without names all but those for tokens."""
        return _count(self.google.calls(since=since), operations)

    def feishu_calls(self, *operations: str, since: int = 0) -> int:
        """The same at Feishu."""
        return _count(self.feishu.calls(since=since), operations)

    def stored(self) -> dict[str, Any]:
        """Everything that stands at Google, by id."""
        return {item["id"]: item for item in self.google.events(ALICE)}

    def at_google(self, title: str) -> Any:
        """The single event or master of that title at Google, None if there is not exactly one."""
        found = [
            item
            for item in self.google.events(ALICE)
            if item.get("summary") == title and "recurringEventId" not in item
        ]
        return found[0] if len(found) == 1 else None

    def run(
        self, kind: RunKind = RunKind.SYNC, *, full: bool = False, approved: bool = False
    ) -> Outcome:
        """One pass in this process."""
        with self.runtime() as runtime:
            one = runtime.link_pass(self._ready(runtime), full=full, approved=approved)
            return one.run(kind)

    def link(self) -> Link:
        """The link's row."""
        with self.runtime() as runtime:
            return runtime.store.links()[0]

    def units(self, state: UnitState | None = None) -> list[Unit]:
        """The link's units."""
        with self.runtime() as runtime:
            return list(runtime.store.units(runtime.store.links()[0].id, state=state))

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

    def rooms_have_answered(self) -> bool:
        """Rooms accept a second after they were asked."""
        world = self.feishu.world
        return all(
            person.rsvp != "needs_action"
            for calendar in world.calendars.values()
            for entry in calendar.entries
            for person in entry.event.attendees.values()
            if person.type == "resource"
        )

    def secrets(self) -> set[str]:
        """Everything that nobody may ever read in a log, on a screen or in the database."""
        import yaml

        content = yaml.safe_load(self.path.read_text())
        key_file = content["connectors"]["google"]["service_account"]
        return {
            ENCRYPT_KEY,
            VERIFICATION_TOKEN,
            content["secret_key"],
            self.feishu.app.secret,
            *self.feishu.desk.access,
            *self.feishu.desk.refresh,
            *self.google.oauth.access,
            key_file["private_key"],
            *key_file["private_key"].splitlines()[1:-1],
        }

    def titles(self) -> list[str]:
        """The titles at Google of all singles and masters, sorted; a double shows twice."""
        return sorted(
            item.get("summary", "")
            for item in self.google.events(ALICE)
            if "recurringEventId" not in item
        )

    def find(self, title: str) -> str:
        """The id of the single event or master of that title at Feishu."""
        return str(
            next(
                item["event_id"]
                for item in self.alice.events(self.primary)
                if item.get("summary") == title and item["event_id"].endswith("_0")
            )
        )

    def source_titles(self) -> list[str]:
        """The same at Feishu."""
        return sorted(
            item.get("summary", "")
            for item in self.alice.events(self.primary)
            if item["event_id"].endswith("_0") and item["status"] != "cancelled"
        )

    def connector(self, name: str, **settings: Any) -> None:
        """Change settings of a connector in the config file."""
        import yaml

        connectors = yaml.safe_load(self.path.read_text())["connectors"]
        connectors[name] |= settings
        self.configure(connectors=connectors)

    def by_webhook(self) -> None:
        """Pushes are to come by webhook; `point` tells Feishu where to."""
        keys = {"encrypt_key": ENCRYPT_KEY, "verification_token": VERIFICATION_TOKEN}
        self.connector("feishu", delivery={"mode": "webhook", **keys})

    def point(self, service: Service) -> None:
        """Feishu's webhook points at the service."""
        url = f"{service.address}/hooks/feishu"
        self.feishu.delivery.use("webhook", url, ENCRYPT_KEY, VERIFICATION_TOKEN)

    def silent(self) -> None:
        """Nobody is told anything: changes are found by asking."""
        self.connector("feishu", delivery={"mode": "none"})

    def configure(self, **sections: Any) -> None:
        """Change sections of the config file."""
        import yaml

        content = yaml.safe_load(self.path.read_text())
        content.update(sections)
        self.restart()
        self.path.write_text(yaml.safe_dump(content))


EXCHANGE_WRITES = ("CreateItem", "UpdateItem", "DeleteItem")


class Mailbox(Desk):
    """The world `mailbox`: the same desk with Outlook instead of Google."""

    @property
    def exchange(self) -> ExchangeSandbox:
        sandbox = self.trial.sandboxes["exchange"]
        assert isinstance(sandbox, ExchangeSandbox)
        return sandbox

    def outlook(self, action: str, *values: Any, **options: Any) -> Any:
        """Alice acts in Outlook."""
        return self.exchange.edit(ALICE, action, *values, **options)

    def exchange_calls(self, *operations: str, since: int = 0) -> int:
        """How many such calls Exchange answered; a round of the login dance is none."""
        calls = self.exchange.calls(since=since)
        return sum(
            call.status != 401 and (not operations or call.operation in operations)
            for call in calls
        )

    def stored(self) -> dict[str, Any]:
        """Everything that stands in the calendar at Exchange, by id."""
        return {item["id"]: item for item in self.outlook("events")}

    def mains(self) -> list[Any]:
        """Of every unit the item that says it is its main one, and whatever belongs to no unit."""
        return [item for item in self.outlook("events") if _is_main(item["extended"])]

    def titles(self) -> list[str]:
        """The titles of all units at Exchange, sorted; a double shows twice."""
        return sorted(item["subject"] or "" for item in self.mains())

    def at_exchange(self, title: str) -> Any:
        """The only unit of that title at Exchange, None if there is not exactly one."""
        found = [item for item in self.mains() if item["subject"] == title]
        return found[0] if len(found) == 1 else None

    def thrown_away(self) -> list[str]:
        """The titles in the Deleted Items, sorted."""
        return sorted(item["subject"] for item in self.outlook("events", "deleteditems"))

    def secrets(self) -> set[str]:
        """Everything that nobody may ever read in a log."""
        import yaml

        content = yaml.safe_load(self.path.read_text())
        return {
            content["secret_key"],
            content["connectors"]["exchange"]["password"],
            self.feishu.app.secret,
            *self.feishu.desk.access,
            *self.feishu.desk.refresh,
        }


@pytest.fixture(autouse=True)
def _quiet_sdks() -> Iterator[None]:
    """The SDKs' own import-time warnings are not ours to mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


@pytest.fixture
def desk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Desk]:
    """A fresh desk. Whatever happens at it: nobody got a mail, and no log tells a secret."""
    with _world("desk", Desk, tmp_path, caplog) as made:
        made.google.switches.limits = False
        yield made


@pytest.fixture
def mailbox(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Mailbox]:
    """The same with Exchange."""
    with _world("mailbox", Mailbox, tmp_path, caplog) as made:
        made.exchange.switches.limits = False
        yield made


T = TypeVar("T", bound=Desk)


@contextmanager
def _world(name: str, kind: type[T], folder: Path, caplog: pytest.LogCaptureFixture) -> Iterator[T]:
    caplog.set_level(logging.DEBUG)
    trial = WORLDS[name](7)
    try:
        made = kind(trial, folder / "config.yaml")
        # Who naps for milliseconds where seconds are meant runs into every limit.
        made.feishu.clock.advance(5)
        made.feishu.limits.enabled = False
        write_config(trial, made.path)
        made.consent()
        made.until(made.rooms_have_answered)
        yield made
        made.restart()
        assert trial.mails() == 0
        told = "\n".join(record.getMessage() for record in caplog.get_records("call"))
        assert [secret for secret in made.secrets() if secret in told] == []
    finally:
        trial.stop()


@pytest.fixture(scope="session")
def spawn() -> Callable[..., BaseProcess]:
    """Starts `calbridge ...` in a process of its own, forked from one that has all SDKs loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "alembic.command",
            "bridge.cli",
            "bridge.commands.copying",
            "bridge.commands.run",
            "connectors.exchange.provider",
            "connectors.feishu.provider",
            "connectors.google.provider",
            "psycopg",
        ]
    )

    def start(*arguments: str) -> BaseProcess:
        program = f"import sys; from bridge.cli import run; sys.exit(run({list(arguments)!r}))"
        process = context.Process(target=exec, args=(program,))
        process.start()
        return process

    return start


def _is_main(extended: dict[str, list[str]]) -> bool:
    mark = extended.get("calbridge-mark")
    return mark is None or json.loads(mark[0])["m"] == 1


def as_json(text: str) -> Any:
    return json.loads(text)
