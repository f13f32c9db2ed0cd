"""One call over the core of the official SDK (`connectors/feishu/sdk.py`).

Read before changing: the SDK, given app credentials, silently replaces a missing or refused user
token by the app's own, whose calendars are other ones; and it keeps tenant tokens in a class
attribute keyed by app id alone. Therefore the client here owns *no* credentials, every call
names its token, and without a token nothing is sent. The SDK opens a connection per call; this
client hands it connections that stay open, and keeps no cookies, for they would pass from one
user to another.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from types import FunctionType
from typing import Any, Literal

import requests
from requests.adapters import HTTPAdapter

from connectors.errors import ReauthorizeError, RetryableError
from connectors.feishu import sdk
from connectors.feishu.errors import PROVIDER, LostAnswerError, Reply

sdk.slim()
with sdk.quiet():
    from lark_oapi.core.enum import AccessTokenType, HttpMethod
    from lark_oapi.core.http import Transport
    from lark_oapi.core.model import BaseRequest, Config, RequestOption

# The SDK writes its log to stdout, where our own JSON answers go.
_log = logging.getLogger("Lark")
_log.handlers.clear()
_log.setLevel(logging.ERROR)

TokenKind = Literal["user", "tenant", "none"]
_CONNECTIONS = 32
CALENDAR_API = "/open-apis/calendar/v4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `path` is a template whose `:names` are filled from `ids`, percent-encoded.

    The template and not the filled path is what Feishu's rate limits count. `writes` marks the
    calls whose lost answer the bridge must look up.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    writes: bool = False

    @property
    def operation(self) -> str:
        """Method and path template."""
        return f"{self.method} {self.path.removeprefix(CALENDAR_API)}"


class Client:
    """Sends single calls. Thread safe; knows nothing of retries, pacing or token renewal."""

    def __init__(self, origin: str, timeout: float) -> None:
        self._connections = _connections(origin)
        self._execute = _sending_over(self._connections)
        self._config = Config()
        self._config.domain, self._config.timeout = origin, timeout

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def send(self, call: Call, *, identity: TokenKind, token: str = "") -> Reply:
        """The answer, whatever its code.

        Raises `RetryableError` if the call was certainly not carried out, `LostAnswerError` if
        nobody knows, `ReauthorizeError` for a missing token.
        """
        if identity != "none" and not token:
            raise ReauthorizeError(f"no {identity} token for {call.operation}", provider=PROVIDER)
        facts = {"provider": PROVIDER, "operation": call.operation}
        try:
            raw = self._execute(self._config, _request(call, identity), _option(identity, token))
        except requests.exceptions.ConnectTimeout as error:
            raise RetryableError("Feishu could not be reached in time", **facts) from error
        except requests.exceptions.RequestException as error:
            name = type(error).__name__
            raise LostAnswerError(f"the connection to Feishu broke ({name})", **facts) from error
        headers = {str(name).lower(): str(value) for name, value in raw.headers.items()}
        try:
            body = json.loads(raw.content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            text = f"Feishu's gateway answered {raw.status_code} without JSON"
            raise LostAnswerError(text, **facts)
        return Reply(status=raw.status_code, headers=headers, body=body)


def _connections(origin: str) -> requests.Session:
    """What the environment says about proxies and certificates is read once: `requests` would do
    so for every call, and let a `.netrc` that names the host overrule the token."""
    session = requests.Session()
    found = session.merge_environment_settings(origin, {}, None, None, None)
    session.trust_env = False
    session.proxies, session.verify = found["proxies"], found["verify"]
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return session


def _sending_over(session: requests.Session) -> FunctionType:
    """The SDK's own way to send, in which alone the name `requests` means this session."""
    names = {**Transport.execute.__globals__, "requests": session}
    return FunctionType(Transport.execute.__code__, names, argdefs=Transport.execute.__defaults__)


def _request(call: Call, identity: TokenKind) -> Any:
    """A new request per attempt: sending fills in its headers."""
    kinds = {
        "user": {AccessTokenType.USER},
        "tenant": {AccessTokenType.TENANT},
        "none": set(),
    }
    request = BaseRequest()
    request.http_method = HttpMethod[call.method]
    request.uri = call.path
    request.paths = dict(call.ids)
    request.queries = [
        (name, str(value)) for name, value in call.query.items() if value is not None
    ]
    request.token_types = kinds[identity]
    if call.body is not None:
        request.headers = {"Content-Type": "application/json; charset=utf-8"}
        request.body = dict(call.body)
    return request


def _option(identity: TokenKind, token: str) -> Any:
    builder = RequestOption.builder()
    if identity == "user":
        builder = builder.user_access_token(token)
    elif identity == "tenant":
        builder = builder.tenant_access_token(token)
    return builder.build()
