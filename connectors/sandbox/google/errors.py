"""Refusals in the Calendar API's own envelope ("Handle API errors", Calendar API guides)."""

from typing import Any

from connectors.sandbox.http import Response


class ApiError(Exception):
    """A refusal: becomes the answer of the call that raised it."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.location = location

    def response(self) -> Response:
        """The answer on the wire. `location` is its (locationType, location)."""
        entry: dict[str, Any] = {
            "domain": self.domain,
            "reason": self.reason,
            "message": self.message,
        }
        if self.location:
            entry["locationType"], entry["location"] = self.location
        error = {"errors": [entry], "code": self.status, "message": self.message}
        response = Response.of_json({"error": error}, self.status)
        if self.status == 401:
            response.headers["WWW-Authenticate"] = (
                'Bearer realm="https://accounts.google.com/", error="invalid_token"'
            )
        return response


def invalid(message: str, parameter: str | None = None) -> ApiError:
    """400: a value that the service does not take."""
    return ApiError(
        400, "invalid", message, location=(parameter and ("parameter", parameter)) or None
    )


def required(message: str) -> ApiError:
    """400: something that must be there is not."""
    return ApiError(400, "required", message)


def bad_request(message: str = "Bad Request") -> ApiError:
    """400: the request as a whole makes no sense."""
    return ApiError(400, "badRequest", message)


def unauthorized() -> ApiError:
    """401: no access token, or one that is unknown, expired or revoked."""
    return ApiError(401, "authError", "Invalid Credentials", location=("header", "Authorization"))


def forbidden(message: str = "Forbidden", reason: str = "forbidden") -> ApiError:
    """403 in domain `calendar`, unless it is plain `forbidden`."""
    return ApiError(403, reason, message, domain="global" if reason == "forbidden" else "calendar")


def needs_role(role: str) -> ApiError:
    """403: the calendar is shared with the caller, but not for this."""
    return forbidden(f"You need to have {role} access to this calendar.", "requiredAccessLevel")


def non_organizer() -> ApiError:
    """403: what all guests share belongs to the organizer."""
    return forbidden(
        "Shared properties can only be changed by the organizer of the event.",
        "forbiddenForNonOrganizer",
    )


def not_found() -> ApiError:
    """404: does not exist, or not for this caller."""
    return ApiError(404, "notFound", "Not Found")


def duplicate() -> ApiError:
    """409: the identifier is taken, even if by something deleted."""
    return ApiError(409, "duplicate", "The requested identifier already exists.")


def deleted() -> ApiError:
    """410: it was deleted before."""
    return ApiError(410, "deleted", "Resource has been deleted")


def full_sync_required() -> ApiError:
    """410: the sync token is no longer good."""
    return ApiError(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        domain="calendar",
        location=("parameter", "syncToken"),
    )


def precondition_failed(header: str = "If-Match") -> ApiError:
    """412: the resource is no longer the version that the caller saw."""
    return ApiError(412, "conditionNotMet", "Precondition Failed", location=("header", header))
