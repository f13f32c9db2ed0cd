"""Carries webhooks to whichever process lives, as a proxy would, but not as well: some pushes he
loses, some he brings twice, some late."""

import random
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

LATE = 0.5


class Postman:
    """An address for pushes. `doors` are the processes' own; each kind of bad luck strikes with
    the given probability."""

    def __init__(self, doors: Callable[[], Sequence[str]], luck: float, seed: int) -> None:
        self._doors = doors
        self._luck = luck
        self._dice = random.Random(seed)
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="postman", daemon=True
        )
        self.dropped = self.doubled = self.late = 0

    @property
    def url(self) -> str:
        """Where pushes are to be sent."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Postman":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def carry(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Bring a push to a door; the status for its sender."""
        fate = self._dice.random()
        if fate < self._luck:
            self.dropped += 1
            return 200
        if fate < 2 * self._luck:
            self.late += 1
            threading.Timer(LATE, self._bring, (path, headers, body)).start()
            return 200
        if fate < 3 * self._luck:
            self.doubled += 1
            self._bring(path, headers, body)
        return self._bring(path, headers, body)

    def _bring(self, path: str, headers: dict[str, str], body: bytes) -> int:
        doors = list(self._doors())
        self._dice.shuffle(doors)
        for door in doors:
            try:
                return requests.post(door + path, body, headers=headers, timeout=5).status_code
            except requests.RequestException:
                continue
        return 503


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, postman: Postman) -> None:
        self.postman = postman
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {name: text for name, text in self.headers.items() if name.startswith("X-")}
        self.send_response(self.server.postman.carry(self.path, kept, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
