"""`sandbox` and `demo`: try everything without an account anywhere."""

import json
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import requests
import yaml

from bridge import config as config_file
from bridge.commands.consent import Pkce, code_of
from bridge.commands.playing import play
from bridge.commands.session import Session, command
from bridge.records import RunKind
from bridge.runtime import Runtime
from bridge.service import Service
from bridge.vault import Vault
from bridge.verify import Comparison, verify
from connectors.contract import Consents
from connectors.sandbox.worlds import WORLDS, Edit, Trial

PATIENCE = 60.0
"""Seconds that an edit may take to arrive before the demo calls it lost."""


@command("sandbox", help="Start the built-in provider sandboxes and print their addresses.")
@click.option("--config-out", type=click.Path(dir_okay=False), help="Write a config for them here.")
@click.option("--seed", default=0, show_default=True, help="Another seed, another world.")
@click.option("--world", default="office", show_default=True, type=click.Choice(list(WORLDS)))
def sandbox(_session: Session, config_out: str | None, seed: int, world: str) -> int:
    """Run until SIGTERM."""
    stop = _stopped()
    trial = WORLDS[world](seed)
    try:
        if config_out:
            path = Path(config_out)
            write_config(trial, path)
            with Runtime(config_file.load(path)) as runtime:
                consent_all(trial, runtime)
        click.echo(json.dumps({**trial.urls(), "config": config_out, "world": world}))
        while not stop.wait(0.5):
            pass
    finally:
        trial.stop()
    return 0


def _stopped() -> threading.Event:
    """Set by SIGTERM and Ctrl-C from now on."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    return stop


def write_config(trial: Trial, path: Path) -> None:
    """A complete config for the world, with its database and key beside it."""
    content = {
        "database": f"sqlite:///{path.stem}.db",
        "secret_key": Vault.generate_key(),
        "web": {"open_on_loopback": True},
        **trial.config,
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def consent_all(trial: Trial, runtime: Runtime) -> None:
    """Every user of the world agrees, through the providers' real consent pages."""
    for consent in trial.consents:
        provider = runtime.provider(consent.connector)
        assert isinstance(provider, Consents)
        consent.sign_in()
        pkce = Pkce.new()
        redirect = "http://127.0.0.1:8378/callback"
        url = provider.authorize_url(
            redirect_uri=redirect, state=pkce.state, challenge=pkce.challenge
        )
        answer = requests.get(url, allow_redirects=False, timeout=30)
        code = code_of(answer.headers["Location"], pkce.state)
        provider.redeem(consent.account, code=code, redirect_uri=redirect, verifier=pkce.verifier)


@dataclass
class Story:
    """What the demo has to tell at the end."""

    backfilled: dict[str, int]
    again: int
    edits: list[dict[str, Any]]
    scenes: list[dict[str, Any]]
    comparisons: list[Comparison]
    mails: int
    events: int

    @property
    def differences(self) -> int:
        """Over all links."""
        return sum(len(item.differences) for item in self.comparisons)

    @property
    def good(self) -> bool:
        """Whether everything arrived, once, right, and silently."""
        arrived = all(edit["seconds"] is not None for edit in self.edits)
        played = all(scene["good"] for scene in self.scenes)
        return not self.differences and not self.mails and not self.again and arrived and played

    def to_json(self) -> dict[str, Any]:
        """For `demo --json`."""
        return {
            "differences": self.differences,
            "edits": self.edits,
            "scenes": self.scenes,
            "backfilled": self.backfilled,
            "events": self.events,
            "second_pass_writes": self.again,
            "mails": self.mails,
            "links": [item.to_json() for item in self.comparisons],
        }


@command("demo", help="Backfill, live edits and verification against the sandboxes.")
@click.option("--once", is_flag=True, help="End after the story instead of staying up.")
@click.option("--seed", default=0, show_default=True, help="Another seed, another world.")
def demo(session: Session, *, once: bool, seed: int) -> int:
    """Tell the whole story; exit 1 if anything differs at the end."""
    say = _silent if session.as_json else click.echo
    with tempfile.TemporaryDirectory(prefix="calbridge-demo-") as folder, _world(seed) as trial:
        say(f"{trial.title}:")
        for name, url in trial.urls().items():
            say(f"  {name:8} {url}")
        path = Path(folder) / "demo.yaml"
        write_config(trial, path)
        with Runtime(config_file.load(path)) as runtime:
            story = _tell(runtime, trial, say)
            session.show(story.to_json(), lambda: _summary(story))
            if not once:
                _stay(runtime, trial)
    return 0 if story.good else 1


def _silent(_text: str = "") -> None:
    """Print nothing."""


@contextmanager
def _world(seed: int) -> Iterator[Trial]:
    trial = WORLDS["office"](seed)
    try:
        yield trial
    finally:
        trial.stop()


def _tell(runtime: Runtime, trial: Trial, say: Any) -> Story:
    consent_all(trial, runtime)
    say(f"\n{len(trial.consents)} consents given. Backfill:")
    backfilled = {}
    for item in runtime.ready(runtime.select()):
        started = time.monotonic()
        counts = runtime.link_pass(item, full=True).run(RunKind.BACKFILL).counts
        backfilled[item.link.name] = counts.created
        linked = counts.adopted
        say(f"  {item.link.name:20} {counts.created:4} created, {linked:2} found on both sides, "
            f"{counts.parked} parked in {time.monotonic() - started:.1f} s")  # fmt: skip
    for item in runtime.ready(runtime.select()):  # what came by way of another link
        runtime.link_pass(item).run(RunKind.SYNC)
    again = sum(
        runtime.link_pass(item, full=True).run(RunKind.BACKFILL).counts.writes
        for item in runtime.ready(runtime.select())
    )
    say(f"  a second backfill: {again} writes")
    say(f"\nLive edits on all sides at once ({trial.note}):")
    service = Service(runtime)
    service.start()
    try:
        trial.webhook(service.address)
        _until(trial.listening)
        service.wait_idle(PATIENCE)
        edits = _watch(trial.edits(), say)
        service.wait_idle(PATIENCE)
    finally:
        service.stop()
    say("\nBetween two passes:")
    played = [play(runtime, scene, say) for scene in trial.scenes]
    comparisons = [
        verify(
            item.link,
            runtime.rules(item.config, item.link),
            runtime.connectors(item.link),
            runtime.store,
            runtime.system.now(),
        )
        for item in runtime.ready(runtime.select())
    ]
    events = sum(comparison.units for comparison in comparisons)
    return Story(backfilled, again, edits, played, comparisons, trial.mails(), events)


def _until(true: Callable[[], bool]) -> bool:
    """Wait for something to become true; False if that takes too long."""
    started = time.monotonic()
    while not (done := true()) and time.monotonic() - started < PATIENCE:
        time.sleep(0.02)
    return done


def _watch(edits: Sequence[Edit], say: Any) -> list[dict[str, Any]]:
    """Let everybody's edits happen one after the other, all people at the same time."""
    told: list[dict[str, Any]] = []
    lock = threading.Lock()

    def follow(who: tuple[str, str]) -> None:
        for edit in (item for item in edits if (item.who, item.by) == who):
            for target, seconds in _arrivals(edit).items():
                with lock:
                    told.append(
                        {"what": edit.what, "who": edit.who, "by": edit.by, "target": target,
                         "seconds": seconds}
                    )  # fmt: skip
                    took = "NEVER ARRIVED" if seconds is None else f"after {seconds:.2f} s"
                    say(f"  {edit.who:6} {edit.what:22} by {edit.by:15} at {target:8} {took}")

    desks = dict.fromkeys((edit.who, edit.by) for edit in edits)
    threads = [threading.Thread(target=follow, args=(desk,)) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def _arrivals(edit: Edit) -> dict[str, float | None]:
    """Make the edit; the seconds until it had arrived at each target, None for never."""
    waiting = dict(edit.arrivals)
    arrived: dict[str, float | None] = dict.fromkeys(waiting)
    started = time.monotonic()
    edit.act()
    while waiting and time.monotonic() - started < PATIENCE:
        for target in [name for name, there in waiting.items() if there()]:
            arrived[target] = round(time.monotonic() - started, 2)
            del waiting[target]
        time.sleep(0.02)
    return arrived


def _summary(story: Story) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("link", "events", "occurrences compared", "differences", title="verify")
    for item in story.comparisons:
        counts = (item.units, item.occurrences, len(item.differences))
        table.add_row(item.link, *map(str, counts))
    Console().print(table)
    for item in story.comparisons:
        for difference in item.differences[:10]:
            click.echo(f"{item.link}: {difference}")
    verdict = "Both sides are the same." if story.good else "SOMETHING IS WRONG."
    click.echo(
        f"{story.events} copies, {len(story.edits)} arrivals of live edits, "
        f"{story.differences} differences, "
        f"{story.mails} mails sent. {verdict}"
    )


def _stay(runtime: Runtime, trial: Trial) -> None:
    """Keep the bridge and the sandboxes up until Ctrl-C or SIGTERM."""
    stop = _stopped()
    service = Service(runtime)
    service.start()
    trial.webhook(service.address)
    click.echo(f"\nthe dashboard is at {service.address}; stop with Ctrl-C", err=True)
    while not stop.wait(0.5):
        pass
    service.stop()
