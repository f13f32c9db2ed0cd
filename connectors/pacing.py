"""Pacing and retrying: one place decides how fast we call and how long we wait.

A connector asks `Pacer.wait` before every call and wraps idempotent calls in `with_retries`.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from connectors.errors import RateLimitedError, RetryableError

T = TypeVar("T")


class Pacer(Protocol):
    """A rate budget, shared by whoever calls the provider in the same name."""

    def wait(self, operation: str) -> None:
        """Return when one more call of `operation` fits the budget."""

    def slow_down(self, operation: str, seconds: float) -> None:
        """The provider said so: no call of `operation` for that long."""


class JointPacer:
    """Several budgets that every call counts against; a `slow_down` is for the first of them."""

    def __init__(self, *pacers: Pacer) -> None:
        self._pacers = pacers

    def wait(self, operation: str) -> None:
        """Return when the call fits all of them."""
        for pacer in self._pacers:
            pacer.wait(operation)

    def slow_down(self, operation: str, seconds: float) -> None:
        """Hand it on to the narrowest one: whom else the provider means it does not say."""
        self._pacers[0].slow_down(operation, seconds)


class FreePacer:
    """No budget at all (memory connector, tests)."""

    def wait(self, operation: str) -> None:
        """Return at once."""

    def slow_down(self, operation: str, seconds: float) -> None:
        """Ignore it."""


def with_retries(
    call: Callable[[], T],
    *,
    sleep: Callable[[float], None],
    random: Callable[[], float],
    attempts: int = 5,
    base: float = 0.5,
    cap: float = 32.0,
    patience: float = 60.0,
) -> T:
    """Run `call` until it succeeds, repeating only after `RetryableError`.

    Exponential backoff with full jitter; a provider's own figure (`RateLimitedError.after`) is
    a lower bound, and one beyond `patience` seconds is passed on to the caller, who has better
    things to do than to wait. The last error is raised unchanged.
    """
    for attempt in range(attempts):
        try:
            return call()
        except RetryableError as error:
            after = error.after if isinstance(error, RateLimitedError) else 0.0
            if attempt == attempts - 1 or after > patience:
                raise
            sleep(after + random() * min(cap, base * 2**attempt))
    raise AssertionError("unreachable: attempts is positive")
