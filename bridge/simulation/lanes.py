"""Virtual time for several threads: it passes when all of them sleep."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, tzinfo=UTC)


class Lanes:
    """A clock for threads that stand for processes. Only its own threads may sleep by it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._awake = 0
        self._sleepers: list[float] = []
        self._turn = threading.Condition()

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed for everybody."""
        with self._turn:
            until = self.seconds + seconds
            self._sleepers.append(until)
            self._awake -= 1
            self._pass_on()
            self._turn.wait_for(lambda: self.seconds >= until)

    def run(self, lanes: Sequence[Callable[[], None]]) -> None:
        """Run all side by side, and return when the last one has returned."""
        self._awake = len(lanes)
        threads = [threading.Thread(target=self._lane, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _lane(self, lane: Callable[[], None]) -> None:
        try:
            lane()
        finally:
            with self._turn:
                self._awake -= 1
                self._pass_on()

    def _pass_on(self) -> None:
        """If nobody is awake, it is the time at which the next one wakes up."""
        if self._awake == 0 and self._sleepers:
            self.seconds = min(self._sleepers)
            self._awake = sum(until <= self.seconds for until in self._sleepers)
            self._sleepers = [until for until in self._sleepers if until > self.seconds]
            self._turn.notify_all()
