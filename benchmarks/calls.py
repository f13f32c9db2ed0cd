"""How many calls the providers see: for a backfill, for a look without news, for each edit.

The real bridge and the real SDKs against the sandboxes. Calls for tokens and consent are left out.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Row, counted
from bridge import config as config_file
from bridge.commands.trial import consent_all, write_config
from bridge.records import RunKind
from bridge.runtime import Runtime
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.worlds import WORLDS, Trial

TOKENS = ("oauth.token", "auth.tenant_token", "oauth.authorize", "authen.user_info")
MAIL = "alice@office.example"
SERIES = "recurrence"


def measure() -> list[Row]:
    trial = WORLDS["desk"](0)
    try:
        with tempfile.TemporaryDirectory(prefix="calbridge-bench-") as folder:
            path = Path(folder) / "bench.yaml"
            write_config(trial, path)
            with Runtime(config_file.load(path)) as runtime:
                consent_all(trial, runtime)
                return _story(trial, runtime)
    finally:
        trial.stop()


def _story(trial: Trial, runtime: Runtime) -> list[Row]:
    feishu = trial.sandboxes["feishu"]
    assert isinstance(feishu, FeishuSandbox)
    alice = feishu.as_user(feishu.world.user_by(MAIL))
    calendar = alice.user.primary
    created = 0

    def run(*, full: bool = False) -> None:
        nonlocal created
        (ready,) = runtime.ready(runtime.select())
        kind = RunKind.BACKFILL if full else RunKind.SYNC
        created = runtime.link_pass(ready, full=full).run(kind).counts.created

    def passes(what: str, bar: str = "") -> list[Row]:
        return _counted(trial, what, run, bar)

    rows = _counted(trial, "backfill", lambda: run(full=True))
    rows = [counted(f"{item.what}, per event", item.median / created, item.unit) for item in rows]
    run()
    rows += passes("pass without news", "1 where it reads, 0 where it writes")
    single = _find(alice.events(calendar), series=False)
    alice.patch(calendar, single, {"summary": "Another title"})
    rows += passes("one event renamed", "1 listing, 1 write")
    series = _find(alice.events(calendar), series=True)
    alice.patch(calendar, series, {"summary": "Another series"})
    rows += passes("a series renamed")
    alice.delete(calendar, single)
    rows += passes("one event deleted", "1 listing, 1 write")
    return rows


def _find(wires: list[dict[str, Any]], *, series: bool) -> str:
    """A master or a single event that the person organises and nobody else attends."""
    return next(
        str(wire["event_id"])
        for wire in wires
        if wire["event_id"].endswith("_0")
        and bool(wire.get(SERIES)) is series
        and wire["status"] == "confirmed"
        and int(wire["start_time"].get("timestamp", 0)) > 0
    )


def _counted(trial: Trial, what: str, act: Callable[[], None], bar: str = "") -> list[Row]:
    before = {name: len(sandbox.calls()) for name, sandbox in trial.sandboxes.items()}
    act()
    return [
        counted(f"{what}: {name}", _calls(sandbox.calls(since=before[name])), "calls", bar)
        for name, sandbox in trial.sandboxes.items()
    ]


def _calls(entries: list[Any]) -> int:
    return sum(entry.operation not in TOKENS for entry in entries)
