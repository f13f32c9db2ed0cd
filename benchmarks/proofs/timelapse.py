"""Time that stands still while anybody works, and leaps on when all only wait."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

from benchmarks.proofs.city import City
from bridge.jobs import Workers
from bridge.jobs.embedded import EmbeddedEngine
from bridge.runtime import Runtime, System
from bridge.service import Service

LOOK = 0.01
WORK = 0.003
"""Who uses less than this many seconds of CPU between two looks only waits."""
LEAP = 5.0
"""The clock is never put forward by more seconds than these at once."""


class Unhurried(EmbeddedEngine):
    """Leases that no leap of the clock can end, because beats are counted in real time."""

    def workers(self, *arguments: Any, **options: Any) -> Workers:
        """See `Engine`; looks often, since it cannot know when the clock leaps."""
        options |= {"lease": timedelta(days=1), "idle": 0.05}
        return super().workers(*arguments, **options)


def unhurried(runtime: Runtime) -> Service:
    """A service for a clock that leaps, not started yet."""
    runtime.engine = Unhurried(runtime.store)
    return Service(runtime)


class Timelapse:
    """Puts the city's clock forward to the next instant that somebody waits for."""

    def __init__(self, town: City) -> None:
        self._clock = town.clock
        self._stopping = town.feishu.stopping
        self._guard = threading.Lock()
        self._sleepers: dict[object, float] = {}
        self._clock.freeze()
        self.system = System(
            now=town.now, sleep=self._sleep, monotonic=self._clock.time, random=Random(1).random
        )

    def pass_until(self, true: Callable[[], bool], runtime: Runtime, *, at_most: float) -> bool:
        """Let time pass until that is true; False if it was not after so many seconds of it."""
        end, looked = self._clock.time() + at_most, 0.0
        while self._clock.time() < end:
            if self._clock.time() - looked >= LEAP:
                looked = self._clock.time()
                if true():
                    return True
            if self._quiet():
                self._leap(runtime)
        return true()

    def _sleep(self, seconds: float) -> None:
        until, me = self._clock.time() + seconds, object()
        with self._guard:
            self._sleepers[me] = until
        self._clock.wait_until(until, self._stopping.is_set)
        with self._guard:
            del self._sleepers[me]

    def _quiet(self) -> bool:
        for _look in range(2):
            before = time.process_time()
            time.sleep(LOOK)
            if time.process_time() - before > WORK:
                return False
        return True

    def _leap(self, runtime: Runtime) -> None:
        now = self._clock.time()
        with self._guard:
            wakes = list(self._sleepers.values())
        jobs = runtime.store.jobs()
        if not wakes and any(job.owner is not None for job in jobs):
            return  # it waits for the disk, or for a socket
        wakes += [job.run_at.timestamp() for job in jobs if job.run_at and job.owner is None]
        later = [wake for wake in wakes if wake > now]
        self._clock.advance(max(0.001, min([*later, now + LEAP]) - now))
