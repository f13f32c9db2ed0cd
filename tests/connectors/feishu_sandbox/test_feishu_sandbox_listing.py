import pytest

from connectors.sandbox.faults import Fault

DAY = 86_400
START = 1764554400


def timed(start=START, **extra):
    return {
        "start_time": {"timestamp": str(start), "timezone": "UTC"},
        "end_time": {"timestamp": str(start + 3600), "timezone": "UTC"},
        **extra,
    }


@pytest.fixture
def seeded(sandbox, ann):
    """120 single events, one a day."""
    return [
        sandbox.seed_event(ann.user.primary, timed(START + day * DAY, summary=f"day {day}"))
        for day in range(120)
    ]


def ids(reply):
    return [item["event_id"] for item in reply.data["items"]]


def test_pages_together_are_the_whole_calendar(ann, seeded):
    first = ann.listing(anchor_time="1", page_size="50")
    assert (len(ids(first)), first.data["has_more"]) == (50, True)
    assert not first.data.get("sync_token")
    items, token = ann.whole(page_size="50")
    assert [item["event_id"] for item in items] == seeded
    assert token


def test_the_page_size_has_bounds(sandbox, ann, seeded):
    assert ann.listing(page_size="49").code == 190014
    assert ann.listing(page_size="1001").code == 190014
    sandbox.switch(page_size="clamped")
    assert len(ids(ann.listing(page_size="7"))) == 50


def test_without_anchor_the_sync_token_continues_instead_of_a_page_token(ann, seeded):
    first = ann.listing(page_size="100")
    assert first.data["has_more"]
    assert not first.data.get("page_token")
    second = ann.listing(page_size="100", sync_token=first.data["sync_token"])
    assert ids(first) + ids(second) == seeded
    assert ids(ann.listing(sync_token=second.data["sync_token"])) == []


def test_the_anchor_hides_what_ended_before_it_but_no_series(ann, seeded):
    series = ann.made(timed(recurrence="FREQ=DAILY;COUNT=5"))["event_id"]
    ann.patch(series.replace("_0", f"_{START + DAY}"), {"summary": "early exception"})
    anchor = str(START + 118 * DAY)
    assert set(ids(ann.listing(anchor_time=anchor))) == {series, *seeded[118:]}


def test_a_window_gives_no_token_and_is_cut_off(ann, seeded):
    window = {"start_time": str(START), "end_time": str(START + 100 * DAY)}
    data = ann.listing(page_size="50", **window).data
    assert len(data["items"]) == 50
    assert not {"page_token", "sync_token"} & set(data)
    assert ann.listing(anchor_time="1", **window).code == 190014


def test_a_delta_shows_each_changed_event_once_as_it_is_now(ann, seeded):
    _, token = ann.whole()
    ann.patch(seeded[3], {"summary": "one"})
    ann.patch(seeded[3], {"summary": "two"})
    ann.delete(seeded[4])
    delta = ann.listing(sync_token=token)
    assert [(i["event_id"], i["status"]) for i in delta.data["items"]] == [
        (seeded[3], "confirmed"),
        (seeded[4], "cancelled"),
    ]
    assert delta.data["items"][0]["summary"] == "two"
    assert "start_time" not in delta.data["items"][1]
    assert ids(ann.listing(sync_token=token)) == ids(delta)  # may be read again
    assert ids(ann.listing(sync_token=delta.data["sync_token"])) == []


def test_what_changes_while_somebody_pages_is_in_his_first_delta(ann, seeded):
    first = ann.listing(anchor_time="1", page_size="60")
    ann.patch(seeded[0], {"summary": "late"})
    last = ann.listing(anchor_time="1", page_size="60", page_token=first.data["page_token"])
    assert ids(ann.listing(sync_token=last.data["sync_token"])) == [seeded[0]]


@pytest.mark.parametrize("by", ["sync_token", "page_token"])
def test_a_long_delta_comes_in_pieces(sandbox, ann, seeded, by):
    _, token = ann.whole()
    sandbox.switch(delta_pages_by=by)
    for event_id in seeded[:70]:
        sandbox.seed_patch(ann.user.primary, event_id, {"summary": "new"})
    first = ann.listing(page_size="50", sync_token=token).data
    assert (len(first["items"]), first["has_more"]) == (50, True)
    rest = ann.listing(page_size="50", **{by: first[by]}).data
    assert (len(rest["items"]), rest["has_more"]) == (20, False)
    assert rest["sync_token"]


def test_sync_tokens_exclude_windows_and_expire(sandbox, ann, ben):
    _, token = ann.whole()
    assert ann.listing(sync_token=token, start_time="1", end_time="2").code == 190009
    assert ann.listing(sync_token="rubbish").code == 190014
    other = sandbox.add_calendar(ann.user, "other")
    assert ann.listing(sync_token=token, calendar=other.id).code == 190008
    shared = sandbox.add_calendar(ann.user, "shared")
    sandbox.share(shared, ben.user, "reader")
    token = ann.whole(calendar=shared.id)[1]
    assert ben.listing(sync_token=token, calendar=shared.id).code == 190008
    sandbox.expire_sync_tokens()
    stale = ann.listing(sync_token=token, calendar=shared.id)
    assert (stale.status, stale.code) == (400, 190008)


def test_a_sync_token_dies_of_old_age(sandbox, ann):
    _, token = ann.whole()
    sandbox.clock.advance(91 * DAY)
    ann.grant = sandbox.grant(ann.user)
    assert ann.listing(sync_token=token).code == 190008


def test_pages_may_be_short_or_empty_while_there_is_more(sandbox, ann, seeded):
    sandbox.switch(short_pages=7, empty_pages=True)
    first = ann.listing(anchor_time="1")
    assert (ids(first), first.data["has_more"]) == ([], True)
    assert [item["event_id"] for item in ann.whole()[0]] == seeded


def test_what_a_full_listing_shows_of_deleted_things_is_a_switch(sandbox, ann):
    series = ann.made(timed(recurrence="FREQ=DAILY"))["event_id"]
    removed = series.replace("_0", f"_{START + DAY}")
    gone = ann.made(timed())["event_id"]
    ann.delete(removed)
    ann.delete(gone)
    for shown, expected in (
        ("none", {series}),
        ("exceptions", {series, removed}),
        ("all", {series, removed, gone}),
    ):
        sandbox.switch(cancelled_in_full_listing=shown)
        assert set(ids(ann.listing(anchor_time="1"))) == expected


def test_a_lagging_listing_shows_the_write_later_and_loses_nothing(sandbox, ann):
    sandbox.clock.freeze()
    sandbox.switch(lag_seconds=2.0)
    _, token = ann.whole()
    made = ann.made(timed())["event_id"]
    delta = ann.listing(sync_token=token).data
    assert delta["items"] == []
    items, full = ann.whole()
    assert items == []
    sandbox.clock.advance(3)
    assert ids(ann.listing(sync_token=delta["sync_token"])) == [made]
    assert ids(ann.listing(sync_token=full)) == [made]


@pytest.mark.parametrize(
    ("name", "kept", "whole"),
    [("short", 12, True), ("empty", 0, True), ("truncate_page", 60, False)],
)
def test_listings_can_be_made_to_lie(sandbox, ann, seeded, name, kept, whole):
    sandbox.faults.add(Fault("GET .*/events", "rewrite", name=name))
    lie = ann.listing(anchor_time="1").data
    assert (len(lie["items"]), bool(lie.get("sync_token"))) == (kept, whole)
    assert len(ids(ann.listing(anchor_time="1"))) == 120


def test_items_can_be_made_malformed_or_strange(sandbox, ann, seeded):
    sandbox.faults.add(Fault("GET .*/events", "rewrite", name="malformed"))
    assert ann.listing().data["items"][0]["start_time"]["timestamp"] == "soon"
    sandbox.faults.add(Fault("GET .*/events", "rewrite", name="unknown_fields"))
    assert "mood" in ann.listing().data["items"][5]


def test_the_calendar_list_has_its_own_field_and_sync_token(sandbox, ann):
    path = "calendar/v4/calendars"
    first = ann.call("GET", path, page_size="50").data
    assert "items" not in first
    assert [c["type"] for c in first["calendar_list"]] == ["primary"]
    made = ann.call("POST", path, {"summary": "Team"}).data["calendar"]["calendar_id"]
    delta = ann.call("GET", path, sync_token=first["sync_token"]).data
    assert [(c["calendar_id"], c["is_deleted"]) for c in delta["calendar_list"]] == [(made, False)]
    ann.call("DELETE", path + "/:id", paths={"id": made})
    gone = ann.call("GET", path, sync_token=delta["sync_token"]).data["calendar_list"]
    assert [(c["calendar_id"], c["is_deleted"]) for c in gone] == [(made, True)]
    assert ann.listing(calendar=made).code == 191003
    assert ann.call("GET", path, page_size="10").code == 190014


def test_a_single_calendar_lies_flat_in_data(sandbox, ann):
    reply = ann.call("GET", "calendar/v4/calendars/:id", paths={"id": ann.user.primary})
    assert (reply.data["role"], reply.data["type"]) == ("owner", "primary")


def test_calendars_are_subscribed_and_unsubscribed(sandbox, ann, ben):
    calendar = sandbox.add_calendar(ben.user, "Open")
    calendar.permissions = "public"
    path = "calendar/v4/calendars/:id/"

    def do(verb, calendar_id=calendar.id):
        return ann.call("POST", path + verb, paths={"id": calendar_id}).code

    def listed():
        found = ann.call("GET", "calendar/v4/calendars").data["calendar_list"]
        return [c["calendar_id"] for c in found].count(calendar.id)

    assert (do("subscribe"), do("subscribe"), listed()) == (0, 0, 1)
    assert (do("unsubscribe"), do("unsubscribe"), listed()) == (0, 191007, 0)
    assert (do("subscribe"), listed()) == (0, 1)
    assert do("unsubscribe", ann.user.primary) == 191008


def test_limits_per_second_and_minute_are_counted_per_api(sandbox, ann):
    now = 0.0
    sandbox.limits.monotonic = lambda: now
    sandbox.limits.enabled = True
    path = "calendar/v4/calendars"
    assert [ann.call("GET", path).status for _ in range(51)] == [200] * 50 + [429]
    refused = ann.call("GET", path)
    assert refused.code == 99991400
    assert refused.headers["x-ogw-ratelimit-limit"] == "50"
    assert refused.headers["x-ogw-ratelimit-reset"] == "1"
    assert ann.call("POST", path + "/primary").status == 200
    for second in range(1, 20):
        now = second * 1.5
        for _ in range(50):
            sandbox.limits.take(sandbox.app.id, "calendars.list")
    now = 50.0
    assert ann.call("GET", path).headers["x-ogw-ratelimit-limit"] == "1000"
    now = 60.5
    assert ann.call("GET", path).status == 200
