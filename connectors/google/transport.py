"""Sockets to Google: httplib2, without its habit of sending a write twice.

httplib2 repeats any request whose connection was closed before an answer came. For a GET that is
welcome (a kept-alive connection had gone stale); for a write it hides a lost answer. These
connections report it instead, and whoever wrote decides what a repetition means.
"""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import google_auth_httplib2
import httplib2
from google.auth.exceptions import TransportError

from connectors.errors import RateLimitedError, RetryableError
from connectors.google.errors import PROVIDER, of_unreachable

FAILURES = (OSError, http.client.HTTPException, httplib2.HttpLib2Error, TransportError)
"""Everything by which a call may end without an answer."""

NEVER_SENT = (httplib2.ServerNotFoundError, ConnectionRefusedError)
"""Those after which the other side certainly knows nothing of the call."""

IDLE = 30.0
"""Seconds after which an open connection is not used again: long before the other side, or a
firewall on the way, is tired of it, since a write that meets its end has no answer."""
_TOKEN_PAUSE = 2.0


class LostAnswerError(OSError):
    """The connection was closed before the answer to a write came."""


class _SendsOnce:
    """Mixed into httplib2's connections: a write without an answer is not sent again."""

    _writing = False

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        self._writing = method not in ("GET", "HEAD")
        super().putrequest(method, url, *args, **options)  # type: ignore[misc]

    def getresponse(self) -> Any:
        try:
            return super().getresponse()  # type: ignore[misc]
        except (http.client.BadStatusLine, http.client.ResponseNotReady, ConnectionError) as error:
            if self._writing:
                raise LostAnswerError(f"{type(error).__name__}: {error}") from error
            raise


class _Plain(_SendsOnce, httplib2.HTTPConnectionWithTimeout):  # type: ignore[misc]
    pass


class _Encrypted(_SendsOnce, httplib2.HTTPSConnectionWithTimeout):  # type: ignore[misc]
    pass


class Http(httplib2.Http):  # type: ignore[misc]
    """Connections for one thread at a time."""

    def request(self, uri: str, *args: Any, connection_type: Any = None, **options: Any) -> Any:
        """As httplib2's, over connections that send a write once."""
        kind = connection_type or (_Encrypted if uri.startswith("https:") else _Plain)
        return super().request(uri, *args, connection_type=kind, **options)


class Connections:
    """Open connections for all accounts and threads: each is used by one call at a time, the last
    one that became free first, so that few are open and those are fresh. Thread safe."""

    def __init__(self, timeout: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._timeout = timeout
        self._monotonic = monotonic
        self._free: list[tuple[float, Http]] = []
        self._closed = False
        self._guard = Lock()

    @contextmanager
    def lent(self) -> Iterator[Http]:
        """Connections for one call. What it raises closes them: the late answer to a call that was
        given up must not be taken for the next one's."""
        http = self._take()
        try:
            yield http
        except BaseException:
            http.close()
            raise
        with self._guard:
            self._free.append((self._monotonic(), http))
        if self._closed:
            self.close()

    def close(self) -> None:
        """Close those that nobody uses now, and the others when their call is over."""
        self._closed = True
        self._drop(until=self._monotonic())

    def _take(self) -> Http:
        self._drop(until=self._monotonic() - IDLE)
        with self._guard:
            if self._free:
                return self._free.pop()[1]
        return Http(timeout=self._timeout)

    def _drop(self, until: float) -> None:
        with self._guard:
            old = [each for since, each in self._free if since <= until]
            self._free = [(since, each) for since, each in self._free if since > until]
        for each in old:
            each.close()


class TokenTransport:
    """What google-auth calls the token endpoint with.

    Passing faults are raised as ours at once, because google-auth would otherwise sleep through
    a retry loop of its own that nobody can pace, test or interrupt.
    """

    def __init__(self, request: Callable[..., Any]) -> None:
        self._request = request

    @classmethod
    def over(cls, http: Http) -> "TokenTransport":
        """A transport over these connections."""
        return cls(google_auth_httplib2.Request(http))

    def __call__(self, url: str, method: str = "GET", **options: Any) -> Any:
        """Send one request; google-auth's calling convention."""
        operation = "the token request"
        try:
            answer = self._request(url, method=method, **options)
        except FAILURES as error:
            raise of_unreachable(operation, str(error) or type(error).__name__) from error
        check_token_answer(answer.status)
        return answer


def check_token_answer(status: int) -> None:
    """Raise what the token endpoint's HTTP status means, if it is a passing fault."""
    operation = "the token request"
    if status == 429:
        raise RateLimitedError(
            "Google's token endpoint asks for patience.",
            after=_TOKEN_PAUSE,
            provider=PROVIDER,
            operation=operation,
            code="429",
        )
    if status == 408 or status >= 500:
        raise RetryableError(
            f"Google's token endpoint failed ({status}). It is tried again.",
            provider=PROVIDER,
            operation=operation,
            code=str(status),
        )
