"""One API call on its way through the sandbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.sandbox.google.errors import ApiError, bad_request
from connectors.sandbox.google.limits import Limits
from connectors.sandbox.google.oauth import OAuth
from connectors.sandbox.google.state import Calendar, Caller, World
from connectors.sandbox.google.watch import Channels
from connectors.sandbox.http import Request, Response


@dataclass
class Service:
    """Everything that calls work on."""

    world: World
    oauth: OAuth
    channels: Channels
    limits: Limits
    url: str


@dataclass(frozen=True)
class Call:
    """A request that passed authentication. `path` holds the template's variables."""

    service: Service
    request: Request
    caller: Caller
    path: dict[str, str]

    @property
    def world(self) -> World:
        """The state."""
        return self.service.world

    def calendar(self, role: str = "freeBusyReader") -> Calendar:
        """The calendar of the path. 404 if unknown to the caller, 403 below `role`."""
        calendar = self.world.resolve(self.caller, self.path["calendarId"])
        self.world.require(self.caller, calendar, role)
        return calendar

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent. Raises 400."""
        try:
            value = self.request.json()
        except ValueError:
            raise ApiError(400, "parseError", "Parse Error") from None
        if not isinstance(value, dict):
            raise bad_request("Parse Error")
        return value


Action = Callable[[Call], Response]
