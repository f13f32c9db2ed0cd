"""What is written, what is left alone, and that nobody is disturbed by it."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Copy
from connectors.errors import ConflictError, OutcomeUnknownError, RejectedError
from connectors.sandbox.faults import Fault
from connectors.testing.builders import at, cancelled, edited, event, moved
from mappings.model import Attendee, Busy, Event, Key, Location, Person

KEY = "0123456789abcdef" * 4
WRITES = r"^(POST|PATCH|DELETE) /open-apis/calendar/v4/calendars/[^/]+/events"
WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10",
               reminders=())  # fmt: skip
SECOND, THIRD = Key("2026-03-09T10:00:00"), Key("2026-03-16T10:00:00")


def alive(bench: Any, user: Any) -> list[dict[str, Any]]:
    """What the person sees in his calendar, series as masters and exceptions."""
    listed = bench.sandbox.as_user(user).events(user.primary)
    return [item for item in listed if item["status"] != "cancelled"]


def named(*addresses: str) -> tuple[Attendee, ...]:
    return tuple(Attendee(person=Person(email=address)) for address in addresses)


def invite(bench: Any, user: Any, *lines: dict[str, Any]) -> str:
    """An event with attendees that a person made."""
    body = {
        "summary": "Planning",
        "start_time": {"timestamp": "1772413200", "timezone": "Asia/Shanghai"},
        "end_time": {"timestamp": "1772416800", "timezone": "Asia/Shanghai"},
    }
    return str(bench.sandbox.seed_event(user.primary, body, list(lines)))


def fetched(connector: Any, ref: str) -> Copy:
    found = connector.fetch("primary", ref)
    assert found is not None
    return found


def content(copy: Copy) -> Event:
    """The event without the organiser, whom Feishu names by itself."""
    event = edited(copy.event, organizer=None)
    for override in event.overrides:
        if not override.cancelled:
            event = edited(event, override.key, organizer=None)
    return event


# -- silence ---------------------------------------------------------------------------------------


def test_the_whole_life_of_a_meeting_with_guests_mails_nobody(
    bench: Any, ann: Any, bob: Any
) -> None:
    guests = [
        {"type": "user", "user_id": bob.open_id},
        {"type": "third_party", "third_party_email": "guest@example.org"},
    ]
    ref = invite(bench, ann, *guests)
    connector = bench.connect(ann)
    copy = fetched(connector, ref)
    bare = replace(copy.event, details=replace(copy.event.details, attendees=()))
    copy = connector.update("primary", copy, edited(bare, title="Renamed"))
    copy = connector.update("primary", copy, moved(copy.event, start="2026-03-03T09:00"))
    series = connector.create("primary", moved(WEEKLY, SECOND, start="2026-03-10T10:00"), KEY)
    series = connector.update("primary", series, cancelled(series.event, THIRD))
    connector.delete("primary", series)
    connector.delete("primary", copy)
    assert bench.sandbox.mails == []
    assert alive(bench, ann) == []


def test_every_write_says_that_nobody_is_to_be_notified(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    copy = connector.create("primary", moved(WEEKLY, SECOND, start="2026-03-10T10:00"), KEY)
    connector.update("primary", copy, edited(copy.event, title="Renamed"))
    connector.delete("primary", copy)
    writes = [call for call in bench.sandbox.calls() if call.operation in (
        "events.create", "events.patch", "events.delete")]  # fmt: skip
    assert len(writes) == 5
    for call in writes:
        if call.method == "DELETE":
            assert ("need_notification", "false") in call.query
        else:
            assert json.loads(call.body)["need_notification"] is False


def test_feishu_makes_no_meeting_of_its_own(bench: Any, ann: Any) -> None:
    bench.connect(ann).create("primary", event("Lunch"), KEY)
    [item] = alive(bench, ann)
    assert item["vchat"] == {"vc_type": "no_meeting"}


def test_an_event_without_attendees_leaves_the_invited_alone(
    bench: Any, ann: Any, bob: Any
) -> None:
    ref = invite(bench, ann, {"type": "user", "user_id": bob.open_id})
    connector = bench.connect(ann)
    copy = fetched(connector, ref)
    bare = replace(copy.event, details=replace(copy.event.details, attendees=(), title="New"))
    changed = connector.update("primary", copy, bare)
    assert changed.event.details.attendees == copy.event.details.attendees
    assert fetched(connector, ref).event == changed.event
    assert {item["summary"] for item in alive(bench, bob)} == {"New"}


def test_colleagues_are_invited_as_users_and_others_by_address_once(
    bench: Any, ann: Any, bob: Any
) -> None:
    connector = bench.connect(ann)
    wanted = event("Kick-off", attendees=named("bob@example.com", "guest@example.org"))
    copy = connector.create("primary", wanted, KEY)
    people = bench.sandbox.world.calendars[ann.primary].by_id[copy.ref].event.attendees.values()
    assert {(p.type, p.target) for p in people if not p.organizer} == {
        ("user", bob.open_id),
        ("third_party", "guest@example.org"),
    }
    assert [item["summary"] for item in alive(bench, bob)] == ["Kick-off"]
    assert connector.create("primary", wanted, KEY).ref == copy.ref
    assert bench.count("attendees.create") == 1
    assert {mail["to"] for mail in bench.sandbox.mails} == {"guest@example.org"}
    fewer = edited(wanted, attendees=named("bob@example.com"))
    changed = connector.update("primary", copy, fewer)
    assert "guest@example.org" not in {
        attendee.person.email for attendee in changed.event.details.attendees
    }
    assert [item["summary"] for item in alive(bench, bob)] == ["Kick-off"]


# -- participants ----------------------------------------------------------------------------------


@pytest.fixture
def invited(bench: Any, ann: Any, bob: Any) -> tuple[Any, Copy]:
    """Bob's connector and his copy of Ann's event."""
    ref = invite(bench, ann, {"type": "user", "user_id": bob.open_id})
    connector = bench.connect(bob)
    return connector, fetched(connector, ref)


def test_a_participant_may_change_how_he_sees_the_event(
    bench: Any, ann: Any, invited: tuple[Any, Copy]
) -> None:
    connector, copy = invited
    wanted = edited(copy.event, busy=Busy.FREE, color="#112233", reminders=(15,))
    changed = connector.update("primary", copy, wanted)
    assert changed.event == wanted
    assert [item["free_busy_status"] for item in alive(bench, ann)] == ["busy"]


@pytest.mark.parametrize(
    "change",
    [
        lambda e: edited(e, title="Mine now"),
        lambda e: edited(e, location=Location(name="Elsewhere")),
        lambda e: replace(e, when=at("2026-03-05T09:00")),
        lambda e: edited(e, title="Mine now", busy=Busy.FREE),
    ],
    ids=["title", "place", "time", "both"],
)
def test_a_participant_may_change_nothing_else_and_nothing_is_sent(
    bench: Any, invited: tuple[Any, Copy], change: Any
) -> None:
    connector, copy = invited
    with pytest.raises(RejectedError, match="organiser"):
        connector.update("primary", copy, change(copy.event))
    assert bench.count("events.patch") == 0
    assert fetched(connector, copy.ref) == copy


def test_a_participant_does_not_delete_the_meeting(
    bench: Any, ann: Any, invited: tuple[Any, Copy]
) -> None:
    connector, copy = invited
    with pytest.raises(RejectedError, match="organiser"):
        connector.delete("primary", copy)
    assert bench.count("events.delete") == 0
    assert len(alive(bench, ann)) == 1


def test_a_participant_does_not_touch_single_occurrences(bench: Any, ann: Any, bob: Any) -> None:
    series = bench.connect(ann).create("primary", WEEKLY, KEY)
    bench.sandbox.as_user(ann).invite(
        ann.primary, series.ref, [{"type": "user", "user_id": bob.open_id}]
    )
    connector = bench.connect(bob)
    copy = fetched(connector, series.ref)
    for wanted in (
        cancelled(copy.event, SECOND),
        moved(copy.event, SECOND, start="2026-03-10T10:00"),
    ):
        with pytest.raises(RejectedError, match="organiser"):
            connector.update("primary", copy, wanted)
    assert fetched(connector, series.ref) == copy


# -- keys, losses and repetitions ------------------------------------------------------------------


def test_the_key_of_a_deleted_event_is_reported_as_dead(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    copy = connector.create("primary", event("Once"), KEY)
    connector.delete("primary", copy)
    with pytest.raises(ConflictError) as dead:
        connector.create("primary", event("Once"), KEY)
    assert (dead.value.code, dead.value.current) == ("dead-key", None)
    assert alive(bench, ann) == []


def test_an_old_event_of_the_same_key_is_shown_as_it_is_now_and_not_touched(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann)
    made = connector.create("primary", WEEKLY, KEY)
    bench.sandbox.as_user(ann).patch(ann.primary, made.ref, {"summary": "Renamed by Ann"})
    bench.sandbox.clock.advance(3600)
    shown = connector.create("primary", moved(WEEKLY, SECOND, start="2026-03-10T10:00"), KEY)
    assert shown.ref == made.ref
    assert content(shown) == edited(WEEKLY, title="Renamed by Ann")
    assert bench.count("events.patch") == 0


@pytest.mark.parametrize("action", ["drop_after", "drop_before", "truncate", "html"])
def test_a_create_whose_answers_are_all_lost_is_unknown_and_then_found(
    bench: Any, ann: Any, action: Any
) -> None:
    connector = bench.connect(ann)
    bench.sandbox.faults.add(Fault(WRITES, action, times=5, status=502))
    with pytest.raises(OutcomeUnknownError):
        connector.create("primary", event("Once"), KEY)
    assert connector.create("primary", event("Once"), KEY).event.details.title == "Once"
    assert [item["summary"] for item in alive(bench, ann)] == ["Once"]


@pytest.mark.parametrize("action", ["drop_after", "drop_before", "truncate", "html"])
def test_one_lost_answer_is_made_good_at_once_without_a_second_event(
    bench: Any, ann: Any, action: Any
) -> None:
    connector = bench.connect(ann)
    for skip in range(5):
        bench.sandbox.faults.clear()
        bench.sandbox.faults.add(Fault(WRITES, action, skip=skip, status=502))
        wanted = cancelled(moved(WEEKLY, SECOND, start="2026-03-10T10:00"), THIRD)
        copy = connector.create("primary", wanted, f"{skip:064x}")
        assert content(copy) == wanted
        copy = connector.update("primary", copy, edited(wanted, title="New"))
        assert fetched(connector, copy.ref) == copy
        connector.delete("primary", copy)
        assert alive(bench, ann) == []


def test_a_delete_that_was_carried_out_unseen_is_done(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    copy = connector.create("primary", event("Once"), KEY)
    bench.sandbox.faults.add(Fault(WRITES, "drop_after"))
    connector.delete("primary", copy)
    connector.delete("primary", copy)
    assert alive(bench, ann) == []


def test_a_refused_event_names_the_field_and_only_concerns_itself(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    with pytest.raises(RejectedError, match="summary: 0 to 1000 characters") as refused:
        connector.create("primary", event("x" * 1001), KEY)
    assert refused.value.code == "190014"
    assert refused.value.request_id
    assert connector.create("primary", event("short"), KEY[::-1]).ref


def test_writes_of_eight_threads_are_eight_events(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    with ThreadPoolExecutor(8) as threads:
        copies = list(
            threads.map(
                lambda n: connector.create("primary", event(f"E{n}"), f"{n:064x}"), range(8)
            )
        )
    assert len({copy.ref for copy in copies}) == len(alive(bench, ann)) == 8


# -- series ----------------------------------------------------------------------------------------


def test_a_change_of_one_occurrence_is_one_read_and_one_write(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    copy = connector.create("primary", WEEKLY, KEY)
    before = len(bench.sandbox.calls())
    copy = connector.update("primary", copy, moved(WEEKLY, SECOND, start="2026-03-10T15:00"))
    connector.update("primary", copy, cancelled(copy.event, SECOND))
    assert [call.operation for call in bench.sandbox.calls(since=before)] == [
        "events.get", "events.patch", "events.get", "events.delete",
    ]  # fmt: skip


def test_renaming_a_series_renames_occurrences_that_only_seemed_to_be_regular(
    bench: Any, ann: Any
) -> None:
    """An exception that was put back shows what the series showed then, for ever."""
    connector = bench.connect(ann)
    copy = connector.create("primary", moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    copy = connector.update("primary", copy, WEEKLY)
    assert copy.event.overrides == ()
    copy = connector.update("primary", copy, edited(WEEKLY, title="Retro"))
    assert {item["summary"] for item in alive(bench, ann)} == {"Retro"}
    assert fetched(connector, copy.ref) == copy


def test_an_occurrence_that_somebody_removed_meanwhile_is_a_conflict_that_shows_it(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann)
    copy = connector.create("primary", moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    bench.sandbox.as_user(ann).delete(ann.primary, copy.members[1].id)
    with pytest.raises(ConflictError) as conflict:
        connector.update("primary", copy, moved(WEEKLY, SECOND, start="2026-03-11T15:00"))
    assert conflict.value.current is not None
    assert content(conflict.value.current) == cancelled(WEEKLY, SECOND)


@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;COUNT=5", "FREQ=MONTHLY;BYMONTHDAY=2;COUNT=5"])
def test_an_occurrence_that_somebody_edited_meanwhile_survives_another_rule(
    bench: Any, ann: Any, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = bench.connect(ann)
    made = connector.create("primary", moved(WEEKLY, SECOND, start="2026-03-09T12:00"), KEY)
    stamp = int(datetime(2026, 3, 16, 9, tzinfo=UTC).timestamp())
    theirs = f"{made.ref.rpartition('_')[0]}_{stamp}"

    def edited_after(_name: str, _request: Any, answer: Any) -> Any:
        bench.sandbox.as_user(ann).patch(ann.primary, theirs, {"summary": "Theirs"})
        return answer

    monkeypatch.setattr(bench.sandbox, "rewrite", edited_after)
    last_look = Fault(r"^GET /open-apis/calendar/v4/calendars/[^/]+/events/[^/]+_[1-9]", "rewrite")
    bench.sandbox.faults.add(last_look)
    shape = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule=rule, reminders=())
    connector.update("primary", made, shape)
    assert last_look.struck == 1
    assert "Theirs" in [item["summary"] for item in alive(bench, ann)]


def test_exceptions_far_from_now_are_found_by_their_keys(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    ancient = event("Jubilee", "2010-05-01T10:00", rule="FREQ=YEARLY", reminders=())
    wanted = edited(ancient, Key("2013-05-01T10:00:00"), title="Third jubilee")
    copy = connector.create("primary", wanted, KEY)
    assert connector.fetch("primary", copy.ref, [Key("2013-05-01T10:00:00")]) == copy
    assert fetched(connector, copy.ref).event.overrides == ()


def test_keys_of_a_former_shape_do_no_harm(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    timed = connector.create("primary", WEEKLY, KEY)
    days = event("Fair", "2026-03-02", rule="FREQ=WEEKLY;COUNT=10", reminders=())
    whole = connector.create("primary", days, KEY[::-1])
    for copy in (timed, whole):
        keys = [SECOND, Key("2026-03-09")]
        assert connector.fetch("primary", copy.ref, keys) == copy


@pytest.mark.parametrize("cascade", [False, True])
def test_deleting_a_series_leaves_no_orphans(bench: Any, ann: Any, cascade: bool) -> None:
    bench.sandbox.switch(cascade=cascade)
    connector = bench.connect(ann)
    wanted = cancelled(moved(WEEKLY, SECOND, start="2026-03-10T15:00"), THIRD)
    connector.delete("primary", connector.create("primary", wanted, KEY))
    assert alive(bench, ann) == []


@pytest.mark.parametrize("drops", [False, True])
def test_moving_a_series_keeps_what_was_asked_whatever_feishu_does_to_exceptions(
    bench: Any, ann: Any, drops: bool
) -> None:
    bench.sandbox.switch(master_move_drops_exceptions=drops)
    connector = bench.connect(ann)
    copy = connector.create("primary", moved(WEEKLY, SECOND, start="2026-03-10T15:00"), KEY)
    later = event("Review", "2026-03-02T14:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10",
                  reminders=())  # fmt: skip
    wanted = moved(later, Key("2026-03-09T14:00:00"), start="2026-03-10T15:00")
    changed = connector.update("primary", copy, wanted)
    assert content(changed) == wanted
    shown = sorted(
        str(each.start) for _, each in connector.occurrences("primary", START, START + 90 * DAY)
    )
    assert len(shown) == 10
    assert shown[1] == "2026-03-10 14:00:00+00:00"


START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_extra_dates_are_refused_with_advice_and_not_dropped(bench: Any, ann: Any) -> None:
    wanted = event(rule="FREQ=WEEKLY;COUNT=4", rdates=("2026-03-05T09:00:00",))
    with pytest.raises(RejectedError, match="extra dates; take the dates out"):
        bench.connect(ann).create("primary", wanted, KEY)
    assert bench.count("events.create") == 0


# -- whole days and verification -------------------------------------------------------------------


@pytest.mark.parametrize("write_end", ["inclusive", "exclusive"])
@pytest.mark.parametrize("read_end", ["inclusive", "exclusive"])
def test_whole_days_keep_their_length_whatever_the_dialect(
    bench: Any, ann: Any, write_end: str, read_end: str
) -> None:
    bench.sandbox.switch(write_end=write_end, read_end=read_end)
    dialect = {"write_end": write_end, "read_end": read_end}
    connector = bench.connect(ann, dialect=dialect)
    for days in (1, 3):
        wanted = event("Fair", "2026-03-28", days=days, reminders=())
        copy = connector.create("primary", wanted, f"{days:064x}")
        assert content(copy) == wanted
        assert content(fetched(connector, copy.ref)) == wanted
        entry = bench.sandbox.world.calendars[ann.primary].by_id[copy.ref]
        assert entry.event.span.end - entry.event.span.start == days * 86_400


def test_occurrences_are_complete_where_a_window_holds_too_many(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    for number in range(30):
        daily = event(f"S{number}", "2026-03-01T08:00", "UTC", rule="FREQ=DAILY;COUNT=60")
        connector.create("primary", daily, f"{number:064x}")
    found = list(connector.occurrences("primary", START, START + 60 * DAY))
    assert len(found) == len({(ref, each.start) for ref, each in found}) == 30 * 60
    assert len(bench.sandbox.calls("events.instance_view")) > 2


def test_pushes_are_asked_for_with_the_users_token_whatever_the_identity(
    bench: Any, ann: Any
) -> None:
    token = bench.consent(ann)
    for identity in ("user", "tenant"):
        connector = bench.provider(identity=identity).connect(ann.open_id)
        for calendar in (None, ann.primary):
            connector.subscribe(calendar)
            connector.subscribe(calendar)
    assert bench.bearers("events.subscription") == {token.access}
    assert bench.bearers("calendars.subscription") == {token.access}
    for _ in range(2):
        connector.unsubscribe(ann.primary)
        connector.unsubscribe(None)
