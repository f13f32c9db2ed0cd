"""Units: found by every name, equal after the round trip, readable by the hundred thousand."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.records import Endpoint, Intent, Link, Op, Side, Unit, UnitState
from bridge.store import Store, StoreError
from connectors.contract import Copy, Member
from mappings.model import Details, Event, Freq, Key, Loss, Override, Rule, When

NOON = datetime.fromisoformat("2026-03-02T12:00:00")
EXCHANGE_ID = "AAMkAD" + "aZ09+/" * 80 + "=="


def event(title: str = "Review") -> Event:
    when = When(start=NOON, duration=timedelta(hours=1), zone="Asia/Shanghai")
    return Event(details=Details(title=title), when=when, uid="uid@host")


def copy(ref: str, title: str = "Review", *more: Member) -> Copy:
    main = Member(part="main", id=ref, version="v1")
    return Copy(ref=ref, event=event(title), members=(main, *more))


def unit(link: int, name: str, a: Copy | None = None, b: Copy | None = None) -> Unit:
    return Unit(
        id=name,
        link_id=link,
        ref_a=a.ref if a else None,
        ref_b=b.ref if b else None,
        a=a,
        b=b,
    )


def put(store: Store, *units: Unit) -> None:
    with store.begin() as tx:
        tx.put_units(units)


@pytest.fixture
def link(store: Store) -> int:
    end = Endpoint(connector="feishu", account="ann", calendar="c")
    with store.begin() as tx:
        return tx.put_link(Link(id=0, uid="u", name="ann/google", user="ann", a=end, b=end)).id


def test_a_unit_comes_back_equal(store: Store, link: int) -> None:
    series = replace(
        event("周会 \N{CALENDAR}"),
        rule=Rule(freq=Freq.WEEKLY, by_day=((0, "MO"),), until=Key("2026-06-01T12:00:00")),
        overrides=(Override(key=Key("2026-03-09T12:00:00"), cancelled=True),),
    )
    a = Copy(
        ref="evt_1",
        event=series,
        members=(
            Member(part="main", id="evt_1", version="7"),
            Member(part="occurrence:2026-03-09T12:00:00", id="evt_1_x", version=None),
        ),
        origin="0f" * 20,
        organized=False,
        updated=datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC),
    )
    whole = replace(
        unit(link, "unit-1", a, copy(EXCHANGE_ID)),
        state=UnitState.PARKED,
        policy_digest="abc",
        generation=2,
        losses=(Loss(field="color", detail="Exchange has no colour per event"),),
        error_code="TOO_LONG",
        error="title too long",
        attempts=3,
        retry_at=datetime(2026, 3, 2, 9, 30, 0, 1, tzinfo=UTC),
        rewrites=4,
        former_a=("evt_0", "evt_half"),
    )
    put(store, whole)
    stored = store.unit(link, "unit-1")
    assert stored == whole
    assert stored is not None
    assert stored.a is not None
    assert stored.a.event.uid == "uid@host"


@pytest.mark.parametrize("title", ["half \ud83d a pair", "a \0 NUL", "\u2028 \x1b %s ' \" \\"])
def test_text_that_no_database_likes_is_kept(store: Store, link: int, title: str) -> None:
    whole = unit(link, "odd", copy("r", title))
    put(store, whole)
    assert store.unit(link, "odd") == whole


def test_an_error_text_never_stops_the_bridge(store: Store, link: int) -> None:
    put(store, replace(unit(link, "odd"), error="bad \0 and \ud83d"))
    stored = store.unit(link, "odd")
    assert stored is not None
    assert stored.error == "bad \N{REPLACEMENT CHARACTER} and ?"


def test_units_are_found_by_either_ref_and_case_matters(store: Store, link: int) -> None:
    upper, lower = unit(link, "1", copy("AAa"), copy("g1")), unit(link, "2", copy("aaA"))
    put(store, upper, lower)
    assert store.units_by_ref(link, Side.A, ["AAa", "aaA", "AAA"]) == {"AAa": upper, "aaA": lower}
    assert store.units_by_ref(link, Side.B, ["g1", "AAa"]) == {"g1": upper}
    assert store.units_by_ref(link + 1, Side.A, ["AAa"]) == {}
    assert store.units_by_ref(link, Side.A, []) == {}


def test_a_thousand_refs_are_looked_up_at_once(store: Store, link: int) -> None:
    put(store, *(unit(link, f"{n:04}", copy(f"r{n}")) for n in range(1201)))
    found = store.units_by_ref(link, Side.A, [f"r{n}" for n in range(1300)])
    assert {ref: one.id for ref, one in found.items()} == {f"r{n}": f"{n:04}" for n in range(1201)}


def test_a_ref_without_a_shadow_is_found(store: Store, link: int) -> None:
    unread = replace(unit(link, "1"), ref_a="r1", state=UnitState.PARKED, error_code="MALFORMED")
    put(store, unread)
    assert store.units_by_ref(link, Side.A, ["r1"]) == {"r1": unread}
    assert list(store.refs(link, Side.A)) == [("r1", "1")]


def test_units_are_found_by_any_member_until_they_lose_it(store: Store, link: int) -> None:
    part = Member(part="occurrence:2026-03-09", id="evt_9", version="1")
    whole = unit(link, "1", copy("evt", "Review", part), copy("evt_9"))
    put(store, whole)
    assert store.unit_by_member(link, Side.A, "evt_9") == whole
    assert store.unit_by_member(link, Side.A, "evt") == whole
    assert store.unit_by_member(link, Side.A, "EVT") is None
    put(store, unit(link, "1", copy("evt"), copy("evt_9")))
    assert store.unit_by_member(link, Side.A, "evt_9") is None
    assert store.unit_by_member(link, Side.B, "evt_9") is not None


def test_a_unit_is_known_by_what_it_was_called_before_until_it_is_done(
    store: Store, link: int
) -> None:
    whole = unit(link, "1", copy("first"), copy("other"))
    for ref in ("second", "third"):
        whole = whole.with_copy(Side.A, copy(ref))
    put(store, whole)
    assert store.former_refs(link, Side.A, ["third", "other"]) == {"third": ("first", "second")}
    assert store.former_refs(link, Side.B, ["other"]) == {}
    assert store.unit_by_former_ref(link, Side.A, "first") == whole
    assert store.unit_by_former_ref(link, Side.A, "third") is None
    assert store.unit_by_member(link, Side.A, "first") is None
    assert store.units_by_name(link, Side.A, ["first"]) == {}
    put(store, replace(whole, state=UnitState.DONE, a=None, b=None))
    assert store.unit_by_former_ref(link, Side.A, "first") is None
    assert store.former_refs(link, Side.A, ["third"]) == {}


def test_a_unit_has_a_former_name_only_where_something_took_its_place() -> None:
    whole = Unit(id="1", link_id=1, ref_a="r")
    assert whole.with_copy(Side.A, copy("r")).former_a == ()
    assert whole.with_copy(Side.A, None).former_a == ()
    assert whole.without(Side.A).with_copy(Side.A, copy("s")).former_a == ()
    again = whole.with_copy(Side.A, copy("s")).with_copy(Side.A, copy("r"))
    assert (again.ref_a, again.former_a) == ("r", ("s",))
    for number in range(20):
        whole = whole.with_copy(Side.A, copy(str(number)))
    assert whole.former_a == tuple(map(str, range(11, 19)))


def test_one_event_can_never_belong_to_two_living_units(store: Store, link: int) -> None:
    put(store, unit(link, "1", copy("r")))
    with pytest.raises(StoreError):
        put(store, unit(link, "2", copy("r")))
    assert [one.id for one in store.units(link)] == ["1"]
    put(store, unit(link, "1"), unit(link, "2", copy("r")))
    assert store.units_by_ref(link, Side.A, ["r"])["r"].id == "2"


def test_a_tombstone_keeps_its_ref_and_gives_way_to_the_living(store: Store, link: int) -> None:
    buried = replace(unit(link, "1", copy("r")), state=UnitState.DONE)
    put(store, buried)
    assert store.units_by_ref(link, Side.A, ["r"]) == {"r": buried}
    assert list(store.refs(link, Side.A)) == []
    living = unit(link, "0", copy("r"))
    put(store, living)
    assert store.units_by_ref(link, Side.A, ["r"]) == {"r": living}
    assert store.unit_by_member(link, Side.A, "r") == living
    assert list(store.refs(link, Side.A)) == [("r", "0")]


def test_units_stream_in_order_and_by_state(store: Store, link: int) -> None:
    names = [f"{n:05}" for n in range(1100)]
    parked = set(names[::100])
    put(
        store,
        *(
            replace(unit(link, name), state=UnitState.PARKED if name in parked else UnitState.LIVE)
            for name in reversed(names)
        ),
    )
    assert [one.id for one in store.units(link)] == names
    assert [one.id for one in store.units(link, state=UnitState.PARKED)] == names[::100]
    assert store.count_units(link) == {
        UnitState.LIVE: 1089,
        UnitState.PARKED: 11,
        UnitState.DROPPED: 0,
        UnitState.DONE: 0,
    }


def test_units_may_be_written_while_they_are_read(store: Store, link: int) -> None:
    put(store, *(unit(link, f"{n:05}") for n in range(1100)))
    for one in store.units(link):
        if one.id.endswith("00"):
            put(store, replace(one, generation=1))
    assert sum(one.generation for one in store.units(link)) == 11


def test_reading_a_large_link_needs_flat_memory(store: Store, link: int) -> None:
    body = "x" * 2_000

    def fill(first: int, last: int) -> None:
        details = Details(title="t", description=body)
        long = replace(event(), details=details)
        put(
            store,
            *(
                unit(link, f"{n:05}", replace(copy(f"r{n}"), event=long))
                for n in range(first, last)
            ),
        )

    def peak() -> int:
        tracemalloc.start()
        for _ in store.units(link):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    fill(0, 1_000)
    small = peak()
    fill(1_000, 3_000)
    assert store.count_units(link)[UnitState.LIVE] == 3_000
    assert peak() < 1.5 * small


def test_retries_come_when_they_are_due(store: Store, link: int) -> None:
    start = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    for minutes in (30, 10, 20):
        retry_at = start + timedelta(minutes=minutes)
        put(
            store,
            replace(unit(link, f"{minutes}"), state=UnitState.PARKED, retry_at=retry_at),
        )
    put(store, replace(unit(link, "person"), state=UnitState.PARKED))
    put(store, replace(unit(link, "well again"), retry_at=start))
    assert store.next_retry(link) == start + timedelta(minutes=10)
    assert store.due_retries(link, start) == []
    due = store.due_retries(link, start + timedelta(minutes=20))
    assert [one.id for one in due] == ["10", "20"]


def test_explain_finds_a_unit_by_what_a_person_has_at_hand(store: Store, link: int) -> None:
    part = Member(part="occurrence:2026-03-09", id="evt_9", version="1")
    whole = unit(link, "1f3a", copy(EXCHANGE_ID, "Größe 100%_ Review", part), copy("g7", "周会"))
    put(store, whole, unit(link, "ffff", copy("other", "Lunch")))
    for query in ("1f3a", EXCHANGE_ID, "g7", "evt_9", "grösse", "100%_", "REVIEW", "周会"):
        assert store.find_units(query) == [whole], query
    for query in ("1F3A", "100__", "Dinner"):
        assert store.find_units(query) == [], query
    assert len(store.find_units("n", limit=1)) == 1


def test_forgetting_a_links_content_makes_its_next_pass_a_first_one(
    store: Store, link: int
) -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    put(store, unit(link, "1", copy("r")))
    with store.begin() as tx:
        tx.set_cursor(link, Side.A, "cursor")
        tx.add_intents(
            [
                Intent(
                    id=0,
                    link_id=link,
                    run_id=1,
                    unit_id="1",
                    side=Side.B,
                    op=Op.CREATE,
                    key="k",
                    desired=None,
                    at=at,
                )
            ]
        )
        tx.drop_units(link)
    assert list(store.units(link)) == []
    assert store.unit_by_member(link, Side.A, "r") is None
    assert store.cursor(link, Side.A) is None
    assert store.intents(link) == []
