"""One event, whatever becomes of requests and answers; nobody's edit is overwritten."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import pytest

from connectors.errors import (
    ConflictError,
    FatalError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from connectors.sandbox.faults import Fault
from connectors.testing.builders import at, cancelled, edited, event, moved, reverted
from mappings import merge
from mappings.model import Attendee, Event, Key, Override, Person

ALICE = "alice@example.com"
KEY = sha256(b"one").hexdigest()
WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10")
SECOND, THIRD, FOURTH = (Key(f"2026-03-{day:02}T10:00:00") for day in (9, 16, 23))
WRITE = "^(POST|PUT|PATCH|DELETE) /calendar"


def holds(copy, wanted):
    """The copy shows what was wanted; Google itself adds the organiser."""
    return {path for path in merge.changes(copy.event, wanted) if path[-1] != "organizer"} == set()


def living(google):
    return [wire for wire in google.sandbox.events(ALICE) if wire["status"] != "cancelled"]


def shown(google, connector, ref):
    found = connector.fetch(ALICE, ref)
    assert found is not None
    return found


# -- what a call costs ------------------------------


def test_an_insert_is_one_call_and_mails_nobody(google):
    connector = google.connect()
    connector.occurrences(ALICE, at_utc("2026-01-01"), at_utc("2026-01-02"))
    list(connector.changes(ALICE, None))
    before = google.mark()
    made = connector.create(ALICE, event(), KEY)
    assert google.api_calls(before) == ["events.insert"]
    assert dict(google.sandbox.calls("events.insert")[0].query)["sendUpdates"] == "none"
    assert made.ref == KEY
    assert made.origin == KEY


def test_a_change_is_a_read_and_a_guarded_write(google):
    connector = google.connect()
    made = connector.create(ALICE, event(), KEY)
    before = google.mark()
    connector.update(ALICE, made, edited(made.event, title="Retro"))
    assert google.api_calls(before) == ["events.get", "events.update"]
    assert google.sandbox.calls("events.update")[0].headers["if-match"] == made.version()


def test_an_occurrence_of_a_new_series_is_written_without_looking(google):
    connector = google.connect()
    list(connector.changes(ALICE, None))
    before = google.mark()
    wanted = cancelled(moved(WEEKLY, SECOND, start="2026-03-10T15:00"), THIRD)
    made = connector.create(ALICE, wanted, KEY)
    assert google.api_calls(before) == ["events.insert", "events.update"]
    assert holds(made, wanted)


def test_a_known_exception_is_removed_with_one_guarded_call(google):
    connector = google.connect()
    made = connector.create(ALICE, moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    before = google.mark()
    changed = connector.update(ALICE, made, cancelled(made.event, SECOND))
    assert google.api_calls(before) == ["events.delete"]
    assert changed.event.overrides_by_key[SECOND].cancelled
    assert shown(google, connector, made.ref).event == changed.event


def test_only_the_touched_occurrence_is_written(google):
    connector = google.connect()
    both = moved(moved(WEEKLY, SECOND, start="2026-03-10T15:00"), THIRD, start="2026-03-17T15:00")
    made = connector.create(ALICE, both, KEY)
    before = google.mark()
    connector.update(ALICE, made, edited(made.event, THIRD, title="Elsewhere"))
    (written,) = google.sandbox.calls("events.update", since=before)
    assert written.path.endswith(made.member(f"occurrence:{THIRD}").id)


def test_what_the_bridge_does_not_know_survives_its_changes(google):
    wire = google.sandbox.seed_event(
        ALICE,
        {
            "summary": "Theirs",
            "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Asia/Shanghai"},
            "end": {"dateTime": "2026-03-02T10:00:00", "timeZone": "Asia/Shanghai"},
            "extendedProperties": {"private": {"foreign": "1"}, "shared": {"other": "2"}},
            "guestsCanModify": True,
            "source": {"title": "wiki", "url": "https://example.com/page"},
        },
    )
    connector = google.connect()
    copy = shown(google, connector, wire["id"])
    connector.update(ALICE, copy, edited(copy.event, title="Ours"))
    (now,) = living(google)
    assert now["summary"] == "Ours"
    for name in ("extendedProperties", "guestsCanModify", "source"):
        assert now[name] == wire[name]


# -- lost answers ------------------------------


def test_an_insert_whose_answer_is_lost_makes_one_event(google):
    connector = google.connect()
    google.sandbox.faults.add(Fault(match=f"{WRITE}.*/events", action="drop_after"))
    made = connector.create(ALICE, event(), KEY)
    assert [wire["id"] for wire in living(google)] == [made.ref]
    assert [entry.status for entry in google.sandbox.calls("events.insert")] == [0, 409]


def test_a_series_whose_insert_lost_its_answer_gets_its_exceptions_all_the_same(google):
    connector = google.connect()
    wanted = moved(WEEKLY, SECOND, start="2026-03-10T15:00")
    google.sandbox.faults.add(Fault(match=f"{WRITE}.*/events", action="drop_after"))
    made = connector.create(ALICE, wanted, KEY)
    assert holds(made, wanted)
    assert shown(google, connector, KEY) == made


def test_a_write_is_sent_once_and_repeated_only_by_our_own_decision(google):
    connector = google.connect()
    list(connector.changes(ALICE, None))
    google.sandbox.faults.add(Fault(match=f"{WRITE}.*/events", action="drop_after", times=0))
    with pytest.raises(OutcomeUnknownError):
        connector.create(ALICE, event(), KEY)
    assert len(google.sandbox.calls()) - 2 == len(google.slept) + 1
    google.sandbox.faults.clear()
    assert connector.find(ALICE, KEY).ref == KEY


def test_an_update_whose_answer_is_lost_counts_as_done(google):
    connector = google.connect()
    made = connector.create(ALICE, event(), KEY)
    google.sandbox.faults.add(Fault(match="^PUT ", action="drop_after"))
    changed = connector.update(ALICE, made, edited(made.event, title="Retro"))
    assert changed.event.details.title == "Retro"
    assert shown(google, connector, KEY) == changed
    assert [entry.status for entry in google.sandbox.calls("events.update")] == [0, 412]


def test_an_occurrence_whose_answer_is_lost_counts_as_done(google):
    connector = google.connect()
    made = connector.create(ALICE, WEEKLY, KEY)
    google.sandbox.faults.add(Fault(match="^PUT ", action="drop_after"))
    wanted = moved(made.event, SECOND, start="2026-03-10T15:00")
    changed = connector.update(ALICE, made, wanted)
    assert changed.event == wanted
    assert shown(google, connector, KEY) == changed


def test_an_update_that_can_never_be_settled_is_unknown(google):
    connector = google.connect()
    made = connector.create(ALICE, event(), KEY)
    google.sandbox.faults.add(Fault(match="^PUT ", action="drop_before", times=0))
    with pytest.raises(OutcomeUnknownError):
        connector.update(ALICE, made, edited(made.event, title="Retro"))


def test_a_delete_whose_answer_is_lost_is_done(google):
    connector = google.connect()
    made = connector.create(ALICE, event(), KEY)
    google.sandbox.faults.add(Fault(match="^DELETE ", action="drop_after"))
    connector.delete(ALICE, made)
    assert living(google) == []
    assert [entry.status for entry in google.sandbox.calls("events.delete")] == [0, 410]


@pytest.mark.parametrize("action", ["truncate", "html"])
def test_a_spoilt_answer_to_an_insert_leaves_one_event(google, action):
    connector = google.connect()
    google.sandbox.faults.add(Fault(match=f"{WRITE}.*/events", action=action, status=200))
    made = connector.create(ALICE, event(), KEY)
    assert [wire["id"] for wire in living(google)] == [made.ref]


# -- conflicts ------------------------------


def test_a_refused_change_shows_what_stands_there_now(google):
    connector = google.connect()
    made = connector.create(ALICE, event(), KEY)
    google.sandbox.edit(ALICE, "change", ALICE, KEY, {"summary": "Person's"})
    with pytest.raises(ConflictError) as refused:
        connector.update(ALICE, made, edited(made.event, title="Ours"))
    assert refused.value.current == shown(google, connector, KEY)
    assert living(google)[0]["summary"] == "Person's"


def test_an_edit_between_our_read_and_our_write_is_noticed(google):
    connector = google.connect()
    made = connector.create(ALICE, event(), KEY)
    google.sandbox.faults.add(
        Fault(match="^PUT ", action="status", status=412, body=envelope(412, "conditionNotMet"))
    )
    google.sandbox.faults.add(
        Fault(match="^GET .*/events/", action="rewrite", name="unknown_fields", skip=0)
    )
    changed = connector.update(ALICE, made, edited(made.event, title="Ours"))
    assert changed.event.details.title == "Ours"
    assert len(google.sandbox.calls("events.get")) == 2


def test_a_new_version_of_the_same_content_is_no_conflict(google):
    connector = google.connect()
    made = connector.create(ALICE, event(), KEY)
    google.sandbox.edit(ALICE, "change", ALICE, KEY, {"guestsCanModify": True})
    changed = connector.update(ALICE, made, edited(made.event, title="Ours"))
    assert changed.event.details.title == "Ours"
    google.sandbox.edit(ALICE, "change", ALICE, KEY, {"guestsCanModify": False})
    connector.delete(ALICE, changed)
    assert living(google) == []


def test_an_occurrence_that_a_person_changed_meanwhile_is_not_overwritten(google):
    connector = google.connect()
    made = connector.create(ALICE, WEEKLY, KEY)
    occurrence = f"{KEY}_20260309T090000Z"
    google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"summary": "Person's"})
    with pytest.raises(ConflictError) as refused:
        connector.update(ALICE, made, edited(made.event, SECOND, title="Ours"))
    override = refused.value.current.event.overrides_by_key[SECOND]
    assert override.details.title == "Person's"


def test_an_occurrence_that_a_person_changed_meanwhile_is_not_cancelled(google):
    connector = google.connect()
    made = connector.create(ALICE, moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    occurrence = made.member(f"occurrence:{SECOND}").id
    google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"summary": "Person's"})
    with pytest.raises(ConflictError):
        connector.update(ALICE, made, cancelled(made.event, SECOND))
    assert "Person's" in [wire.get("summary") for wire in living(google)]


def test_a_move_of_the_series_does_not_end_an_occurrence_that_a_person_changed_meanwhile(google):
    connector = google.connect()
    made = connector.create(ALICE, WEEKLY, KEY)
    occurrence = f"{KEY}_20260309T090000Z"
    google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"summary": "Person's"})
    later = moved(made.event, start="2026-03-02T15:00")
    with pytest.raises(ConflictError) as refused:
        connector.update(ALICE, made, later)
    assert refused.value.current.event.overrides_by_key[SECOND].details.title == "Person's"
    assert "Person's" in [wire.get("summary") for wire in living(google)]


def test_an_occurrence_that_a_person_changed_meanwhile_is_not_taken_out_of_its_series(google):
    connector = google.connect()
    made = connector.create(ALICE, WEEKLY, KEY)
    occurrence = f"{KEY}_20260309T090000Z"
    google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"summary": "Person's"})
    with pytest.raises(ConflictError):
        connector.update(ALICE, made, cancelled(made.event, SECOND))
    assert "Person's" in [wire.get("summary") for wire in living(google)]


def test_a_calendar_that_is_gone_is_never_taken_for_a_deleted_event(google):
    shared = google.sandbox.add_calendar(ALICE, "Team")
    connector = google.connect()
    made = connector.create(shared, event(), KEY)
    google.sandbox.share(shared, ALICE, None)
    for attempt in (
        lambda: connector.fetch(shared, KEY),
        lambda: connector.find(shared, KEY),
        lambda: connector.delete(shared, made),
        lambda: connector.update(shared, made, edited(made.event, title="Ours")),
        lambda: list(connector.changes(shared, None)),
    ):
        with pytest.raises(FatalError) as refused:
            attempt()
        assert refused.value.code == "calendar-gone"


# -- ids of the dead ------------------------------


def test_a_deleted_event_of_the_same_key_is_brought_back(google):
    connector = google.connect()
    made = connector.create(ALICE, moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    connector.delete(ALICE, made)
    wanted = cancelled(edited(WEEKLY, title="Again"), FOURTH)
    again = connector.create(ALICE, wanted, KEY)
    assert again.ref == KEY
    assert holds(again, wanted)
    assert shown(google, connector, KEY).event == again.event


def test_a_key_that_a_person_deleted_for_good_is_reported_as_spent(google):
    connector = google.connect()
    connector.create(ALICE, event(), KEY)
    google.sandbox.edit(ALICE, "remove", ALICE, KEY)
    with pytest.raises(ConflictError) as refused:
        connector.create(ALICE, event(), KEY)
    assert refused.value.code == "dead-key"
    assert refused.value.current is None
    next_generation = sha256(b"two").hexdigest()
    assert connector.create(ALICE, event(), next_generation).ref == next_generation


# -- series ------------------------------


@pytest.mark.parametrize("fate", ["keep_on_rule", "keep_all", "drop_all"])
def test_exceptions_survive_a_move_of_their_series_whatever_google_does_to_them(google, fate):
    google.sandbox.switches.exceptions_on_time_change = fate
    connector = google.connect()
    made = connector.create(ALICE, moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    wanted = moved(
        event("Review", "2026-03-02T11:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10"),
        Key("2026-03-09T11:00:00"),
        start="2026-03-10T15:00",
    )
    changed = connector.update(ALICE, made, wanted)
    assert holds(changed, wanted)
    assert shown(google, connector, KEY).event == changed.event


def test_renaming_a_series_deletes_no_exception_and_keeps_what_is_on_it(google):
    connector = google.connect()
    connector.create(ALICE, moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    foreign = {"private": {"foreign": "1"}}
    occurrence = f"{KEY}_20260309T090000Z"
    google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"extendedProperties": foreign})
    copy = shown(google, connector, KEY)
    before = google.mark()
    changed = connector.update(ALICE, copy, edited(copy.event, title="Renamed"))
    assert google.api_calls(before) == ["events.get", "events.update", "events.list"]
    assert changed.event.overrides == copy.event.overrides
    now = google.sandbox.edit(ALICE, "get", ALICE, occurrence)
    assert now["extendedProperties"]["private"]["foreign"] == "1"


def test_an_occurrence_that_the_rule_does_not_give_is_made_as_an_extra_date(google):
    connector = google.connect()
    loose = Key("2026-03-11T10:00:00")
    extra = Override(
        key=loose, details=WEEKLY.details, when=at("2026-03-11T16:00", "Europe/Berlin")
    )
    made = connector.create(ALICE, replace(WEEKLY, overrides=(extra,)), KEY)
    assert made.event.rdates == (loose,)
    assert made.event.overrides_by_key[loose].when == extra.when
    assert shown(google, connector, KEY).event == made.event


def test_an_exception_can_come_and_go_and_the_series_is_as_before(google):
    connector = google.connect()
    made = connector.create(ALICE, WEEKLY, KEY)
    away = connector.update(ALICE, made, cancelled(made.event, THIRD))
    back = connector.update(ALICE, away, reverted(away.event, THIRD))
    assert back.event == made.event
    assert shown(google, connector, KEY).event == made.event


def test_an_occurrence_that_a_person_removed_can_come_back(google):
    connector = google.connect()
    connector.create(ALICE, WEEKLY, KEY)
    google.sandbox.edit(ALICE, "remove", ALICE, f"{KEY}_20260309T090000Z")
    seen = shown(google, connector, KEY)
    assert seen.event.overrides_by_key[SECOND].cancelled
    google.sandbox.switches.revive_after_ui_delete = True
    back = connector.update(ALICE, seen, reverted(seen.event, SECOND))
    assert back.event.overrides == ()
    assert shown(google, connector, KEY).event.overrides == ()


def test_all_day_series_name_their_occurrences_by_date(google):
    connector = google.connect()
    daily = event("Leave", "2026-03-02", rule="FREQ=DAILY;COUNT=5")
    wanted = moved(daily, Key("2026-03-04"), start="2026-03-20")
    made = connector.create(ALICE, wanted, KEY)
    assert made.member("occurrence:2026-03-04").id == f"{KEY}_20260304"
    assert holds(made, wanted)


# -- limits, mails, threads ------------------------------


def test_googles_own_figure_for_waiting_is_obeyed(google):
    connector = google.connect()
    google.sandbox.faults.add(
        Fault(
            match="^POST .*/events",
            action="status",
            status=429,
            headers={"Retry-After": "17"},
            body=envelope(429, "rateLimitExceeded"),
        )
    )
    connector.create(ALICE, event(), KEY)
    assert google.slept[0] >= 17


def test_the_request_rate_of_a_user_is_waited_out(google):
    connector = google.connect()
    google.sandbox.limits.per_user = 5
    for number in range(8):
        connector.create(ALICE, event(f"E{number}"), sha256(str(number).encode()).hexdigest())
    assert len(living(google)) == 8
    assert google.slept


def test_a_spent_calendar_quota_is_passed_on_instead_of_waited_for(google):
    connector = google.connect()
    google.sandbox.faults.add(
        Fault(
            match="^POST .*/events",
            action="status",
            status=403,
            body=envelope(403, "quotaExceeded"),
        )
    )
    with pytest.raises(RateLimitedError) as refused:
        connector.create(ALICE, event(), KEY)
    assert refused.value.after >= 3600
    assert google.slept == []


def test_content_that_google_refuses_is_rejected_at_once(google):
    connector = google.connect()
    empty: Event = replace(event(), when=at("2026-03-02T09:00", minutes=-5))
    with pytest.raises(RejectedError) as refused:
        connector.create(ALICE, empty, KEY)
    assert refused.value.code == "timeRangeEmpty"
    assert len(google.sandbox.calls("events.insert")) == 1


def test_guests_are_mailed_when_they_are_invited_and_only_then(open_google):
    google = open_google()
    guest = Attendee(person=Person(email="guest@example.com"))
    connector = google.connect()
    made = connector.create(ALICE, event(attendees=(guest,)), KEY)
    invited = len(google.sandbox.mails)
    assert invited
    renamed = connector.update(ALICE, made, edited(made.event, title="New name"))
    connector.delete(ALICE, renamed)
    assert len(google.sandbox.mails) == invited


def test_eight_threads_create_forty_events_each_once(google):
    connector = google.connect()
    keys = [sha256(str(number).encode()).hexdigest() for number in range(40)]
    google.sandbox.faults.add(
        Fault(match="^POST .*/events", action="drop_after", times=6, chance=0.4)
    )
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda key: connector.create(ALICE, event(key), key), keys))
    assert [copy.ref for copy in made] == keys
    assert [copy.event.details.title for copy in made] == keys
    assert sorted(wire["id"] for wire in living(google)) == sorted(keys)
    assert len(google.sandbox.calls("oauth.token")) == 1


def envelope(status, reason):
    errors = [{"domain": "usageLimits", "reason": reason, "message": reason}]
    return {"error": {"errors": errors, "code": status, "message": reason}}


def at_utc(day):
    from datetime import UTC, datetime

    return datetime.fromisoformat(day).replace(tzinfo=UTC)
