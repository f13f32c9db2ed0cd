"""The same work for the bridge and for vdirsyncer 0.21, between two calendars of one Radicale.

    python -m benchmarks.against_vdirsyncer [--vdirsyncer PATH] [--sizes 1000 5000]
        [--delays 0 50] [--rounds 5] [--json FILE]

Without `--vdirsyncer` it is installed into a virtual environment of its own, in a temporary
folder. Every request passes a wire that waits and counts, in a process of its own. Of the events
70 % are timed, 10 % all-day, 20 % weekly series. The bridge is resident, as it is in use, and runs
in a process of its own; its time for nothing to do is also taken with a start from cold, as every
run of vdirsyncer is one.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from connectors.sandbox.caldav import CaldavServer, Wire, radicale

VERSION = "0.21.0"
START = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0)
FAULT_SIZE = 200
STORAGE = "benchmarks.radicale_storage"
ITEM = re.compile(rb"<(?:\w+:)?response>.*?</(?:\w+:)?response>", re.DOTALL)
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//benchmark//EN
BEGIN:VEVENT
UID:event-{number}
DTSTAMP:{stamp}
{times}
SUMMARY:Event {number}
DESCRIPTION:Some words about what is to be talked about\\, for everybody.
LOCATION:Room {number}
END:VEVENT
END:VCALENDAR
"""


@dataclass(frozen=True)
class Usage:
    """What one run cost: seconds, CPU seconds, peak memory in MiB, requests by method. `server` is
    for how many seconds the server was at work, added up over all requests: no program can be
    faster than that where they come one after the other."""

    wall: float
    cpu: float
    memory: float
    requests: dict[str, int] = field(default_factory=dict)
    server: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.requests.values())


# The two calendars


class Place:
    """Two collections, `a` full and `b` empty, and the wire to them."""

    def __init__(self, server: CaldavServer, wire: "Remote", folder: Path, size: int) -> None:
        self.server, self.wire = server, wire
        self._root = folder / "data" / "collection-root" / server.user
        for name in "ab":
            (self._root / name).mkdir(parents=True)
            props = {"tag": "VCALENDAR", "D:displayname": name}
            (self._root / name / ".Radicale.props").write_text(json.dumps(props))
        for number in range(size):
            _store(self._root / "a" / f"event-{number}.ics", _event(number))

    def edit(self, side: str, number: int, prop: str, value: str) -> None:
        """A person's edit of an event that nobody has renamed: Radicale serves its folder."""
        row = f"SUMMARY:Event {number}\n"
        path = next(p for p in (self._root / side).glob("*.ics") if row in _text(p))
        changed = re.sub(rf"^{prop}:.*$", f"{prop}:{value}", _text(path), flags=re.MULTILINE)
        _store(path, changed)

    def texts(self, side: str) -> list[str]:
        """All objects of a calendar."""
        return [_text(path) for path in (self._root / side).glob("*.ics")]


def _text(path: Path) -> str:
    return path.read_bytes().decode().replace("\r\n", "\n")


def _store(path: Path, text: str) -> None:
    path.write_bytes(text.replace("\n", "\r\n").encode())


def _event(number: int) -> str:
    start = START + timedelta(days=number % 300, minutes=30 * (number % 16))
    end = start + timedelta(hours=1)
    times = f"DTSTART:{start:%Y%m%dT%H%M%SZ}\nDTEND:{end:%Y%m%dT%H%M%SZ}"
    if number % 10 == 7:
        last = start + timedelta(days=1)
        times = f"DTSTART;VALUE=DATE:{start:%Y%m%d}\nDTEND;VALUE=DATE:{last:%Y%m%d}"
    elif number % 10 in (8, 9):
        times += "\nRRULE:FREQ=WEEKLY;COUNT=20"
    return EVENT.format(number=number, stamp=f"{START:%Y%m%dT%H%M%SZ}", times=times)


class Remote:
    """A `Wire` in another process. It is told what to do, one line of JSON at a time."""

    def __init__(self, upstream: str, delay: float) -> None:
        program = [sys.executable, "-m", "benchmarks.against_vdirsyncer", "--wire", upstream]
        self._process = subprocess.Popen(
            [*program, str(delay)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url: str = self.ask({})["url"]

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Say something to the wire."""
        return _asked(self._process, json.dumps(order))

    def count(self) -> dict[str, Any]:
        """The requests since this was last asked, by method, and the server's time for them."""
        found = self.ask({"count": True})
        return {"requests": found["requests"], "server": found["server"]}

    def close(self) -> None:
        """End the process."""
        _end(self._process)


def _asked(process: "subprocess.Popen[str]", line: str) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def _wire(upstream: str, delay: float) -> None:
    """The other process of `Remote`."""
    with Wire(upstream, delay=delay) as wire:
        for line in sys.stdin:
            order = json.loads(line)
            if order.get("lossy"):
                wire.rewrite = _lossy
            counts: dict[str, int] = {}
            server = wire.waited
            if order.get("count"):
                for method, _ in wire.requests:
                    counts[method] = counts.get(method, 0) + 1
                wire.requests.clear()
                wire.waited = 0.0
            answer = {"url": wire.url, "requests": counts, "server": server}
            print(json.dumps(answer), flush=True)


def _lossy(_method: str, path: str, body: bytes) -> bytes:
    """A listing of `a` that has lost all items but one."""
    if "/a/" not in path or b"BEGIN:VCALENDAR" in body:
        return body
    items = [item for item in ITEM.findall(body) if b".ics<" in item]
    for item in items[1:]:
        body = body.replace(item, b"")
    return body


# The two programs


class Vdirsyncer:
    """vdirsyncer, a process for every run."""

    name = f"vdirsyncer {VERSION}"

    def __init__(self, program: Path, place: Place, folder: Path) -> None:
        self._program, self._place = program, place
        self._config = folder / "vdirsyncer.conf"
        user, password = place.server.user, place.server.password
        storage = f'type = "caldav"\nurl = "{place.wire.url}{user}/"\n'
        storage += f'username = "{user}"\npassword = "{password}"\n'
        self._config.write_text(
            f'[general]\nstatus_path = "{folder / "status"}"\n'
            '[pair both]\na = "left"\nb = "right"\ncollections = [["pair", "a", "b"]]\n'
            f'conflict_resolution = "a wins"\n[storage left]\n{storage}[storage right]\n{storage}'
        )
        self._run("discover")

    def sync(self) -> Usage:
        """One run."""
        return self._run("sync")

    def cold(self) -> Usage | None:
        """Every run is one."""
        return None

    def close(self) -> None:
        """Nothing is left running."""

    def _run(self, command: str) -> Usage:
        return _measured([str(self._program), "-c", str(self._config), command], self._place.wire)


class Bridge:
    """The bridge, resident."""

    name = "the bridge"

    def __init__(self, place: Place, folder: Path) -> None:
        from bridge.vault import Vault

        login = {"username": place.server.user, "password": place.server.password}
        dav = {"type": "caldav", "url": place.wire.url, "accounts": {"ann": login}}
        content = {
            "database": f"sqlite:///{folder / 'bridge.db'}",
            "secret_key": Vault.generate_key(),
            "connectors": {"left": dav, "right": dav},
            "defaults": {"direction": "two-way"},
            "users": {
                "ann": {
                    "left": {"account": "ann", "calendar": "a"},
                    "links": [{"to": "right", "account": "ann", "calendar": "b"}],
                }
            },
        }
        self._place, self._config = place, folder / "bridge.yaml"
        self._config.touch(mode=0o600)
        self._config.write_text(yaml.safe_dump(content))
        program = [sys.executable, "-m", "benchmarks.against_vdirsyncer", "--bridge"]
        self._process = subprocess.Popen(
            [*program, str(self._config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the bridge did not start"
        place.wire.count()

    def sync(self) -> Usage:
        """One pass."""
        found = _asked(self._process, "sync")
        return Usage(**found, **self._place.wire.count())

    def cold(self) -> Usage | None:
        """A pass by the command line."""
        program = [sys.executable, "-c", "from bridge.cli import main; main()"]
        return _measured([*program, "--config", str(self._config), "sync"], self._place.wire)

    def close(self) -> None:
        """End the process."""
        _end(self._process)


def _bridge(config: str) -> None:
    """The other process of `Bridge`."""
    from bridge import config as config_file
    from bridge.records import RunKind
    from bridge.runtime import Runtime

    with Runtime(config_file.load(Path(config))) as runtime:
        runtime.ready(runtime.select())
        print("ready", flush=True)
        for _line in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            (ready,) = runtime.ready(runtime.select())
            runtime.link_pass(ready).run(RunKind.SYNC)
            found = {
                "wall": time.perf_counter() - wall,
                "cpu": time.process_time() - cpu,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            print(json.dumps(found), flush=True)


def _measured(program: Sequence[str], wire: Remote) -> Usage:
    started = time.perf_counter()
    process = subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(b"y\n" * 9)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return Usage(wall, cpu, memory, **wire.count())


# The work

Program = Vdirsyncer | Bridge
Making = Callable[[Place, Path], Program]


@contextmanager
def _at_work(make: Making, size: int, delay: float) -> Iterator[tuple[Place, Program]]:
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="calbridge-bench-", dir=base) as name:
        folder = Path(name)
        with radicale(folder / "radicale", storage=STORAGE) as server:
            wire = Remote(server.url, delay)
            try:
                place = Place(server, wire, folder / "radicale", size)
                program = make(place, folder)
                try:
                    yield place, program
                finally:
                    program.close()
            finally:
                wire.close()


def _steps(make: Making, size: int, delay: float) -> dict[str, Usage]:
    """At first, with nothing to do, and with one event of a hundred changed."""
    with _at_work(make, size, delay) as (place, program):
        found = {"initial": program.sync()}
        assert len(place.texts("b")) == size, f"{len(place.texts('b'))} of {size} arrived"
        program.sync()
        found["no-op"] = program.sync()
        if cold := program.cold():
            found["no-op, cold"] = cold
        for number in range(0, size, 100):
            place.edit("a", number, "SUMMARY", f"Changed {number}")
        found["1 % changed"] = program.sync()
        arrived = sum("SUMMARY:Changed" in text for text in place.texts("b"))
        assert arrived == size // 100, f"{arrived} changes arrived"
        return found


def _faults(make: Making) -> dict[str, str]:
    """What becomes of two edits of one event, and of a listing that lost nearly everything."""
    with _at_work(make, FAULT_SIZE, 0) as (place, program):
        program.sync()
        place.edit("b", 5, "LOCATION", "Moved in b")
        place.edit("a", 5, "SUMMARY", "Renamed in a")
        program.sync()
        program.sync()
        merged = [
            side
            for side in "ab"
            for text in place.texts(side)
            if "SUMMARY:Renamed in a\n" in text and "LOCATION:Moved in b\n" in text
        ]
        place.wire.ask({"lossy": True})
        place.edit("a", 6, "LOCATION", "so that there is news")
        program.sync()
        left = len(place.texts("b"))
        return {
            "two edits of different fields": f"both stand in {' and '.join(merged) or 'neither'}",
            "listing lost 199 of 200": f"{left} of {FAULT_SIZE} left in the other calendar",
        }


def measure(
    program: Path, sizes: Sequence[int], delays: Sequence[float], rounds: int
) -> dict[str, Any]:
    """Every figure by program, size, delay and step, with all rounds in order."""
    makings: dict[str, Making] = {
        Vdirsyncer.name: lambda place, folder: Vdirsyncer(program, place, folder),
        Bridge.name: Bridge,
    }
    found: dict[str, Any] = {"steps": [], "faults": {}}
    for size in sizes:
        for delay in delays:
            for name, make in makings.items():
                runs = [_steps(make, size, delay / 1000) for _ in range(rounds)]
                for step in runs[0]:
                    usages = [run[step] for run in runs]
                    row = {"program": name, "events": size, "delay": delay, "step": step}
                    found["steps"].append({**row, "runs": [asdict(usage) for usage in usages]})
                    print(_line(row, usages), flush=True)
    for name, make in makings.items():
        found["faults"][name] = _faults(make)
        for what, came in found["faults"][name].items():
            print(f"{name:18} {what}: {came}", flush=True)
    return found


def _line(row: dict[str, Any], usages: Sequence[Usage]) -> str:
    walls = [usage.wall for usage in usages]
    cpu = statistics.median(usage.cpu for usage in usages)
    memory = max(usage.memory for usage in usages)
    return (
        f"{row['program']:18} {row['events']:>6} events {row['delay']:>4g} ms  {row['step']:12} "
        f"{statistics.median(walls):8.2f} s ({min(walls):.2f}-{max(walls):.2f})  cpu {cpu:6.2f} s  "
        f"{memory:5.0f} MiB  {usages[0].total:>6} requests  "
        f"server {statistics.median(usage.server for usage in usages):7.2f} s"
    )


@contextmanager
def _installed(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="calbridge-vdirsyncer-"))
    try:
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"vdirsyncer=={VERSION}"], check=True)
        yield folder / "bin" / "vdirsyncer"
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vdirsyncer", type=Path, help="an installed one")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--delays", type=float, nargs="+", default=[0, 50], help="milliseconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write everything there")
    parser.add_argument("--wire", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--bridge", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    os.environ.setdefault("PYTHONTZPATH", "")
    if chosen.wire:
        _wire(chosen.wire[0], float(chosen.wire[1]))
    elif chosen.bridge:
        _bridge(chosen.bridge)
    else:
        with _installed(chosen.vdirsyncer) as program:
            found = measure(program, chosen.sizes, chosen.delays, chosen.rounds)
        if chosen.json:
            chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
