"""How long small links wait while a link with 20,000 new events is being worked on.

The service with two workers over calendars in memory, on SQLite.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Case, Row, counted, row
from bridge import config
from bridge.runtime import Runtime
from bridge.service import Service
from bridge.vault import Vault
from connectors.memory import named_world
from connectors.testing.builders import event

LARGE = 20_000
SMALL = 50
CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: fairness-hub}}
  other: {{type: memory, world: fairness-other}}
service: {{listen: "127.0.0.1:0", poll: 1d, workers: 2}}
users:
"""
USER = "  {name}: {{hub: {name}, links: [{{to: other, account: {name}, direction: two-way}}]}}\n"


def cases(_full: bool) -> dict[str, Case]:
    return {"all": _measure}


def _measure() -> list[Row]:
    names = ["large", *(f"small-{number}" for number in range(SMALL))]
    hub, other = named_world("fairness-hub"), named_world("fairness-other")
    calendars = {name: hub.add_calendar(name, "main") for name in names}
    copies = {name: other.add_calendar(name, "main") for name in names}
    with tempfile.TemporaryDirectory(prefix="calbridge-bench-") as folder:
        path = Path(folder) / "bench.yaml"
        users = "".join(USER.format(name=name) for name in names)
        path.write_text(CONFIG.format(key=Vault.generate_key()) + users)
        with Runtime(config.load(path)) as runtime:
            service = Service(runtime)
            service.start()
            service.wait_idle(60)
            with hub.lock:
                for number in range(LARGE):
                    calendars["large"].person_puts(event(f"E{number}", "2027-03-03T12:00"))
            while not copies["large"].refs():
                time.sleep(0.01)
            put: dict[str, float] = {}
            for name in names[1:]:
                calendars[name].person_puts(event("Lunch", "2027-03-03T12:00"))
                put[name] = time.perf_counter()
            waits: list[float] = []
            while put:
                arrived = [name for name in put if copies[name].refs()]
                waits += [time.perf_counter() - put.pop(name) for name in arrived]
                time.sleep(0.005)
            done = len(copies["large"].refs())
            service.stop()
    return [
        row(f"wait of {SMALL} small links", waits, "s"),
        counted("of the large link done by then", 100 * done / LARGE, "%", "< 100"),
    ]
