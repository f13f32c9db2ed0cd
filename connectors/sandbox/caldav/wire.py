"""A wire to a server: passes every request on, counts it, and breaks where a script says so."""

import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from connectors.sandbox.caldav.digest import Digest
from connectors.sandbox.faults import Faults

Rewrite = Callable[[str, str, bytes], bytes]
"""Method, path and body of an answer to another body."""

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})
_HOP |= {"accept-encoding"}  # answers are to be read
_TOKEN = re.compile(rb"(<(?:[\w.-]+:)?sync-token[^>/]*>)([^<]+)(</)")
_METHODS = ("OPTIONS", "GET", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "REPORT", "MKCALENDAR")


class Wire:
    """A reverse proxy on a free port of loopback. Answers name the paths of the server, never its
    address, so that all further requests come over the wire as well.

    With `tls` it speaks TLS. With `digest` it lets nobody through who does not log in so, and
    knocks at the server with `basic`, a value of `Authorization`.

    `delay` is seconds before each request is passed on. `rewrite` may change the body of an answer,
    `features` replaces the header `DAV`. `waited` is for how many seconds, added up over all
    requests, the server was at work.
    """

    def __init__(
        self,
        upstream: str,
        *,
        delay: float = 0.0,
        tls: ssl.SSLContext | None = None,
        digest: Digest | None = None,
        basic: str = "",
    ) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self.delay = delay
        self.digest, self.basic = digest, basic
        self._scheme = "https" if tls else "http"
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self.rewrite: Rewrite = lambda _method, _path, body: body
        self.features: str | None = None
        self.epoch = 0
        self.waited = 0.0
        self._guard = threading.Lock()
        self._server = _Server(self)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        """Where the wire begins."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def void_tokens(self) -> None:
        """From now on the server does not recognise any sync token that it has given out."""
        self.epoch += 1

    def count(self, *methods: str) -> int:
        """How many requests were made, with these methods or at all."""
        with self._guard:
            return sum(not methods or method in methods for method, _ in self.requests)

    def wait_noted(self, seconds: float) -> None:
        """The server has worked for that long."""
        with self._guard:
            self.waited += seconds

    def note(self, method: str, path: str) -> None:
        """Remember a request."""
        with self._guard:
            self.requests.append((method, path))

    def outgoing(self, body: bytes) -> bytes:
        """A request's body with its sync token as the server knows it."""
        mark = f"~{self.epoch}~".encode() if self.epoch else b""

        def known(match: re.Match[bytes]) -> bytes:
            token = match[2]
            if mark and not token.startswith(mark):
                token = b"urn:void"
            return match[1] + token.removeprefix(mark) + match[3]

        return _TOKEN.sub(known, body)

    def incoming(self, body: bytes) -> bytes:
        """An answer's body with sync tokens of the present epoch."""
        if not self.epoch:
            return body
        return _TOKEN.sub(rb"\g<1>~%d~\g<2>\g<3>" % self.epoch, body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _upstream: http.client.HTTPConnection | None = None

    def __getattr__(self, name: str) -> Any:
        if name.removeprefix("do_") in _METHODS:
            return self._pass_on
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Be silent."""

    def finish(self) -> None:
        """Let go of the server, too."""
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def _pass_on(self) -> None:
        wire = self.server.wire
        length = int(self.headers.get("Content-Length") or 0)
        body = wire.outgoing(self.rfile.read(length)) if length else b""
        wire.note(self.command, self.path)
        if wire.delay:
            time.sleep(wire.delay)
        login = self.headers.get("Authorization", "")
        if wire.digest and not wire.digest.admits(self.command, self.path, login):
            self._answer(401, {"WWW-Authenticate": wire.digest.challenge()}, b"")
            return
        fault = wire.faults.strike(f"{self.command} {self.path}")
        if fault is not None and fault.action == "drop_before":
            self.close_connection = True
            return
        if fault is not None and fault.action == "status":
            self._answer(fault.status, fault.headers, str(fault.body or "").encode())
            return
        asked = time.perf_counter()
        status, headers, content = self._ask(body)
        wire.wait_noted(time.perf_counter() - asked)
        if fault is not None and fault.action == "drop_after":
            self.close_connection = True
            return
        content = wire.rewrite(self.command, self.path, wire.incoming(content))
        if fault is not None and fault.action == "truncate":
            content = content[: len(content) // 2]
        if wire.features is not None and "dav" in headers:
            headers["dav"] = wire.features
        self._answer(status, headers, content)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        if self.server.wire.digest:
            headers["Authorization"] = self.server.wire.basic
        for attempt in (1, 2):
            if self._upstream is None:
                self._upstream = http.client.HTTPConnection(*self.server.wire.upstream, timeout=60)
            try:
                self._upstream.request(self.command, self.path, body or None, headers)
                answer = self._upstream.getresponse()
                found = {k.lower(): v for k, v in answer.getheaders() if k.lower() not in _HOP}
                return answer.status, found, answer.read()
            except (OSError, http.client.HTTPException):
                # The server may have closed an idle connection.
                self._upstream.close()
                self._upstream = None
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
