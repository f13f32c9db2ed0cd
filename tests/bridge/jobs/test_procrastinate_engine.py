"""What the queue of Procrastinate loses, doubles or leaves behind does no harm."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from bridge.config import load
from bridge.errors import ConfigError
from bridge.jobs import Done, Ending, Fence, open_engine
from bridge.store import Claim, Store, StoreError, open_store
from bridge.vault import Vault

pytestmark = pytest.mark.parametrize("kind", ["procrastinate-postgresql"], indirect=True)


def ask(store: Store, statement: str, **values: object) -> object:
    with store.begin() as tx:
        return tx.connection.execute(text(statement), values).scalar()


def waiting(store: Store) -> object:
    return ask(store, "SELECT count(*) FROM procrastinate_jobs")


def finish(_claim: Claim, _fence: Fence) -> Ending:
    return Done(None)


def test_a_hint_and_its_job_are_committed_together_or_not_at_all(bench) -> None:
    links = bench.add_links(3)

    def hint_and_fail() -> None:
        with bench.store.begin() as tx:
            tx.hint(links, bench.soon(0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hint_and_fail()
    assert waiting(bench.store) == 0
    bench.hint(*links)
    assert waiting(bench.store) == 3


def test_a_job_that_waits_already_does_not_undo_the_hint(bench) -> None:
    [link] = bench.add_links(1)
    bench.hint(link)
    with bench.store.begin() as tx:
        [claim] = tx.claim("w", 1, bench.soon(0), 30)
        tx.finish(link, "w", claim.dirty, None)
    bench.hint(link)
    job = bench.store.job(link)
    assert (job.dirty, job.pending) == (2, True)
    assert waiting(bench.store) == 1


def test_links_whose_job_was_lost_run_all_the_same(bench, start) -> None:
    links = bench.add_links(5)
    bench.hint(*links)
    ask(bench.store, "WITH lost AS (DELETE FROM procrastinate_jobs RETURNING 1) SELECT 1")
    start(finish)
    bench.until(bench.idle)


def test_a_job_that_its_worker_left_behind_stops_nothing_and_is_removed(bench, start) -> None:
    [link] = bench.add_links(1)
    bench.hint(link)
    ask(bench.store, "UPDATE procrastinate_jobs SET status = 'doing' RETURNING 1")
    start(finish)
    bench.until(bench.idle)
    bench.until(lambda: waiting(bench.store) == 0)


def test_a_second_job_of_a_running_link_does_nothing(bench, start) -> None:
    [link] = bench.add_links(1)
    with bench.store.begin() as tx:
        tx.hint([link], bench.soon(0))
        tx.claim("somebody else", 1, bench.soon(0), 3600)
    runs: list[int] = []

    def handler(claim: Claim, _fence: Fence) -> Ending:
        runs.append(claim.link_id)
        return Done(None)

    start(handler)
    bench.until(lambda: waiting(bench.store) == 0)
    assert runs == []
    assert bench.store.job(link).owner == "somebody else"


def test_nothing_is_left_in_the_queue_by_runs_that_fail(bench, start) -> None:
    [link] = bench.add_links(1)
    runs = [0]

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        runs[0] += 1
        if runs[0] == 1:
            raise ZeroDivisionError
        return Done(None)

    start(handler)
    bench.hint(link)
    bench.until(lambda: runs[0] == 2 and bench.idle() and waiting(bench.store) == 0)
    assert ask(bench.store, "SELECT count(*) FROM procrastinate_events") == 0


def test_it_needs_postgresql_and_says_so(
    kind: str, tmp_path: Path, vault: Vault, sqlite_url: str
) -> None:
    assert kind == "procrastinate-postgresql"
    with (
        open_store(sqlite_url, vault=vault, now=lambda: datetime.now(UTC)) as store,
        pytest.raises(StoreError, match="needs a PostgreSQL database"),
    ):
        open_engine("procrastinate", store)
    config = tmp_path / "config.yaml"
    config.write_text(
        "connectors: {hub: {type: memory, world: w}}\nservice:\n  engine: procrastinate\n"
    )
    with pytest.raises(ConfigError) as refused:
        load(config)
    [problem] = refused.value.problems
    assert (problem.place, problem.line) == ("service.engine", 3)
    assert "procrastinate needs PostgreSQL" in problem.message


def test_without_its_package_the_config_says_what_to_install(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kind == "procrastinate-postgresql"
    path = tmp_path / "config.yaml"
    path.write_text(
        "database: postgresql://db.example.com/bridge\n"
        "connectors: {hub: {type: memory, world: w}}\nservice: {engine: procrastinate}\n"
    )
    assert load(path).service.engine == "procrastinate"
    monkeypatch.setattr("bridge.config.find_spec", lambda _name: None)
    with pytest.raises(ConfigError) as refused:
        load(path)
    [problem] = refused.value.problems
    assert "feishu-calendar-bridge[procrastinate]" in problem.message
