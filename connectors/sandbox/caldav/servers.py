"""Starts Radicale or Xandikos on a free port of loopback, with a folder of its own."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_Command = Callable[[int], Sequence[str]]
_PATIENCE = 60.0
_ATTEMPTS = 3

_RADICALE = """
[server]
hosts = 127.0.0.1:{port}
max_connections = 64
[auth]
type = htpasswd
htpasswd_filename = {users}
htpasswd_encryption = plain
delay = 0
[rights]
type = owner_only
[storage]
type = {storage}
filesystem_folder = {data}
[logging]
level = warning
"""


@dataclass(frozen=True, slots=True)
class CaldavServer:
    """One that runs. `url` is its root, `home` the collection of the user's calendars."""

    url: str
    home: str
    user: str
    password: str
    process: int


@contextmanager
def radicale(
    folder: Path, *, user: str = "ann", password: str = "secret", storage: str = "multifilesystem"
) -> Iterator[CaldavServer]:
    """Radicale (https://radicale.org) with one user. `storage` is one of its own, or a module."""
    users, config = folder / "users", folder / "config"
    folder.mkdir(parents=True, exist_ok=True)
    users.write_text(f"{user}:{password}\n")

    def command(port: int) -> Sequence[str]:
        places = {"users": users, "data": folder / "data", "storage": storage}
        config.write_text(_RADICALE.format(port=port, **places))
        return ["-m", "radicale", "--config", str(config)]

    with _running(command, folder) as (port, process):
        url = f"http://127.0.0.1:{port}/"
        yield CaldavServer(url, f"{url}{user}/", user, password, process)


@contextmanager
def xandikos(
    folder: Path, *, user: str = "ann", password: str = "secret"
) -> Iterator[CaldavServer]:
    """Xandikos (https://www.xandikos.org), which lets everybody in."""
    folder.mkdir(parents=True, exist_ok=True)
    data, state = str(folder / "data"), str(folder / "state")

    def command(port: int) -> Sequence[str]:
        options = ["--directory", data, "--state-dir", state, "--autocreate"]
        options += ["--current-user-principal", f"/{user}/", "--no-detect-systemd"]
        return ["-m", "xandikos", "serve", *options, "-l", "127.0.0.1", "-p", str(port)]

    with _running(command, folder) as (port, process):
        url = f"http://127.0.0.1:{port}/"
        yield CaldavServer(url, f"{url}{user}/calendars/", user, password, process)


@contextmanager
def _running(command: _Command, folder: Path) -> Iterator[tuple[int, int]]:
    for attempt in range(_ATTEMPTS):
        port = _free_port()
        with (folder / "log").open("ab") as log:
            arguments = [sys.executable, *command(port)]
            process = subprocess.Popen(arguments, stdout=log, stderr=log)  # noqa: S603
        try:
            if _answers(port, process):
                yield port, process.pid
                return
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if attempt == _ATTEMPTS - 1:
            raise RuntimeError(f"the server did not start; see {folder / 'log'}")


def _answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until somebody listens; False if the server ended instead."""
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        except OSError:
            time.sleep(0.05)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
