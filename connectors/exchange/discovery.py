"""Which server has a mailbox: the Autodiscover service of its domain is asked.

The library's own client is not used: it keeps what it found in a file of the temporary folder
that all programs of the user share, logs in to every host that it guesses, knows no certificates
of our own, and hides why a host was of no use. ("Autodiscover for Exchange"; "GetUserSettings
operation (SOAP)"; [MS-OXWSADISC])

What may be trusted with the login: hosts of the account's domain, and hosts to which one of them
sends us on over https. An address that only DNS gives for another domain, or that is given over
http, could be anybody's: it is named to the administrator, who can put it into the config.
"""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from lxml import etree  # type: ignore[import-untyped]
from oauthlib.oauth2 import OAuth2Error

from connectors.errors import ConnectorError, FatalError, ReauthorizeError, RetryableError
from connectors.exchange.connections import REDIRECTS, Network, connections, without_query
from connectors.exchange.errors import PROVIDER, of_fault
from connectors.exchange.settings import Settings, is_encrypted_or_loopback

AUTODISCOVER = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ADDRESSING = "http://www.w3.org/2005/08/addressing"
_OPERATION = "GetUserSettings"
_PATH = "/autodiscover/autodiscover.svc"
_WANTED = ("ExternalEwsUrl", "InternalEwsUrl")
_MOST_REDIRECTS = 10
_LONGEST_ANSWER = 1 << 20
_PASSING = frozenset({"ServerBusy", "InternalServerError"})
_FACTS: Mapping[str, str] = {"provider": PROVIDER, "operation": "Autodiscover"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of asking one place, for people to read; `code` sums up a failure."""

    place: str
    result: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.place} {self.result}".replace(". ", ", ")


@dataclass(frozen=True, slots=True)
class Found:
    """An account's endpoint, the service that named it, and what was tried before that."""

    endpoint: str
    service: str
    tried: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class _Reply:
    """What a service said: an endpoint, or whom to ask instead, or nothing of use."""

    result: str = ""
    code: str = ""
    endpoint: str = ""
    url: str = ""
    address: str = ""


class Discovery:
    """The endpoints of an organization's accounts, asked for once. Thread safe.

    Mailboxes of one organization may be at different servers, so each account is asked for; the
    service that answered for a domain is the first one to be asked about the next account.
    Nothing is kept beyond the process.
    """

    def __init__(self, settings: Settings, network: Network | None = None) -> None:
        self._settings = settings
        self.network = network or Network()
        self._lock = Lock()
        self._turns: dict[str, Lock] = {}
        self._found: dict[str, Found] = {}
        self._services: dict[str, str] = {}

    def found(self, account: str) -> Found:
        """Where an account is. Raises `ReauthorizeError` if the login is refused, `FatalError`
        if no service knows the account, `RetryableError` if one may answer later."""
        return self._known(account, "")

    def moved(self, account: str, endpoint: str) -> bool:
        """Whether an account is elsewhere than at this endpoint by now. Raises like `found`."""
        return self._known(account, endpoint).endpoint != endpoint

    def _known(self, account: str, left: str) -> Found:
        """What is known, unless that is the endpoint that seems to be left."""
        with self._lock:
            turn = self._turns.setdefault(account, Lock())
        with turn:  # one asks, the others wait: a wrong password is not tried by all of them
            known = self._found.get(account)
            if known is None or known.endpoint == left:
                known = self._found[account] = self._search(account)
            return known

    def _search(self, account: str) -> Found:
        address, tried, seen = account, list[Attempt](), set[tuple[str, str]]()
        starts: dict[str, str] = {}
        redirects, sent_to = 0, ""
        ways = self._ways(address, tried)
        while url := next(ways, ""):
            if (url.lower(), address) in seen:
                continue
            seen.add((url.lower(), address))
            if url != sent_to:
                starts[_domain(address)] = url
            reply = self._ask(url, address)
            if reply.endpoint:
                with self._lock:
                    self._services |= starts
                return Found(reply.endpoint, url, tuple(tried))
            tried.append(Attempt(url, reply.result, reply.code))
            sent_to = reply.url
            redirects += bool(reply.url or reply.address)
            if redirects > _MOST_REDIRECTS:
                tried.append(Attempt(url, "was one redirection too many", "redirects"))
                break
            if reply.address:
                address = reply.address
                ways = self._ways(address, tried)
            elif reply.url:
                ways = chain([reply.url], ways)
        raise _not_found(account, tried)

    def _ways(self, address: str, tried: list[Attempt]) -> Iterator[str]:
        """The services to ask about an address, best first ([MS-OXWSADISC] 3.1.5, "Generate a
        list of Autodiscover endpoints")."""
        if self._settings.autodiscover:
            yield self._settings.autodiscover
            return
        domain = _domain(address)
        with self._lock:
            known = self._services.get(domain)
        if known:
            yield known
        yield f"https://autodiscover.{domain}{_PATH}"
        yield f"https://{domain}{_PATH}"
        name = f"_autodiscover._tcp.{domain}"
        try:
            services = self.network.services(name)
        except OSError as error:
            tried.append(Attempt(name, f"could not be looked up in DNS ({error})", "unreachable"))
            return
        for service in sorted(services, key=lambda each: (each.priority, -each.weight)):
            host = service.host.lower()
            if host != domain and not host.endswith(f".{domain}"):
                said = f"names {host}, which is outside of {domain} and not trusted with the login"
                tried.append(Attempt(name, said, "foreign"))
                continue
            yield f"https://{host}{'' if service.port == 443 else f':{service.port}'}{_PATH}"

    def _ask(self, url: str, address: str) -> _Reply:
        """Ask without the login first: only who asks for it is trusted with it."""
        protocol = connections(self._settings, url, 1, self.network)
        question = _question(url, address)
        try:
            stranger = protocol.raw_session(url)
            stranger.auth = lambda request: request  # not even what a .netrc holds
            reply = _posted(stranger, url, question, protocol.TIMEOUT)
            if reply.status != 401:
                return _understood(reply, url, address)
            reply = _posted(self._session(protocol), url, question, protocol.TIMEOUT)
        except (requests.RequestException, OSError) as error:
            return _trouble(error)
        finally:
            protocol.close()
        if reply.status == 401:
            raise ReauthorizeError(
                f"Autodiscover at {without_query(url)} did not accept the login. Check username "
                "and password (NTLM: DOMAIN\\user), or write `endpoint`.",
                **_FACTS,
                code="401",
            )
        return _understood(reply, url, address)

    def _session(self, protocol: Any) -> Any:
        """A session with the login; it takes a token, where tokens are used."""
        try:
            return protocol.create_session()
        except OAuth2Error as error:
            raise of_fault(error, "Autodiscover", writing=False) from error
        except (requests.RequestException, OSError) as error:
            assert self._settings.oauth is not None
            raise RetryableError(
                f"The token service at {without_query(self._settings.oauth.tokens_from)} "
                f"{_trouble(error).result}. Check network, DNS and `token_url`.",
                **_FACTS,
                code="unreachable",
            ) from error


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    location: str


def _posted(session: Any, url: str, question: bytes, timeout: float) -> _Answer:
    with (
        session,
        session.post(
            url, question, timeout=timeout, allow_redirects=False, stream=True
        ) as response,
    ):
        try:
            body = response.raw.read(_LONGEST_ANSWER, decode_content=True)
        except Exception as error:
            raise requests.ConnectionError(error) from error
        return _Answer(response.status_code, body, response.headers.get("Location") or "")


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _question(url: str, address: str) -> bytes:
    """The request of GetUserSettings, in the version that every server since 2010 takes."""

    def child(parent: Any, namespace: str, name: str, content: str | None = None) -> Any:
        made = etree.SubElement(parent, f"{{{namespace}}}{name}")
        made.text = content
        return made

    spaces = {"s": _SOAP, "a": AUTODISCOVER, "wsa": _ADDRESSING}
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap=spaces)
    header = child(envelope, _SOAP, "Header")
    child(header, AUTODISCOVER, "RequestedServerVersion", "Exchange2010")
    child(header, _ADDRESSING, "Action", f"{AUTODISCOVER}/Autodiscover/{_OPERATION}")
    child(header, _ADDRESSING, "To", url)
    message = child(child(envelope, _SOAP, "Body"), AUTODISCOVER, f"{_OPERATION}RequestMessage")
    request = child(message, AUTODISCOVER, "Request")
    user = child(child(request, AUTODISCOVER, "Users"), AUTODISCOVER, "User")
    child(user, AUTODISCOVER, "Mailbox", address)
    settings = child(request, AUTODISCOVER, "RequestedSettings")
    for name in _WANTED:
        child(settings, AUTODISCOVER, "Setting", name)
    written: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    return written


def _understood(answer: _Answer, url: str, address: str) -> _Reply:
    """What an answer means ("Handling Autodiscover error messages")."""
    if answer.status in REDIRECTS and answer.location:
        return _sent_on(urljoin(url, answer.location))
    if answer.status == 429 or answer.status >= 500:
        return _Reply(f"answered HTTP {answer.status}", "unreachable")
    response = _response(answer.body)
    if answer.status != 200 or response is None:
        return _Reply(f"answered HTTP {answer.status}, not as Autodiscover does", "other")
    user = response.find("{*}UserResponses/{*}UserResponse")
    code = response.findtext("{*}ErrorCode") or ""
    if code == "NoError" and user is not None:
        code = user.findtext("{*}ErrorCode") or ""
    target = "" if user is None else (user.findtext("{*}RedirectTarget") or "").strip()
    if code == "RedirectUrl" and target:
        return _sent_on(target)
    if code == "RedirectAddress" and "@" in target:
        return _Reply(f"knows {address} as {target}", "redirects", address=target.lower())
    if code == "InvalidUser":
        raise FatalError(
            f"Autodiscover at {without_query(url)} does not know {address}. Check the address in "
            "the config; it has to be the mailbox's primary one.",
            **_FACTS,
            code=code,
        )
    if code != "NoError" or user is None:
        said = f"answered {code or 'nothing'}"
        return _Reply(said, "unreachable" if code in _PASSING else "other")
    return _endpoint(user)


def _endpoint(user: Any) -> _Reply:
    """The address for clients outside comes first: it has the name that certificates bear."""
    named = {
        each.findtext("{*}Name"): (each.findtext("{*}Value") or "").strip()
        for each in user.iterfind("{*}UserSettings/{*}UserSetting")
    }
    for name in _WANTED:
        url = named.get(name) or ""
        if url and is_encrypted_or_loopback(url):
            return _Reply(endpoint=url)
    return _Reply("names no https address of Exchange Web Services", "other")


def _sent_on(target: str) -> _Reply:
    shown = without_query(target)
    if urlsplit(target).scheme != "https":
        return _Reply(f"redirects to {shown}, which is not https", "other")
    return _Reply(f"redirects to {shown}", "redirects", url=target)


def _response(body: bytes) -> Any:
    """The Response element of an envelope, None if it is none."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return root.find(f"{{{_SOAP}}}Body/{{*}}{_OPERATION}ResponseMessage/{{*}}Response")


def _trouble(error: BaseException) -> _Reply:
    """Why there is no answer."""
    inside: BaseException | None = error
    causes: list[BaseException] = []
    while inside is not None and inside not in causes:
        causes.append(inside)
        reason = inside.args[0] if inside.args else None
        reason = getattr(reason, "reason", reason)
        inside = reason if isinstance(reason, BaseException) else inside.__cause__
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            if cause.errno == socket.EAI_AGAIN:
                return _Reply("could not be looked up in DNS", "unreachable")
            return _Reply("has no address in DNS", "unknown")
    if isinstance(error, requests.exceptions.SSLError):
        return _Reply("has a certificate that is not trusted", "certificate")
    if isinstance(error, requests.Timeout):
        return _Reply("did not answer in time", "unreachable")
    return _Reply("could not be reached", "unreachable")


def _not_found(account: str, tried: list[Attempt]) -> ConnectorError:
    codes = {attempt.code for attempt in tried}
    said = f"Autodiscover found no Exchange server for {account}: " + "; ".join(map(str, tried))
    if "unreachable" in codes:
        return RetryableError(
            f"{said}. It is asked again. If that does not help, check network and DNS, or write "
            "`endpoint`, https://SERVER/EWS/Exchange.asmx.",
            **_FACTS,
            code="unreachable",
        )
    if "certificate" in codes:
        return FatalError(
            f"{said}. Name the certification authority of that server in `ca_bundle`, or write "
            "`endpoint`, https://SERVER/EWS/Exchange.asmx.",
            **_FACTS,
            code="certificate",
        )
    first = "Check the address. " if codes <= {"unknown"} else ""
    return FatalError(
        f"{said}. {first}Write `autodiscover`, the address of the service, or `endpoint`, "
        "https://SERVER/EWS/Exchange.asmx.",
        **_FACTS,
        code="not-found",
    )
