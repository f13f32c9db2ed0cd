"""The clock of the sandboxes, which a test can move, and stop."""

import threading
import time

import pytest

from connectors.sandbox.clock import Clock


def test_who_waits_is_woken_when_the_clock_is_put_forward() -> None:
    clock = Clock()
    woken: list[bool] = []
    then = clock.time() + 3600
    wait = threading.Thread(target=lambda: woken.append(clock.wait_until(then, lambda: False)))
    wait.start()
    clock.advance(3600)
    wait.join(60)
    assert woken == [True]


@pytest.mark.parametrize("hair", [1e-6, 1e-3])
def test_who_waits_for_a_clock_that_stands_does_not_keep_asking_it(hair: float) -> None:
    """Sums of large floats miss by a hair what they should have been."""
    clock = Clock()
    clock.freeze()
    asked, end = [0], time.monotonic() + 0.3

    def over() -> bool:
        asked[0] += 1
        return time.monotonic() > end

    assert not clock.wait_until(clock.time() + hair, over)
    assert asked[0] < 20
