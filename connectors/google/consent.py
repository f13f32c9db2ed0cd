"""A user's consent: OAuth code flow with PKCE, through google-auth-oauthlib's `Flow`.

Sources: Google Identity guide "Using OAuth 2.0 for Web Server Applications"; RFC 6749 section 4.1,
RFC 7636. The library takes https addresses alone, unless the whole process is told to forget about
encryption. A sandbox speaks http on loopback, so its addresses are shown to the library as https,
and one adapter, mounted for that one origin, sends what goes there as it is.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from google_auth_oauthlib.flow import Flow
from oauthlib.oauth2 import OAuth2Error
from requests.adapters import HTTPAdapter

from connectors.errors import ReauthorizeError, RetryableError
from connectors.google.auth import refusal
from connectors.google.errors import PROVIDER, of_unreachable
from connectors.google.settings import Settings
from connectors.google.transport import check_token_answer
from connectors.tokens import Token

OPERATION = "the token request"

# On level DEBUG these two write tokens and codes into the log.
for _library in ("requests_oauthlib", "oauthlib"):
    logging.getLogger(_library).setLevel(logging.INFO)


class _Clear(HTTPAdapter):
    """Sends to a loopback address without encryption what the library believes to be https."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        request.url = _http(str(request.url))
        return super().send(request, *args, **options)


def authorize_url(settings: Settings, *, redirect_uri: str, state: str, challenge: str) -> str:
    """Where to send the user. Asks for a refresh token even from those who consented before."""
    url, _state = _flow(settings, redirect_uri).authorization_url(
        state=state, code_challenge=challenge, code_challenge_method="S256", prompt="consent"
    )
    return _http(url) if settings.auth_uri.startswith("http:") else str(url)


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
    flow = _flow(settings, redirect_uri, verifier)
    with flow.oauth2session:
        answer = _fetch(flow, account, code, settings.timeout_seconds)
    if not answer.get("refresh_token"):
        raise _incomplete(account, "Google sent no refresh token")
    granted = answer.get("scope") or settings.scopes
    missing = set(settings.scopes) - set(granted)
    if missing:
        raise _incomplete(account, f"not granted: {', '.join(sorted(missing))}")
    return Token(
        access=answer["access_token"],
        access_expires=now() + timedelta(seconds=int(answer.get("expires_in") or 0)),
        refresh=answer["refresh_token"],
        scope=" ".join(granted),
    )


def _flow(settings: Settings, redirect_uri: str, verifier: str | None = None) -> Any:
    secret = settings.client_secret
    client = {
        "client_id": settings.client_id or "",
        "client_secret": secret.get_secret_value() if secret else "",
        "auth_uri": _https(settings.auth_uri),
        "token_uri": _https(settings.token_uri),
    }
    flow = Flow.from_client_config(
        {"web": client},
        scopes=list(settings.scopes),
        redirect_uri=redirect_uri,
        code_verifier=verifier,
        autogenerate_code_verifier=False,
    )
    if settings.token_uri.startswith("http:"):
        origin = f"https://{urlsplit(settings.token_uri).netloc}/"
        flow.oauth2session.mount(origin, _Clear())
    flow.oauth2session.register_compliance_hook("access_token_response", _check)
    return flow


def _fetch(flow: Any, account: str, code: str, timeout: float) -> dict[str, Any]:
    try:
        answer = flow.fetch_token(code=code, include_client_id=True, timeout=timeout)
    except Warning as other_scopes:
        # Raised, not warned, by oauthlib when the person granted less or more than was asked.
        answer = getattr(other_scopes, "token", {})
    except OAuth2Error as error:
        raise refusal(error.error or "", error.description or "", account) from error
    except requests.RequestException as error:
        raise of_unreachable(OPERATION, type(error).__name__) from error
    return dict(answer)


def _check(answer: requests.Response) -> requests.Response:
    """Passing faults of the token endpoint, before the library reads a token out of them."""
    check_token_answer(answer.status_code)
    try:
        readable = isinstance(answer.json(), dict)
    except ValueError:
        readable = False
    if not readable:
        raise RetryableError(
            "Google's token endpoint sent something that is not JSON. Check proxies.",
            provider=PROVIDER,
            operation=OPERATION,
            code="broken-answer",
        )
    return answer


def _https(url: str) -> str:
    return url if url.startswith("https:") else f"https:{url.removeprefix('http:')}"


def _http(url: str) -> str:
    return url if url.startswith("http:") else f"http:{url.removeprefix('https:')}"


def _incomplete(account: str, why: str) -> ReauthorizeError:
    return ReauthorizeError(
        f"The consent of {account} is incomplete ({why}). Consent again and tick everything.",
        provider=PROVIDER,
        operation=OPERATION,
        code="incomplete-consent",
    )
