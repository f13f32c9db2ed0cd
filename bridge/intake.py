"""Takes hints in: from listening connections and from webhooks. A hint is made durable, and only
then acknowledged; it never says what happened, only where to look.
"""

import logging
import threading
from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.records import Link, LinkState, Side
from bridge.runtime import Runtime
from connectors.contract import Hint, Listens, PushRequest, Receives
from connectors.errors import ConnectorError

MAX_BODY = 1024 * 1024
RESTART = 5.0
"""Seconds before a listener that ended with a fault is started again."""


def recheck_setting(link: Link) -> str:
    """The setting that asks the next run of a link to look at the calendar list first. Its value
    is unlike that of any other hint, so that one which comes during the look is not forgotten."""
    return f"recheck:{link.id}"


class Intake:
    """Turns hints into due links."""

    def __init__(
        self,
        runtime: Runtime,
        wake: Callable[[], None],
        reads: Callable[[Link, Side], bool] = lambda _link, _side: True,
    ) -> None:
        self._reads = reads
        self._runtime = runtime
        self._store = runtime.store
        self._wake = wake
        self._log = logging.getLogger("calbridge.intake")
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._accounts: dict[tuple[str, str], set[str]] = {}
        self.accepted = 0

    def learn(self, links: Iterable[Link]) -> None:
        """Ask the providers which of their user ids the configured accounts are."""
        accounts: dict[str, set[str]] = {}
        for link in links:
            for side in Side:
                end = link.endpoint(side)
                accounts.setdefault(end.connector, set()).add(end.account)
        for connector, names in accounts.items():
            try:
                found = self._runtime.provider(connector).resolve(sorted(names))
            except ConnectorError as error:
                self._log.warning("accounts of %s not resolved: %s", connector, error.message)
                continue
            for name, identity in found.items():
                self._accounts.setdefault((connector, identity.id), set()).add(name)

    def take(self, hint: Hint) -> None:
        """Make a hint durable; repeated pushes are dropped by their id."""
        links = [link for link in self._store.links() if self._concerns(link, hint)]
        now = self._runtime.system.now()
        with self._store.begin() as tx:
            if hint.id and not tx.seen_push(hint.connector, hint.id, now):
                return
            if hint.calendar is None and hint.account is not None:
                for link in links:
                    tx.put_setting(recheck_setting(link), f"{now.isoformat()} {hint.id}")
            if hint.calendar is not None or hint.account is None:
                tx.announce(hint.connector, hint.calendar, now)
            tx.hint([link.id for link in links], now)
        self.accepted += 1
        self._wake()

    def _concerns(self, link: Link, hint: Hint) -> bool:
        """Whether a run of the link would see what the hint is about: what is only written to is
        not read, but whether its calendar is still there is always of interest."""
        if link.state is LinkState.ENDED:
            return False
        for side in Side:
            end = link.endpoint(side)
            if end.connector != hint.connector:
                continue
            if hint.calendar is None and hint.account is not None:
                if end.account in self._accounts.get((hint.connector, hint.account), ()):
                    return True
            elif hint.calendar in (None, end.calendar) and self._reads(link, side):
                return True
        return False

    # -- listening ---------------------------------------------------------------------------------

    def listen(self) -> None:
        """Start one listener per provider that has one."""
        for name in self._runtime.config.connectors:
            provider = self._runtime.provider(name)
            if isinstance(provider, Listens):
                thread = threading.Thread(
                    target=self._listen, args=(name, provider), name=f"listen-{name}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _listen(self, name: str, provider: Listens) -> None:
        while not self._stop.is_set():
            try:
                provider.listen(self.take, self._stop.is_set)
                return
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("listener of %s ended; starting it again", name)
                self._stop.wait(RESTART)

    def stop(self, patience: float = 5.0) -> None:
        """End all listeners."""
        self._stop.set()
        for thread in self._threads:
            thread.join(patience)

    # -- webhooks ----------------------------------------------------------------------------------

    def app(self) -> Starlette:
        """The web application: `POST /hooks/<connector>` and `GET /healthz`."""
        return Starlette(
            routes=[
                Route("/hooks/{connector}", self._hook, methods=["POST"]),
                Route("/healthz", _health, methods=["GET"]),
            ]
        )

    async def _hook(self, request: Request) -> Response:
        name = request.path_params["connector"]
        if name not in self._runtime.config.connectors:
            return JSONResponse({"error": "unknown connector"}, 404)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY:
                self._log.warning("push to %s refused: body over %s bytes", name, MAX_BODY)
                return JSONResponse({"error": "body too large"}, 413)
        push = PushRequest(headers=dict(request.headers), body=body)
        return await run_in_threadpool(self._receive, name, push)

    def _receive(self, name: str, push: PushRequest) -> Response:
        provider = self._runtime.provider(name)
        if not isinstance(provider, Receives):
            return JSONResponse({"error": "this connector takes no pushes"}, 404)
        answer = provider.receive(push)
        if answer.reason:
            self._log.warning("push to %s answered %s: %s", name, answer.status, answer.reason)
        for hint in answer.hints:
            self.take(hint)
        return JSONResponse(dict(answer.body or {}), answer.status)


async def _health(_request: Request) -> Response:
    return JSONResponse({"ok": True})
