"""Links and cursors, runs, intents and journal, calendars and pushes."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.records import (
    Endpoint,
    Intent,
    JournalEntry,
    Link,
    LinkState,
    Op,
    Run,
    RunKind,
    Side,
)
from bridge.store import CalendarChanges, Store, StoreError
from connectors.contract import Calendar, Role

AT = datetime(2026, 3, 2, 9, 0, 0, 250, tzinfo=UTC)
LINK = Link(
    id=0,
    uid="u1",
    name="ann/google",
    user="ann",
    a=Endpoint(connector="feishu", account="ou_1", calendar="feishu.cn_x"),
    b=Endpoint(connector="google", account="ann@example.com", calendar="primary"),
    policy_digest="p1",
)


def put(store: Store, link: Link) -> Link:
    with store.begin() as tx:
        return tx.put_link(link)


def test_a_link_keeps_its_number_when_it_is_put_again(store: Store) -> None:
    stored = put(store, LINK)
    assert stored == replace(LINK, id=stored.id)
    renamed = put(store, replace(LINK, name="ann/work", policy_digest="p2"))
    assert renamed.id == stored.id
    assert store.links() == [renamed]
    assert store.link("ann/work") == store.link_by_id(stored.id) == renamed
    assert store.link("ann/google") is None


def test_putting_a_link_again_never_releases_it(store: Store) -> None:
    link = put(store, LINK)
    with store.begin() as tx:
        tx.set_link_state(link.id, LinkState.HELD, "17 deletions")
    assert put(store, LINK).state is LinkState.HELD
    held = store.link("ann/google")
    assert held is not None
    assert (held.state, held.reason) == (LinkState.HELD, "17 deletions")


def test_of_two_links_with_one_name_the_living_is_meant(store: Store) -> None:
    living = put(store, LINK)
    ended = put(store, replace(LINK, uid="u2", state=LinkState.ENDED))
    assert ended.id > living.id
    assert store.link("ann/google") == living


def test_the_state_of_an_unknown_link_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="no link"), store.begin() as tx:
        tx.set_link_state(99, LinkState.HELD, "why")


def test_cursors_are_kept_per_side_and_can_be_given_up(store: Store) -> None:
    link = put(store, LINK).id
    long = "H4sIAAA" * 2_000
    with store.begin() as tx:
        tx.set_cursor(link, Side.A, "first")
        tx.set_cursor(link, Side.B, long)
    with store.begin() as tx:
        tx.set_cursor(link, Side.A, "second")
        assert tx.cursor(link, Side.A) == "second"
    assert store.cursor(link, Side.B) == long
    with store.begin() as tx:
        tx.set_cursor(link, Side.A, None)
    assert store.cursor(link, Side.A) is None
    assert store.cursor(link, Side.B) == long


def test_settings_are_kept(store: Store) -> None:
    assert store.setting("web_secret") is None
    with store.begin() as tx:
        tx.put_setting("web_secret", "1")
        tx.put_setting("web_secret", "2")
    assert store.setting("web_secret") == "2"


def intent(link: int, unit: str, desired: object = None) -> Intent:
    return Intent(
        id=0,
        link_id=link,
        run_id=1,
        unit_id=unit,
        side=Side.B,
        op=Op.CREATE,
        key="0" * 40,
        desired=desired,
        at=AT,
    )


def test_intents_wait_in_their_order_until_they_are_dropped(store: Store) -> None:
    link = put(store, LINK).id
    new = [intent(link, f"unit-{n}", {"title": f"t{n}", "half": "\ud83d"}) for n in range(1_100)]
    with store.begin() as tx:
        stored = tx.add_intents(new)
        assert tx.add_intents([]) == []
    assert [replace(one, id=0) for one in stored] == new
    assert len({one.id for one in stored}) == 1_100
    assert store.intents(link) == stored
    with store.begin() as tx:
        tx.drop_intents([one.id for one in stored[2:]])
        tx.drop_intent(stored[0].id)
    assert store.intents(link) == [stored[1]]


def test_the_number_of_a_dropped_intent_is_never_used_again(store: Store) -> None:
    link = put(store, LINK).id
    with store.begin() as tx:
        [first] = tx.add_intents([intent(link, "1")])
        tx.drop_intent(first.id)
        [second] = tx.add_intents([intent(link, "2")])
    assert second.id > first.id


def entry(number: int, link: int = 1, unit: str = "u", run: int = 1) -> JournalEntry:
    return JournalEntry(
        id=0,
        at=AT + timedelta(minutes=number),
        run_id=run,
        link_id=link,
        unit_id=unit,
        side=Side.A if number % 2 else None,
        op="update",
        cause="changed on b",
        title=f"entry {number}",
        before={"title": "old \0"},
        after={"title": "new"},
        lost=["mine"] if number % 3 == 0 else None,
    )


def test_the_journal_reads_backwards_page_by_page(store: Store) -> None:
    entries = [entry(number) for number in range(25)]
    with store.begin() as tx:
        tx.journal(entries)
    read: list[JournalEntry] = []
    before = None
    while page := store.journal(limit=10, before_id=before):
        read += page
        before = page[-1].id
    assert [replace(one, id=0) for one in reversed(read)] == entries


def test_the_journal_is_read_by_link_unit_and_run(store: Store) -> None:
    with store.begin() as tx:
        tx.journal(
            [entry(0), entry(1, link=2), entry(2, link=2, unit="v"), entry(3, link=2, run=2)]
        )
    assert [one.title for one in store.journal(link_id=2)] == ["entry 3", "entry 2", "entry 1"]
    assert [one.title for one in store.journal(unit_id="v")] == ["entry 2"]
    assert [one.title for one in store.journal(link_id=2, run_id=1)] == ["entry 2", "entry 1"]
    assert store.journal(link_id=3) == []


def test_old_journal_entries_can_be_forgotten(store: Store) -> None:
    with store.begin() as tx:
        tx.journal([entry(0), entry(1), entry(2)])
        assert tx.forget_journal(AT + timedelta(minutes=2)) == 2
    assert [one.title for one in store.journal()] == ["entry 2"]


def test_runs_open_and_close(store: Store) -> None:
    link = put(store, LINK).id
    other = put(store, replace(LINK, uid="u2")).id
    later = AT + timedelta(seconds=3)
    with store.begin() as tx:
        first = tx.start_run(link, RunKind.BACKFILL, AT)
        second = tx.start_run(link, RunKind.SYNC, later)
        third = tx.start_run(other, RunKind.SYNC, later)
    assert first == Run(id=first.id, link_id=link, kind=RunKind.BACKFILL, started=AT)
    with store.begin() as tx:
        tx.finish_run(first.id, later, "done", {"created": 3})
    closed = replace(first, ended=later, outcome="done", counts={"created": 3})
    assert store.run(first.id) == closed
    assert store.runs(link) == [second, closed]
    assert store.runs(link, limit=1) == [second]
    assert store.runs() == [third, second, closed]
    with pytest.raises(StoreError, match="no run"), store.begin() as tx:
        tx.finish_run(999, later, "done")


def test_a_push_is_new_once_per_connector(store: Store) -> None:
    with store.begin() as tx:
        assert tx.seen_push("feishu", "evt-1", AT)
        assert not tx.seen_push("feishu", "evt-1", AT)
        assert tx.seen_push("google", "evt-1", AT)
    with store.begin() as tx:
        assert not tx.seen_push("feishu", "evt-1", AT + timedelta(hours=1))
        assert tx.forget_pushes(AT + timedelta(seconds=1)) == 2
        assert tx.seen_push("feishu", "evt-1", AT)


WORK = Calendar(id="c1", name="Work", role=Role.OWNER, primary=True, zone="Asia/Shanghai")
TEAM = Calendar(id="C1", name="Team", role=Role.WRITER, foreign="google")
HOME = Calendar(id="c3", name="Home", role=Role.READER)


def test_changes_in_an_accounts_calendars_are_told(store: Store) -> None:
    with store.begin() as tx:
        first = tx.put_calendars("feishu", "ann", [WORK, TEAM])
        tx.put_calendars("feishu", "bob", [HOME])
    assert first == CalendarChanges(new=(WORK, TEAM))
    assert store.calendars("feishu", "ann") == [WORK, TEAM]
    renamed = replace(WORK, name="Büro")
    lowered = replace(TEAM, role=Role.READER, foreign="")
    with store.begin() as tx:
        changes = tx.put_calendars("feishu", "ann", [lowered, HOME, renamed])
        assert not tx.put_calendars("feishu", "ann", [lowered, HOME, renamed])
    assert changes == CalendarChanges(
        new=(HOME,),
        renamed=((WORK, renamed),),
        role_changed=((TEAM, lowered),),
        foreign_changed=((TEAM, lowered),),
    )
    assert store.calendars("feishu", "ann") == [lowered, HOME, renamed]
    with store.begin() as tx:
        assert tx.put_calendars("feishu", "ann", []).removed == (lowered, HOME, renamed)
    assert store.calendars("feishu", "ann") == []
    assert store.calendars("feishu", "bob") == [HOME]


def test_two_processes_may_see_an_accounts_calendars_at_once(store: Store) -> None:
    def see() -> None:
        with store.begin() as tx:
            tx.put_calendars("feishu", "ann", [TEAM, WORK])

    with ThreadPoolExecutor(1) as pool:
        with store.begin() as tx:
            tx.put_calendars("feishu", "ann", [WORK, TEAM])
            other = pool.submit(see)
            time.sleep(0.2)  # it has looked, and waits for this transaction to write
        other.result()
    assert store.calendars("feishu", "ann") == [TEAM, WORK]
