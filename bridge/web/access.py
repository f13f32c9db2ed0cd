"""Who a request comes from, and what he may do."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from bridge.config_schema import WebSection
from bridge.web.passwords import matches
from bridge.web.sessions import Role, Session

FREE_ATTEMPTS = 5
WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=15)
FORGIVEN = timedelta(hours=1)
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is let in. `logged_in` with a password, and may log out again."""

    name: str
    role: Role
    logged_in: bool = False

    @property
    def acts(self) -> bool:
        """Whether he may change anything."""
        return self.role is Role.ADMINISTRATOR


class Access:
    """The rules of the config."""

    def __init__(self, web: WebSection, now: Callable[[], datetime]) -> None:
        self._web = web
        self._proxies = [ip_network(network) for network in web.trusted_proxies]
        self._throttle = Throttle(now)
        self._hashes = {
            role: secret.get_secret_value()
            for role, secret in (
                (Role.ADMINISTRATOR, web.password_hash),
                (Role.VIEWER, web.viewer_password_hash),
            )
            if secret is not None
        }
        self._public = urlsplit(web.public_url or "")

    @property
    def by_password(self) -> bool:
        """Whether there is a password to log in with."""
        return bool(self._hashes)

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self._public.scheme == "https"

    def knows_host(self, request: HTTPConnection) -> bool:
        """Whether the request names us as we are known: a page elsewhere that has our address
        under a name of its own (DNS rebinding) does not."""
        host = request.headers.get("host", "")
        return host == self._public.netloc or urlsplit(f"//{host}").hostname in _HERE

    def same_origin(self, request: HTTPConnection) -> bool:
        """Whether a form was sent from a page of ours, as far as the browser says."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True
        ours = {request.headers.get("host"), self._public.netloc} - {"", None}
        return urlsplit(origin).netloc in ours

    def visitor(self, request: HTTPConnection, session: Session) -> Visitor | None:
        """Who it is, None for a stranger."""
        if session.role is not None and session.proof == self._proof(session.role):
            return Visitor(session.name, session.role, logged_in=True)
        if named := self._named(request):
            return named
        if self._web.open_on_loopback and not self._web.guarded and not forwarded(request):
            return Visitor("", Role.ADMINISTRATOR)
        return None

    def _named(self, request: HTTPConnection) -> Visitor | None:
        """Whom the proxy says it is."""
        header = self._web.trusted_header
        if header is None or not self._from_proxy(request):
            return None
        name = request.headers.get(header, "").strip()
        if name and name in self._web.administrators:
            return Visitor(name, Role.ADMINISTRATOR)
        return Visitor(name, Role.VIEWER) if name and name in self._web.viewers else None

    def _from_proxy(self, request: HTTPConnection) -> bool:
        client = request.client
        if client is None:
            return False
        return any(ip_address(client.host) in network for network in self._proxies)

    def log_in(self, request: HTTPConnection, password: str) -> tuple[Role, str] | timedelta:
        """The role that a password opens and the proof of it, or how long to wait before the next
        attempt (zero: at once)."""
        peer = self._peer(request)
        wait = self._throttle.wait(peer)
        if wait > timedelta(0):
            return wait
        for role, known in self._hashes.items():
            if matches(password, known):
                self._throttle.succeeded(peer)
                return role, self._proof(role)
        return self._throttle.failed(peer)

    def _proof(self, role: Role) -> str:
        """Names the password of a role without telling anything about it."""
        known = self._hashes.get(role)
        return hashlib.sha256(known.encode()).hexdigest()[:16] if known else "none"

    def _peer(self, request: HTTPConnection) -> str:
        """The address that somebody comes from, as our proxy tells it if he comes through it."""
        told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        if told and self._from_proxy(request):
            return told
        return request.client.host if request.client else ""

    def may_measure(self, request: HTTPConnection) -> bool:
        """Whether somebody may read the metrics: with the token, or directly from this machine."""
        token = self._web.metrics_token
        if token is not None:
            given = request.headers.get("authorization", "")
            wanted = f"Bearer {token.get_secret_value()}"
            return _same(given, wanted)
        client = request.client
        return client is not None and ip_address(client.host).is_loopback and not forwarded(request)


def forwarded(request: HTTPConnection) -> bool:
    """Whether a proxy passed the request on from somewhere else."""
    return any(name in request.headers for name in ("forwarded", "x-forwarded-for", "via"))


def _same(given: str, wanted: str) -> bool:
    return hashlib.sha256(given.encode()).digest() == hashlib.sha256(wanted.encode()).digest()


class Throttle:
    """Makes guessing slow: after a few failures from one address each further one doubles the
    time until the next attempt is looked at. In memory, per process."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, datetime]] = {}

    def wait(self, peer: str) -> timedelta:
        """How long until the next attempt counts."""
        with self._lock:
            count, last = self._failures.get(peer, (0, self._now()))
            return max(timedelta(0), last + _pause(count) - self._now())

    def failed(self, peer: str) -> timedelta:
        """One more failure; how long to wait now."""
        with self._lock:
            old = self._now() - FORGIVEN
            self._failures = {who: entry for who, entry in self._failures.items() if entry[1] > old}
            count = self._failures.get(peer, (0, None))[0] + 1
            self._failures[peer] = (count, self._now())
            return _pause(count)

    def succeeded(self, peer: str) -> None:
        """All is forgiven."""
        with self._lock:
            self._failures.pop(peer, None)


def _pause(failures: int) -> timedelta:
    if failures < FREE_ATTEMPTS:
        return timedelta(0)
    doublings = min(failures - FREE_ATTEMPTS, 10)
    return min(LONGEST_WAIT, WAIT * (1 << doublings))
