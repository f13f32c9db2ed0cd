"""Rate limits: 50 per second and 1000 per minute, per API and app (frequency control page)."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from connectors.sandbox.feishu.errors import RefusalError

PER_SECOND = 50
PER_MINUTE = 1000


class RateLimits:
    """Sliding windows in real time, whatever the sandbox clock says."""

    def __init__(self, *, enabled: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.enabled = enabled
        self.monotonic = monotonic
        self.refused = 0
        """Calls that came too fast."""
        self._calls: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def take(self, app_id: str, operation: str) -> None:
        """Count a call. Raises 99991400 with the gateway's two headers if it is one too many."""
        if not self.enabled:
            return
        now = self.monotonic()
        calls = self._calls[app_id, operation]
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= PER_MINUTE:
            raise self._refusal(PER_MINUTE, calls[0] + 60 - now)
        if len(calls) >= PER_SECOND and calls[-PER_SECOND] > now - 1:
            raise self._refusal(PER_SECOND, calls[-PER_SECOND] + 1 - now)
        calls.append(now)

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()

    def _refusal(self, limit: int, seconds: float) -> RefusalError:
        self.refused += 1
        headers = {
            "x-ogw-ratelimit-limit": str(limit),
            "x-ogw-ratelimit-reset": str(max(1, round(seconds))),
        }
        return RefusalError(99991400, headers=headers)
