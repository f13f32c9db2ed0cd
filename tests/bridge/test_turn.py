"""A turn ends when enough is done and others wait, and never before it was worth the reading."""

from bridge.turn import LEAST, Turn


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.asked = 0

    def __call__(self) -> float:
        return self.seconds

    def others(self) -> bool:
        self.asked += 1
        return True


def test_a_turn_ends_after_its_units() -> None:
    clock = Clock()
    turn = Turn(clock.others, clock, units=100, seconds=60)
    assert not any(turn.is_over(done) for done in range(100))
    assert clock.asked == 0
    assert turn.is_over(100)


def test_a_turn_ends_after_its_seconds_unless_hardly_anything_was_done() -> None:
    clock = Clock()
    turn = Turn(clock.others, clock, units=1000, seconds=60)
    assert not turn.is_over(0)
    clock.seconds = 60
    assert not turn.is_over(LEAST - 1)
    assert turn.is_over(LEAST)


def test_a_turn_is_as_long_as_the_reading_before_it() -> None:
    clock = Clock()
    turn = Turn(clock.others, clock, units=100, seconds=10)
    clock.seconds = 300
    assert not turn.is_over(0)
    clock.seconds = 599
    assert not turn.is_over(5000)
    clock.seconds = 600
    assert turn.is_over(5000)


def test_whoever_nobody_waits_for_goes_on_and_asks_seldom() -> None:
    asked: list[int] = []
    turn = Turn(lambda: bool(asked.append(1)), lambda: 0.0, units=100, seconds=60)
    assert not any(turn.is_over(done) for done in range(1000))
    assert len(asked) == 900 // LEAST
