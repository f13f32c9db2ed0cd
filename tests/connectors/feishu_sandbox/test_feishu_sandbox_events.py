from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

DAY = 86_400
MONDAY = 1764554400  # 2025-12-01 10:00 in Shanghai


def timed(start, minutes=60, zone="Asia/Shanghai", **extra):
    return {
        "start_time": {"timestamp": str(start), "timezone": zone},
        "end_time": {"timestamp": str(start + minutes * 60), "timezone": zone},
        "vchat": {"vc_type": "no_meeting"},
        **extra,
    }


def all_day(first, last, **extra):
    return {"start_time": {"date": first}, "end_time": {"date": last}, **extra}


def test_an_event_reads_back_as_it_was_written(ann):
    body = timed(
        MONDAY,
        summary="Weekly",
        description="<b>x</b>",
        visibility="private",
        free_busy_status="free",
        color=-16711936,
        reminders=[{"minutes": 5}, {"minutes": -10}],
        location={"name": "Room", "address": "Street 1"},
        recurrence="FREQ=WEEKLY;BYDAY=MO",
    )
    made = ann.made(body)
    read = ann.get(made["event_id"]).data["event"]
    assert read == made
    assert {name: read[name] for name in body} == body
    assert made["event_id"].endswith("_0")
    assert made["organizer_calendar_id"] == ann.user.primary
    assert made["event_organizer"]["user_id"] == ann.user.open_id
    assert not {"attendees", "update_time"} & set(made)


def test_the_typed_sdk_models_understand_an_event(lark, ann):
    from lark_oapi.api.calendar.v4 import GetCalendarEventRequest

    event_id = ann.made(timed(MONDAY, summary="typed"))["event_id"]
    request = GetCalendarEventRequest.builder().calendar_id(ann.user.primary).event_id(event_id)
    option = lark.RequestOption.builder().user_access_token(ann.grant.access).build()
    reply = ann.client.calendar.v4.calendar_event.get(request.need_attendee(True).build(), option)
    assert reply.success()
    assert reply.data.event.summary == "typed"
    assert reply.data.event.start_time.timestamp == str(MONDAY)
    assert reply.data.event.has_more_attendee is False


def test_an_all_day_end_is_inclusive_when_written_and_exclusive_when_read(ann):
    made = ann.made(all_day("2026-03-01", "2026-03-02"))
    assert made["start_time"] == {"date": "2026-03-01", "timezone": "UTC"}
    assert made["end_time"] == {"date": "2026-03-03", "timezone": "UTC"}


@pytest.mark.parametrize(
    ("write", "read", "shown"),
    [
        ("inclusive", "inclusive", "2026-03-02"),
        ("exclusive", "exclusive", "2026-03-02"),
        ("exclusive", "inclusive", "2026-03-01"),
    ],
)
def test_both_ends_of_all_day_events_are_switches(sandbox, ann, write, read, shown):
    sandbox.switch(write_end=write, read_end=read)
    assert ann.made(all_day("2026-03-01", "2026-03-02"))["end_time"]["date"] == shown


def test_a_missing_time_zone_becomes_shanghai(ann):
    body = timed(MONDAY)
    del body["start_time"]["timezone"], body["end_time"]["timezone"]
    assert ann.made(body)["start_time"]["timezone"] == "Asia/Shanghai"


@pytest.mark.parametrize(
    "wrong",
    [
        {"summary": "x" * 1001},
        {"description": "x" * 40_961},
        {"reminders": [{"minutes": 20_161}]},
        {"location": {"name": ""}},
        {"location": {"name": "x" * 513}},
        {"visibility": "secret"},
        {"recurrence": "FREQ=DAILY;COUNT=3;UNTIL=20270101T000000Z"},
        {"recurrence": "FREQ=DAILY;INTERVAL=0"},
        {"recurrence": "INTERVAL=2"},
        {"recurrence": "FREQ=DAILY\nEXDATE:20260101"},
        {"recurrence": "FREQ=HOURLY"},
        {"vchat": {"vc_type": "lark_live"}},
        {"start_time": {"timestamp": str(MONDAY), "date": "2025-12-01"}},
        {"start_time": {"date": "2025-12-01"}},
        {"start_time": {"timestamp": str(MONDAY), "timezone": "China Standard Time"}},
        {"end_time": {"timestamp": str(MONDAY - 1)}},
        {"end_time": None},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused_with_the_field_named(ann, wrong):
    reply = ann.create(timed(MONDAY) | wrong)
    assert (reply.status, reply.code) == (400, 190014)
    field = reply.body["error"]["field_violations"][0]["field"]
    assert field.partition(".")[0] in (*wrong, "end_time")
    assert ann.whole()[0] == []


def test_unknown_fields_are_ignored_and_wrong_types_refused(ann):
    assert "mood" not in ann.made(timed(MONDAY, mood="good"))
    assert ann.create(timed(MONDAY, summary=7)).code == 99992402


def test_the_same_key_makes_one_event(ann):
    key = "k" * 32
    first = ann.made(timed(MONDAY, summary="one"), idempotency_key=key)
    again = ann.made(timed(MONDAY, summary="two"), idempotency_key=key)
    assert again == first
    assert len(ann.whole()[0]) == 1
    assert ann.create(timed(MONDAY), idempotency_key="short").code == 190014


def test_a_key_whose_event_was_deleted_answers_the_dead_event(ann):
    key = "k" * 32
    first = ann.made(timed(MONDAY), idempotency_key=key)
    ann.delete(first["event_id"])
    again = ann.made(timed(MONDAY), idempotency_key=key)
    assert (again["event_id"], again["status"]) == (first["event_id"], "cancelled")


def test_patch_changes_only_what_it_names(ann):
    made = ann.made(timed(MONDAY, summary="a", description="b", reminders=[{"minutes": 5}]))
    changed = ann.patch(made["event_id"], {"summary": "c", "reminders": []}).data["event"]
    assert changed == made | {"summary": "c", "reminders": []}


def test_patch_moves_an_event_only_if_both_times_are_given(ann):
    made = ann.made(timed(MONDAY))
    later = timed(MONDAY + 3600)
    half = ann.patch(made["event_id"], {"start_time": later["start_time"]})
    assert half.data["event"]["start_time"] == made["start_time"]
    both = ann.patch(made["event_id"], later).data["event"]
    assert both["start_time"] == later["start_time"]


def test_deleting_twice_and_deleting_nothing_are_told_apart(ann):
    made = ann.made(timed(MONDAY))
    assert ann.delete(made["event_id"]).code == 0
    assert (ann.delete(made["event_id"]).status, ann.delete(made["event_id"]).code) == (403, 193003)
    assert ann.patch(made["event_id"], {"summary": "x"}).code == 193003
    assert (ann.delete("nothing_0").status, ann.delete("nothing_0").code) == (404, 193001)
    assert ann.get("nonsense").code == 193000


def occurrence(event_id, start):
    return f"{event_id.removesuffix('_0')}_{start}"


@pytest.fixture
def weekly(ann):
    return ann.made(timed(MONDAY, summary="W", recurrence="FREQ=WEEKLY;BYDAY=MO"))["event_id"]


def test_patching_an_occurrence_makes_an_exception(ann, weekly):
    _, token = ann.whole()
    second = occurrence(weekly, MONDAY + 7 * DAY)
    assert ann.get(second).code == 193001
    changed = ann.patch(second, timed(MONDAY + 7 * DAY + 7200, summary="moved")).data["event"]
    assert changed["is_exception"]
    assert changed["recurring_event_id"] == weekly
    assert changed["recurrence"] == ""
    assert ann.get(second).data["event"] == changed
    assert ann.listing(sync_token=token).data["items"] == [changed]


def test_deleting_an_occurrence_leaves_a_cancelled_exception(ann, weekly):
    _, token = ann.whole()
    second = occurrence(weekly, MONDAY + 7 * DAY)
    assert ann.delete(second).code == 0
    [item] = ann.listing(sync_token=token).data["items"]
    assert (item["event_id"], item["status"], item["is_exception"]) == (second, "cancelled", True)
    assert ann.delete(second).code == 193003
    assert {e["event_id"] for e in ann.whole()[0]} == {weekly, second}


def test_only_real_occurrences_can_be_addressed(ann, weekly):
    assert ann.patch(occurrence(weekly, MONDAY + DAY), {"summary": "x"}).code == 193001
    assert ann.patch(occurrence(weekly, MONDAY), {"recurrence": "FREQ=DAILY"}).code == 190014


def test_changing_or_deleting_a_master_does_not_touch_its_exceptions(ann, weekly):
    second = occurrence(weekly, MONDAY + 7 * DAY)
    ann.patch(second, {"summary": "own"})
    ann.patch(weekly, {"summary": "renamed"})
    assert ann.get(second).data["event"]["summary"] == "own"
    ann.delete(weekly)
    assert ann.get(second).data["event"]["status"] == "confirmed"
    assert [e["event_id"] for e in ann.whole()[0]] == [second]


def test_cascading_is_a_switch(sandbox, ann, weekly):
    sandbox.switch(cascade=True)
    second = occurrence(weekly, MONDAY + 7 * DAY)
    ann.patch(second, {"summary": "own"})
    ann.delete(weekly)
    assert ann.get(second).data["event"]["status"] == "cancelled"


def test_an_unmade_occurrence_can_be_mirrored_and_ids_spelled_otherwise(sandbox, ann, weekly):
    sandbox.switch(get_unmaterialised="mirror", recurring_id_suffix=False)
    shown = ann.get(occurrence(weekly, MONDAY + 7 * DAY)).data["event"]
    assert shown["recurring_event_id"] == weekly.removesuffix("_0")
    assert shown["start_time"]["timestamp"] == str(MONDAY + 7 * DAY)


def instants(ann, event, start, end):
    reply = ann.on("GET", "/:event_id/instances", event=event, start_time=start, end_time=end)
    assert reply.code == 0, reply.body
    return [int(item["start_time"]["timestamp"]) for item in reply.data["items"]]


def test_instances_keep_the_wall_clock_across_daylight_saving(ann):
    berlin = ZoneInfo("Europe/Berlin")
    start = int(datetime(2026, 3, 23, 9, tzinfo=berlin).timestamp())
    event = ann.made(timed(start, zone="Europe/Berlin", recurrence="FREQ=WEEKLY;COUNT=3"))
    found = instants(ann, event["event_id"], str(start), str(start + 60 * DAY))
    walls = [datetime.fromtimestamp(at, berlin) for at in found]
    assert [(w.day, w.hour) for w in walls] == [(23, 9), (30, 9), (6, 9)]
    assert found[1] - found[0] == 7 * DAY - 3600


def test_an_occurrence_in_the_gap_moves_forward(ann):
    berlin = ZoneInfo("Europe/Berlin")
    start = int(datetime(2026, 3, 28, 2, 30, tzinfo=berlin).timestamp())
    event = ann.made(timed(start, zone="Europe/Berlin", recurrence="FREQ=DAILY;COUNT=3"))
    found = instants(ann, event["event_id"], str(start), str(start + 5 * DAY))
    shown = [datetime.fromtimestamp(at, berlin).strftime("%d %H:%M") for at in found]
    assert shown == ["28 02:30", "29 03:30", "30 02:30"]


def test_instances_show_exceptions_and_removed_occurrences(ann, weekly):
    ann.delete(occurrence(weekly, MONDAY + 7 * DAY))
    ann.patch(occurrence(weekly, MONDAY + 14 * DAY), timed(MONDAY + 15 * DAY))
    reply = ann.on(
        "GET", "/:event_id/instances", event=weekly,
        start_time=str(MONDAY), end_time=str(MONDAY + 20 * DAY),
    )  # fmt: skip
    seen = [(item["start_time"]["timestamp"], item["status"]) for item in reply.data["items"]]
    assert seen == [
        (str(MONDAY), "confirmed"),
        (str(MONDAY + 7 * DAY), "cancelled"),
        (str(MONDAY + 15 * DAY), "confirmed"),
    ]
    assert all("recurrence" not in item for item in reply.data["items"])


def test_instances_are_paged_and_bounded(ann):
    event = ann.made(timed(MONDAY, recurrence="FREQ=DAILY;COUNT=25"))["event_id"]
    window = {"event": event, "start_time": str(MONDAY), "end_time": str(MONDAY + 90 * DAY)}
    first = ann.on("GET", "/:event_id/instances", page_size="10", **window).data
    rest = ann.on(
        "GET", "/:event_id/instances", page_size="500", page_token=first["page_token"], **window
    ).data  # fmt: skip
    assert (len(first["items"]), first["has_more"]) == (10, True)
    late = str(MONDAY + 733 * DAY)
    assert ann.on("GET", "/:event_id/instances", **window | {"end_time": late}).code == 190002
    assert rest["has_more"] is False


def test_instance_view_expands_everything_within_its_limits(ann, weekly):
    ann.delete(occurrence(weekly, MONDAY + 7 * DAY))
    ann.made(all_day("2025-12-03", "2025-12-03", recurrence="FREQ=DAILY;COUNT=2"))
    single = ann.made(timed(MONDAY + DAY))["event_id"]
    window = {"start_time": str(MONDAY), "end_time": str(MONDAY + 16 * DAY)}
    found = ann.on("GET", "/instance_view", **window).data["items"]
    days = sorted(i["start_time"].get("date", "") for i in found)
    assert days == ["", "", "", "2025-12-03", "2025-12-04"]
    assert single in {item["event_id"] for item in found}
    wide = window | {"end_time": str(MONDAY + 41 * DAY)}
    assert ann.on("GET", "/instance_view", **wide).code == 193103
    for hour in range(24):
        ann.made(timed(MONDAY + hour * 600, 5, recurrence="FREQ=DAILY;COUNT=60"))
    many = window | {"end_time": str(MONDAY + 39 * DAY)}
    for hour in range(2):
        ann.made(timed(MONDAY + hour * 600, 5, recurrence="FREQ=DAILY;COUNT=60"))
    assert ann.on("GET", "/instance_view", **many).code == 193104


def test_a_date_until_covers_that_whole_day_unless_switched(sandbox, ann):
    body = timed(MONDAY, recurrence="FREQ=DAILY;UNTIL=20251203")
    event = ann.made(body)["event_id"]
    assert len(instants(ann, event, str(MONDAY), str(MONDAY + 9 * DAY))) == 3
    sandbox.switch(until_date="midnight")
    assert len(instants(ann, event, str(MONDAY), str(MONDAY + 9 * DAY))) == 2


def test_bound_calendars_cannot_be_read_or_written(sandbox, ann):
    google = sandbox.add_calendar(ann.user, "G", "google")
    assert (ann.listing(calendar=google.id).status, ann.listing(calendar=google.id).code) == (
        403,
        191004,
    )
    assert ann.create(timed(MONDAY), calendar=google.id).code == 191004
    assert ann.listing(calendar="feishu.cn_none@group.calendar.feishu.cn").code == 191000
    assert ann.listing(calendar="nonsense").code == 191001
    assert ann.listing(calendar="primary").code == 0


def test_roles_decide_who_reads_and_writes(sandbox, ann, ben):
    shared = sandbox.add_calendar(ann.user, "Team")
    shared.permissions = "private"
    event = ann.made(timed(MONDAY, summary="s", visibility="private"), calendar=shared.id)
    assert ben.listing(calendar=shared.id).code == 191002
    sandbox.share(shared, ben.user, "reader")
    [seen] = ben.listing(calendar=shared.id).data["items"]
    assert "summary" not in seen
    assert ben.patch(event["event_id"], {"summary": "x"}, calendar=shared.id).code == 191002
    sandbox.share(shared, ben.user, "writer")
    changed = ben.patch(event["event_id"], {"summary": "x"}, calendar=shared.id)
    assert changed.data["event"]["summary"] == "x"
