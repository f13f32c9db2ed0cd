"""From Google's answers to errors by consequence.

Sources: Calendar API guide "Handle API errors", "Usage limits", "Avoid Calendar use limits".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.errors import (
    ConflictError,
    ConnectorError,
    FatalError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)

PROVIDER = "google"
_PAUSE_RATE = 5.0
_PAUSE_QUOTA = 3600.0

_RATE = frozenset({"userRateLimitExceeded", "rateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_QUOTA = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_MISSING = {
    "accessNotConfigured": "Enable the Google Calendar API in the project's console.",
    "SERVICE_DISABLED": "Enable the Google Calendar API in the project's console.",
    "insufficientPermissions": "Consent again, or delegate the missing scopes.",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "Consent again, or delegate the missing scopes.",
    "requiredAccessLevel": "Give the account the right to change events in this calendar.",
}
_VOID_TOKEN = frozenset({"fullSyncRequired", "updatedMinTooLongAgo"})


class AbsentError(FatalError):
    """What was addressed is not there (404), or was deleted already (410)."""


class UnansweredError(RetryableError):
    """A write went out and its answer did not come back in one piece."""


class ForbiddenError(RejectedError):
    """A write that this account may not do, whatever its content (403)."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """The part of Google's error envelope that matters."""

    reason: str
    message: str


def complaint(content: bytes) -> Complaint | None:
    """What Google says, None if this is not Google's error envelope (a gateway's page)."""
    try:
        error = json.loads(content)["error"]
        details = [*error.get("errors", []), *error.get("details", [])]
        reasons = [item["reason"] for item in details if item.get("reason")]
        reason = reasons[0] if reasons else error.get("status", "")
        return Complaint(str(reason), str(error.get("message", ""))[:300])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def of_answer(
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    operation: str,
    writing: bool,
    now: datetime,
) -> ConnectorError:
    """The error that an answer with `status` >= 300 means."""
    found = complaint(content)
    reason = found.reason if found else ""
    facts = {"provider": PROVIDER, "operation": operation, "code": reason or str(status)}
    text = f"Google answered {operation} with {status}"
    text += f" ({reason}): {found.message}" if found else ""
    if status >= 500:
        # The event may have been stored before the backend failed.
        kind = UnansweredError if writing else RetryableError
        return kind(f"{text}. It is tried again.", **facts)
    if status == 429 or reason in _RATE:
        after = _retry_after(headers, now)
        return RateLimitedError(f"{text}. The bridge slows down.", after=after, **facts)
    if reason in _QUOTA:
        return RateLimitedError(
            f"{text}. The account rests for an hour.", after=_PAUSE_QUOTA, **facts
        )
    if found is None:
        return RetryableError(
            f"{text}, but not in Google's words. Check proxies and `api_root`.", **facts
        )
    return _of_refusal(status, reason, text, facts, writing=writing)


def _of_refusal(
    status: int, reason: str, text: str, facts: dict[str, Any], *, writing: bool
) -> ConnectorError:
    if status == 401:
        return ReauthorizeError(f"{text}. Connect the account again.", **facts)
    if reason in _MISSING:
        return ReauthorizeError(f"{text}. {_MISSING[reason]}", **facts)
    if status in (409, 412):
        return ConflictError(f"{text}.", current=None, **facts)
    if status == 410 and reason in _VOID_TOKEN:
        return ResyncError(f"{text}. Everything is listed again.", **facts)
    if status in (404, 410):
        return AbsentError(f"{text}. It was deleted, or the account lost access to it.", **facts)
    if status == 403 and not writing:
        return FatalError(f"{text}. Check that the account may see this calendar.", **facts)
    if status == 403:
        return ForbiddenError(f"{text}. The event stays as it is there.", **facts)
    return RejectedError(f"{text}. Change the event, or leave it out.", **facts)


def _retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds from a Retry-After header in either form (RFC 9110 section 10.2.3)."""
    text = headers.get("retry-after", "")
    try:
        return float(text) if text else _PAUSE_RATE
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return _PAUSE_RATE


def of_broken_answer(operation: str, *, writing: bool, detail: str) -> RetryableError:
    """The error for a connection that broke off, or a body that is not whole."""
    kind = UnansweredError if writing else RetryableError
    return kind(
        f"Google's answer to {operation} did not arrive in one piece ({detail}).",
        provider=PROVIDER,
        operation=operation,
        code="broken-answer",
    )


def of_unreachable(operation: str, detail: str) -> RetryableError:
    """The error for a call that never left."""
    return RetryableError(
        f"Google could not be reached for {operation} ({detail}). Check network and DNS.",
        provider=PROVIDER,
        operation=operation,
        code="unreachable",
    )
