"""The providers, as sandboxes in a process of their own: their work is not counted as ours."""

import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import yaml

from bridge import config as config_file
from bridge.commands.trial import consent_all
from bridge.runtime import Runtime
from bridge.vault import Vault
from connectors.capabilities import Capabilities, RateBudget
from connectors.pacing import FreePacer, Pacer
from connectors.sandbox.worlds.trial import Consent, Trial

ADDRESS = "{name}@office.example"
UNCOUNTED = ("oauth.", "auth.", "authen.", "ws.")
"""Calls for tokens and consent."""


class Cloud:
    """Feishu, Google and Exchange in a child process. Methods of `_Town` are called by name."""

    def __init__(self, *, limits: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._child = context.Process(target=_serve, args=(theirs, limits), daemon=True)
        self._child.start()
        theirs.close()

    def __enter__(self) -> "Cloud":
        return self

    def __exit__(self, *_error: object) -> None:
        self._ours.send(None)
        self._child.join(20)

    def __call__(self, what: str, *arguments: Any) -> Any:
        """What `_Town.what(*arguments)` returns."""
        self._ours.send((what, arguments))
        done, answer = self._ours.recv()
        if not done:
            raise RuntimeError(f"{what}: {answer}")
        return answer

    def config(self, links: Mapping[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
        """A config in which each user has a link with these settings from Feishu."""
        users = {
            name: {
                "feishu": {"account": ADDRESS.format(name=name)},
                "links": [{"account": ADDRESS.format(name=name), **link}],
            }
            for name, link in links.items()
        }
        return {
            "secret_key": Vault.generate_key(),
            "connectors": self("connectors"),
            "service": {"listen": "127.0.0.1:0", "poll": "1d", "workers": 4},
            "users": users,
            **more,
        }

    def write(self, path: Path, links: Mapping[str, Mapping[str, Any]], **more: Any) -> None:
        """The same as a file."""
        path.write_text(yaml.safe_dump(self.config(links, **more), allow_unicode=True))


class Unpaced(Runtime):
    """A runtime for which every budget is without end: what is left is our own time."""

    def _pacer(self, _name: str, _capabilities: Capabilities) -> Pacer:
        return FreePacer()


class Wide(Runtime):
    """A runtime that keeps budgets like any other, but so wide that nothing ever waits."""

    def _pacer(self, name: str, capabilities: Capabilities) -> Pacer:
        return super()._pacer(name, _widened(capabilities))


def _widened(capabilities: Capabilities) -> Capabilities:
    from dataclasses import replace

    return replace(capabilities, budget=RateBudget(per_second=100_000, per_minute=1_000_000))


@contextmanager
def bridge(
    cloud: Cloud,
    links: Mapping[str, Mapping[str, Any]],
    kind: type[Runtime] = Unpaced,
    **more: Any,
) -> Iterator[Runtime]:
    """A bridge with a new database to which everybody has consented."""
    with tempfile.TemporaryDirectory(prefix="calbridge-bench-") as folder:
        path = Path(folder) / "bench.yaml"
        cloud.write(path, links, **{"database": f"sqlite:///{folder}/bench.db", **more})
        with kind(config_file.load(path)) as runtime:
            consent(cloud, links, runtime)
            yield runtime


def consent(cloud: Cloud, names: Mapping[str, Any], runtime: Runtime) -> None:
    """Everybody agrees at Feishu."""
    consents = [
        Consent("feishu", ADDRESS.format(name=name), lambda name=name: cloud("sign_in", name))
        for name in names
    ]
    consent_all(Trial(sandboxes={}, config={}, consents=consents), runtime)


def _serve(pipe: Connection, limits: bool) -> None:
    town = _Town(limits)
    try:
        while (message := pipe.recv()) is not None:
            what, arguments = message
            try:
                pipe.send((True, getattr(town, what)(*arguments)))
            except Exception as error:  # noqa: BLE001 told to whoever asked
                pipe.send((False, repr(error)))
    except EOFError:
        pass
    finally:
        town.stop()


class _Town:
    """What runs in the child. Answers are values that travel."""

    def __init__(self, limits: bool) -> None:
        from connectors.sandbox.clock import Clock
        from connectors.sandbox.exchange import ExchangeSandbox
        from connectors.sandbox.feishu import FeishuSandbox
        from connectors.sandbox.google import GoogleSandbox
        from connectors.sandbox.worlds.office import PASSWORD, SERVICE

        clock = Clock()
        self.feishu = FeishuSandbox(clock=clock, limits=limits)
        self.google = GoogleSandbox(clock=clock, limits=limits)
        self.exchange = ExchangeSandbox(clock=clock, zone="Asia/Shanghai")
        self._all = {"feishu": self.feishu, "google": self.google, "exchange": self.exchange}
        for sandbox in self._all.values():
            sandbox.start()
        self.google.switches.allow_http_push = True
        self.exchange.add_mailbox(SERVICE, password=PASSWORD, impersonates=True)
        self._exchange_login = (SERVICE, PASSWORD)
        self._service_account = self.google.service_account()
        self._users: dict[str, Any] = {}
        self._since = dict.fromkeys(self._all, 0)

    def stop(self) -> None:
        for sandbox in self._all.values():
            sandbox.stop()

    def connectors(self) -> dict[str, Any]:
        from connectors.sandbox.worlds.office import app_section

        user, password = self._exchange_login
        return {
            "feishu": app_section(self.feishu, {"mode": "none"}),
            "google": {
                "type": "google",
                "service_account": self._service_account,
                "api_root": f"{self.google.url}/",
                "token_uri": f"{self.google.url}/token",
            },
            "exchange": {
                "type": "exchange", "endpoint": self.exchange.ews_url, "auth": "ntlm",
                "username": user, "password": password, "access": "impersonation",
                "zone": "Asia/Shanghai",
            },
        }  # fmt: skip

    def latency(self, seconds: float) -> None:
        """How long every call takes from now on."""
        for sandbox in self._all.values():
            sandbox.latency = seconds

    def switch(self, values: dict[str, Any]) -> None:
        """Turn switches of Feishu."""
        self.feishu.switch(**values)

    def sign_in(self, name: str) -> None:
        """Who answers Feishu's consent page."""
        self.feishu.sign_in(self._users[name])

    def add(self, name: str, events: int = 0, *, mixed: bool = False) -> None:
        """A person with calendars everywhere, empty but for `events` at Feishu."""
        address = ADDRESS.format(name=name)
        self._users[name] = self.feishu.add_user(name, address)
        self.google.add_user(address, zone="Asia/Shanghai")
        self.exchange.add_mailbox(address)
        self.more(name, events, mixed=mixed)

    def more(self, name: str, events: int, *, mixed: bool = False) -> None:
        """More events at Feishu, without a push."""
        for number in range(events):
            self.feishu.seed_event(self._users[name].primary, _body(number, mixed=mixed))

    def webhook(self, address: str, key: str, token: str) -> None:
        """Feishu pushes there from now on, each change by itself."""
        self.feishu.switch(aggregation_seconds=0.0)
        url = f"{address}/hooks/feishu"
        self.feishu.delivery.use(mode="webhook", url=url, encrypt_key=key, verification_token=token)

    def stream(self, names: list[str], rate: float, count: int) -> dict[str, str]:
        """So many changes a second by people in turn, each of another event: a new title, which
        ends in the time of the change. The people by title."""
        ids = {name: [wire["event_id"] for wire in self._wires(name)] for name in names}
        found = {}
        begun = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            name = names[number % len(names)]
            person = self.feishu.as_user(self._users[name])
            title = f"{name} {number} @{time.time():.6f}"
            person.patch(person.user.primary, ids[name].pop(), {"summary": title})
            found[title] = name
        return found

    def edit(self, name: str, number: int, title: str) -> None:
        """A person at Feishu gives an event (of those in the order of the listing) a title."""
        person = self.feishu.as_user(self._users[name])
        wire = self._wires(name)[number]
        person.patch(person.user.primary, wire["event_id"], {"summary": title})

    def create(self, name: str, title: str) -> None:
        """A person at Feishu makes an event."""
        person = self.feishu.as_user(self._users[name])
        person.create(person.user.primary, {**_body(0), "summary": title})

    def delete(self, name: str, number: int) -> None:
        """A person at Feishu deletes an event."""
        person = self.feishu.as_user(self._users[name])
        person.delete(person.user.primary, self._wires(name)[number]["event_id"])

    def edit_there(self, name: str, where: str, number: int, title: str) -> None:
        """A person at Google or Exchange gives an event (of those in order) a title."""
        address, event = self._there(name, where, number)
        if where == "google":
            self.google.edit(address, "change", address, event, {"summary": title})
        else:
            self.exchange.edit(address, "change", event, {"subject": title})

    def create_there(self, name: str, where: str, title: str) -> None:
        """A person there makes an event."""
        address = ADDRESS.format(name=name)
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
        times = [start, start + timedelta(hours=1)]
        if where == "google":
            begin, end = ({"dateTime": at.isoformat(), "timeZone": "Asia/Shanghai"} for at in times)
            body = {"summary": title, "start": begin, "end": end}
            self.google.edit(address, "create", address, body)
        else:
            begin, end = (at.isoformat() for at in times)
            self.exchange.edit(address, "create", {"subject": title, "start": begin, "end": end})

    def delete_there(self, name: str, where: str, number: int) -> None:
        """A person there deletes an event."""
        address, event = self._there(name, where, number)
        if where == "google":
            self.google.edit(address, "remove", address, event)
        else:
            self.exchange.edit(address, "remove", event)

    def _there(self, name: str, where: str, number: int) -> tuple[str, str]:
        address = ADDRESS.format(name=name)
        if where == "google":
            return address, str(self.google.events(address)[number]["id"])
        now = datetime.now(UTC)
        shown = self.exchange.occurrences(address, now - timedelta(days=9), now + timedelta(days=9))
        return address, shown[number].item

    def _wires(self, name: str) -> list[dict[str, Any]]:
        person = self.feishu.as_user(self._users[name])
        return person.events(person.user.primary)

    def copies(self, name: str) -> list[str]:
        """The titles that stand at Google."""
        return [wire.get("summary", "") for wire in self.google.events(ADDRESS.format(name=name))]

    def refusals(self) -> int:
        """How many calls were refused because there had been too many."""
        entries = [entry for sandbox in self._all.values() for entry in sandbox.calls()]
        return sum(entry.status in (403, 429) for entry in entries)

    def calls(self) -> dict[str, Counter[str]]:
        """What each provider was asked since this was last asked, by the call's name."""
        found = {}
        for name, sandbox in self._all.items():
            entries = sandbox.calls(since=self._since[name])
            self._since[name] += len(entries)
            found[name] = Counter(
                entry.operation for entry in entries if not entry.operation.startswith(UNCOUNTED)
            )
        return found


def _body(number: int, *, mixed: bool = False) -> dict[str, Any]:
    """An event: half an hour each, one after the other. Mixed: 70 % timed, 10 % all day, 20 %
    weekly series."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start += timedelta(minutes=30 * (number % 10_000) - 60 * 24)
    body: dict[str, Any] = {
        "summary": f"Event {number}",
        "description": "Agenda:<br>1. numbers<br>2. <b>risks</b>",
        "vchat": {"vc_type": "no_meeting"},
    }
    if mixed and number % 10 == 7:
        day = start.date().isoformat()
        return {**body, "start_time": {"date": day}, "end_time": {"date": day}}
    seconds = int(start.timestamp())
    for name, at in (("start_time", seconds), ("end_time", seconds + 1800)):
        body[name] = {"timestamp": str(at), "timezone": "Asia/Shanghai"}
    if mixed and number % 10 in (8, 9):
        body["recurrence"] = "FREQ=WEEKLY;COUNT=10"
    return body
