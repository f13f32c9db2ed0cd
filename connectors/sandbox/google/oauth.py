"""Google's OAuth 2.0 endpoints: service accounts, consent with PKCE, refresh, revocation.

Sources: "Using OAuth 2.0 for Server to Server Applications", "... for Mobile & Desktop Apps",
RFC 6749, RFC 7523, RFC 7636.
"""

import base64
import binascii
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connectors.sandbox.google.errors import unauthorized
from connectors.sandbox.google.state import Caller, World
from connectors.sandbox.http import Request, Response

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CALENDAR = "https://www.googleapis.com/auth/calendar"
LIFETIME = 3600


class TokenError(Exception):
    """A refusal of the token endpoint (RFC 6749 section 5.2)."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.status = status

    def response(self) -> Response:
        """The answer on the wire."""
        body = {"error": self.code, "error_description": str(self)}
        return Response.of_json(body, self.status)


@dataclass
class ServiceAccount:
    """A registered service account; `scopes` None = whatever it asks for is delegated."""

    email: str
    key: rsa.RSAPublicKey
    dwd: bool
    scopes: frozenset[str] | None = None


@dataclass
class Grant:
    """A user's consent for a client: what a refresh token stands for."""

    email: str
    client: str
    scopes: frozenset[str]
    revoked: bool = False


@dataclass
class Code:
    """An authorization code, good for one exchange."""

    grant: Grant
    redirect_uri: str
    challenge: str


@dataclass
class OAuth:
    """All credentials of the sandbox."""

    world: World
    url: str
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, tuple[Caller, float, Grant | None]] = field(default_factory=dict)
    signed_in: str = ""

    # -- registering ---------------------------------------------------------------------------

    def service_account(self, name: str, *, dwd: bool, zone: str) -> dict[str, Any]:
        """Register one; the contents of its key file."""
        email = f"{name}@sandbox-project.iam.gserviceaccount.com"
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.accounts[email] = ServiceAccount(email, private.public_key(), dwd)
        self.world.add_user(email, zone, name, service_account=True)
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": "sandbox-project",
            "private_key_id": secrets.token_hex(20),
            "private_key": pem.decode(),
            "client_email": email,
            "client_id": str(100_000_000_000_000_000_000 + len(self.accounts)),
            "auth_uri": f"{self.url}/o/oauth2/auth",
            "token_uri": f"{self.url}/token",
            "universe_domain": "googleapis.com",
        }

    def client(self, name: str) -> dict[str, Any]:
        """Register an installed app; the contents of its client file."""
        client_id = f"{name}.apps.googleusercontent.com"
        secret = self.clients.setdefault(client_id, "GOCSPX-" + secrets.token_urlsafe(20))
        return {
            "installed": {
                "client_id": client_id,
                "client_secret": secret,
                "project_id": "sandbox-project",
                "auth_uri": f"{self.url}/o/oauth2/auth",
                "token_uri": f"{self.url}/token",
                "redirect_uris": ["http://localhost"],
            }
        }

    def grant(self, email: str, client_id: str, scopes: frozenset[str]) -> str:
        """Consent without the page; a refresh token."""
        token = "1//" + secrets.token_urlsafe(40)
        self.grants[token] = Grant(email.lower(), client_id, scopes)
        return token

    def revoke(self, email: str) -> None:
        """The user withdraws all consent: refresh and access tokens are void at once."""
        for grant in self.grants.values():
            if grant.email == email.lower():
                grant.revoked = True

    # -- calls ---------------------------------------------------------------------------------

    def caller(self, request: Request) -> Caller:
        """Who the access token of an API call speaks for. Raises 401."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        found = self.access.get(token)
        if scheme.lower() != "bearer" or found is None:
            raise unauthorized()
        caller, expiry, grant = found
        if expiry <= self.world.clock.time() or (grant and grant.revoked):
            raise unauthorized()
        return caller

    def expire_access(self, email: str | None = None) -> int:
        """Void the access tokens of a user, or all; how many."""
        names = [t for t, (caller, *_) in self.access.items() if email in (None, caller.email)]
        for name in names:
            del self.access[name]
        return len(names)

    def token(self, request: Request) -> Response:
        """POST /token."""
        form = dict(parse_qsl(request.body.decode()))
        try:
            match form.get("grant_type"):
                case "refresh_token":
                    return self._refresh(form)
                case "authorization_code":
                    return self._exchange(form)
                case name if name == JWT_BEARER:
                    return self._assertion(form.get("assertion", ""))
            raise TokenError("unsupported_grant_type", "Invalid grant_type")
        except TokenError as error:
            return error.response()

    def consent(self, request: Request) -> Response:
        """GET /o/oauth2/auth: the page, on which a person has already decided.

        `login_hint` names the user; without it the one who is `signed_in`, else the first one.
        """
        redirect = request.param("redirect_uri") or ""
        client = request.param("client_id") or ""
        hint = (request.param("login_hint") or "").lower()
        people = [user.email for user in self.world.users.values() if not user.service_account]
        email = hint or self.signed_in or next(iter(people), "")
        if client not in self.clients or not redirect or email not in people:
            return Response(400, b"Error 400: invalid_request", {"Content-Type": "text/html"})
        answer = {"state": request.param("state") or ""}
        if self.world.switches.consent == "deny":
            answer["error"] = "access_denied"
        else:
            scope = request.param("scope") or ""
            code = "4/" + secrets.token_urlsafe(40)
            self.codes[code] = Code(
                Grant(email, client, frozenset(scope.split())),
                redirect,
                request.param("code_challenge") or "",
            )
            answer |= {"code": code, "scope": scope}
        mark = "&" if "?" in redirect else "?"
        return Response(302, headers={"Location": f"{redirect}{mark}{urlencode(answer)}"})

    def revocation(self, request: Request) -> Response:
        """POST /revoke."""
        token = dict(parse_qsl(request.body.decode())).get("token") or request.param("token") or ""
        grant = self.grants.get(token) or self.access.get(token, (None, 0, None))[2]
        if grant is None or grant.revoked:
            return TokenError("invalid_token", "Token expired or revoked").response()
        grant.revoked = True
        return Response.of_json({})

    # -- grant types ---------------------------------------------------------------------------

    def _refresh(self, form: dict[str, str]) -> Response:
        self._check_client(form)
        grant = self.grants.get(form.get("refresh_token", ""))
        if grant is None or grant.revoked or grant.client != form.get("client_id"):
            raise TokenError("invalid_grant", "Token has been expired or revoked.")
        return self._issue(_caller_of(grant), grant)

    def _exchange(self, form: dict[str, str]) -> Response:
        self._check_client(form)
        code = self.codes.pop(form.get("code", ""), None)
        if code is None or code.grant.client != form.get("client_id"):
            raise TokenError("invalid_grant", "Malformed auth code.")
        if code.redirect_uri != form.get("redirect_uri"):
            raise TokenError("redirect_uri_mismatch", "Bad Request")
        if code.challenge and _challenge(form.get("code_verifier", "")) != code.challenge:
            raise TokenError("invalid_grant", "Invalid code verifier.")
        token = "1//" + secrets.token_urlsafe(40)
        self.grants[token] = code.grant
        return self._issue(_caller_of(code.grant), code.grant, refresh_token=token)

    def _assertion(self, assertion: str) -> Response:
        """A signed JWT. `aud` is not compared: libraries always send the real endpoint's."""
        try:
            head, body, signature = assertion.split(".")
            claims = json.loads(_unpadded(body))
            account = self.accounts[claims["iss"]]
            account.key.verify(
                _unpadded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise TokenError("invalid_grant", "Invalid JWT.") from None
        except InvalidSignature:
            raise TokenError("invalid_grant", "Invalid JWT Signature.") from None
        now = self.world.clock.time()
        if not claims.get("iat", 0) - 300 <= now <= claims.get("exp", 0) + 300:
            raise TokenError(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                "timeframe.",
            )
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            raise TokenError("invalid_scope", "Empty or missing scope not allowed.")
        return self._issue(self._acting(account, claims.get("sub"), scopes), None)

    def _acting(self, account: ServiceAccount, sub: str | None, scopes: frozenset[str]) -> Caller:
        email = (sub or account.email).lower()
        if email != account.email:
            if not account.dwd or (account.scopes is not None and not scopes <= account.scopes):
                raise TokenError(
                    "unauthorized_client",
                    "Client is unauthorized to retrieve access tokens using this method, or "
                    "client not authorized for any of the scopes requested.",
                    401,
                )
            if email not in self.world.users:
                raise TokenError("invalid_grant", "Invalid email or User ID")
        return Caller(
            email=email,
            account=account.email,
            client=account.email,
            scopes=scopes,
            service_account=True,
            delegated=email != account.email,
        )

    def _check_client(self, form: dict[str, str]) -> None:
        secret = self.clients.get(form.get("client_id", ""))
        if secret is None or form.get("client_secret") != secret:
            raise TokenError("invalid_client", "The OAuth client was not found.", 401)

    def _issue(
        self, caller: Caller, grant: Grant | None, *, refresh_token: str | None = None
    ) -> Response:
        token = "ya29." + secrets.token_urlsafe(40)
        self.access[token] = (caller, self.world.clock.time() + LIFETIME, grant)
        body = {
            "access_token": token,
            "expires_in": LIFETIME - 1,
            "scope": " ".join(sorted(caller.scopes)),
            "token_type": "Bearer",
        }
        if refresh_token:
            body["refresh_token"] = refresh_token
        return Response.of_json(body)


def _caller_of(grant: Grant) -> Caller:
    return Caller(email=grant.email, account=grant.email, client=grant.client, scopes=grant.scopes)


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
