"""Passing faults are tried again, and patience has bounds."""

from collections.abc import Callable

import pytest

from connectors.errors import ConflictError, OutcomeUnknownError, RateLimitedError, RetryableError
from connectors.pacing import FreePacer, with_retries


class FakeClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def test_without_limits_nobody_waits() -> None:
    FreePacer().wait("list")
    FreePacer().slow_down("list", 1e9)
    FreePacer().wait("list")


def failing(*errors: Exception) -> Callable[[], str]:
    remaining = list(errors)

    def call() -> str:
        if remaining:
            raise remaining.pop(0)
        return "done"

    return call


def test_a_passing_fault_is_retried_with_growing_full_jitter() -> None:
    clock = FakeClock()
    call = failing(*(RetryableError("busy") for _ in range(4)))
    assert with_retries(call, sleep=clock.sleep, random=lambda: 0.5) == "done"
    assert clock.slept == [0.25, 0.5, 1.0, 2.0]


def test_the_backoff_is_capped() -> None:
    clock = FakeClock()
    call = failing(*(RetryableError("busy") for _ in range(9)))
    with_retries(call, sleep=clock.sleep, random=lambda: 1.0, attempts=10, cap=4.0)
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]


def test_after_the_last_attempt_the_last_error_is_raised_as_it_is() -> None:
    clock = FakeClock()
    errors = [RetryableError(f"busy {number}") for number in range(3)]
    with pytest.raises(RetryableError) as raised:
        with_retries(failing(*errors), sleep=clock.sleep, random=lambda: 1.0, attempts=3)
    assert raised.value is errors[2]
    assert len(clock.slept) == 2


def test_the_providers_own_figure_is_a_lower_bound_of_the_wait() -> None:
    clock = FakeClock()
    call = failing(RateLimitedError("slow down", after=20))
    assert with_retries(call, sleep=clock.sleep, random=lambda: 0.5) == "done"
    assert clock.slept == [20.25]


def test_more_than_our_patience_is_passed_on_at_once() -> None:
    clock = FakeClock()
    error = RateLimitedError("come back tomorrow", after=61)
    with pytest.raises(RateLimitedError) as raised:
        with_retries(failing(error), sleep=clock.sleep, random=lambda: 1.0)
    assert raised.value is error
    assert clock.slept == []


@pytest.mark.parametrize(
    "error", [OutcomeUnknownError("lost"), ConflictError("changed", current=None), KeyError("bug")]
)
def test_what_is_no_passing_fault_is_never_repeated(error: Exception) -> None:
    clock = FakeClock()
    with pytest.raises(type(error)) as raised:
        with_retries(failing(error), sleep=clock.sleep, random=lambda: 1.0)
    assert raised.value is error
    assert clock.slept == []
