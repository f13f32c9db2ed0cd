"""What is forgotten, what is kept, and that of many processes one does it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge import config as config_file
from bridge.errors import ConfigError
from bridge.housekeeping import IDLE_RUNS_KEPT, JOURNAL_KEPT, LEAST, Housekeeping
from bridge.nightly import SPREAD, latest_night
from bridge.records import Endpoint, JournalEntry, Link, LinkState, RunKind
from bridge.runtime import System
from bridge.store import Store
from bridge.vault import Vault
from connectors.errors import ReauthorizeError, RetryableError

END = Endpoint(connector="feishu", account="ann", calendar="c1")
OTHER = Endpoint(connector="google", account="ann", calendar="c2")
AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Provider:
    """Notes whose consent it was asked to keep alive; `fault` is what comes of it."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.fault: dict[str, Exception] = {}

    def keep_alive(self, account: str) -> None:
        self.kept.append(account)
        if account in self.fault:
            raise self.fault[account]


class Process:
    """The housekeeping of one process."""

    def __init__(self, store: Store, now: Callable[[], datetime], provider: Provider) -> None:
        accounts = ("ann", "bob", "cid")
        links = [
            SimpleNamespace(
                a=SimpleNamespace(connector="feishu", account=account),
                b=SimpleNamespace(connector="feishu", account=account),
            )
            for account in accounts
        ]
        runtime: Any = SimpleNamespace(
            store=store,
            system=System(now=now),
            config=SimpleNamespace(links=links),
            provider=lambda _name: provider,
        )
        self.housekeeping = Housekeeping(runtime)

    def tidy(self) -> bool:
        return self.housekeeping.tidy()


@pytest.fixture
def link(store: Store) -> Link:
    with store.begin() as tx:
        return tx.put_link(Link(id=0, uid="u1", name="ann/google", user="ann", a=END, b=OTHER))


def run_at(store: Store, link: Link, at: datetime, *, wrote: bool = False) -> int:
    with store.begin() as tx:
        run = tx.start_run(link.id, RunKind.SYNC, at)
        tx.finish_run(run.id, at, "ok")
        if wrote:
            entry = JournalEntry(
                id=0, at=at, run_id=run.id, link_id=link.id, unit_id="x", side=None, op="update",
                cause="",
            )  # fmt: skip
            tx.journal([entry])
    return run.id


def test_idle_runs_are_forgotten_soon_and_those_that_wrote_with_their_journal(
    store: Store, watch: Any, link: Link
) -> None:
    watch.time = AT
    ancient = run_at(store, link, AT - JOURNAL_KEPT - timedelta(hours=1), wrote=True)
    wrote = run_at(store, link, AT - JOURNAL_KEPT + timedelta(hours=1), wrote=True)
    idle = run_at(store, link, AT - IDLE_RUNS_KEPT - timedelta(hours=1))
    recent = run_at(store, link, AT - IDLE_RUNS_KEPT + timedelta(hours=1))
    assert Process(store, watch, Provider()).tidy()
    assert [run.id for run in store.runs(link.id)] == [recent, wrote]
    assert store.run(ancient) is None
    assert store.run(idle) is None
    assert [entry.run_id for entry in store.journal(link.id)] == [wrote]


def test_the_last_run_of_a_link_is_kept_however_old(store: Store, watch: Any, link: Link) -> None:
    watch.time = AT
    run_at(store, link, AT - 3 * JOURNAL_KEPT)
    last = run_at(store, link, AT - 2 * JOURNAL_KEPT)
    assert Process(store, watch, Provider()).tidy()
    assert [run.id for run in store.runs(link.id)] == [last]


def test_many_runs_are_forgotten_bit_by_bit(store: Store, watch: Any, link: Link) -> None:
    with store.begin() as tx:
        for _number in range(25):
            tx.start_run(link.id, RunKind.SYNC, AT - 2 * JOURNAL_KEPT)
    with store.begin() as tx:
        assert tx.forget_runs(AT, AT, limit=10) == 10
        assert tx.forget_runs(AT, AT, limit=10) == 10
        assert tx.forget_runs(AT, AT, limit=10) == 4
        assert tx.forget_runs(AT, AT, limit=10) == 0


def test_of_many_processes_one_makes_the_round(watch: Any, open_again: Callable[[], Store]) -> None:
    watch.time = AT
    provider = Provider()
    crowd = [Process(open_again(), watch, provider) for _ in range(4)]
    made: list[bool] = []
    threads = [threading.Thread(target=lambda one=one: made.append(one.tidy())) for one in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    assert provider.kept == ["ann", "bob", "cid"]
    watch.time = AT + LEAST
    assert crowd[0].tidy()
    assert not crowd[1].tidy()


def test_one_accounts_trouble_is_not_the_others_and_a_lost_consent_is_looked_into(
    store: Store, watch: Any, link: Link
) -> None:
    watch.time = AT
    provider = Provider()
    provider.fault = {"ann": ReauthorizeError("gone"), "bob": RetryableError("away")}
    assert Process(store, watch, provider).tidy()
    assert provider.kept == ["ann", "bob", "cid"]
    job = store.job(link.id)
    assert job is not None
    assert job.pending
    with store.begin() as tx:
        tx.set_link_state(link.id, LinkState.WAITING, "gone")
    watch.time = AT + LEAST
    assert Process(store, watch, provider).tidy()
    assert store.job(link.id) == job, "it is known by now"


# -- nights ----------------------------------------------------------------------------------------

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("uid", ["u1", "u2", "something else"])
def test_every_link_has_one_moment_a_night_where_its_calendar_is(zone: str, uid: str) -> None:
    place, nights = ZoneInfo(zone), set()
    for quarter in range(4 * 24 * 20):
        now = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
        night = latest_night(now, time(3), place, uid)
        assert night <= now < night + timedelta(hours=25, minutes=1)
        nights.add(night)
    for night in nights:
        local = night.astimezone(place)
        assert (
            time(3) <= local.time() <= time(5)
            or local.utcoffset() != (night - SPREAD).astimezone(place).utcoffset()
        )
    assert len(nights) in (20, 21)


def test_links_do_not_all_come_at_once() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    moments = sorted(latest_night(now, time(3), UTC, f"link {n}") for n in range(100))
    assert moments[-1] - moments[0] > SPREAD * 0.9
    assert len({moment.replace(second=0, microsecond=0) for moment in moments}) > 50


@pytest.mark.parametrize(
    ("written", "meant"), [('"04:30"', time(4, 30)), ("4:30", time(4, 30)), ("'0:05'", time(0, 5))]
)
def test_the_hour_is_read_however_yaml_takes_it(tmp_path: Any, written: str, meant: time) -> None:
    assert loaded(tmp_path, written).service.nightly == meant


@pytest.mark.parametrize("written", ['"24:00"', "3", "soon", '"03:60"', "1440", "true"])
def test_what_is_no_hour_is_refused(tmp_path: Any, written: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, written)
    assert "time of day" in "".join(refused.value.lines())


def loaded(folder: Any, nightly: str) -> config_file.Config:
    path = folder / "config.yaml"
    path.write_text(
        f"secret_key: {Vault.generate_key()}\n"
        "connectors: {hub: {type: memory, world: w}}\n"
        f"service: {{nightly: {nightly}}}\n"
    )
    return config_file.load(path, {})
