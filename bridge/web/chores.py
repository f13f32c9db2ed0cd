"""What takes longer than a browser likes to wait: done in a thread, once at a time per link."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

PATIENCE = 8.0
"""Seconds that a page waits for the result before it says that the work goes on."""


class Chores:
    """Work that people asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._log = logging.getLogger("calbridge.web")
        self._going: dict[int, Future[str]] = {}

    def going(self, link_id: int) -> bool:
        """Whether something is being done on that link."""
        chore = self._going.get(link_id)
        return chore is not None and not chore.done()

    def do(self, link_id: int, work: Callable[[], str]) -> str | None:
        """What came of it in words, None if it goes on or something else does. Raises what the
        work raises, if it does so soon."""
        with self._lock:
            if self.going(link_id):
                return None
            chore: Future[str] = Future()
            self._going[link_id] = chore
        begun = time.monotonic()

        def run() -> None:
            try:
                chore.set_result(work())
            except BaseException as error:  # noqa: BLE001 told by whoever waits
                chore.set_exception(error)
                if time.monotonic() - begun > PATIENCE:
                    self._log.warning("what was asked for on link %s failed: %s", link_id, error)

        threading.Thread(target=run, name=f"chore-{link_id}", daemon=True).start()
        try:
            return chore.result(PATIENCE)
        except TimeoutError:
            return None
