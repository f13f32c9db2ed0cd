"""Things to do at a later sandbox time: aggregated pushes, redeliveries, rooms that answer."""

import heapq
import itertools
import threading
from collections.abc import Callable

from connectors.sandbox.clock import Clock


class Schedule:
    """One thread that runs jobs when the sandbox clock reaches their time.

    Jobs must be short; they run without the sandbox's lock.
    """

    def __init__(self, clock: Clock, stopping: threading.Event) -> None:
        self._clock = clock
        self._stopping = stopping
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="feishu-schedule", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is pending is dropped."""
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(5)

    def clear(self) -> None:
        """Drop what is pending."""
        with self._changed:
            self._jobs.clear()

    def at(self, when: float, job: Callable[[], None]) -> None:
        """Run `job` at that sandbox time."""
        with self._changed:
            heapq.heappush(self._jobs, (when, next(self._order), job))
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                if not self._jobs:
                    self._changed.wait(0.5)
                    continue
                due = self._jobs[0][0]
            if self._clock.wait_until(due, lambda due=due: self._superseded(due)):  # type: ignore[misc]
                with self._changed:
                    if not self._jobs or self._jobs[0][0] > self._clock.time():
                        continue
                    job = heapq.heappop(self._jobs)[2]
                job()

    def _superseded(self, due: float) -> bool:
        """Whether something else is to be done before `due`."""
        with self._changed:
            return self._stopping.is_set() or not self._jobs or self._jobs[0][0] < due
