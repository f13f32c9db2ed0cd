"""Calls of Exchange Web Services: exchangelib's connection, login and SOAP envelope, our content.

The library's item services have defects that lose or shift events (see `xmlform`); its transport
is used as it is, with `FailFast`, because its own patience takes a wrong password for a busy
server. Pacing and retrying are ours.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, TypeVar

from exchangelib import DELEGATE, IMPERSONATION, Identity
from exchangelib.errors import MalformedResponseError, UnauthorizedError
from exchangelib.services.common import EWSAccountService
from exchangelib.util import to_xml
from oauthlib.oauth2 import TokenExpiredError

from connectors.errors import ConnectorError, OutcomeUnknownError, RateLimitedError
from connectors.exchange.connections import connections
from connectors.exchange.discovery import Discovery, Found
from connectors.exchange.errors import (
    ELSEWHERE,
    UNREACHABLE,
    LostSubscriptionsError,
    of_code,
    of_fault,
)
from connectors.exchange.settings import Settings
from connectors.exchange.xmlform import TYPES, local, message, plain
from connectors.metering import Meter
from connectors.pacing import Pacer, with_retries
from mappings.exchange import many, text

T = TypeVar("T")
Wire = dict[str, Any]

_BUDGET = "calls"
_ATTEMPTS = 7
_WRITES = frozenset({"CreateItem", "UpdateItem", "DeleteItem"})
_SUBSCRIBING = frozenset({"Subscribe", "Unsubscribe"})
_AFFINITY = "X-BackEndOverrideCookie"
_DOUBTFUL = frozenset({"ErrorTimeoutExpired", "ErrorInternalServerError"})

# The library logs whole requests with what people write in their calendars.
logging.getLogger("exchangelib").setLevel(logging.CRITICAL)


@dataclass(slots=True)
class Affinity:
    """What keeps the subscriptions of several mailboxes at one Mailbox server: the mailbox that
    all their requests name, and the cookie that the server gave for it ("Maintain affinity between
    a group of subscriptions and the Mailbox server")."""

    anchor: str
    cookie: str | None = None


@dataclass(slots=True)
class _Mailbox:
    """What the library's services want to know of an account; the address is for routing only."""

    protocol: Any
    primary_smtp_address: str
    access_type: str
    identity: Any
    version: Any
    affinity: Affinity
    default_timezone: None = None

    @property
    def affinity_cookie(self) -> str | None:
        return self.affinity.cookie

    @affinity_cookie.setter
    def affinity_cookie(self, cookie: str) -> None:
        self.affinity.cookie = cookie


class Organization:
    """The connections of one login, shared by all accounts.

    `connections` bounds them for each server. Where an account's server is comes from the
    settings, or else from `discovery`, which several organizations with the same settings may
    share.
    """

    def __init__(self, settings: Settings, connections: int, discovery: Discovery) -> None:
        self._settings = settings
        self._connections = connections
        self._discovery = discovery
        self._servers: dict[str, Any] = {}
        self._lock = Lock()
        self.streams: set[_Streaming] = set()

    def mailbox(self, account: str, affinity: Affinity | None = None) -> _Mailbox:
        """An account's mailbox. No network, unless the endpoint has to be found first."""
        affinity = affinity or Affinity(account)
        found = self.found(account)
        protocol = self._connected(found.endpoint if found else str(self._settings.endpoint))
        impersonating = self._settings.access == "impersonation"
        return _Mailbox(
            protocol=protocol,
            primary_smtp_address=affinity.anchor,
            access_type=IMPERSONATION if impersonating else DELEGATE,
            identity=Identity(primary_smtp_address=account),
            version=protocol.config.version,
            affinity=affinity,
        )

    def found(self, account: str) -> Found | None:
        """What Autodiscover says of an account; None if the settings name the endpoint."""
        return None if self._settings.endpoint else self._discovery.found(account)

    def moved(self, account: str, mailbox: _Mailbox, error: ConnectorError) -> bool:
        """Whether the server of a mailbox has failed because another one has it by now."""
        endpoint = mailbox.protocol.service_endpoint
        if self._settings.endpoint:
            return False
        if error.code in ELSEWHERE:
            return self._discovery.moved(account, endpoint)
        if error.code not in (UNREACHABLE, "404"):
            return False
        with suppress(ConnectorError):  # what is wrong with the server counts more
            return self._discovery.moved(account, endpoint)
        return False

    @property
    def uses_tokens(self) -> bool:
        """True if the login is a token, which runs out."""
        return self._settings.auth == "oauth2"

    def close(self) -> None:
        """Close all connections."""
        for stream in tuple(self.streams):
            stream.end()
        with self._lock:
            for protocol in self._servers.values():
                protocol.close()
            self._servers.clear()

    def _connected(self, endpoint: str) -> Any:
        with self._lock:
            if endpoint not in self._servers:
                self._servers[endpoint] = connections(
                    self._settings, endpoint, self._connections, self._discovery.network
                )
            return self._servers[endpoint]


class _Service(EWSAccountService):  # type: ignore[misc]
    """One operation; `answered` gives the response messages of a payload as they came."""

    def answered(self, payload: Any) -> list[Any]:
        return list(self._get_response_xml(payload=payload))

    @classmethod
    def _get_soap_parts(cls, response: Any) -> tuple[Any, Any]:
        """The envelope's header, None without one, and body.

        The library reads byte by byte, and its parser mends half a document, which would pass for
        a short listing.
        """
        if not response.content.rstrip().endswith(b"Envelope>"):
            raise MalformedResponseError("the answer was cut off")
        envelope = to_xml(response.content)
        body = envelope.find("{*}Body")
        if body is None:
            raise MalformedResponseError("the answer has no body")
        return envelope.find("{*}Header"), body


class _Subscribing(_Service):
    """An operation that must reach the server which keeps the subscription."""

    prefer_affinity = True

    def _extra_headers(self) -> dict[str, str]:
        """The library sends the cookie as a header of its name; servers look for a cookie."""
        headers: dict[str, str] = super()._extra_headers()
        cookie = headers.pop(_AFFINITY, None)
        return headers | ({"Cookie": f"{_AFFINITY}={cookie}"} if cookie else {})


class _Streaming(_Subscribing):
    """An operation whose answer goes on: an envelope for every piece of news."""

    def pieces(self, payload: Any) -> Iterator[list[Any]]:
        from exchangelib.util import DocumentYielder

        self.streaming = True
        try:
            response = self._get_response(payload, self._version_hint.api_version)
            response.raw.decode_content = True
            for document in DocumentYielder(response.iter_content(chunk_size=1)):
                body = to_xml(document).find("{*}Body")
                yield list(self._get_soap_messages(body=body))
        finally:
            self.stop_streaming()

    def end(self) -> None:
        """Wake up whoever waits for the next piece, from another thread."""
        response = self._streaming_response
        if response is not None:
            with suppress(AttributeError, OSError, RuntimeError, ValueError):
                response.raw.shutdown()


@cache
def _service(operation: str, kind: type[_Service] = _Service) -> type[_Service]:
    return type(operation, (kind,), {"SERVICE_NAME": operation})


Answer = Wire | ConnectorError
"""What became of one item of a request."""


class Client:
    """One account's calls. Thread safe."""

    def __init__(
        self,
        *,
        organization: Organization,
        account: str,
        pacer: Pacer,
        meter: Meter,
        sleep: Callable[[float], None],
        random: Callable[[], float],
        stream_timeout: float = 60.0,
        affinity: Affinity | None = None,
    ) -> None:
        self.account = account
        self._affinity = affinity
        self._organization = organization
        self._pacer = pacer
        self._meter = meter
        self._sleep = sleep
        self._random = random
        self._stream_timeout = stream_timeout
        self._mailbox: _Mailbox | None = None

    def call(self, operation: str, content: Mapping[str, Any]) -> list[Answer]:
        """The answers of an operation, one for each thing that it was asked about, in order.

        What is refused as a whole is raised, and repeated before that if it may be: reading
        always, writing if Exchange said that it did nothing. Raises `OutcomeUnknownError` if the
        answer to a write was lost.
        """
        return with_retries(
            lambda: self._once(operation, content),
            sleep=self._sleep,
            random=self._random,
            attempts=_ATTEMPTS,
            base=1.0,
        )

    def one(self, operation: str, content: Mapping[str, Any]) -> Wire:
        """The only answer of an operation; its error is raised."""
        return with_retries(
            lambda: single(self._once(operation, content)),
            sleep=self._sleep,
            random=self._random,
            attempts=_ATTEMPTS,
            base=1.0,
        )

    def stream(self, content: Mapping[str, Any]) -> Generator[Answer, None, None]:
        """The news of GetStreamingEvents, until the server ends them or they are closed."""
        service = _service("GetStreamingEvents", _Streaming)(
            account=self._opened(), timeout=self._stream_timeout
        )
        assert isinstance(service, _Streaming)
        self._organization.streams.add(service)
        try:
            for messages in service.pieces(message("GetStreamingEvents", content)):
                yield from map(_news, messages)
        except ConnectorError:
            raise
        except Exception as error:
            raise of_fault(error, "GetStreamingEvents", writing=False) from error
        finally:
            self._organization.streams.discard(service)

    def found(self) -> Found | None:
        """What Autodiscover says of the account; None if the settings name the endpoint."""
        return self._organization.found(self.account)

    def _opened(self) -> _Mailbox:
        if self._mailbox is None:
            self._mailbox = self._organization.mailbox(self.account, self._affinity)
        return self._mailbox

    def _once(self, operation: str, content: Mapping[str, Any]) -> list[Answer]:
        """The answers; if the mailbox turns out to have moved, those of its new server.

        A server that has not got the mailbox has done nothing, so even a write may be sent again.
        """
        try:
            answers = self._asked(operation, content)
        except ConnectorError as error:
            if not self._moved(error):
                raise
        else:
            failed = [answer for answer in answers if isinstance(answer, ConnectorError)]
            if len(failed) < len(answers) or not self._moved(failed[0]):
                return answers
        return self._asked(operation, content)

    def _moved(self, error: ConnectorError) -> bool:
        mailbox = self._mailbox
        if mailbox is None or not self._organization.moved(self.account, mailbox, error):
            return False
        self._mailbox = None
        return True

    def _asked(self, operation: str, content: Mapping[str, Any]) -> list[Answer]:
        self._pacer.wait(_BUDGET)
        writing = operation in _WRITES
        with self._meter.call("write" if writing else "read") as pending:
            answers = self._sent(operation, content, writing=writing)
            failed = [answer for answer in answers if isinstance(answer, ConnectorError)]
            if len(failed) == len(answers):
                pending.failed = failed[0]
        busy = [self._noted(answer) for answer in answers if isinstance(answer, RateLimitedError)]
        if len(busy) == len(answers):
            raise busy[0]
        return [_doubtful(answer) for answer in answers] if writing else answers

    def _sent(self, operation: str, content: Mapping[str, Any], *, writing: bool) -> list[Answer]:
        try:
            kind = _Subscribing if operation in _SUBSCRIBING else _Service
            service = _service(operation, kind)(account=self._opened())
            try:
                messages = service.answered(message(operation, content))
            except (TokenExpiredError, UnauthorizedError):
                if not self._organization.uses_tokens:
                    raise
                # Nothing was done; the library has dropped the token and gets another one.
                messages = service.answered(message(operation, content))
            answers = [_answer(operation, each) for each in messages]
            if not answers:
                raise ValueError("the answer holds no message")
        except ConnectorError as error:
            raise self._noted(error) from error.__cause__
        except Exception as error:
            raise self._noted(of_fault(error, operation, writing=writing)) from error
        return answers

    def _noted(self, error: ConnectorError) -> ConnectorError:
        if isinstance(error, RateLimitedError):
            self._pacer.slow_down(_BUDGET, error.after)
        return error


def _doubtful(answer: Answer) -> Answer:
    """A server that breaks off in the middle of a write may have done it."""
    if isinstance(answer, ConnectorError) and answer.code in _DOUBTFUL:
        return OutcomeUnknownError(answer.message, **answer.facts)
    return answer


def single(answers: list[Answer]) -> Wire:
    """The only answer; raises it if it is an error."""
    if isinstance(answers[0], ConnectorError):
        raise answers[0]
    return answers[0]


def _answer(operation: str, element: Any) -> Answer:
    """One response message; of an error the inner code counts, if there is one."""
    found = plain(element)
    if not isinstance(found, dict):
        raise ValueError("the answer is empty")
    if found.get("@ResponseClass") != "Error":
        return found
    code, back_off = text(found, "ResponseCode") or "unknown", None
    for value in many(found.get("MessageXml"), "Value"):
        if isinstance(value, dict) and value.get("@Name") == "InnerErrorResponseCode":
            code = str(value.get("#"))
        if isinstance(value, dict) and value.get("@Name") == "BackOffMilliseconds":
            back_off = float(value["#"]) / 1000
    said = text(found, "MessageText") or code
    return of_code(code, said, operation, back_off=back_off)


def _news(element: Any) -> Answer:
    """One message of a stream; an error may name the subscriptions that the server has not got."""
    answer = _answer("GetStreamingEvents", element)
    found = plain(element)
    if isinstance(answer, LostSubscriptionsError):
        answer.ids = frozenset(map(str, many(found.get("ErrorSubscriptionIds"), "SubscriptionId")))
    return answer


def item_of(answer: Wire) -> Wire:
    """The item that an answer holds."""
    items = answer.get("Items")
    if not isinstance(items, dict) or not items:
        raise ValueError("the answer holds no item")
    (found,) = (value for name, value in items.items() if not name.startswith("@"))
    assert isinstance(found, dict)
    return found


__all__ = ["TYPES", "Answer", "Client", "Organization", "Wire", "item_of", "local", "single"]
