"""What a meter tells of the calls that are made within it."""

import itertools

import pytest

from connectors.errors import RateLimitedError, RetryableError
from connectors.metering import Called, Meter


class LostOnTheWayError(RetryableError):
    """As connectors have them: a class of their own."""


@pytest.fixture
def told() -> list[Called]:
    return []


@pytest.fixture
def meter(told: list[Called]) -> Meter:
    clock = itertools.chain([1.0, 3.5, 10.0, 10.25])
    return Meter("cloud", monotonic=lambda: next(clock), report=told.append)


def test_a_call_that_succeeds_is_told_with_its_length(meter: Meter, told: list[Called]) -> None:
    with meter.call("read"):
        pass
    with meter.call("write"):
        pass
    assert told == [
        Called(connector="cloud", kind="read", outcome="ok", seconds=2.5),
        Called(connector="cloud", kind="write", outcome="ok", seconds=0.25),
    ]


def test_an_error_is_told_by_its_consequence_and_goes_on(meter: Meter, told: list[Called]) -> None:
    with pytest.raises(LostOnTheWayError), meter.call("read"):
        raise LostOnTheWayError("gone")
    with pytest.raises(ZeroDivisionError), meter.call("read"):
        raise ZeroDivisionError
    assert [call.outcome for call in told] == ["RetryableError", "other"]


def test_an_error_that_came_as_an_answer_counts_too(meter: Meter, told: list[Called]) -> None:
    with meter.call("write") as pending:
        pending.failed = RateLimitedError("slowly", after=1)
    assert [call.outcome for call in told] == ["RateLimitedError"]


def test_the_end_of_the_process_is_no_call(meter: Meter, told: list[Called]) -> None:
    with pytest.raises(KeyboardInterrupt), meter.call("read"):
        raise KeyboardInterrupt
    assert told == []
