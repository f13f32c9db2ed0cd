"""An account that does not answer rests as a whole, is asked by one link, and disturbs no other."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bridge.breaker import Breaker, blaming
from bridge.circuit import BASE, CAP, LOOK, PROBE, THRESHOLD
from bridge.records import Endpoint, Link
from bridge.store import Store
from connectors.errors import ConnectorError, ReauthorizeError, RetryableError


class Watch:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, time: timedelta) -> None:
        self.time += time


def link_of(a: str, b: str) -> Link:
    ends = (
        Endpoint(connector=name, account=who, calendar="main")
        for name, who in (("hub", a), ("other", b))
    )
    one, two = ends
    return Link(id=1, uid=a + b, name=f"{a}/{b}", user=a, a=one, b=two)


ANN, ANN_TOO, BOB = link_of("ann", "ann"), link_of("ann", "team"), link_of("bob", "bob")


@pytest.fixture
def clock() -> Watch:
    return Watch()


@pytest.fixture
def breaker(store: Store, clock: Watch) -> Breaker:
    return Breaker(store, now=clock, random=lambda: 1.0)


def fault(link: Link, kind: type[ConnectorError] = RetryableError) -> ConnectorError:
    with pytest.raises(kind) as caught, blaming(link.a), blaming(link.a):
        raise kind("the line is dead")
    return caught.value


def broken(breaker: Breaker) -> datetime:
    """Ann's account at the hub has failed too often; until when it rests."""
    rests = [breaker.failed(ANN, fault(ANN)) for _time in range(THRESHOLD)]
    assert rests[:-1] == [None] * (THRESHOLD - 1)
    assert rests[-1] is not None
    return rests[-1]


def test_all_links_of_an_account_rest_together_after_a_few_faults_and_no_others(
    breaker: Breaker, clock: Watch
) -> None:
    until = broken(breaker)
    assert until == clock.time + BASE
    assert breaker.admit(ANN) == breaker.admit(ANN_TOO) == until
    assert breaker.admit(BOB) is None


def test_a_success_in_between_makes_the_count_begin_anew(breaker: Breaker) -> None:
    for _time in range(THRESHOLD - 1):
        breaker.failed(ANN, fault(ANN))
    breaker.worked(ANN_TOO)
    assert breaker.failed(ANN, fault(ANN)) is None
    assert breaker.admit(ANN) is None


def test_after_its_rest_one_link_asks_and_the_others_wait_for_its_word(
    breaker: Breaker, clock: Watch
) -> None:
    broken(breaker)
    clock.advance(BASE)
    assert breaker.admit(ANN) is None
    assert breaker.admit(ANN_TOO) == clock.time + LOOK
    breaker.worked(ANN)
    assert breaker.admit(ANN_TOO) is None
    assert breaker.admit(ANN) is None


def test_a_probe_that_fails_makes_the_rest_longer_up_to_a_cap(
    breaker: Breaker, clock: Watch
) -> None:
    begun, until = clock.time, broken(breaker)
    rests, silences = [], []
    for _time in range(80):
        clock.time = until
        assert breaker.admit(ANN) is None
        following = breaker.failed(ANN, fault(ANN))
        assert following is not None
        rests.append(following - until)
        silences.append(until - begun)
        until = following
        assert breaker.admit(ANN_TOO) == until
    assert rests[0] == BASE
    assert rests == sorted(rests)
    assert rests[-1] == CAP
    assert all(
        rest <= max(BASE, silence / 8) for rest, silence in zip(rests, silences, strict=True)
    )


def test_runs_that_had_begun_before_make_the_rest_no_longer(breaker: Breaker) -> None:
    until = broken(breaker)
    assert breaker.failed(ANN_TOO, fault(ANN_TOO)) == until
    assert breaker.admit(ANN) == until


def test_a_probe_whose_process_died_is_followed_by_another(breaker: Breaker, clock: Watch) -> None:
    broken(breaker)
    clock.advance(BASE)
    assert breaker.admit(ANN) is None
    clock.advance(PROBE)
    assert breaker.admit(ANN_TOO) is None


def test_an_account_that_refuses_has_answered(breaker: Breaker, clock: Watch) -> None:
    broken(breaker)
    clock.advance(BASE)
    assert breaker.admit(ANN) is None
    breaker.answered(ANN, fault(ANN, ReauthorizeError))
    assert breaker.admit(ANN_TOO) is None
    assert breaker.failed(ANN, fault(ANN)) is None


def test_a_fault_of_the_other_side_says_nothing_of_the_probed_account(
    breaker: Breaker, clock: Watch
) -> None:
    broken(breaker)
    clock.advance(BASE)
    assert breaker.admit(ANN) is None
    error = RetryableError("elsewhere")
    error.account = ("other", "ann")
    breaker.failed(ANN, error)
    assert breaker.admit(ANN_TOO) is None


def test_a_fault_of_nobody_knows_whom_is_held_against_nobody(breaker: Breaker) -> None:
    for _time in range(2 * THRESHOLD):
        assert breaker.failed(ANN, RetryableError("somewhere")) is None
    assert breaker.admit(ANN) is None


def test_all_processes_know_of_it(
    breaker: Breaker, clock: Watch, open_again: Callable[[], Store]
) -> None:
    until = broken(breaker)
    elsewhere = Breaker(open_again(), now=clock, random=lambda: 1.0)
    assert elsewhere.admit(ANN_TOO) == until
    clock.advance(BASE)
    assert elsewhere.admit(ANN_TOO) is None
    assert breaker.admit(ANN) == clock.time + LOOK


def test_an_account_that_no_link_uses_any_more_is_forgotten(
    breaker: Breaker, store: Store, clock: Watch
) -> None:
    until = broken(breaker)
    breaker.failed(BOB, fault(BOB))
    clock.advance(timedelta(hours=1))
    breaker.failed(ANN, fault(ANN))
    with store.begin() as tx:
        tx.forget_circuits(until + timedelta(minutes=10))
    assert set(store.circuits()) == {("hub", "ann")}
