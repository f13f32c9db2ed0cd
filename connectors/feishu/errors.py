"""Feishu's codes by consequence.

Sources: the error tables of each Calendar v4 page, "General error codes" (999914xx-9999xxxx) and
"Get / refresh user_access_token" (20xxx).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.errors import (
    ConnectorError,
    FatalError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)

PROVIDER = "feishu"

EVENT_GONE = frozenset({"193001", "193003"})
"""Codes that say: this event does not exist (any more)."""

ATTENDEE_GONE = frozenset({"194000"})
ATTENDEES_HIDDEN = frozenset({"193002", "194001"})
TOKEN_STALE = frozenset({"99991668", "99991677", "99991663", "20005"})
"""Codes that say: this access token is not valid; another one may be."""

NOT_SUBSCRIBED = frozenset({"191007"})
TOO_MANY_INSTANCES = frozenset({"193103", "193104"})

_RATE_LIMITED = {"190004", "190005", "99991400"}
_QUOTA_USED_UP = "99991403"
_QUOTA_PAUSE = 3600.0
_RETRY = {"190010", "20050", "20072"}
_MAYBE_DONE = "190003"
_RESYNC = {"190008", "190009"}

_CONSENT_AGAIN = {
    "20003": "the code is unknown",
    "20004": "the code is older than five minutes",
    "20008": "the user does not exist",
    "20010": "the user may not use the app",
    "20026": "the refresh token is invalid",
    "20037": "the refresh token has expired",
    "20064": "the consent was revoked",
    "20065": "the code was used already",
    "20066": "the user is not active",
    "20073": "the refresh token was used already",
    "99991669": "the refresh token is invalid",
    "99991677": "the user's access token has expired",
    "99991668": "the user's access token is invalid",
    "99991679": "the user has not granted a scope that is needed",
    "99991661": "no access token was sent",
    "20005": "the access token is invalid",
}
_ADMINISTRATOR = {
    "20002": "the app secret is wrong",
    "20009": "the app is not installed in this tenant",
    "20024": "the token or code belongs to another app",
    "20027": "a scope is not enabled for the app",
    "20046": "the app belongs to the other cloud (Feishu and Lark are separate)",
    "20048": "the app is unknown",
    "20068": "a scope is not permitted for the app",
    "20069": "the app is disabled",
    "20071": "the redirect URL is not registered in the app's security settings",
    "20074": "refreshing user tokens is switched off in the app's security settings",
    "10003": "app id or app secret is malformed",
    "10014": "app id or app secret is wrong",
    "99991401": "this machine's address is not in the app's list of allowed IPs",
    "99991663": "the tenant token is invalid, or this API refuses its kind",
    "99991664": "the app token is invalid",
    "99991671": "the access token is malformed",
    "99991672": "the app lacks a scope; add it and publish a new version",
    "99991673": "the app is not available in this tenant",
}
_UNUSABLE = {
    "190006": "the app does not belong to this tenant",
    "190007": "the app's bot ability is switched off",
    "190011": "the tenant's encryption key was deleted",
    "190012": "the tenant's decryption key was deleted",
    "191000": "there is no such calendar",
    "191001": "the calendar id is malformed",
    "191002": "the account has no right to this calendar",
    "191003": "the calendar was deleted",
    "191004": "calendars of this type (Google or Exchange binding) are closed to the API",
    "191005": "the account has subscribed to as many calendars as it may",
    "191006": "the calendar may not be subscribed to",
    "191009": "only a subscriber may do this",
    "195100": "the user left the tenant",
}
_REJECTED = {
    "190002": "a parameter is invalid",
    "190013": "the content was refused by risk control",
    "190014": "a parameter is invalid",
    "193000": "the event id is malformed",
    "193001": "there is no such event",
    "193002": "only the organiser may do this",
    "193003": "the event was deleted",
    "193104": "the window holds too many occurrences",
    "194001": "the attendees are hidden from this account",
    "194002": "the account may not add attendees",
    "194003": "the account may not remove attendees",
    "194004": "the attendee type is not permitted",
    "99992351": "the user id is unknown",
    "99992361": "the user id belongs to another app",
    "99992402": "a field is invalid",
}


class LostAnswerError(RetryableError):
    """No answer came, or none that can be read: the call may or may not have been carried out.

    Repeated like a passing fault, because every call here is safe to repeat; if it stays lost,
    a write becomes `OutcomeUnknownError`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer as it came in. Header names are lower case, `body` is the whole envelope."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """Feishu's code, `0` for success."""
        return str(self.body.get("code", self.status if self.status >= 300 else 0))

    @property
    def data(self) -> Mapping[str, Any]:
        """What stands under `data`, empty if there is nothing."""
        data = self.body.get("data")
        return data if isinstance(data, Mapping) else {}

    @property
    def log_id(self) -> str:
        """What Feishu's support asks for."""
        error = self.body.get("error")
        inside = error.get("log_id", "") if isinstance(error, Mapping) else ""
        return str(self.headers.get("x-tt-logid") or inside)


def error_for(reply: Reply, operation: str) -> ConnectorError:
    """The error that a failed reply amounts to. Never contains a token."""
    code = reply.code
    facts = {
        "provider": PROVIDER,
        "operation": operation,
        "code": code,
        "request_id": reply.log_id,
    }
    if code in _RATE_LIMITED or (reply.status == 429 and code != _QUOTA_USED_UP):
        after = _seconds(reply.headers.get("x-ogw-ratelimit-reset"), default=1.0)
        return RateLimitedError(f"Feishu asks to slow down ({code})", after=after, **facts)
    if code == _QUOTA_USED_UP:
        text = "the tenant's monthly quota of API calls is used up; buy more or poll less often"
        return RateLimitedError(text, after=_QUOTA_PAUSE, **facts)
    if code in _RETRY:
        return RetryableError(f"Feishu had a passing fault ({code})", **facts)
    if code in _RESYNC:
        return ResyncError(f"the sync token is void ({code})", **facts)
    kinds: tuple[tuple[type[ConnectorError], Mapping[str, str], str], ...] = (
        (ReauthorizeError, _CONSENT_AGAIN, "run `calbridge connect` for this user"),
        (ReauthorizeError, _ADMINISTRATOR, "an administrator of the app must put it right"),
        (FatalError, _UNUSABLE, "the calendar cannot be bridged until this changes"),
        (RejectedError, _REJECTED, ""),
    )
    for kind, reasons, advice in kinds:
        if code in reasons:
            text = f"{operation}: {reasons[code]}{_particulars(reply)} ({code})"
            return kind(f"{text}; {advice}" if advice else text, **facts)
    said = str(reply.body.get("msg") or reply.body.get("error_description") or "no reason")
    text = (
        f"{operation}: Feishu answered {reply.status}, {said[:200]}{_particulars(reply)} ({code})"
    )
    if reply.status >= 500 or code == _MAYBE_DONE:
        return LostAnswerError(text, **facts)
    if reply.status == 401:
        return ReauthorizeError(text, **facts)
    return RejectedError(text, **facts)


def _particulars(reply: Reply) -> str:
    """Which fields or scopes Feishu named, as far as it did."""
    error = reply.body.get("error")
    if not isinstance(error, Mapping):
        return ""
    fields = [
        f"{item.get('field')}: {item.get('description')}"
        for item in _objects(error.get("field_violations"))
    ]
    scopes = [str(item.get("subject")) for item in _objects(error.get("permission_violations"))]
    named = "; ".join(fields + scopes)
    return f" [{named[:300]}]" if named else ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def _seconds(text: str | None, *, default: float) -> float:
    try:
        return max(0.0, float(text)) if text else default
    except ValueError:
        return default
