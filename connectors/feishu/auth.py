"""Access tokens: the app's own (tenant) and those that users consented to.

A user's refresh token works once, and losing the answer to a refresh loses the consent. So there
is one refresher per user, across threads and processes (`TokenStore.lock`), it looks again after
it got the lock, and it stores the new tokens before anybody uses them. What cannot be stored is
kept and stored later. Only a process that ends within the moment between answer and storing takes
the consent with it; the old refresh token stays in the store until then, for the case that Feishu
has not used it up.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from connectors.contract import Context
from connectors.errors import ReauthorizeError, RetryableError
from connectors.feishu.client import Call, TokenKind
from connectors.feishu.errors import PROVIDER
from connectors.feishu.session import Session
from connectors.feishu.settings import Settings
from connectors.tokens import Token

_MARGIN = timedelta(minutes=10)
_IDLE = timedelta(days=1)
_SAVE_AGAIN = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts to store what must not be lost: a database restarts in less."""
_TENANT_TOKEN = "/open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105 - a path
_USER_TOKEN = "/open-apis/authen/v2/oauth/token"  # noqa: S105 - a path
_AUTHORIZE = "/open-apis/authen/v1/authorize"


class App:
    """The app's own dealings with Feishu's authorisation server."""

    def __init__(self, settings: Settings, session: Session, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._session = session
        self._now = now

    def tenant_token(self) -> Token:
        """A token for the app itself, good for at most two hours (docs: tenant_access_token)."""
        body = {"app_id": self._settings.app_id, "app_secret": self._secret}
        reply = self._session.reply(Call(method="POST", path=_TENANT_TOKEN, body=body)).body
        access = str(reply.get("tenant_access_token") or "")
        if not access:
            raise ReauthorizeError("Feishu sent no tenant token", provider=PROVIDER)
        return Token(access=access, access_expires=self._after(reply.get("expire")))

    def authorize_url(self, *, redirect_uri: str, state: str, challenge: str) -> str:
        """The consent page (docs: obtain authorisation code; PKCE with S256)."""
        query = {
            "client_id": self._settings.app_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._settings.accounts_origin}{_AUTHORIZE}?{urlencode(query)}"

    def redeem(self, *, code: str, redirect_uri: str, verifier: str) -> Token:
        """The tokens for an authorisation code; a code works once, within five minutes."""
        return self._user_token(
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=verifier,
        )

    def refresh(self, refresh: str) -> Token:
        """New tokens for a refresh token, which is void from now on."""
        return self._user_token(grant_type="refresh_token", refresh_token=refresh)

    def _user_token(self, **grant: str) -> Token:
        body = {"client_id": self._settings.app_id, "client_secret": self._secret, **grant}
        reply = self._session.reply(Call(method="POST", path=_USER_TOKEN, body=body)).body
        access, refresh = str(reply.get("access_token") or ""), reply.get("refresh_token")
        if not access:
            raise ReauthorizeError("Feishu sent no user token", provider=PROVIDER)
        return Token(
            access=access,
            access_expires=self._after(reply.get("expires_in")),
            refresh=str(refresh) if refresh else None,
            refresh_expires=self._after(reply.get("refresh_token_expires_in")) if refresh else None,
            scope=str(reply.get("scope") or ""),
        )

    @property
    def _secret(self) -> str:
        return self._settings.app_secret.get_secret_value()

    def _after(self, seconds: Any) -> datetime:
        return self._now() + timedelta(seconds=int(seconds or 0))


class TenantAccess:
    """The app's token, fetched once and shared by everybody in this process.

    Renewed when less than ten minutes are left; Feishu then hands out a new one and keeps the
    old one valid until its own end.
    """

    identity: TokenKind = "tenant"

    def __init__(self, app: App, now: Callable[[], datetime]) -> None:
        self._app = app
        self._now = now
        self._lock = Lock()
        self._token: Token | None = None

    def token(self, *, stale: str = "") -> str:
        """A valid token. Raises what fetching one may raise."""
        with self._lock:
            if not _usable(self._token, stale, self._now()):
                self._token = self._app.tenant_token()
            assert self._token is not None
            return self._token.access


class UserAccess:
    """One user's token, kept in the token store and renewed by one refresher at a time."""

    identity: TokenKind = "user"

    def __init__(self, connector: str, account: str, app: App, context: Context) -> None:
        self._connector = connector
        self._account = account
        self._app = app
        self._tokens = context.tokens
        self._now = context.now
        self._sleep = context.sleep
        self._known: Token | None = None
        self._unsaved: tuple[str, Token] | None = None

    def token(self, *, stale: str = "") -> str:
        """A token with ten minutes left, refreshed if need be.

        Raises `ReauthorizeError` if the user must consent (again).
        """
        known = self._known
        if known is not None and _usable(known, stale, self._now()):
            return known.access
        self._known = self._renewed(stale)
        return self._known.access

    def keep_alive(self) -> None:
        """Use the refresh token if the access token that came with it ran out a day ago, or if
        it would itself run out in less than two: unused, it dies after about a week."""
        stored = self._tokens.load(self._connector, self._account)
        if stored is None:
            raise self._consent("has not given consent yet")
        now, ends = self._now(), stored.refresh_expires
        if now - stored.access_expires >= _IDLE or (ends is not None and ends - now <= 2 * _IDLE):
            self.token()

    def _renewed(self, stale: str) -> Token:
        stored = self._tokens.load(self._connector, self._account)
        if stored is not None and _usable(stored, stale, self._now()):
            return stored
        with self._tokens.lock(self._connector, self._account):
            stored = self._tokens.load(self._connector, self._account)
            if stored is None:
                raise self._consent("has not given consent yet")
            stored = self._save_late(stored)
            if _usable(stored, stale, self._now()):
                return stored
            return self._refreshed(stored, stale)

    def _refreshed(self, stored: Token, stale: str, *, again: bool = True) -> Token:
        expired = stored.refresh_expires is not None and stored.refresh_expires <= self._now()
        if stored.refresh is None or expired:
            raise self._consent("gave a consent that has run out")
        try:
            fresh = self._app.refresh(stored.refresh)
        except ReauthorizeError as error:
            newer = self._tokens.load(self._connector, self._account)
            if again and newer is not None and newer.refresh != stored.refresh:
                # Somebody who had lost the lock was quicker, or the user has consented anew.
                usable = _usable(newer, stale, self._now())
                return newer if usable else self._refreshed(newer, stale, again=False)
            raise self._consent(f"must consent again: {error.message}", error.facts) from error
        except RetryableError:
            if stored.access != stale and stored.access_expires > self._now():
                return stored
            raise
        token = Token(
            access=fresh.access,
            access_expires=fresh.access_expires,
            refresh=fresh.refresh,
            refresh_expires=fresh.refresh_expires,
            scope=fresh.scope or stored.scope,
            owner=stored.owner,
        )
        self._unsaved = (stored.refresh, token)
        self._save(token)
        return token

    def _save(self, token: Token) -> None:
        """Store it, whatever it takes; what it takes too long for is kept for `_save_late`."""
        for pause in _SAVE_AGAIN:
            try:
                self._tokens.save(self._connector, self._account, token)
            except Exception:  # noqa: BLE001 the store has errors of its own
                self._sleep(pause)
            else:
                break
        else:
            self._tokens.save(self._connector, self._account, token)
        self._unsaved = None

    def _save_late(self, stored: Token) -> Token:
        """The token to go on from: the one that could not be stored when it came, if it is still
        the successor of what is stored."""
        if self._unsaved is None:
            return stored
        spent, token = self._unsaved
        if stored.refresh != spent:
            self._unsaved = None
            return stored
        self._save(token)
        return token

    def _consent(self, what: str, facts: Mapping[str, str] | None = None) -> ReauthorizeError:
        text = (
            f"{self._account} {what}; send an invitation from the dashboard, or run "
            f"`calbridge connect {self._connector} --user NAME`"
        )
        return ReauthorizeError(text, **{"provider": PROVIDER, **(facts or {})})


def _usable(token: Token | None, stale: str, now: datetime) -> bool:
    return token is not None and token.access != stale and token.access_expires - now > _MARGIN
