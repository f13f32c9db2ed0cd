"""The pace stays inside the provider's budget, and patience has bounds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from connectors.capabilities import RateBudget
from connectors.errors import ConflictError, OutcomeUnknownError, RateLimitedError, RetryableError
from connectors.pacing import FreePacer, LocalPacer, with_retries

EPSILON = 1e-6


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


def calls(pacer: LocalPacer, clock: FakeClock, count: int, operation: str = "list") -> list[float]:
    """When each of so many calls was let through, asked for without a break."""
    times = []
    for _ in range(count):
        pacer.wait(operation)
        times.append(clock.now)
    return times


def densest(times: list[float], seconds: float) -> int:
    """The most calls that any window of that length holds."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] > seconds - EPSILON:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("per_minute", [1, 10, 60, 600, 1000, 12_345])
@pytest.mark.parametrize("headroom", [0.5, 0.9, 1.0])
def test_no_minute_holds_more_calls_than_the_provider_permits(
    per_minute: int, headroom: float
) -> None:
    clock = FakeClock()
    budget = RateBudget(per_minute=per_minute)
    pacer = LocalPacer(budget, monotonic=clock.monotonic, sleep=clock.sleep, headroom=headroom)
    times = calls(pacer, clock, 4 * per_minute + 3)
    assert densest(times, 60) <= per_minute
    assert densest(times, 60) == max(1, int(headroom * per_minute))


@pytest.mark.parametrize("per_minute", [60, 1000])
def test_in_the_long_run_the_pace_is_the_headroom_and_no_less(per_minute: int) -> None:
    clock = FakeClock()
    budget = RateBudget(per_minute=per_minute)
    pacer = LocalPacer(budget, monotonic=clock.monotonic, sleep=clock.sleep)
    times = calls(pacer, clock, 20 * per_minute)
    rate = len(times) / (times[-1] - times[0]) * 60
    assert 0.9 * per_minute <= rate <= 0.96 * per_minute


@pytest.mark.parametrize(("per_second", "per_minute"), [(1, None), (10, None), (50, 1000), (5, 60)])
def test_no_second_holds_more_calls_than_the_provider_permits(
    per_second: int, per_minute: int | None
) -> None:
    clock = FakeClock()
    budget = RateBudget(per_second=per_second, per_minute=per_minute)
    pacer = LocalPacer(budget, monotonic=clock.monotonic, sleep=clock.sleep)
    times = calls(pacer, clock, 3000)
    assert densest(times, 1) <= per_second
    if per_minute:
        assert densest(times, 60) <= per_minute


def test_a_small_job_never_waits_and_a_large_one_only_for_the_next_minute() -> None:
    clock = FakeClock()
    pacer = LocalPacer(RateBudget(per_minute=1000), monotonic=clock.monotonic, sleep=clock.sleep)
    times = calls(pacer, clock, 901)
    assert times[:900] == [1000.0] * 900
    assert times[900] == 1060.0


def test_operations_have_budgets_of_their_own() -> None:
    clock = FakeClock()
    pacer = LocalPacer(RateBudget(per_second=1), monotonic=clock.monotonic, sleep=clock.sleep)
    pacer.wait("list")
    pacer.wait("insert")
    assert clock.slept == []
    pacer.wait("list")
    assert clock.slept == [1.0]


def test_without_limits_nobody_waits() -> None:
    clock = FakeClock()
    pacer = LocalPacer(RateBudget(), monotonic=clock.monotonic, sleep=clock.sleep)
    assert calls(pacer, clock, 1000) == [1000.0] * 1000
    FreePacer().wait("list")
    FreePacer().slow_down("list", 1e9)


@pytest.mark.parametrize("budget", [RateBudget(), RateBudget(per_second=10, per_minute=300)])
def test_slowing_down_stops_that_operation_for_that_long_and_no_other(budget: RateBudget) -> None:
    clock = FakeClock()
    pacer = LocalPacer(budget, monotonic=clock.monotonic, sleep=clock.sleep)
    pacer.wait("list")
    pacer.slow_down("list", 7)
    pacer.slow_down("list", 3)
    pacer.wait("insert")
    assert clock.now == 1000.0
    pacer.wait("list")
    assert clock.now == pytest.approx(1007.0)


def test_slowing_down_holds_up_a_call_that_is_already_waiting() -> None:
    clock = FakeClock()
    told = []

    def sleep(seconds: float) -> None:
        if not told:
            told.append(seconds)
            pacer.slow_down("list", 30)
        clock.sleep(seconds)

    pacer = LocalPacer(RateBudget(per_second=1), monotonic=clock.monotonic, sleep=sleep)
    pacer.wait("list")
    pacer.wait("list")
    assert clock.now >= 1030.0


def test_threads_that_ask_at_once_get_turns_one_after_the_other() -> None:
    lock, pauses = Lock(), [0.0] * 9

    def sleep(seconds: float) -> None:
        with lock:
            pauses.append(seconds)

    pacer = LocalPacer(RateBudget(per_second=10), monotonic=lambda: 5.0, sleep=sleep)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(pacer.wait, ["insert"] * 40))
    assert sorted(pauses) == [float(number // 9) for number in range(40)]


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
