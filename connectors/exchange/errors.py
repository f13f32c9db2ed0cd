"""From Exchange's refusals to errors by consequence.

Source: EWS reference "ResponseCode"; "EWS throttling in Exchange"; "Handling synchronization-
related errors in EWS in Exchange".
"""

from typing import Any

from connectors.errors import (
    ConflictError,
    ConnectorError,
    FatalError,
    OutcomeUnknownError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)

PROVIDER = "exchange"
_PAUSE = 10.0

_PASSING = frozenset(
    {
        "ErrorInternalServerTransientError",
        "ErrorTimeoutExpired",
        "ErrorTooManyObjectsOpened",
        "ErrorMailboxStoreUnavailable",
        "ErrorMailboxMoveInProgress",
        "ErrorMailboxFailover",
        "ErrorConnectionFailed",
        "ErrorConnectionFailedTransientError",
        "ErrorNoRespondingCASInDestinationSite",
        "ErrorADUnavailable",
        "ErrorADOperation",
        "ErrorInsufficientResources",
        "ErrorNotEnoughMemory",
        "ErrorBatchProcessingStopped",
        "ErrorInternalServerError",
        "ErrorServiceDependencyUnavailable",
    }
)
_RATE = frozenset(
    {
        "ErrorServerBusy",
        "ErrorExceededConnectionCount",
        "ErrorMessagePerFolderCountReceiveQuotaExceeded",
        "ErrorTooManyRequests",
    }
)
_RIGHTS = {
    "ErrorImpersonateUserDenied": "Give the login the ApplicationImpersonation role for this "
    "mailbox (or, with OAuth, the right full_access_as_app).",
    "ErrorImpersonationDenied": "Give the login the ApplicationImpersonation role.",
    "ErrorImpersonationFailed": "Give the login the ApplicationImpersonation role.",
    "ErrorImpersonationRequired": "Write `access: impersonation`.",
    "ErrorAccessDenied": "Give the login access to this calendar, or use impersonation.",
    "ErrorPasswordExpired": "Set a new password and write it into the config.",
    "ErrorPasswordChangeRequired": "Set a new password and write it into the config.",
    "ErrorClientDisconnected": "Try again.",
    "ErrorTokenSerializationDenied": "Give the login the ApplicationImpersonation role.",
}
_LOST = {
    "ErrorNonExistentMailbox": "Check the address in the config; the mailbox may have been "
    "renamed or moved to another organization.",
    "ErrorAccountDisabled": "Enable the account, or take it out of the config.",
    "ErrorMailboxMoved": "Let Autodiscover find the new server, or correct `endpoint`.",
    "ErrorCrossSiteRequest": "Let Autodiscover find the right server, or correct `endpoint`.",
    "ErrorFolderNotFound": "The calendar is gone, or the login lost access to it.",
    "ErrorSyncFolderNotFound": "The calendar is gone, or the login lost access to it.",
    "ErrorSavedItemFolderNotFound": "The calendar is gone, or the login lost access to it.",
    "ErrorParentFolderNotFound": "The calendar is gone, or the login lost access to it.",
    "ErrorCannotCreateCalendarItemInNonCalendarFolder": "Choose a calendar, not another folder.",
    "ErrorQuotaExceeded": "The mailbox is full. Make room in it, or raise its quota.",
    "ErrorMailboxStoreQuotaExceeded": "The mailbox is full. Make room in it.",
}
_VERSIONS = frozenset(
    {
        "ErrorIrresolvableConflict",
        "ErrorStaleObject",
        "ErrorChangeKeyRequiredForWriteOperations",
        "ErrorChangeKeyRequired",
        "ErrorInvalidChangeKey",
    }
)
GONE = frozenset(
    {
        "ErrorItemNotFound",
        "ErrorInvalidIdMalformed",
        "ErrorInvalidIdEmpty",
        "ErrorInvalidId",
        "ErrorInvalidIdMalformedEwsLegacyIdFormat",
        "ErrorInvalidIdNotAnItemAttachmentId",
        "ErrorCalendarOccurrenceIsDeletedFromRecurrence",
        "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange",
    }
)
MOVED = "moved"
ELSEWHERE = frozenset(
    {MOVED, "ErrorMailboxMoved", "ErrorNonExistentMailbox", "ErrorCrossSiteRequest"}
)
"""Codes of a server that has not got the mailbox (any more); another one may have it."""
UNREACHABLE = "unreachable"
_EWS_OFF = (
    "Exchange Web Services are switched off for this mailbox or tenant. An administrator can "
    "switch them on (EWSEnabled, EWSAllowedAppIDs); Exchange Online ends them for good on "
    "2027-04-01, from then on only Microsoft Graph remains."
)


LOST_SUBSCRIPTIONS = frozenset(
    {
        "ErrorSubscriptionNotFound",
        "ErrorExpiredSubscription",
        "ErrorInvalidSubscription",
        "ErrorInvalidWatermark",
        "ErrorReadEventsFailed",
        "ErrorMissedNotificationEvents",
    }
)
"""Codes after which a subscription has to be made anew ("Handling notification-related errors")."""


class LostSubscriptionsError(ResyncError):
    """The server has not got these subscriptions (any more); it does not always say which.
    `greeted`: the connection had begun."""

    def __init__(self, message: str, *, ids: frozenset[str], **facts: str) -> None:
        super().__init__(message, **facts)
        self.ids = ids
        self.greeted = False


class AbsentError(FatalError):
    """The item that was addressed is not there."""


class StaleError(ConflictError):
    """A write came with the change key of an older version."""


class CrossingError(RejectedError):
    """An occurrence may not be moved there: another one of its series stands in the way."""


def of_code(
    code: str, message: str, operation: str, *, back_off: float | None = None
) -> ConnectorError:
    """The error that a response code means."""
    facts = {"provider": PROVIDER, "operation": operation, "code": code}
    text = f"Exchange refused {operation} ({code}): {message.strip().rstrip('.')}"
    if code in _RATE:
        after = _PAUSE if back_off is None else back_off
        return RateLimitedError(f"{text}. The bridge slows down.", after=after, **facts)
    if code in _PASSING:
        return RetryableError(f"{text}. It is tried again.", **facts)
    if code in _RIGHTS:
        return ReauthorizeError(f"{text}. {_RIGHTS[code]}", **facts)
    if code in _LOST:
        return FatalError(f"{text}. {_LOST[code]}", **facts)
    if code in LOST_SUBSCRIPTIONS:
        return LostSubscriptionsError(f"{text}. It is made anew.", ids=frozenset(), **facts)
    if code == "ErrorExceededSubscriptionCount":
        return RejectedError(f"{text}. The calendar is polled instead.", **facts)
    if code in GONE:
        return AbsentError(f"{text}. It was deleted or moved away.", **facts)
    if code in _VERSIONS:
        return StaleError(f"{text}. It is read again.", current=None, **facts)
    if code == "ErrorInvalidSyncStateData":
        return ResyncError(f"{text}. Everything is listed again.", **facts)
    if code in ("ErrorOccurrenceCrossingBoundary", "ErrorOccurrenceTimeSpanTooBig"):
        return CrossingError(f"{text}. Move it to a day without another occurrence.", **facts)
    return RejectedError(f"{text}. Change the event, or leave it out.", **facts)


def of_fault(error: Exception, operation: str, *, writing: bool) -> ConnectorError:
    """The error for what the library raised instead of an answer."""
    from exchangelib import errors as ews
    from oauthlib.oauth2 import OAuth2Error

    from connectors.exchange.connections import ElsewhereError

    facts = {"provider": PROVIDER, "operation": operation, "code": type(error).__name__}
    if isinstance(error, ews.UnauthorizedError):
        return ReauthorizeError(
            f"Exchange did not accept the login for {operation}. Check username and password "
            "(NTLM: DOMAIN\\user), or that the way to log in is switched on at the server.",
            **facts,
        )
    if isinstance(error, OAuth2Error):
        return ReauthorizeError(
            f"The token service refused the application ({error.error or 'no reason'}). Its "
            "secret may have expired; make a new one and write it into the config.",
            **{**facts, "code": str(error.error or facts["code"])},
        )
    if isinstance(error, ews.CASError):
        return _of_front_end(error, operation, facts)
    if isinstance(error, ews.ErrorServerBusy):
        after = getattr(error, "back_off", None)
        return of_code("ErrorServerBusy", str(error), operation, back_off=after)
    if isinstance(error, ElsewhereError) and not error.away:
        return FatalError(
            f"{operation} was redirected to {error.url}, as by a sign-in page in front of "
            "Exchange. Let the proxy pass Exchange Web Services through, or correct `endpoint`.",
            **facts | {"code": "redirected"},
        )
    if isinstance(error, ElsewhereError):
        return FatalError(
            f"{operation} was redirected to {error.url}; the mailbox was probably moved. Write "
            "its new server as `endpoint`, or leave `endpoint` out: Autodiscover finds it then.",
            **facts | {"code": MOVED},
        )
    if isinstance(error, ews.ErrorTimeoutExpired):
        return _of_silence(error, operation, facts, writing=writing)
    if isinstance(error, ews.ResponseMessageError):
        return of_code(type(error).__name__, str(error), operation)
    return _of_garbage(error, operation, facts, writing=writing)


def _of_front_end(error: Any, operation: str, facts: dict[str, str]) -> ConnectorError:
    """What the client access service says in a header (`X-CasErrorCode`)."""
    code = str(getattr(error, "cas_error", "")) or "CASError"
    facts = facts | {"code": code}
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in (401, 403):
        return FatalError(f"Exchange refused {operation} ({code}). {_EWS_OFF}", **facts)
    return RetryableError(f"Exchange's front end refused {operation} ({code}).", **facts)


def _of_silence(
    error: Exception, operation: str, facts: dict[str, str], *, writing: bool
) -> ConnectorError:
    """No answer: harmless, unless a write may have arrived."""
    facts = facts | {"code": UNREACHABLE}
    if not writing or _never_sent(error.__context__):
        return RetryableError(
            f"Exchange could not be reached for {operation}. Check network, DNS and `endpoint`.",
            **facts,
        )
    return OutcomeUnknownError(
        f"The answer to {operation} was lost; what became of it is looked up.",
        **facts | {"code": "answer-lost"},
    )


def _never_sent(cause: BaseException | None) -> bool:
    import requests
    from urllib3.exceptions import NewConnectionError

    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return True
    inner = cause.args[0] if isinstance(cause, requests.ConnectionError) and cause.args else None
    return isinstance(getattr(inner, "reason", None), NewConnectionError)


def _of_garbage(
    error: Exception, operation: str, facts: dict[str, str], *, writing: bool
) -> ConnectorError:
    """An answer that is no SOAP: a proxy's page, half a document, a fault without particulars."""
    detail = str(error)
    if "Code: 403" in detail:
        return FatalError(
            f"Exchange refused {operation} with HTTP 403. {_EWS_OFF}", **facts | {"code": "403"}
        )
    if "Code: 404" in detail:
        return FatalError(
            f"There is no Exchange Web Service at `endpoint` (HTTP 404 for {operation}). It "
            "usually ends in /EWS/Exchange.asmx.",
            **facts | {"code": "404"},
        )
    if "certificate" in detail.lower():
        return FatalError(
            f"The server's certificate is not trusted ({operation}). Name its certification "
            "authority in `ca_bundle`.",
            **facts | {"code": "certificate"},
        )
    text = f"The answer to {operation} is not Exchange's. Check proxies and `endpoint`"
    kind = OutcomeUnknownError if writing else RetryableError
    return kind(f"{text}.", **facts | {"code": "broken-answer"})
