"""A user's consent: OAuth code flow with PKCE.

Sources: Google Identity guide "Using OAuth 2.0 for Web Server Applications"; RFC 6749 section 4.1,
RFC 7636. The exchange is one form sent over our own transport: google-auth-oauthlib would refuse a
sandbox on loopback unless the whole process is told to allow unencrypted OAuth.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from connectors.errors import ReauthorizeError, RetryableError
from connectors.google.auth import refusal
from connectors.google.errors import PROVIDER
from connectors.google.settings import Settings
from connectors.google.transport import Http, TokenTransport
from connectors.tokens import Token


def authorize_url(settings: Settings, *, redirect_uri: str, state: str, challenge: str) -> str:
    """Where to send the user. Asks for a refresh token even from those who consented before."""
    query = {
        "response_type": "code",
        "client_id": settings.client_id or "",
        "redirect_uri": redirect_uri,
        "scope": " ".join(settings.scopes),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
    }
    return f"{settings.auth_uri}?{urlencode(query)}"


def exchange(
    settings: Settings,
    account: str,
    *,
    code: str,
    redirect_uri: str,
    verifier: str,
    now: Callable[[], datetime],
) -> Token:
    """Trade the code for tokens. Raises `ReauthorizeError` if not everything was granted."""
    secret = settings.client_secret
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": settings.client_id or "",
        "client_secret": secret.get_secret_value() if secret else "",
        "code_verifier": verifier,
    }
    http = Http(timeout=settings.timeout_seconds)
    try:
        answer = TokenTransport.over(http)(
            settings.token_uri,
            method="POST",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form),
        )
    finally:
        http.close()
    found = _json_object(answer.data)
    if answer.status != 200:
        raise refusal(
            str(found.get("error", "")), str(found.get("error_description") or ""), account
        )
    if not found.get("access_token") or not found.get("refresh_token"):
        raise _incomplete(account, "Google sent no refresh token")
    granted = str(found.get("scope") or " ".join(settings.scopes))
    missing = set(settings.scopes) - set(granted.split())
    if missing:
        raise _incomplete(account, f"not granted: {', '.join(sorted(missing))}")
    return Token(
        access=found["access_token"],
        access_expires=now() + timedelta(seconds=int(found.get("expires_in", 0))),
        refresh=found["refresh_token"],
        scope=granted,
    )


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise RetryableError(
            "Google's token endpoint sent something that is not JSON. Check proxies.",
            provider=PROVIDER,
            operation="the token request",
            code="broken-answer",
        ) from error
    return found if isinstance(found, dict) else {}


def _incomplete(account: str, why: str) -> ReauthorizeError:
    return ReauthorizeError(
        f"The consent of {account} is incomplete ({why}). Consent again and tick everything.",
        provider=PROVIDER,
        operation="the token request",
        code="incomplete-consent",
    )
