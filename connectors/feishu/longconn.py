"""The long connection, supervised: a child process holds it, this side watches and restarts it.

Source: docs "Use a long connection to receive events". Feishu gives each event to one random
client of the app, so one bridge per app may listen.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

from connectors.contract import Context, Hint
from connectors.feishu.events import hints_of
from connectors.feishu.settings import Settings

_CHILD = (sys.executable, "-m", "connectors.feishu.longconn_child")
_PATIENCE = 2.5  # Feishu wants its acknowledgement within 3 s
_FIRST_SIGN = 90.0  # importing the SDK, discovery and handshake, on a slow machine
_TICK = 0.2
_BACKOFF_CAP = 60.0
_STEADY = 60.0  # a connection that lived for so long was a good one
_FLAPPING = 2  # failures that those count as which are made and end at once


class LongConnection:
    """Delivers hints of one app until told to stop, whatever happens to the connection.

    A connection that shows no sign of life for `delivery.silence` ping intervals is taken for
    dead, because such connections have been seen to stay deaf for days.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        context: Context,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._settings = settings
        self._context = context
        self._monotonic = monotonic

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        """Block until `stop()`; an event is acknowledged only after `sink` took its hints.

        An error of `sink` ends it: what cannot be stored must not be acknowledged.
        """
        failures = 0
        while not stop():
            begun = self._monotonic()
            with self._child() as (commands, lines):
                connected = self._relay(commands, lines, sink, stop)
            if connected and self._monotonic() - begun >= _STEADY:
                failures = 0
            else:
                failures = min(failures + 1, _FLAPPING) if connected else failures + 1
            self._pause(min(_BACKOFF_CAP, 2.0 ** min(failures, 6)) * self._context.random(), stop)

    @contextmanager
    def _child(self) -> Iterator[tuple[IO[str], "Queue[str | None]"]]:
        """A child at work: where to write to it, and its lines (None = it ended)."""
        child = subprocess.Popen(  # noqa: S603 - our own module, no shell
            _CHILD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            bufsize=1,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        lines: Queue[str | None] = Queue()
        reader = Thread(target=_read, args=(child.stdout, lines), daemon=True)
        reader.start()
        try:
            with suppress(BrokenPipeError):
                child.stdin.write(json.dumps(self._config()) + "\n")
            yield child.stdin, lines
        finally:
            child.kill()
            child.wait()
            reader.join()
            child.stdout.close()
            with suppress(BrokenPipeError):
                child.stdin.close()

    def _config(self) -> Mapping[str, Any]:
        return {
            "app_id": self._settings.app_id,
            "app_secret": self._settings.app_secret.get_secret_value(),
            "domain": self._settings.api_origin,
            "timeout": self._settings.timeout,
            "patience": _PATIENCE,
        }

    def _relay(
        self,
        commands: IO[str],
        lines: "Queue[str | None]",
        sink: Callable[[Hint], None],
        stop: Callable[[], bool],
    ) -> bool:
        """Pass hints on until the child ends or goes silent. True if it ever was connected."""
        connected, allowed = False, _FIRST_SIGN
        seen = self._monotonic()
        while not stop():
            try:
                line = lines.get(timeout=_TICK)
            except Empty:
                if self._monotonic() - seen > allowed:
                    self._context.log("long connection is silent, starting anew", app=self._name)
                    return connected
                continue
            said: Any = {"ended": "the process ended"} if line is None else json.loads(line)
            seen = self._monotonic()
            if "ended" in said:
                self._context.log("long connection ended", app=self._name, why=said["ended"])
                return connected
            if "alive" in said:
                if not connected:
                    sink(Hint(connector=self._name))  # what happened before is not told again
                connected, allowed = True, self._settings.delivery.silence * said["alive"]
            if "event" in said:
                for hint in hints_of(self._name, said["payload"]):
                    sink(hint)
                with suppress(BrokenPipeError):
                    commands.write(f"{said['event']}\n")
        return connected

    def _pause(self, seconds: float, stop: Callable[[], bool]) -> None:
        end = self._monotonic() + seconds
        while not stop() and (rest := end - self._monotonic()) > 0:
            self._context.sleep(min(_TICK, rest))


def _read(pipe: IO[str], lines: "Queue[str | None]") -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)
