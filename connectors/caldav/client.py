"""Calls to a CalDAV server: with the login, paced, repeated where that is safe, with our errors."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
)

from connectors.caldav import dav
from connectors.caldav.addresses import canonical, trusted
from connectors.caldav.errors import (
    PROVIDER,
    UnansweredError,
    of_answer,
    of_broken_answer,
    of_unreachable,
)
from connectors.caldav.recall import Object
from connectors.errors import (
    FatalError,
    OutcomeUnknownError,
    RateLimitedError,
    RetryableError,
)
from connectors.metering import Meter
from connectors.pacing import Pacer, with_retries

T = TypeVar("T")

_BUDGET = "calls"
_ATTEMPTS = 7
_REDIRECTS = 5
_NEVER_SENT = (NewConnectionError, NameResolutionError, ConnectTimeoutError)
_XML = {"Content-Type": "application/xml; charset=utf-8"}
_ICALENDAR = {"Content-Type": "text/calendar; charset=utf-8"}
_SILENT = {"Schedule-Reply": "F"}
"""A server that would answer an invitation on its own is asked not to (RFC 6638 section 8.1)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """With what an account reaches its server."""

    url: str
    username: str
    password: str = field(repr=False)
    digest: bool
    ca_bundle: str | None
    timeout: float


class _Digest(HTTPDigestAuth):
    """Digest authentication (RFC 7616) that minds its calls: the answer to a challenge is one, too.

    A challenge comes at the start of every session, and whenever the server wants a new nonce.
    """

    def __init__(self, login: Login, pacer: Pacer, meter: Meter) -> None:
        super().__init__(login.username, login.password)
        self._pacer = pacer
        self._meter = meter

    def handle_401(self, r: requests.Response, **kwargs: Any) -> requests.Response:
        """Answer the challenge, if it is one."""
        offered = r.headers.get("www-authenticate", "").lower()
        if r.status_code != 401 or "digest" not in offered:
            return r
        self._pacer.wait(_BUDGET)
        with self._meter.call("login"):
            answer: requests.Response = super().handle_401(r, **kwargs)  # type: ignore[no-untyped-call]
            return answer


class Client:
    """One account's calls. Thread safe: every thread has its own connections."""

    def __init__(
        self,
        *,
        login: Login,
        pacer: Pacer,
        meter: Meter,
        sleep: Callable[[float], None],
        random: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self.login = login
        self._pacer = pacer
        self._meter = meter
        self._sleep = sleep
        self._random = random
        self._now = now
        self._sessions: dict[threading.Thread, requests.Session] = {}
        self._guard = threading.Lock()

    def propfind(self, url: str, *names: str, depth: int = 0) -> tuple[dav.Multistatus, str]:
        """Properties of a resource and, with depth 1, of its members; and where they were found
        after redirections."""
        headers = {"Depth": str(depth), **_XML}
        return self._multistatus("PROPFIND", url, dav.propfind(*names), headers)

    def report(self, url: str, body: bytes, *, depth: int = 1) -> dav.Multistatus:
        """The answer to a report."""
        return self._multistatus("REPORT", url, body, {"Depth": str(depth), **_XML})[0]

    def get(self, url: str) -> Object:
        """One calendar object. Raises `AbsentError`."""
        reply = self._patiently(lambda: self._follow("GET", url, None, {}, writing=False))
        try:
            return Object(reply.headers.get("etag"), reply.content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            return Object(reply.headers.get("etag"), reply.content.decode("latin-1"))

    def put(self, url: str, text: str, *, etag: str | None) -> str | None:
        """Store an object if it still bears that ETag; without one, if there is none yet. Gives
        its new ETag if the server stored it as it is (RFC 4791 section 5.3.4)."""
        guard = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        reply = self._write("PUT", url, text.encode(), {**guard, **_ICALENDAR, **_SILENT})
        found = reply.headers.get("etag")
        return found if found and not found.startswith("W/") else None

    def delete(self, url: str, *, etag: str | None) -> None:
        """Delete an object if it still bears that ETag. Raises `AbsentError`."""
        guard = {"If-Match": etag} if etag else {}
        self._write("DELETE", url, None, {**guard, **_SILENT})

    def features(self, url: str) -> frozenset[str]:
        """What the server says that it can do (header `DAV`)."""
        reply = self._patiently(lambda: self._follow("OPTIONS", url, None, {}, writing=False))
        named = reply.headers.get("dav", "").split(",")
        return frozenset(name.strip().lower() for name in named)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._guard:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _multistatus(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[dav.Multistatus, str]:
        def ask() -> tuple[dav.Multistatus, str]:
            reply = self._follow(method, url, body, headers, writing=False)
            try:
                return dav.read(reply.content), reply.url
            except dav.NotMultistatusError as error:
                raise of_broken_answer(method, writing=False, detail=str(error)[:200]) from error

        return self._patiently(ask)

    def _write(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        """Writes bear a precondition, so repeating one does no harm: if the first one arrived,
        the second fails its precondition, and whoever called looks. Raises `OutcomeUnknownError` if
        an answer was lost and repeating did not settle the matter either."""
        lost = False

        def attempt() -> Reply:
            nonlocal lost
            try:
                return self._once(method, url, body, headers, writing=True)
            except UnansweredError:
                lost = True
                raise

        try:
            return self._patiently(attempt)
        except RetryableError as error:
            if not lost:
                raise
            raise OutcomeUnknownError(
                f"{error.message} Whether {method} was done is looked up before it is repeated.",
                provider=PROVIDER,
                operation=method,
                code=error.code,
            ) from error

    def _patiently(self, call: Callable[[], T]) -> T:
        return with_retries(
            call, sleep=self._sleep, random=self._random, attempts=_ATTEMPTS, base=1.0
        )

    def _follow(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        writing: bool,
    ) -> Reply:
        """Redirections keep the method, and lead nowhere the login must not go."""
        for _ in range(_REDIRECTS):
            reply = self._once(method, url, body, headers, writing=writing)
            if reply.status < 300:
                return reply
            url = canonical(url, reply.headers["location"])
        raise _astray(method, url)

    def _once(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        writing: bool,
    ) -> Reply:
        if not trusted(self.login.url, url):
            raise _astray(method, url)
        self._pacer.wait(_BUDGET)
        with self._meter.call("write" if writing else "read"):
            return self._sent(method, url, body, headers, writing=writing)

    def _sent(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        writing: bool,
    ) -> Reply:
        session = self._session()
        try:
            answer = session.request(
                method,
                url,
                data=body,
                headers=dict(headers),
                timeout=self.login.timeout,
                allow_redirects=False,
            )
        except (requests.RequestException, HTTPError, OSError) as error:
            session.close()
            detail = str(error)[:200] or type(error).__name__
            if _never_sent(error):
                raise of_unreachable(method, detail) from error
            raise of_broken_answer(method, writing=writing, detail=detail) from error
        found = {name.lower(): value for name, value in answer.headers.items()}
        redirected = answer.status_code in (301, 302, 307, 308) and "location" in found
        if answer.status_code < 300 or (redirected and not writing):
            return Reply(answer.status_code, found, answer.content, url)
        refusal = of_answer(
            answer.status_code,
            found,
            answer.content,
            operation=method,
            writing=writing,
            now=self._now(),
        )
        if isinstance(refusal, RateLimitedError):
            self._pacer.slow_down(_BUDGET, refusal.after)
        raise refusal

    def _session(self) -> requests.Session:
        """This thread's connections; those of threads that have ended are closed on the way."""
        mine = threading.current_thread()
        with self._guard:
            if mine not in self._sessions:
                for thread in [each for each in self._sessions if not each.is_alive()]:
                    self._sessions.pop(thread).close()
                self._sessions[mine] = self._connections()
            return self._sessions[mine]

    def _connections(self) -> requests.Session:
        """What the environment says about proxies and certificates is read once, not for every
        call."""
        session = requests.Session()
        verify = self.login.ca_bundle or True
        found = session.merge_environment_settings(self.login.url, {}, None, verify, None)
        session.trust_env = False
        session.proxies, session.verify = found["proxies"], found["verify"]
        session.auth = self._auth()
        session.headers["User-Agent"] = "feishu-calendar-bridge"
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=2))
        return session

    def _auth(self) -> AuthBase:
        """For one session; Basic is UTF-8 (RFC 7617)."""
        login = self.login
        if login.digest:
            return _Digest(login, self._pacer, self._meter)
        return HTTPBasicAuth(login.username.encode(), login.password.encode())


def _never_sent(error: BaseException) -> bool:
    """Whether the failure came before anything of the request had left."""
    if isinstance(error, requests.exceptions.SSLError | requests.ConnectTimeout):
        return True
    inner = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, _NEVER_SENT)


def _astray(method: str, url: str) -> FatalError:
    return FatalError(
        f"{method} leads to {url}, where the login is not sent. Write the right `url`.",
        provider=PROVIDER,
        operation=method,
        code="redirected",
    )
