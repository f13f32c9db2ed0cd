"""What the database and the two sides say when everything has come to rest."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select

from bridge import config as config_file
from bridge.records import LinkState, RunKind, UnitState
from bridge.runtime import Runtime, System
from bridge.store import Store
from bridge.store.schema import intents, journal, metadata, runs
from bridge.verify import verify


def overlaps(store: Store) -> int:
    """How many runs of a link began while another one of it was at work: it had not ended, and
    wrote to the journal later. A run that was killed ends with its last word there."""
    last_word = select(journal.c.run_id, func.max(journal.c.at)).group_by(journal.c.run_id)
    with store.reading() as connection:
        wrote = dict(connection.execute(last_word).tuples().all())
        rows = connection.execute(
            select(runs.c.link_id, runs.c.id, runs.c.started, runs.c.ended).order_by(runs.c.started)
        ).all()
    by_link = defaultdict(list)
    for link, run, started, ended in rows:
        by_link[link].append((started, ended or wrote.get(run) or started))
    return sum(
        later[0] < earlier[1]
        for history in by_link.values()
        for earlier, later in pairwise(history)
    )


def rows(store: Store) -> dict[str, int]:
    """How many rows each table holds."""
    with store.reading() as connection:
        return {
            name: int(connection.scalar(select(func.count()).select_from(table)) or 0)
            for name, table in metadata.tables.items()
        }


def at_rest(store: Store) -> bool:
    """Whether the last run of every link has ended well, and none has left a write to be settled:
    what a killed process had begun may look right already."""
    latest = select(func.max(runs.c.id)).group_by(runs.c.link_id)
    with store.reading() as connection:
        endings = connection.scalars(select(runs.c.outcome).where(runs.c.id.in_(latest))).all()
        begun = connection.scalar(select(func.count()).select_from(intents))
    return set(endings) == {"ok"} and not begun


def until(true: Callable[[], bool], patience: float) -> bool:
    """Whether it came true in that many seconds."""
    deadline = time.monotonic() + patience
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def unrest(config: Path, system: System | None = None) -> Iterator[str]:
    """What is not at rest, asked of the database, of both sides, and of one more pass."""
    with Runtime(config_file.load(config), system) as runtime:
        store = runtime.store
        if count := overlaps(store):
            yield f"{count} runs of a link began while another one was at work"
        for item in runtime.ready(runtime.select()):
            link, name = item.link, item.link.name
            writes = runtime.link_pass(item).run(RunKind.SYNC).counts.writes
            if writes:
                yield f"{name}: one more pass wrote {writes}"
            if link.state is not LinkState.ACTIVE:
                yield f"{name} is {link.state.value}: {link.reason}"
            if store.intents(link.id):
                yield f"{name}: intents are still open"
            for unit in store.units(link.id, state=UnitState.PARKED):
                yield f"{name}: a unit is parked: {unit.error}"
            rules = runtime.rules(item.config, link)
            found = verify(link, rules, runtime.connectors(link), store, runtime.system.now())
            for difference in found.differences:
                yield f"{name}: {difference}"
