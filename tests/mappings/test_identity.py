import re
from dataclasses import replace
from datetime import date, datetime, timedelta

from mappings import identity, recurrence
from mappings.model import Details, Event, Override, Person, When

A = ("feishu", "ou_1", "feishu.cn_x@group.calendar.feishu.cn")
B = ("google", "alice@example.com", "primary")
HOUR = timedelta(hours=1)
WHEN = When(start=datetime.fromisoformat("2027-02-01T09:00"), duration=HOUR, zone="Asia/Shanghai")
EVENT = Event(details=Details(title="Weekly"), when=WHEN, uid="x")


def test_names_depend_on_every_part() -> None:
    link = identity.link_uid(A, B)
    names = {
        link,
        identity.link_uid(B, A),
        identity.link_uid(A, ("google", "alice@example.com", "primary2")),
        identity.unit_id(link, "a", "ref"),
        identity.unit_id(link, "b", "ref"),
        identity.unit_id(link, "a", "ref2"),
        identity.create_key(link, "u", "a", 0),
        identity.create_key(link, "u", "a", 1),
        identity.create_key(link, "u", "b", 0),
        identity.create_key(link, "u2", "a", 0),
    }
    assert len(names) == 10


def test_parts_cannot_be_confused_by_joining_them() -> None:
    assert identity.unit_id("ab", "c", "") != identity.unit_id("a", "bc", "")
    assert identity.create_key("l", "u", "a1", 1) != identity.create_key("l", "u", "a", 11)


def test_names_are_the_same_in_every_installation() -> None:
    assert identity.link_uid(A, B) == "b04f5c795074a3086e1599c386f6e3d5"
    key = identity.create_key("l", "u", "a", 0)
    assert key == "19eb31d9d6aa594a6211f8a2e0fce863340abc352156241b7ef84a284019dce2"


def test_a_create_key_is_legal_at_every_provider() -> None:
    key = identity.create_key("l", "u", "a", 3)
    assert re.fullmatch(r"[0-9a-f]{64}", key)


def test_a_fingerprint_ignores_hints_and_nothing_else() -> None:
    mark = identity.fingerprint(EVENT)
    assert identity.fingerprint(replace(EVENT, uid="y")) == mark
    for other in (
        replace(EVENT, details=Details(title="Weekly!")),
        replace(EVENT, when=replace(WHEN, zone="Asia/Tokyo")),
        replace(EVENT, when=replace(WHEN, fold=1)),
        replace(EVENT, overrides=(Override(key=WHEN.key, cancelled=True),)),
    ):
        assert identity.fingerprint(other) != mark
    counted = replace(EVENT, rule=recurrence.parse_rule("FREQ=DAILY;COUNT=2", WHEN))
    until = replace(EVENT, rule=recurrence.parse_rule("FREQ=DAILY;UNTIL=20270202T010000Z", WHEN))
    assert identity.fingerprint(counted) == identity.fingerprint(until) != mark


def test_the_same_meeting_pairs_whatever_zone_it_is_shown_in() -> None:
    elsewhere = When(
        start=datetime.fromisoformat("2027-02-01T02:00"), duration=HOUR, zone="Europe/Berlin"
    )
    one = identity.pairing_key(EVENT)
    assert one == identity.pairing_key(
        replace(EVENT, when=elsewhere, details=Details(title="WEEKLY"))
    )
    assert one != identity.pairing_key(replace(EVENT, when=replace(WHEN, duration=2 * HOUR)))
    assert one != identity.pairing_key(replace(EVENT, details=Details(title="Other")))
    assert one != identity.pairing_key(
        replace(EVENT, when=When(start=date(2027, 2, 1), duration=HOUR))
    )


def test_what_has_no_title_pairs_with_nothing() -> None:
    assert identity.pairing_key(replace(EVENT, details=Details())) is None
    assert identity.pairing_key(replace(EVENT, details=Details(title="x", redacted=True))) is None


def test_only_organisers_known_to_differ_keep_a_pair_apart() -> None:
    def by(person: Person | None) -> Event:
        return replace(EVENT, details=Details(title="x", organizer=person))

    alice, bob = Person(email="alice@example.com"), Person(email="bob@example.com")
    assert not identity.same_organizer([by(alice), by(bob)])
    assert identity.same_organizer([by(alice), by(alice), by(None), by(Person(name="A"))])
