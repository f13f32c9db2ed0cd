"""Providers' outgoing connections that carry hints: kept up, and by one process alone.

Some providers give every push to only one of an app's connections, others permit few. So one
process of all that share the database listens, whoever takes the seat first; the others stand by
and take it over when its holder ends.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from bridge.backoff import backoff
from bridge.runtime import Runtime
from bridge.store.seats import Seat
from connectors.contract import Hint, Listens

STAND_BY = 1.0
"""Seconds between attempts to take over."""
LOOK = 2.0
"""Seconds between looks whether the seat is still ours."""
STEADY = 60.0
"""Seconds after which a listener that ends is not taken for one that cannot begin."""
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=1)


class Listeners:
    """One thread for each provider that listens. `sink` makes a hint durable."""

    def __init__(self, runtime: Runtime, sink: Callable[[Hint], None]) -> None:
        self._runtime = runtime
        self._sink = sink
        self._log = logging.getLogger("calbridge.intake")
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to listen, or to stand by."""
        for name in self._runtime.config.connectors:
            provider = self._runtime.provider(name)
            if isinstance(provider, Listens):
                thread = threading.Thread(
                    target=self._keep_on, args=(name, provider), name=f"listen-{name}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def stop(self) -> None:
        """End all of them; `join` waits for that."""
        self._stop.set()

    def join(self, patience: Callable[[], float]) -> None:
        """Wait until they have ended, as long as `patience` says is left, in seconds."""
        for thread in self._threads:
            thread.join(max(0.0, patience()))

    def _keep_on(self, name: str, provider: Listens) -> None:
        failures, standing_by, over = 0, False, False
        monotonic = self._runtime.system.monotonic
        seat: Seat | None = None
        while not over and not self._stop.is_set():
            begun = monotonic()
            try:
                seat = seat or self._runtime.store.seat("listen", name)
                if seat.take():
                    self._log.info("listening for news of %s", name)
                    over = self._listen(provider, seat)
                    failures, standing_by = 0, False
                elif not standing_by:
                    standing_by = True
                    self._log.info("another process listens for news of %s; standing by", name)
            except Exception as error:  # noqa: BLE001 the loop must outlive any fault
                failures = 1 if monotonic() - begun > STEADY else failures + 1
                self._log.warning(
                    "listening for news of %s ended and begins anew: %s: %s",
                    name,
                    type(error).__name__,
                    error,
                    exc_info=failures == 1,
                )
            if failures or over:
                _leave(seat)
            self._stop.wait(self._pause(failures))
        _leave(seat)

    def _listen(self, provider: Listens, seat: Seat) -> bool:
        """Listen while the seat is ours. True if there is nothing to listen to."""
        kept = _Kept(seat, self._runtime.system.monotonic)
        provider.listen(self._sink, lambda: self._stop.is_set() or not kept())
        return not self._stop.is_set() and kept()

    def _pause(self, failures: int) -> float:
        if not failures:
            return STAND_BY
        pause = backoff(
            failures, base=FIRST_PAUSE, cap=LONGEST_PAUSE, random=self._runtime.system.random
        )
        return pause.total_seconds()


class _Kept:
    """Whether the seat is still ours, without asking the database all the time. Thread safe."""

    def __init__(self, seat: Seat, monotonic: Callable[[], float]) -> None:
        self._seat = seat
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._looked = monotonic()
        self._ours = True

    def __call__(self) -> bool:
        with self._guard:
            now = self._monotonic()
            if self._ours and now - self._looked >= LOOK:
                self._looked = now
                self._ours = self._seat.kept()
            return self._ours


def _leave(seat: Seat | None) -> None:
    if seat is not None:
        seat.leave()
