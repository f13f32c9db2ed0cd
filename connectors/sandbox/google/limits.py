"""Request rates: sliding minute per user and per project ("Manage quotas", Calendar API)."""

from collections import deque

from connectors.sandbox.google.errors import ApiError
from connectors.sandbox.google.state import Calendar, World

WINDOW = 60.0


class Limits:
    """Counts requests by account and by project; refuses what is above the rate."""

    def __init__(self, world: World, per_user: int = 600, per_project: int = 10_000) -> None:
        self._world = world
        self.per_user = per_user
        self.per_project = per_project
        self.refused = 0
        """Calls that came too fast."""
        self._users: dict[str, deque[float]] = {}
        self._project: deque[float] = deque()

    def spend(self, user: str, units: int) -> None:
        """`units` requests by `user`. Raises 403 `userRateLimitExceeded` or 429.

        Refused requests do not count.
        """
        if not self._world.switches.limits:
            return
        now = self._world.clock.time()
        mine = self._users.setdefault(user, deque())
        for spent in (mine, self._project):
            while spent and spent[0] <= now - WINDOW:
                spent.popleft()
        if len(mine) + units > self.per_user:
            self.refused += 1
            raise ApiError(
                403, "userRateLimitExceeded", "User Rate Limit Exceeded", domain="usageLimits"
            )
        if len(self._project) + units > self.per_project:
            self.refused += 1
            raise rate_limited()
        mine.extend([now] * units)
        self._project.extend([now] * units)

    def space(self, calendar: Calendar) -> None:
        """A write to the calendar. Raises 403 if the one before is too recent."""
        now, spacing = self._world.clock.time(), self._world.switches.write_spacing
        if spacing and now - calendar.last_write < spacing:
            self.refused += 1
            raise ApiError(403, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")
        calendar.last_write = now


def rate_limited() -> ApiError:
    """429: too many requests of the project."""
    return ApiError(429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")
