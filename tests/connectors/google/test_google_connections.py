"""Which open connection to Google the next call takes."""

import pytest

from connectors.google.transport import IDLE, Connections


class Watch:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_next_call_takes_the_connection_that_became_free_last() -> None:
    pool = Connections(1.0)
    with pool.lent() as first, pool.lent() as second:
        assert first is not second
    with pool.lent() as third:
        assert third is first
        with pool.lent() as fourth:
            assert fourth is second
    pool.close()


def test_a_connection_whose_call_failed_is_not_used_again() -> None:
    pool = Connections(1.0)
    with pytest.raises(TimeoutError), pool.lent() as broken:
        raise TimeoutError
    with pool.lent() as next_:
        assert next_ is not broken
    pool.close()


def test_a_connection_that_was_idle_for_long_is_closed_and_not_used() -> None:
    watch = Watch()
    pool = Connections(1.0, watch)
    with pool.lent() as http:
        http.connections["http:nowhere.example"] = closed = Closed()
    watch.now = IDLE
    with pool.lent() as next_:
        assert next_ is not http
    assert closed.times == 1
    pool.close()


def test_a_connection_in_use_when_all_are_closed_is_closed_when_its_call_is_over() -> None:
    pool = Connections(1.0)
    with pool.lent() as http:
        http.connections["http:nowhere.example"] = closed = Closed()
        pool.close()
        assert closed.times == 0
    assert closed.times == 1


class Closed:
    """Stands for a socket."""

    times = 0

    def close(self) -> None:
        """Count."""
        self.times += 1
