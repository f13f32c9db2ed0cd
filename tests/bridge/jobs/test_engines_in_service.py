"""The service works the same with every engine."""

import time
from collections.abc import Callable
from pathlib import Path

from bridge import config
from bridge.runtime import Runtime
from bridge.service import Service
from bridge.vault import Vault
from connectors.memory import MemoryCalendar, named_world
from connectors.testing.builders import event

CONFIG = """\
database: {database}
secret_key: {key}
connectors:
  hub: {{type: memory, world: hub-{kind}}}
  other: {{type: memory, world: other-{kind}}}
service: {{listen: "127.0.0.1:0", poll: 1d, engine: {engine}}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
"""


def titles(calendar: MemoryCalendar) -> list[str]:
    return sorted(calendar.event(ref).details.title for ref in calendar.refs())


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_what_a_push_tells_of_is_copied(
    tmp_path: Path, database_url: str, kind: str, engine_name: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        CONFIG.format(
            database=database_url, key=Vault.generate_key(), kind=kind, engine=engine_name
        )
    )
    here, there = (
        named_world(f"{side}-{kind}").add_calendar("ann", "main") for side in ("hub", "other")
    )
    here.person_puts(event("Before", "2027-03-03T12:00"))
    with Runtime(config.load(path, {})) as runtime:
        service = Service(runtime)
        service.start()
        try:
            until(lambda: titles(there) == ["Before"])
            here.person_puts(event("After", "2027-03-03T14:00"))
            until(lambda: titles(there) == ["After", "Before"])
            assert service.wait_idle(30)
        finally:
            service.stop()
        # Due it may be: the push of its own write comes when it comes.
        stats = runtime.store.job_stats(runtime.system.now())
        assert (stats.running, stats.parked) == (0, 0)
