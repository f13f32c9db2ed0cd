"""The long connection: discovery, WebSocket server, heartbeat, chunks, acknowledgements.

Source: the protocol as lark-oapi speaks it (`ws/client.py`, `ws/pb`), "Use long connection to
receive events" page for the limit of 50 connections and the random choice of one client.
"""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from connectors.sandbox.feishu.frames import CONTROL, DATA, Frame, decode, encode

if TYPE_CHECKING:
    from connectors.sandbox.feishu.server import FeishuSandbox

MAX_CONNECTIONS = 50
SERVICE = 33_554_678
_REFUSALS = {
    "forbidden": (403, "forbidden", ""),
    "limit": (514, "the number of connections exceeded the limit", "1000040350"),
    "busy": (514, "auth failed", "1000040343"),
}


class LongConnections:
    """All open long connections and the messages that wait for their acknowledgement."""

    def __init__(self, sandbox: "FeishuSandbox") -> None:
        self._sandbox = sandbox
        self._guard = threading.Lock()
        self._open: dict[ServerConnection, str] = {}
        self._waiting: dict[str, Callable[[bool], None]] = {}
        self._tickets: dict[str, str] = {}
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = serve(
            self._serve, "127.0.0.1", 0, process_request=self._admit, close_timeout=1
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="feishu-longconn", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close everything."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self.close_all()
        self._thread.join(5)

    def close_all(self) -> None:
        """Throw every client out, as the real service does now and then."""
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError, ConnectionClosed):
                connection.close(1001, "going away")

    def count(self) -> int:
        """How many clients are connected."""
        with self._guard:
            return len(self._open)

    # -- connecting ------------------------------------------------------------------------------

    def endpoint(self, body: dict[str, Any]) -> dict[str, Any]:
        """The discovery call: where to connect, for whom this ticket is good, how to behave."""
        switches = self._sandbox.world.switches
        app = self._sandbox.world.apps.get(str(body.get("AppID")))
        if switches.longconn_endpoint_code:
            return {"code": switches.longconn_endpoint_code, "msg": "system busy"}
        if app is None or body.get("AppSecret") != app.secret:
            return {"code": 10014, "msg": "app secret invalid"}
        if not switches.longconn_enabled or self._server is None:
            return {"code": 1000040344, "msg": "long connection is not enabled for this app"}
        ticket = self._sandbox.world.hex()
        self._tickets[ticket] = app.id
        port = self._server.socket.getsockname()[1]
        device = self._sandbox.world.hex(64)
        query = f"device_id={device}&service_id={SERVICE}&ticket={ticket}"
        url = f"ws://127.0.0.1:{port}/ws/v2?{query}"
        return {"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": self._config()}}

    def _config(self) -> dict[str, int]:
        switches = self._sandbox.world.switches
        return {
            "ReconnectCount": switches.longconn_reconnect_count,
            "ReconnectInterval": switches.longconn_reconnect_interval,
            "ReconnectNonce": switches.longconn_reconnect_nonce,
            "PingInterval": switches.longconn_ping_interval,
        }

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let the client in, or refuse in the headers that its SDK reads."""
        ticket = parse_qs(urlsplit(request.path).query).get("ticket", [""])[0]
        app_id = self._tickets.pop(ticket, None)
        with self._guard:
            full = sum(owner == app_id for owner in self._open.values()) >= MAX_CONNECTIONS
        verdict = self._sandbox.world.switches.longconn_handshake
        if app_id is None:
            verdict = "forbidden"
        elif full:
            verdict = "limit"
        if verdict == "open":
            with self._guard:
                self._open[connection] = app_id or ""
            return None
        status, message, code = _REFUSALS[verdict]
        headers = Headers({"handshake-status": str(status), "handshake-msg": message})
        if code:
            headers["handshake-autherrcode"] = code
        headers["Content-Length"] = "0"
        headers["Connection"] = "close"
        return Response(status, "Refused", headers, b"")

    def _serve(self, connection: ServerConnection) -> None:
        try:
            for message in connection:
                if isinstance(message, bytes):
                    self._received(connection, decode(message))
        except (ConnectionClosed, ValueError):
            pass
        finally:
            with self._guard:
                self._open.pop(connection, None)

    # -- frames ----------------------------------------------------------------------------------

    def _received(self, connection: ServerConnection, frame: Frame) -> None:
        if frame.method == CONTROL:
            stalled = self._sandbox.world.switches.longconn_stall == "all"
            if frame.headers.get("type") == "ping" and not stalled:
                config = json.dumps(self._config()).encode()
                connection.send(encode(Frame(CONTROL, SERVICE, {"type": "pong"}, config)))
            return
        with self._guard:
            answered = self._waiting.pop(frame.headers.get("message_id", ""), None)
        if answered is not None:
            answered(json.loads(frame.payload or b"{}").get("code") == 200)

    def deliver(self, app_id: str, payload: bytes, answered: Callable[[bool], None]) -> None:
        """Send to one random client of the app; `answered` is called exactly once, with False if
        nobody is there, nobody acknowledges in time, or the client reports a failure."""
        sandbox = self._sandbox
        with self._guard:
            clients = [c for c, owner in self._open.items() if owner == app_id]
        if not clients:
            answered(False)
            return
        with sandbox.lock:
            client = clients[sandbox.world.random.randrange(len(clients))]
            message_id = sandbox.world.hex()
            frames = self._frames(message_id, payload)
            switches = sandbox.world.switches
        with self._guard:
            self._waiting[message_id] = answered
        deadline = sandbox.clock.time() + switches.ack_seconds
        sandbox.schedule.at(deadline, lambda: self._timed_out(message_id))
        if switches.longconn_stall == "none":
            with suppress(ConnectionClosed, OSError):
                for frame in frames:
                    client.send(encode(frame))

    def _timed_out(self, message_id: str) -> None:
        with self._guard:
            answered = self._waiting.pop(message_id, None)
        if answered is not None:
            answered(False)

    def _frames(self, message_id: str, payload: bytes) -> list[Frame]:
        """One frame, or chunks in any order with some of them lost, as the switches say."""
        world = self._sandbox.world
        size = world.switches.longconn_chunk_bytes or len(payload)
        chunks = [payload[at : at + size] for at in range(0, len(payload), size)]
        frames = []
        for number, chunk in enumerate(chunks):
            headers = {
                "type": "event",
                "message_id": message_id,
                "sum": str(len(chunks)),
                "seq": str(number),
                "trace_id": message_id,
            }
            frames.append(Frame(DATA, SERVICE, headers, chunk, seq_id=number + 1))
        if len(frames) > 1:
            world.random.shuffle(frames)
            if world.random.random() < world.switches.longconn_chunk_loss_chance:
                frames.pop()
        return frames
