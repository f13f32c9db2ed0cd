"""Access tokens: a service account that acts as its users, or users who consented.

Sources: Google Identity guides "Using OAuth 2.0 for Server to Server Applications" and "Using
OAuth 2.0 for Web Server Applications"; RFC 6749 section 5.2 for the error names.
"""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from connectors.errors import ConnectorError, ReauthorizeError, RetryableError
from connectors.google.errors import PROVIDER
from connectors.google.settings import Settings
from connectors.google.transport import TokenTransport
from connectors.tokens import Token, TokenStore

_EARLY = timedelta(minutes=4)
_PASSING = frozenset({"temporarily_unavailable", "server_error", "internal_failure"})


class Credentials(ABC):
    """One account's access token, renewed by one thread at a time.

    Has the two methods that `google_auth_httplib2.AuthorizedHttp` asks of credentials. Raises
    `ReauthorizeError` if a person must act, `RetryableError` if the endpoint is out of order.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._token: Token | None = None
        self._sent = threading.local()

    def before_request(
        self, request: Callable[..., Any], _method: str, _url: str, headers: dict[str, str]
    ) -> None:
        """Put a token that is good for some minutes on a request."""
        self._authorize(TokenTransport(request), refused=None)
        token = self._token
        assert token is not None
        self._sent.token = token.access
        headers["authorization"] = f"Bearer {token.access}"

    def refresh(self, request: Callable[..., Any]) -> None:
        """Replace the token that this thread sent last and that was refused with a 401."""
        self._authorize(TokenTransport(request), refused=getattr(self._sent, "token", None))

    def _authorize(self, transport: TokenTransport, *, refused: str | None) -> None:
        if self._good(self._token, refused):
            return
        with self._alone():
            self._token = self._stored()
            if not self._good(self._token, refused):
                self._token = self._obtain(transport)

    def _good(self, token: Token | None, refused: str | None) -> bool:
        return (
            token is not None
            and token.access != refused
            and token.access_expires - self._now() > _EARLY
        )

    @abstractmethod
    def _alone(self) -> AbstractContextManager[Any]:
        """Held by whoever may renew."""

    @abstractmethod
    def _stored(self) -> Token | None:
        """The token that somebody else may have renewed meanwhile."""

    @abstractmethod
    def _obtain(self, transport: TokenTransport) -> Token:
        """A new token from the endpoint."""


class DelegatedCredentials(Credentials):
    """A service account acting as `account` (domain-wide delegation). Nothing to store."""

    def __init__(self, settings: Settings, account: str, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        assert settings.service_account is not None
        self._account = account
        self._settings = settings
        self._acting = partial(
            _service_account,
            settings.service_account.get_secret_value(),
            settings.token_uri,
            tuple(settings.scopes),
        )
        self._lock = threading.Lock()

    def _alone(self) -> AbstractContextManager[Any]:
        return self._lock

    def _stored(self) -> Token | None:
        return self._token

    def _obtain(self, transport: TokenTransport) -> Token:
        try:
            grant = self._acting().with_subject(self._account)
        except (ValueError, GoogleAuthError) as error:
            raise ReauthorizeError(
                "The service account key cannot be used: its private key is damaged. Download a "
                "new key and set `service_account` to it.",
                provider=PROVIDER,
                operation="the token request",
                code="bad-key",
            ) from error
        _refresh(grant, transport, self._account)
        return _token_of(grant, self._settings)


@lru_cache(maxsize=8)
def _service_account(key: str, token_uri: str, scopes: tuple[str, ...]) -> Any:
    """Read once for all accounts: checking a private key takes 40 ms."""
    return service_account.Credentials.from_service_account_info(
        {**json.loads(key), "token_uri": token_uri}, scopes=scopes
    )


class UserCredentials(Credentials):
    """A user's own consent; tokens live in the store, the refresh is guarded by its lock."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        account: str,
        tokens: TokenStore,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(now)
        self._settings = settings
        self._name = name
        self._account = account
        self._tokens = tokens

    def _alone(self) -> AbstractContextManager[Any]:
        return self._tokens.lock(self._name, self._account)

    def _stored(self) -> Token | None:
        return self._tokens.load(self._name, self._account)

    def _obtain(self, transport: TokenTransport, *, again: bool = True) -> Token:
        known = self._tokens.load(self._name, self._account)
        if known is None or known.refresh is None:
            raise ReauthorizeError(
                f"{self._account} has not given consent yet. Send an invitation from the "
                f"dashboard, or run `calbridge connect {self._name} --user NAME`.",
                provider=PROVIDER,
                operation="the token request",
                code="no-consent",
            )
        secret = self._settings.client_secret
        grant = user_credentials.Credentials(
            None,
            refresh_token=known.refresh,
            token_uri=self._settings.token_uri,
            client_id=self._settings.client_id,
            client_secret=secret.get_secret_value() if secret else None,
        )
        try:
            _refresh(grant, transport, self._account)
        except ReauthorizeError as error:
            if error.code == "invalid_grant":
                newer = self._tokens.load(self._name, self._account)
                if again and newer is not None and newer.refresh != known.refresh:
                    return self._obtain(transport, again=False)  # consent was given anew meanwhile
                self._tokens.drop(self._name, self._account)
            raise
        token = _token_of(grant, self._settings, scope=known.scope, owner=known.owner)
        self._tokens.save(self._name, self._account, token)
        return token


class StaticToken(Credentials):
    """A token that was just issued, before anybody knows whether to keep it."""

    def __init__(self, token: Token, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self._fresh = token
        self._lock = threading.Lock()

    def _alone(self) -> AbstractContextManager[Any]:
        return self._lock

    def _stored(self) -> Token | None:
        return self._fresh

    def _obtain(self, transport: TokenTransport) -> Token:
        raise ReauthorizeError(
            "Google refused the token that it had just issued. Connect the account again.",
            provider=PROVIDER,
            operation="the token request",
            code="token-refused",
        )


def _refresh(grant: Any, transport: TokenTransport, account: str) -> None:
    try:
        grant.refresh(transport)
    except RefreshError as error:
        raise of_refusal(error, account) from error


def of_refusal(error: RefreshError, account: str) -> ConnectorError:
    """What a refusal of the token endpoint means."""
    answer = error.args[1] if len(error.args) > 1 else None
    found = answer if isinstance(answer, dict) else {}
    return refusal(
        str(found.get("error", "")),
        str(found.get("error_description") or ""),
        account,
        passing=bool(error.retryable),
    )


def refusal(code: str, description: str, account: str, *, passing: bool = False) -> ConnectorError:
    """The error for `error` and `error_description` of a token endpoint's answer."""
    facts = {"provider": PROVIDER, "operation": "the token request", "code": code}
    what = f"Google gave no access for {account} ({code}: {description[:200]})."
    if passing or not code or code in _PASSING:
        return RetryableError(f"{what} It is tried again.", **facts)
    advice = {
        "invalid_grant": (
            "Consent was withdrawn or has expired, or the user does not exist: connect again "
            "(for a service account check the address and this machine's clock)."
        ),
        "unauthorized_client": (
            "Delegate the configured scopes to the service account in the admin console "
            "(Security, API controls, Domain-wide delegation); it takes up to a day."
        ),
        "invalid_client": "Check client_id and client_secret.",
        "invalid_scope": "Check `scopes`.",
    }
    return ReauthorizeError(
        f"{what} {advice.get(code, 'Check the project and the consent.')}", **facts
    )


def _token_of(grant: Any, settings: Settings, *, scope: str = "", owner: str = "") -> Token:
    """google-auth keeps expiry as naive UTC."""
    return Token(
        access=grant.token,
        access_expires=grant.expiry.replace(tzinfo=UTC),
        refresh=getattr(grant, "refresh_token", None),
        scope=scope or " ".join(settings.scopes),
        owner=owner,
    )
