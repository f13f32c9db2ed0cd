"""The web server that takes pushes: quick to answer, and hard to keep busy.

A push is answered once its hints are durable. What cannot be stored in time is answered with 503,
upon which providers push again; Feishu waits three seconds for an answer ("Event overview").
Nobody gets much of us before he has proven who he is: time to send a request, the size of its
body, and the number of connections are bounded, and what is only checked never waits for what is
being stored.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from bridge.runtime import Runtime
from bridge.store import StoreError
from connectors.contract import Hint, PushAnswer, PushRequest, Receives

T = TypeVar("T")

MAX_BODY = 256 * 1024
CONNECTIONS = 512
"""Open at once; more are answered with 503."""
PATIENCE = 5.0
"""Seconds that a caller may take for the head of a request, and again for its body."""
ANSWER = 2.5
"""Seconds from the last byte of a push to its answer."""
CHECKERS = 4
STORERS = 8
"""Threads that check pushes, and threads that store what was found genuine."""


_AGAIN = JSONResponse({"error": "try again"}, 503, {"retry-after": "10"})


class Webhooks:
    """`POST /hooks/<connector>` and `GET /healthz`. `sink` makes a hint durable."""

    def __init__(self, runtime: Runtime, sink: Callable[[Hint], None]) -> None:
        self._runtime = runtime
        self._sink = sink
        self._log = logging.getLogger("calbridge.intake")
        self._checking = _Crew(CHECKERS)
        self._storing = _Crew(STORERS)

    def app(self, beside: Sequence[BaseRoute] = ()) -> Starlette:
        """The web application, with what else is served `beside` the webhooks."""
        return Starlette(
            routes=[
                Mount("/hooks", routes=[Route("/{connector}", self._hook, methods=["POST"])]),
                Route("/healthz", _health, methods=["GET"]),
                *beside,
            ]
        )

    async def _hook(self, request: Request) -> Response:
        try:
            return await self._push(request)
        except asyncio.CancelledError:  # this process ends, and the caller has not
            return _AGAIN

    async def _push(self, request: Request) -> Response:
        name = request.path_params["connector"]
        if name not in self._runtime.config.connectors:
            return JSONResponse({"error": "unknown connector"}, 404)
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _body(request)
        except TimeoutError:
            return _refusal(408, "the body takes too long")
        if body is None:
            self._log.warning("push to %s refused: body over %s bytes", name, MAX_BODY)
            return _refusal(413, "body too large")
        push = PushRequest(headers=dict(request.headers), body=body)
        try:
            async with asyncio.timeout(ANSWER):
                return await self._answer(name, push)
        except TimeoutError:
            why = "it could not be stored in time"
        except StoreError as error:
            why = str(error)
        self._log.warning("push to %s has to come again: %s", name, why)
        return _AGAIN

    async def _answer(self, name: str, push: PushRequest) -> Response:
        answer = await self._checking.do(partial(self._check, name, push))
        if answer is None:
            return JSONResponse({"error": "this connector takes no pushes"}, 404)
        if answer.reason:
            self._log.warning("push to %s answered %s: %s", name, answer.status, answer.reason)
        for hint in answer.hints:
            await self._storing.do(partial(self._sink, hint))
        return JSONResponse(dict(answer.body or {}), answer.status)

    def _check(self, name: str, push: PushRequest) -> PushAnswer | None:
        provider = self._runtime.provider(name)
        return provider.receive(push) if isinstance(provider, Receives) else None


class _Crew:
    """So many threads at once, those included that nobody waits for any more."""

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns, from a thread. Who is cancelled leaves it running."""
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        over: asyncio.Future[T] = loop.create_future()

        def settle(found: Callable[[], T]) -> None:
            self._room.release()
            if over.done():
                return  # nobody waits any more
            try:
                over.set_result(found())
            except Exception as error:  # noqa: BLE001 raised where it is waited for
                over.set_exception(error)

        def run() -> None:
            found = _outcome(work)
            with contextlib.suppress(RuntimeError):  # the server has ended before us
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=run, name="push", daemon=True).start()
        return await over


def _outcome(work: Callable[[], T]) -> Callable[[], T]:
    """Do it now; the result returns or raises later what came of it."""
    try:
        value = work()
    except Exception as error:  # noqa: BLE001 raised where it is waited for
        failure = error

        def fail() -> T:
            raise failure

        return fail
    return lambda: value


class WebServer:
    """Serves the webhooks, and what is `beside` them, on an address `host:port` in a thread of
    its own."""

    def __init__(self, listen: str, webhooks: Webhooks, beside: Sequence[BaseRoute] = ()) -> None:
        self._host, _, port = listen.rpartition(":")
        try:
            self._socket = socket.create_server((self._host, int(port)))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OSError(
                f"cannot listen on {listen}: {reason}; `service.listen` in the config chooses "
                "another address"
            ) from None
        config = uvicorn.Config(
            webhooks.app(beside),
            host=self._host,
            http=_ImpatientProtocol,
            ws="none",
            log_level="warning",
            lifespan="off",
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=int(PATIENCE),
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="web", daemon=True
        )

    @property
    def address(self) -> str:
        """`http://host:port`."""
        return f"http://{self._host}:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Begin; returns when it answers."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        """Take no more; `join` waits until open requests have been answered."""
        self._server.should_exit = True

    def join(self, patience: float) -> None:
        """Wait for the end."""
        if self._thread.is_alive():
            self._thread.join(patience)


class _ImpatientProtocol(H11Protocol):
    """Hangs up on who has not sent the head of a request in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._forget_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # else the next request is there already
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(PATIENCE, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


async def _body(request: Request) -> bytes | None:
    """The body, None if it is too large."""
    pieces, size = [], 0
    with contextlib.suppress(ClientDisconnect):
        async for piece in request.stream():
            size += len(piece)
            if size > MAX_BODY:
                return None
            pieces.append(piece)
    return b"".join(pieces)


def _refusal(status: int, why: str) -> Response:
    """The rest of the request is not read."""
    return JSONResponse({"error": why}, status, {"connection": "close"})


async def _health(_request: Request) -> Response:
    return JSONResponse({"ok": True})
