"""Apps, consent and tokens: tenant/app tokens, the authorize page, OAuth token endpoints.

Sources: "Get authorization code", "Get user_access_token", "Refresh user_access_token" and
"Custom app tenant_access_token" pages; `/oauth/v3/token` is what lark-oapi 1.7 calls.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from connectors.sandbox.feishu.calls import Caller, TokenKind
from connectors.sandbox.feishu.errors import OAuthRefusalError, RefusalError
from connectors.sandbox.feishu.state import App, User, World
from connectors.sandbox.http import Request, Response

ACCESS_SECONDS = 7200
REUSE_SECONDS = 1800
REFRESH_SECONDS = 604_800
CODE_SECONDS = 300
CONSENT_SECONDS = 365 * 86_400


@dataclass
class AccessToken:
    """A bearer token of a user, or of the app's bot if `user` is None."""

    text: str
    app: App
    user: User | None
    scopes: frozenset[str]
    expires: float
    revoked: bool = False


@dataclass
class RefreshToken:
    """Good for one refresh."""

    text: str
    app: App
    user: User
    scopes: frozenset[str]
    expires: float
    consented: float
    used: bool = False
    revoked: bool = False


@dataclass
class Code:
    """An authorization code, single use."""

    app: App
    user: User
    scopes: frozenset[str]
    redirect_uri: str
    challenge: str
    method: str
    expires: float
    used: bool = False


@dataclass(frozen=True)
class Grant:
    """What one consent or refresh yields; instants in Unix seconds of the sandbox clock."""

    access: str
    access_expires: float
    refresh: str | None
    refresh_expires: float | None
    scope: str


class TokenDesk:
    """Issues and checks every token of the sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self._codes: dict[str, Code] = {}
        self._tenant: dict[str, AccessToken] = {}
        self._consent: dict[tuple[str, str], frozenset[str]] = {}
        self.signed_in: str | None = None

    # -- issuing -------------------------------------------------------------------------------

    def tenant_token(self, body: dict[str, Any]) -> dict[str, Any]:
        """The flat reply of both `/internal` endpoints; the same token while 30 minutes remain."""
        app = self._world.apps.get(str(body.get("app_id")))
        if app is None:
            raise RefusalError(10003, msg="invalid param: app_id")
        if body.get("app_secret") != app.secret:
            raise RefusalError(10014, msg="app secret invalid")
        now = self._world.clock.time()
        token = self._tenant.get(app.id)
        if token is None or token.revoked or token.expires - now < REUSE_SECONDS:
            token = AccessToken(self._text("t-"), app, None, app.scopes, now + ACCESS_SECONDS)
            self._tenant[app.id] = self.access[token.text] = token
        return {
            "code": 0,
            "msg": "ok",
            "tenant_access_token": token.text,
            "app_access_token": token.text,
            "expire": int(token.expires - now),
        }

    def grant(
        self, app: App, user: User, scopes: frozenset[str], consented: float | None = None
    ) -> Grant:
        """Tokens for a user; a refresh token only with scope `offline_access`."""
        now = self._world.clock.time()
        access = AccessToken(self._text("u-"), app, user, scopes, now + ACCESS_SECONDS)
        self.access[access.text] = access
        self._consent[app.id, user.open_id] = scopes
        refresh = None
        if "offline_access" in scopes and app.refresh_enabled:
            since = now if consented is None else consented
            expires = min(now + REFRESH_SECONDS, since + CONSENT_SECONDS)
            refresh = RefreshToken(self._text("ur-"), app, user, scopes, expires, since)
            self.refresh[refresh.text] = refresh
        return Grant(
            access=access.text,
            access_expires=access.expires,
            refresh=refresh.text if refresh else None,
            refresh_expires=refresh.expires if refresh else None,
            scope=" ".join(sorted(scopes)),
        )

    def authorize(self, request: Request) -> Response:
        """The consent page: answers at once, as whoever is signed in (`signed_in`)."""
        app = self._world.apps.get(request.param("client_id") or "")
        target = request.param("redirect_uri")
        if app is None or not target or request.param("response_type") != "code":
            code = 20048 if app is None else 20001
            return Response.of_json({"code": code, "msg": "invalid authorize request"}, 400)
        wanted = (request.param("scope") or "").split()
        state = [("state", request.param("state") or "")] if request.param("state") else []
        if self._world.switches.authorize == "deny":
            return _redirect(target, [("error", "access_denied"), *state])
        if not set(wanted) <= app.scopes or len(wanted) > 50:
            return Response.of_json({"code": 20027, "msg": "scope not enabled in the app"}, 400)
        user = self._who()
        if user is None:
            return Response.of_json({"code": 20008, "msg": "nobody is signed in"}, 400)
        text = self._world.hex(192)
        self._codes[text] = Code(
            app=app,
            user=user,
            scopes=self._consent.get((app.id, user.open_id), frozenset()) | set(wanted),
            redirect_uri=target,
            challenge=request.param("code_challenge") or "",
            method=request.param("code_challenge_method") or "plain",
            expires=self._world.clock.time() + CODE_SECONDS,
        )
        return _redirect(target, [("code", text), *state])

    def token(self, request: Request) -> dict[str, Any]:
        """Both token endpoints: code or refresh token in, flat reply out."""
        fields = _form(request)
        app = self._client(request, fields)
        match fields.get("grant_type"):
            case "authorization_code":
                grant = self._redeem(app, fields)
            case "refresh_token":
                grant = self._renew(app, fields)
            case other:
                raise OAuthRefusalError(20036, "unsupported_grant_type", f"grant_type {other!r}")
        now = self._world.clock.time()
        reply = {
            "code": 0,
            "access_token": grant.access,
            "expires_in": round(grant.access_expires - now),
            "token_type": "Bearer",
            "scope": grant.scope,
        }
        if grant.refresh and grant.refresh_expires:
            reply["refresh_token"] = grant.refresh
            reply["refresh_token_expires_in"] = round(grant.refresh_expires - now)
        return reply

    # -- checking ------------------------------------------------------------------------------

    def caller(self, authorization: str | None, kinds: tuple[TokenKind, ...]) -> Caller:
        """Who sends this Authorization header. Raises the gateway's refusal."""
        status = self._world.switches.token_error_status
        if not authorization:
            raise RefusalError(99991661)
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise RefusalError(99991671)
        token = self.access.get(text)
        if token is None:
            raise RefusalError(99991663 if text.startswith("t-") else 99991668, status=status)
        if token.revoked:
            raise RefusalError(99991668 if token.user else 99991663, status=status)
        if token.expires <= self._world.clock.time():
            raise RefusalError(99991677 if token.user else 99991663, status=status)
        kind: TokenKind = "user" if token.user else "tenant"
        if kind not in kinds:
            raise RefusalError(99991663, status=status)
        return Caller(token.app, token.user or token.app.bot, kind, token.scopes)

    def expire(self, user: User | None) -> None:
        """Make all access tokens (of a user, or all) expired now."""
        for token in self.access.values():
            if user is None or token.user is user:
                token.expires = self._world.clock.time()

    def expire_refresh(self, user: User) -> None:
        """Make the user's refresh tokens expired now."""
        for token in self.refresh.values():
            if token.user is user:
                token.expires = self._world.clock.time()

    def revoke(self, user: User) -> None:
        """The user withdrew consent."""
        for access in self.access.values():
            access.revoked |= access.user is user
        for refresh in self.refresh.values():
            refresh.revoked |= refresh.user is user
        self._consent = {key: v for key, v in self._consent.items() if key[1] != user.open_id}

    # -- inside --------------------------------------------------------------------------------

    def _who(self) -> User | None:
        if self.signed_in is not None:
            return self._world.users[self.signed_in]
        return next((user for user in self._world.users.values() if not user.bot), None)

    def _text(self, prefix: str) -> str:
        size = 6400 if self._world.switches.long_tokens else 160
        return prefix + self._world.hex(size)

    def _client(self, request: Request, fields: dict[str, str]) -> App:
        basic = (request.headers.get("Authorization") or "").startswith("Basic ")
        if basic and fields.get("client_secret"):
            raise OAuthRefusalError(20070, "invalid_request", "two client authentication methods")
        if not fields.get("client_id"):
            raise OAuthRefusalError(20063, "invalid_request", "client_id is missing")
        app = self._world.apps.get(fields["client_id"])
        if app is None:
            raise OAuthRefusalError(20048, "invalid_client", "the app does not exist")
        if fields.get("client_secret") != app.secret:
            raise OAuthRefusalError(20002, "invalid_client", "the client secret is invalid")
        return app

    def _redeem(self, app: App, fields: dict[str, str]) -> Grant:
        code = self._codes.get(fields.get("code", ""))
        if code is None:
            raise OAuthRefusalError(20003, "invalid_grant", "the code is unknown")
        if code.app is not app:
            raise OAuthRefusalError(20024, "invalid_grant", "the code belongs to another client")
        if code.used:
            raise OAuthRefusalError(20065, "invalid_grant", "the code was used")
        if code.expires <= self._world.clock.time():
            raise OAuthRefusalError(20004, "invalid_grant", "the code expired")
        if fields.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            raise OAuthRefusalError(20071, "invalid_grant", "redirect_uri does not match")
        if code.challenge and _challenge(code, fields.get("code_verifier", "")) != code.challenge:
            raise OAuthRefusalError(20049, "invalid_grant", "code_verifier does not match")
        _active(code.user)
        code.used = True
        return self.grant(app, code.user, code.scopes)

    def _renew(self, app: App, fields: dict[str, str]) -> Grant:
        token = self.refresh.get(fields.get("refresh_token", ""))
        now = self._world.clock.time()
        if token is None:
            raise OAuthRefusalError(20026, "invalid_grant", "the refresh token is invalid")
        if token.app is not app:
            raise OAuthRefusalError(20024, "invalid_grant", "the token belongs to another client")
        if not app.refresh_enabled:
            raise OAuthRefusalError(20074, "invalid_request", "refreshing is switched off")
        if token.revoked:
            raise OAuthRefusalError(20064, "invalid_grant", "the refresh token was revoked")
        if token.used:
            raise OAuthRefusalError(20073, "invalid_grant", "the refresh token was used already")
        if token.expires <= now:
            raise OAuthRefusalError(20037, "invalid_grant", "the refresh token expired")
        _active(token.user)
        token.used = True
        return self.grant(app, token.user, token.scopes, token.consented)


def _active(user: User) -> None:
    if not user.active:
        raise OAuthRefusalError(20066, "invalid_grant", "the user is not active")


def _challenge(code: Code, verifier: str) -> str:
    if code.method != "S256":
        return verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _redirect(target: str, pairs: list[tuple[str, str]]) -> Response:
    joint = "&" if "?" in target else "?"
    return Response(302, b"", {"Location": f"{target}{joint}{urlencode(pairs)}"})


def _form(request: Request) -> dict[str, str]:
    kind = request.headers.get("Content-Type") or ""
    try:
        if kind.startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(request.body.decode()))
        fields = json.loads(request.body)
    except ValueError:
        raise OAuthRefusalError(20063, "invalid_request", "the body is malformed") from None
    if not isinstance(fields, dict):
        raise OAuthRefusalError(20063, "invalid_request", "the body is malformed")
    return {name: value for name, value in fields.items() if isinstance(value, str)}
