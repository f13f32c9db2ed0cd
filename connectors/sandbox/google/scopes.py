"""Which OAuth scopes permit which methods (the `scopes` of each method's reference page)."""

from connectors.sandbox.google.errors import ApiError

ROOT = "https://www.googleapis.com/auth/"
ALL = {"calendar"}
EVENTS_WRITE = ALL | {"calendar.events", "calendar.app.created", "calendar.events.owned"}
EVENTS_READ = EVENTS_WRITE | {
    "calendar.readonly", "calendar.events.readonly", "calendar.events.owned.readonly",
    "calendar.events.public.readonly", "calendar.events.freebusy",
}  # fmt: skip
LIST_WRITE = ALL | {"calendar.calendarlist"}
LIST_READ = LIST_WRITE | {"calendar.readonly", "calendar.calendarlist.readonly"}
CALENDARS_WRITE = ALL | {"calendar.calendars", "calendar.app.created"}
CALENDARS_READ = CALENDARS_WRITE | {"calendar.readonly", "calendar.calendars.readonly"}
FREE_BUSY = ALL | {"calendar.readonly", "calendar.freebusy", "calendar.events.freebusy"}
SETTINGS = ALL | {"calendar.readonly", "calendar.settings.readonly"}
READING = {"list", "get", "instances", "watch"}


def check_scope(operation: str, granted: frozenset[str]) -> None:
    """403 if none of the granted scopes permits the method."""
    held = {scope.removeprefix(ROOT) for scope in granted if scope.startswith(ROOT)}
    if not held & _needed(operation):
        raise ApiError(
            403, "insufficientPermissions",
            "Request had insufficient authentication scopes.",
            location=("header", "Authorization"),
        )  # fmt: skip


def _needed(operation: str) -> set[str]:
    resource, _, method = operation.partition(".")
    reading = method in READING
    match resource:
        case "events":
            return EVENTS_READ if reading else EVENTS_WRITE
        case "calendarList":
            return LIST_READ if reading else LIST_WRITE
        case "calendars":
            return CALENDARS_READ if reading else CALENDARS_WRITE
        case "freebusy":
            return FREE_BUSY
        case "settings":
            return SETTINGS
        case _:
            return EVENTS_READ | LIST_READ | CALENDARS_READ | SETTINGS
