"""Refusals of the service ("ResponseCode", EWS reference): of one item, or of a whole request."""

from connectors.sandbox.exchange import soap
from connectors.sandbox.http import Response


class EwsError(Exception):
    """One item, folder or subscription was refused; the others of the request go on."""

    def __init__(self, code: str, message: str = "", **values: str) -> None:
        super().__init__(message or _said(code))
        self.code = code
        self.message = message or _said(code)
        self.values = values


class EwsFaultError(Exception):
    """The request as a whole was refused, with a SOAP fault and HTTP status 500."""

    def __init__(self, code: str, message: str = "", **values: str) -> None:
        super().__init__(message or _said(code))
        self.code = code
        self.message = message or _said(code)
        self.values = values

    def response(self) -> Response:
        """The answer on the wire."""
        body = soap.fault(self.code, self.message, self.values)
        return Response(500, body, {"Content-Type": soap.CONTENT_TYPE})


class HttpRefusalError(Exception):
    """Refused before SOAP was looked at."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response


def busy(milliseconds: int) -> EwsFaultError:
    """Throttled ("EWS throttling in Exchange")."""
    return EwsFaultError("ErrorServerBusy", BackOffMilliseconds=str(milliseconds))


def _said(code: str) -> str:
    return _MESSAGES.get(code, f"The operation failed: {code}.")


_MESSAGES = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorAccountDisabled": "The account that was used for the request is disabled.",
    "ErrorCalendarCannotMoveOrCopyOccurrence": "Occurrences cannot be moved or copied.",
    "ErrorCalendarDurationIsTooLong": "Duration of a calendar item cannot exceed 5 years.",
    "ErrorCalendarEndDateIsEarlierThanStartDate": "EndDate is earlier than StartDate",
    "ErrorCalendarInvalidDayForWeeklyRecurrence":
        "Day, Weekday and WeekendDay cannot be used in a weekly recurrence.",
    "ErrorCalendarInvalidRecurrence": "The recurrence is not valid.",
    "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange":
        "Occurrence index is out of recurrence range.",
    "ErrorCalendarOccurrenceIsDeletedFromRecurrence":
        "Occurrence with this index was previously deleted from the recurrence.",
    "ErrorCalendarViewRangeTooBig":
        "The specified view range exceeds the maximum range of two years.",
    "ErrorChangeKeyRequiredForWriteOperations":
        "A valid change key is required for this operation.",
    "ErrorExceededConnectionCount":
        "You have exceeded the available concurrent connections for your account. Try again once "
        "your other requests have completed.",
    "ErrorExceededFindCountLimit":
        "You have exceeded the maximum number of objects that can be returned for the find "
        "operation. Use paging to reduce the result size and try your request again.",
    "ErrorExceededSubscriptionCount":
        "You have exceeded the available subscriptions for your account. Remove unnecessary "
        "subscriptions and try your request again.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the "
        "requested user.",
    "ErrorInvalidChangeKey": "The change key is invalid.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorInvalidSyncStateData": "Synchronization state data is corrupt or otherwise invalid.",
    "ErrorInvalidWatermark": "The watermark used for creating this subscription was not found.",
    "ErrorIrresolvableConflict": "The send or update operation could not be performed because the "
        "change key passed in the request does not match the current change key for the item.",
    "ErrorItemNotFound": "The specified object was not found in the store., The process failed to "
        "get the correct properties.",
    "ErrorMailboxMoveInProgress": "The mailbox is being moved. Try again later.",
    "ErrorMailboxStoreUnavailable":
        "The mailbox database is temporarily unavailable., The process failed to get the correct "
        "properties.",
    "ErrorMessageSizeExceeded": "The message exceeds the maximum supported size.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorOccurrenceCrossingBoundary":
        "Modified occurrence is crossing or overlapping adjacent occurrence.",
    "ErrorOccurrenceTimeSpanTooBig":
        "Modified occurrence is crossing or overlapping adjacent occurrence.",
    "ErrorPasswordExpired": "The password for the account has expired.",
    "ErrorQuotaExceeded": "The mailbox has exceeded its storage quota.",
    "ErrorRecurrenceEndDateTooBig": "The end date of the recurrence is too big.",
    "ErrorRecurrenceHasNoOccurrence": "The recurrence pattern has no occurrence.",
    "ErrorRestrictionTooLong": "The restriction exceeds the maximum of 255 nodes.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
    "ErrorSubscriptionNotFound": "The subscription was not found.",
    "ErrorTimeZone": "The specified time zone is not valid.",
}  # fmt: skip
