"""Refusals in Feishu's envelope: code, message and the HTTP status that goes with it.

Source: the error code tables of the Calendar v4, authen and gateway documentation pages.
"""

from typing import Any

CODES: dict[int, tuple[int, str]] = {
    20005: (400, "invalid access token"),
    41050: (400, "no user authority error"),
    190002: (400, "invalid parameters"),
    190003: (500, "internal service error"),
    190004: (429, "method rate limited"),
    190005: (429, "app rate limited"),
    190007: (404, "app bot not found"),
    190008: (400, "page_token or sync_token expired"),
    190009: (400, "sync_token cannot be combined with other restrictions"),
    190010: (429, "current operation rate limited"),
    190014: (400, "invalid parameters in request"),
    191000: (404, "calendar not found"),
    191001: (400, "invalid calendar_id"),
    191002: (403, "no calendar access_role"),
    191003: (403, "calendar is deleted"),
    191004: (403, "invalid calendar type"),
    191005: (400, "calendar subscription count limit"),
    191006: (400, "calendar is not subscribable"),
    191007: (400, "calendar has been unsubscribed"),
    191008: (400, "primary calendar cannot be unsubscribed"),
    192000: (404, "acl not found"),
    193000: (400, "invalid event_id"),
    193001: (404, "event not found"),
    193002: (403, "no permission to operate event"),
    193003: (403, "event is deleted"),
    193103: (400, "time range exceeds limit"),
    193104: (400, "too many instances"),
    194000: (404, "attendee not found"),
    194001: (403, "no permission to list attendees"),
    194002: (403, "no permission to add attendees"),
    194003: (403, "no permission to remove attendees"),
    194004: (400, "invalid attendee type"),
    195100: (404, "user is dismissed or not exist in the tenant"),
    198001: (400, "invalid time_min"),
    198002: (400, "invalid time_max"),
    198003: (400, "time range exceeds limit"),
    198004: (400, "user_id or room_id is required"),
    99991400: (429, "request trigger frequency limit"),
    99991661: (400, "Missing access token for authorization"),
    99991663: (400, "Invalid access token for authorization, or kind not supported by this API"),
    99991664: (400, "invalid app access token"),
    99991668: (400, "Invalid access token for authorization"),
    99991671: (400, "Invalid access token format"),
    99991672: (400, "Access denied: the app lacks one of the scopes"),
    99991677: (400, "Authentication token expired"),
    99991679: (400, "Unauthorized: the user has not granted one of the scopes"),
    99992351: (400, "not a valid open_id"),
    99992361: (400, "open_id cross app"),
    99992402: (400, "field validation failed"),
}


class RefusalError(Exception):
    """The service says no. `extra` joins the `error` object of the envelope."""

    def __init__(
        self,
        code: int,
        *,
        status: int | None = None,
        msg: str | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        default_status, default_msg = CODES.get(code, (400, "refused"))
        self.code = code
        self.status = status or default_status
        self.msg = msg or default_msg
        self.headers = headers or {}
        self.extra = extra
        super().__init__(f"{code} {self.msg} {extra or ''}".rstrip())

    def envelope(self, log_id: str) -> dict[str, Any]:
        """The body of the answer."""
        return {"code": self.code, "msg": self.msg, "error": {"log_id": log_id, **self.extra}}


def violation(field: str, value: Any, why: str) -> RefusalError:
    """190014 that names the field, as the calendar APIs report a value out of range."""
    return RefusalError(
        190014, field_violations=[{"field": field, "value": str(value), "description": why}]
    )


def wrong_type(field: str, value: Any, why: str) -> RefusalError:
    """99992402: the gateway's own check of JSON types."""
    return RefusalError(
        99992402, field_violations=[{"field": field, "value": str(value), "description": why}]
    )


class OAuthRefusalError(Exception):
    """The token endpoint says no, in its own flat form."""

    def __init__(self, code: int, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{code} {error}")
        self.status = status
        self.body = {"code": code, "error": error, "error_description": description}
