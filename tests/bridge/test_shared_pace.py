"""Processes on one database keep one pace: exact, shared, without asking for every call."""

import multiprocessing
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bridge.budget import SECOND, TRAVEL, Ledger, Used, Window
from bridge.pacing import SharedPacer
from bridge.simulation.lanes import Lanes
from bridge.store import Store, StoreError, Tx, open_store
from bridge.vault import Vault
from connectors.capabilities import RateBudget
from connectors.errors import RateLimitedError, RetryableError
from connectors.pacing import FreePacer, JointPacer

FEISHU = RateBudget(per_second=50, per_minute=1000, shared_by="app")
GOOGLE = RateBudget(per_minute=600)


def pacer_of(store: Store, clock: Lanes, budget: RateBudget, name: str = "app") -> SharedPacer:
    return SharedPacer(
        store, name, budget, now=clock.now, monotonic=clock.monotonic, sleep=clock.sleep
    )


def densest(times: list[float], seconds: float) -> int:
    """The most calls that any window of that length holds."""
    times = sorted(times)
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def driven(
    clock: Lanes, pacers: list[SharedPacer], seconds: float, per_call: float
) -> list[list[float]]:
    """When the calls of each lane were let through, each asking again and again."""
    end = clock.seconds + seconds

    def lane(pacer: SharedPacer, times: list[float]) -> Callable[[], None]:
        def calls() -> None:
            while True:
                pacer.wait("list")
                if clock.seconds >= end:
                    return
                times.append(clock.seconds)
                clock.sleep(per_call)

        return calls

    heard: list[list[float]] = [[] for _pacer in pacers]
    clock.run([lane(pacer, times) for pacer, times in zip(pacers, heard, strict=True)])
    return heard


@pytest.mark.parametrize(
    ("budget", "processes", "per_call"),
    [
        (FEISHU, 1, 0.002),
        (FEISHU, 1, 0.05),
        (FEISHU, 4, 0.03),
        (GOOGLE, 1, 0.05),
        (GOOGLE, 3, 0.2),
        (RateBudget(per_second=5, per_minute=60), 2, 0.5),
    ],
)
def test_alone_or_together_they_reach_nine_tenths_of_the_permitted_rate_and_never_exceed_it(
    store: Store,
    open_again: Callable[[], Store],
    budget: RateBudget,
    processes: int,
    per_call: float,
) -> None:
    clock = Lanes()
    stores = [store, *(open_again() for _more in range(processes - 1))]
    pacers = [pacer_of(each, clock, budget) for each in stores]
    heard = driven(clock, pacers, 120, per_call)
    times = [at for each in heard for at in each]
    assert budget.per_minute is not None
    assert densest(times, 60) <= budget.per_minute
    assert budget.per_second is None or densest(times, 1) <= budget.per_second
    assert len(times) >= 0.9 * 2 * budget.per_minute
    assert min(map(len, heard)) > 0


def test_under_load_a_transaction_is_worth_many_calls(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    take = Tx.take_slice

    def counted(self: Tx, *arguments: object) -> object:
        nonlocal asked
        asked += 1
        return take(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Tx, "take_slice", counted)
    clock = Lanes()
    (times,) = driven(clock, [pacer_of(store, clock, GOOGLE)], 60, 0.01)
    assert len(times) > 500
    assert asked < len(times) / 10


def test_a_slice_of_a_dead_process_comes_back_after_its_time(
    store: Store, open_again: Callable[[], Store]
) -> None:
    clock = Lanes()
    with open_again().begin() as tx:  # takes everything, and is never heard of again
        limits = (Window(SECOND + TRAVEL, 10),)
        found = tx.take_slice("app", "list", limits, 10, SECOND // 4, None, clock.now())
    assert found.permits == 10
    pacer = pacer_of(store, clock, RateBudget(per_second=10.7))
    times: list[float] = []

    def lane() -> None:
        for _call in range(10):
            pacer.wait("list")
            times.append(clock.seconds)

    clock.run([lane])
    assert times[0] >= 1.25
    assert times[-1] <= 1.25 + 0.2


def test_patience_asked_of_one_process_is_kept_by_all_but_for_that_operation_alone(
    store: Store, open_again: Callable[[], Store]
) -> None:
    clock = Lanes()
    ours, theirs = (pacer_of(each, clock, FEISHU) for each in (store, open_again()))
    times: dict[str, float] = {}

    def lane() -> None:
        ours.slow_down("list", 7)
        ours.slow_down("list", 3)
        for who, pacer, operation in (
            ("others", theirs, "insert"),
            ("theirs", theirs, "list"),
            ("ours", ours, "list"),
        ):
            pacer.wait(operation)
            times[who] = clock.seconds

    clock.run([lane])
    assert times["others"] == 0
    assert times["theirs"] >= 7
    assert times["ours"] >= 7
    assert max(times.values()) < 7.2


def test_patience_asked_for_in_the_middle_of_a_slice_counts_for_what_is_left_of_it(
    store: Store,
) -> None:
    clock = Lanes()
    pacer = pacer_of(store, clock, GOOGLE)
    times: list[float] = []

    def lane() -> None:
        for _call in range(20):
            pacer.wait("list")
        pacer.slow_down("list", 5)
        pacer.wait("list")
        times.append(clock.seconds)

    clock.run([lane])
    assert times[0] >= 5


def test_nobody_sits_out_an_hour_that_the_provider_asks_for(
    store: Store, open_again: Callable[[], Store]
) -> None:
    """Here and in another process the call is refused at once, with how long it will be."""
    clock = Lanes()
    told, other = (pacer_of(each, clock, GOOGLE) for each in (store, open_again()))
    told.wait("insert")
    told.slow_down("insert", 3600)
    began = clock.seconds
    for pacer in (told, other):
        with pytest.raises(RateLimitedError) as refused:
            pacer.wait("insert")
        assert 3590 < refused.value.after <= 3600 + 60
    assert clock.seconds == began
    clock.seconds += 3600
    told.wait("insert")


def test_budgets_of_different_names_and_operations_do_not_know_each_other(store: Store) -> None:
    clock = Lanes()
    narrow = RateBudget(per_minute=1)

    def lane() -> None:
        for name, operation in (("one", "list"), ("one", "get"), ("two", "list")):
            pacer_of(store, clock, narrow, name).wait(operation)

    clock.run([lane])
    assert clock.seconds == 0


def test_a_call_that_counts_against_two_budgets_waits_for_the_fuller_one(store: Store) -> None:
    clock = Lanes()
    project = pacer_of(store, clock, RateBudget(per_minute=2), "project")
    alice = JointPacer(pacer_of(store, clock, GOOGLE, "alice"), project)
    bob = JointPacer(pacer_of(store, clock, GOOGLE, "bob"), project)
    times: list[float] = []

    def lane() -> None:
        for pacer in (alice, bob):
            pacer.wait("list")
            times.append(clock.seconds)
        alice.slow_down("list", 90)
        bob.wait("list")
        times.append(clock.seconds)
        alice.wait("list")
        times.append(clock.seconds)

    clock.run([lane])
    assert times[0] == 0
    assert 60 <= times[1] < 63
    assert times[2] < 126
    assert times[3] >= times[1] + 90
    JointPacer(FreePacer()).wait("list")


def test_a_clock_that_was_set_back_closes_no_budget(store: Store) -> None:
    clock = Lanes()
    pacer = pacer_of(store, clock, RateBudget(per_minute=1))

    def lane() -> None:
        pacer.wait("list")

    clock.run([lane])
    early = clock.now() - timedelta(hours=1)
    late = SharedPacer(
        store,
        "app",
        RateBudget(per_minute=1),
        now=lambda: early,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )
    late.wait("list")
    assert clock.seconds == 0


def test_while_the_database_is_away_calls_fail_in_a_way_that_is_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Store, **_how: bool) -> object:
        raise StoreError("the database is away")

    clock = Lanes()
    pacer = pacer_of(store, clock, GOOGLE)
    monkeypatch.setattr(Store, "begin", away)
    with pytest.raises(RetryableError, match="the database is away"):
        pacer.wait("list")
    pacer.slow_down("list", 1)


def test_what_was_not_used_is_free_again_and_what_was_counts_from_when_it_was() -> None:
    window = Window(1_000_000, 10)
    ledger = Ledger([window])
    ledger.take(10, 500_000)
    assert ledger.room(0) == 0
    assert ledger.room_from(0) == 1_500_000
    ledger.settle(Used(permits=10, end=500_000, calls=4, last=100_000))
    again = Ledger.read([window], ledger.write(0))
    assert again.room(0) == 6
    assert again.room_from(0) == 0
    again.take(6, 600_000)
    assert again.room_from(0) == 1_100_000
    assert again.room(1_100_000) == 4
    assert Ledger.read([window], again.write(2_000_000)).room(2_000_000) == 10


# -- real processes and real time ------------------------------------------------------------------

BURST = RateBudget(per_second=40)


def _call(url: str, key: str, count: int, told: "multiprocessing.Queue[list[float]]") -> None:
    with open_store(url, vault=Vault([key]), now=lambda: datetime.now(UTC)) as store:
        pacer = SharedPacer(
            store, "app", BURST, now=None, monotonic=time.monotonic, sleep=time.sleep
        )
        times = []
        for _number in range(count):
            pacer.wait("list")
            times.append(time.monotonic())
    told.put(times)


def test_real_processes_share_the_budget_to_the_call(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[list[float]] = context.Queue()
    key = Vault.generate_key()
    started = [
        context.Process(target=_call, args=(database_url, key, 50, told)) for _process in range(3)
    ]
    for process in started:
        process.start()
    times = [at for _process in started for at in told.get(timeout=60)]
    for process in started:
        process.join()
    assert len(times) == 150
    assert densest(times, 1) <= 40
