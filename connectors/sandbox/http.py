"""A small threaded HTTP/1.1 server with the control interface that every sandbox shares.

Threads rather than an event loop, because a fault script must be able to close a connection at
any point, keep one hanging, or answer in pieces.
"""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.sandbox.clock import Clock
from connectors.sandbox.faults import Fault, Faults

MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request. `path` is still percent-encoded, `parts` its decoded segments.

    `connection` is the same object for all requests of one TCP connection (NTLM needs it).
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Message
    body: bytes
    connection: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> list[str]:
        """The decoded path segments without empty ones."""
        return [unquote(part) for part in self.path.split("/") if part]

    def param(self, name: str, default: str | None = None) -> str | None:
        """The first query value of that name."""
        return next((value for key, value in self.query if key == name), default)

    def params(self, name: str) -> list[str]:
        """All query values of that name."""
        return [value for key, value in self.query if key == name]

    def json(self) -> Any:
        """The body as JSON, None if it is empty. Raises ValueError."""
        return json.loads(self.body) if self.body else None


@dataclass
class Response:
    """One answer. `stream` (instead of `body`) is sent chunk by chunk as it is produced."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None

    @classmethod
    def of_json(cls, value: Any, status: int = 200, **headers: str) -> "Response":
        """A JSON answer. Underscores in header names become hyphens."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(
            status,
            json.dumps(value, ensure_ascii=False).encode(),
            {"Content-Type": "application/json; charset=utf-8"} | named,
        )


@dataclass(frozen=True)
class LogEntry:
    """One request as it is remembered: for assertions and for counting calls.

    `operation` is the provider's own name of the call, as the sandbox understood it. `at` is
    sandbox time, `status` 0 if the connection was dropped.
    """

    at: float
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    status: int
    operation: str
    fault: str | None


class Sandbox:
    """One provider's server. A provider derives from it and answers `handle`.

    Everything that `handle` does happens under `lock`, so a provider needs no locking of its own
    inside it; anything slow (streams, push senders) takes the lock itself when it touches state.
    """

    name = "sandbox"

    def __init__(self, *, clock: Clock | None = None, seed: int = 0, port: int = 0) -> None:
        self.clock = clock or Clock()
        self.faults = Faults(seed)
        self.seed = seed
        self.lock = threading.RLock()
        self.log: deque[LogEntry] = deque(maxlen=200_000)
        self.mails: list[dict[str, Any]] = []
        self.stopping = threading.Event()
        self.latency = 0.0
        self._operation = threading.local()
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name=f"{self.name}-http", daemon=True
        )

    # -- what a provider implements ---------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one request of the provider's API."""
        raise NotImplementedError

    def state(self) -> Any:
        """Everything a person or a test may want to see, as JSON values."""
        return {}

    def reset(self) -> None:
        """Back to an empty service."""

    def control(self, action: str, body: Any) -> Any:
        """Further `POST /_sandbox/<action>` calls of this provider. KeyError = unknown."""
        raise KeyError(action)

    def rewrite(self, name: str, request: Request, response: Response) -> Response:
        """Change an answer on behalf of a `rewrite` fault (short or empty listings and such)."""
        raise KeyError(name)

    # -- life ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT` without trailing slash."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> "Sandbox":
        """Serve in the background."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the server and everything it started."""
        self.stopping.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # -- for assertions ------------------------------------------------------------------------

    def operation(self, name: str) -> None:
        """Called by `handle`: the provider's name of the call being answered."""
        self._operation.name = name

    def calls(self, operation: str | None = None, *, since: int = 0) -> list[LogEntry]:
        """The logged requests from position `since` on, of one operation or of all."""
        with self.lock:
            entries = list(self.log)[since:]
        return [entry for entry in entries if operation in (None, entry.operation)]

    def mail(self, to: str, subject: str, why: str) -> None:
        """The provider would have sent a mail or bot message now."""
        with self.lock:
            self.mails.append({"at": self.clock.time(), "to": to, "subject": subject, "why": why})

    # -- one request -----------------------------------------------------------------------------

    def answer(self, request: Request) -> Response | None:
        """Answer, log, and obey the fault script; None = close the connection."""
        if request.path.startswith("/_sandbox/"):
            return self._control(request)
        if self.latency:
            time.sleep(self.latency)
        self._operation.name = ""
        query = "&".join(f"{key}={value}" for key, value in request.query)
        line = f"{request.method} {request.path}" + (f"?{query}" if query else "")
        fault = self.faults.strike(line)
        response = self._with_fault(request, fault) if fault else self._locked(request)
        entry = LogEntry(
            at=self.clock.time(),
            method=request.method,
            path=request.path,
            query=request.query,
            headers={key.lower(): value for key, value in request.headers.items()},
            body=request.body,
            status=response.status if response else 0,
            operation=self._operation.name,
            fault=fault.action if fault else None,
        )
        with self.lock:
            self.log.append(entry)
        return response

    def _locked(self, request: Request) -> Response:
        with self.lock:
            return self.handle(request)

    def _with_fault(self, request: Request, fault: Fault) -> Response | None:
        match fault.action:
            case "drop_before":
                return None
            case "drop_after":
                self._locked(request)
                return None
            case "delay":
                self.stopping.wait(fault.seconds)
                return self._locked(request)
            case "status":
                if isinstance(fault.body, str):
                    return Response(fault.status, fault.body.encode(), dict(fault.headers))
                response = Response.of_json(fault.body, fault.status)
                response.headers.update(fault.headers)
                return response
            case "html":
                page = b"<html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
                return Response(fault.status, page, {"Content-Type": "text/html"})
            case "truncate":
                response = self._locked(request)
                response.body = response.body[: len(response.body) // 2]
                return response
            case "rewrite":
                return self.rewrite(fault.name, request, self._locked(request))

    def _control(self, request: Request) -> Response:
        action = request.path.removeprefix("/_sandbox/")
        try:
            body = request.json()
            if request.method == "GET":
                return Response.of_json(self.look(action))
            return Response.of_json(self.act(action, body))
        except (KeyError, ValueError, TypeError) as error:
            return Response.of_json({"error": f"{type(error).__name__}: {error}"}, 400)

    def look(self, what: str) -> Any:
        """Answer `GET /_sandbox/<what>`. KeyError = unknown."""
        with self.lock:
            if what == "state":
                return self.state()
            if what == "mails":
                return {"count": len(self.mails), "mails": self.mails}
            if what == "requests":
                return {
                    "count": len(self.log),
                    "requests": [
                        {"at": e.at, "method": e.method, "path": e.path, "status": e.status,
                         "operation": e.operation, "fault": e.fault}
                        for e in self.log
                    ],
                }  # fmt: skip
        raise KeyError(what)

    def act(self, action: str, body: Any) -> Any:
        """Answer `POST /_sandbox/<action>`."""
        if action == "faults":
            if body == []:
                self.faults.clear()
            self.faults.add(*(Fault.parse(raw) for raw in body))
            return {"ok": True}
        if action == "clock":
            self.clock.advance(float(body["advance"]))
            return {"now": self.clock.time()}
        if action == "latency":
            self.latency = float(body["seconds"])
            return {"ok": True}
        with self.lock:
            if action == "reset":
                self.faults.clear()
                self.log.clear()
                self.mails.clear()
                self.reset()
                return {"ok": True}
            return self.control(action, body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Handler)

    def opened(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.discard(connection)

    def close_connections(self) -> None:
        with self._guard:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not self.sandbox.stopping.is_set():
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._connection: dict[str, Any] = {}
        self.server.opened(self.connection)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.server.closed(self.connection)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the request log is the record."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _any_method(self) -> None:
        body = self._read_body()
        split = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=split.path,
            query=tuple(parse_qsl(split.query, keep_blank_values=True)),
            headers=self.headers,
            body=body,
            connection=self._connection,
        )
        response = self.server.sandbox.answer(request)
        if response is None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(response)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.stream is None:
            if response.status != 204:
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)
            self.wfile.flush()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in response.stream:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _any_method  # noqa: N815
    do_PROPFIND = do_REPORT = _any_method  # noqa: N815


def headers_of(request: Request) -> Mapping[str, str]:
    """The request's headers with lower-case names."""
    return {name.lower(): value for name, value in request.headers.items()}


Handler = Callable[[Request], Response]
