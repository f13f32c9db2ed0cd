"""From a CalDAV server's answers to errors by consequence.

Sources: RFC 4918 section 11 (status codes), RFC 4791 section 5.3.2.1 (preconditions of PUT),
RFC 6578 section 3.2 (sync tokens), RFC 9110 section 10.2.3 (Retry-After).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

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

PROVIDER = "caldav"
_PAUSE_RATE = 5.0
_PAUSE_FULL = 3600.0
_CONDITION = re.compile(rb"<(?:[\w.-]+:)?([a-z-]+)\s*/?>")
_CONDITIONS = frozenset(
    {
        "valid-sync-token",
        "valid-calendar-data",
        "valid-calendar-object-resource",
        "supported-calendar-data",
        "supported-calendar-component",
        "no-uid-conflict",
        "max-resource-size",
        "min-date-time",
        "max-date-time",
        "max-instances",
        "max-attendees-per-instance",
        "need-privileges",
        "quota-not-exceeded",
        "number-of-matches-within-limits",
    }
)


class AbsentError(FatalError):
    """What was addressed is not there (404), or was deleted (410)."""


class UnansweredError(RetryableError):
    """A write went out and its answer did not come back in one piece."""


class UnsupportedError(FatalError):
    """The server does not know this report (RFC 3253 section 3.6 `supported-report`)."""


def condition(content: bytes) -> str:
    """The precondition that a `DAV:error` body names, empty if there is none."""
    if b"error" not in content[:400]:
        return ""
    names = (name.decode() for name in _CONDITION.findall(content[:2000]))
    return next((name for name in names if name in _CONDITIONS or name == "supported-report"), "")


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
    named = condition(content)
    facts = {"provider": PROVIDER, "operation": operation, "code": named or str(status)}
    text = f"The CalDAV server answered {operation} with {status}"
    text += f" ({named})" if named else ""
    if named == "valid-sync-token":
        return ResyncError(f"{text}. Everything is listed again.", **facts)
    if named == "supported-report" or (status in (405, 501) and operation == "REPORT"):
        return UnsupportedError(f"{text}. It does not offer that report.", **facts)
    if status == 507 or named == "quota-not-exceeded":
        return RateLimitedError(
            f"{text}. Its storage is full; it is tried again in an hour.",
            after=_PAUSE_FULL,
            **facts,
        )
    if status == 429 or (status == 503 and "retry-after" in headers):
        after = _retry_after(headers, now)
        return RateLimitedError(f"{text}. The bridge slows down.", after=after, **facts)
    if status >= 500:
        kind = UnansweredError if writing else RetryableError
        return kind(f"{text}. It is tried again.", **facts)
    return _of_refusal(status, named, text, facts, writing=writing)


def _of_refusal(
    status: int, named: str, text: str, facts: dict[str, str], *, writing: bool
) -> ConnectorError:
    if status == 401:
        return ReauthorizeError(f"{text}. Check username and password of the account.", **facts)
    if status == 412:
        return ConflictError(f"{text}.", current=None, **facts)
    if status in (404, 410) or (status == 409 and not named):
        return AbsentError(f"{text}. It was deleted, or the account lost access to it.", **facts)
    if status in (408, 423, 425):
        return RetryableError(f"{text}. It is tried again.", **facts)
    if status < 400:
        return FatalError(f"{text}, which leads nowhere. Check `url`.", **facts)
    if not writing:
        return FatalError(f"{text}. Check that the account may see this calendar.", **facts)
    if status == 403 and named in ("", "need-privileges"):
        return RejectedError(f"{text}. The event stays as it is there.", **facts)
    return RejectedError(f"{text}. Change the event, or leave it out.", **facts)


def _retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds from a Retry-After header in either form."""
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
        f"The CalDAV server's answer to {operation} did not arrive in one piece ({detail}).",
        provider=PROVIDER,
        operation=operation,
        code="broken-answer",
    )


def of_unreachable(operation: str, detail: str) -> RetryableError:
    """The error for a call that never left."""
    return RetryableError(
        f"The CalDAV server could not be reached for {operation} ({detail}). Check network, DNS "
        "and certificates.",
        provider=PROVIDER,
        operation=operation,
        code="unreachable",
    )
