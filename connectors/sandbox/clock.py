"""A clock that a test can move. Real time goes on underneath."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Wall-clock seconds plus whatever a test added. Thread safe; never runs backwards."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0
        self._frozen: float | None = None
        self._moved = threading.Condition()

    def time(self) -> float:
        """Unix seconds, as the sandbox sees them."""
        with self._moved:
            base = self._source() if self._frozen is None else self._frozen
            return base + self._offset

    def now(self) -> datetime:
        """The same as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Jump forward and wake everybody who waits for a point in time."""
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        with self._moved:
            self._offset += seconds
            self._moved.notify_all()

    def freeze(self) -> None:
        """Stand still; only `advance` moves it from now on."""
        with self._moved:
            if self._frozen is None:
                self._frozen = self._source()

    def wait_until(self, when: float, stop: Callable[[], bool], poll: float = 0.05) -> bool:
        """Block until sandbox time reaches `when` (True) or `stop()` says so (False)."""
        while not stop():
            with self._moved:
                stands = self._frozen is not None
                missing = when - self.time()
                if missing <= 0:
                    return True
                self._moved.wait(poll if stands else min(poll, missing))
        return False
