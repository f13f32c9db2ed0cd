"""Who is speaking: Basic, NTLM, or a Bearer token of the sandbox's own token endpoint.

Whoever cannot be told gets 401 with every scheme on offer and an empty body. NTLM authenticates
a connection, not a request ([MS-NTHT]); its exchange is done by pyspnego.
"""

import base64
import binascii
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from connectors.sandbox.exchange.errors import HttpRefusalError
from connectors.sandbox.exchange.state import Mailbox, World
from connectors.sandbox.http import Request, Response

DOMAIN = "OFFICE"


@dataclass(frozen=True)
class App:
    """A registered application with the right to act for every mailbox, or for some."""

    id: str
    secret: str
    tenant: str
    mailboxes: frozenset[str] | None = None

    def may_act_for(self, address: str) -> bool:
        """Whether its access policy covers the mailbox."""
        return self.mailboxes is None or address in self.mailboxes


@dataclass
class Logins:
    """Everybody who may log in, and how."""

    world: World
    schemes: tuple[str, ...] = ("NTLM", "Basic", "Bearer")
    apps: dict[str, App] = field(default_factory=dict)
    _tokens: dict[str, tuple[App, float]] = field(default_factory=dict)

    def caller(self, request: Request) -> Mailbox | App:
        """Whoever sent the request. Raises HttpRefusalError."""
        known = request.connection.get("ntlm user")
        scheme, _, value = (request.headers.get("Authorization") or "").partition(" ")
        if not value and known is not None:
            return self._active(known)
        match scheme.lower():
            case "basic" if "Basic" in self.schemes:
                return self._basic(value)
            case "ntlm" | "negotiate" if "NTLM" in self.schemes:
                return self._ntlm(request, scheme, value)
            case "bearer" if "Bearer" in self.schemes:
                return self._bearer(value)
            case _:
                raise self.unauthorized()

    def unauthorized(self, *challenges: str) -> HttpRefusalError:
        """401 with the schemes on offer."""
        offered = [f'{name} realm="sandbox"' if name == "Basic" else name for name in self.schemes]
        shown = ", ".join(challenges or offered)
        return HttpRefusalError(Response(401, b"", {"WWW-Authenticate": shown}))

    def token(self, request: Request) -> Response:
        """The token endpoint, for client credentials (OAuth 2.0 on the Microsoft platform)."""
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        app = self.apps.get(form.get("client_id", ""))
        if form.get("grant_type") != "client_credentials":
            return _token_error("unsupported_grant_type", "AADSTS70003", 400)
        if app is None:
            return _token_error("unauthorized_client", "AADSTS700016", 400)
        if form.get("client_secret") != app.secret:
            return _token_error("invalid_client", "AADSTS7000215", 401)
        if not form.get("scope", "").endswith("/.default"):
            return _token_error("invalid_scope", "AADSTS1002012", 400)
        life = self.world.switches.token_seconds
        token = secrets.token_urlsafe(40)
        self._tokens[token] = (app, self.world.clock.time() + life)
        return Response.of_json(
            {"token_type": "Bearer", "expires_in": int(life), "ext_expires_in": int(life),
             "access_token": token},
        )  # fmt: skip

    def expire_tokens(self) -> int:
        """No access token is good any more; how many there were."""
        count = len(self._tokens)
        self._tokens.clear()
        return count

    def _basic(self, value: str) -> Mailbox:
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise self.unauthorized() from None
        mailbox = self._named(user)
        if mailbox is None or not secrets.compare_digest(
            password.encode(), mailbox.password.encode()
        ):
            raise self.unauthorized()
        return self._active(mailbox)

    def _named(self, user: str) -> Mailbox | None:
        """By address, `DOMAIN\\name`, or `\\address`."""
        name = user.rpartition("\\")[2].lower()
        for mailbox in self.world.mailboxes.values():
            if name in (mailbox.address, mailbox.address.partition("@")[0]):
                return mailbox
        return None

    def _active(self, mailbox: Mailbox) -> Mailbox:
        if mailbox.status == "disabled":
            raise self.unauthorized()
        return mailbox

    def _bearer(self, value: str) -> App:
        app, until = self._tokens.get(value.strip(), (None, 0.0))
        if app is None or until <= self.world.clock.time():
            raise self.unauthorized('Bearer error="invalid_token"')
        return app

    def _ntlm(self, request: Request, scheme: str, value: str) -> Mailbox:
        try:
            token = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise self.unauthorized() from None
        context, answer = _ntlm_step(request.connection, token, self._passwords())
        if context is None:
            raise self.unauthorized()
        if not context.complete:
            raise self.unauthorized(f"{scheme} {base64.b64encode(answer or b'').decode()}")
        mailbox = self._named(str(context.client_principal))
        if mailbox is None:
            raise self.unauthorized()
        request.connection["ntlm user"] = mailbox
        return self._active(mailbox)

    def _passwords(self) -> str:
        """pyspnego's credential file: `domain:user:password`, under every form of the name."""
        lines = []
        for mailbox in self.world.mailboxes.values():
            for user in (mailbox.address, mailbox.address.partition("@")[0]):
                lines += [f"{domain}:{user}:{mailbox.password}" for domain in ("", DOMAIN)]
        return "\n".join(lines)


def _ntlm_step(
    connection: dict[str, Any], token: bytes, passwords: str
) -> tuple[Any, bytes | None]:
    """Feed one token into the connection's exchange; (None, None) if it failed.

    pyspnego reads the passwords from a file that an environment variable names.
    """
    import spnego
    from spnego.exceptions import SpnegoError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "users"
        path.write_text(passwords, encoding="utf-8")
        before = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = str(path)
        try:
            if "ntlm" not in connection:
                connection["ntlm"] = spnego.server(protocol="ntlm")
            context = connection["ntlm"]
            answer = context.step(token)
        except SpnegoError:
            connection.pop("ntlm", None)
            return None, None
        finally:
            if before is None:
                del os.environ["NTLM_USER_FILE"]
            else:
                os.environ["NTLM_USER_FILE"] = before
    if context.complete:
        del connection["ntlm"]
    return context, answer


def _token_error(code: str, number: str, status: int) -> Response:
    said = f"{number}: {code}"
    return Response.of_json({"error": code, "error_description": said}, status)
