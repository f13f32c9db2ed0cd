import pytest

START = 1764554400


def timed(start=START, **extra):
    return {
        "start_time": {"timestamp": str(start), "timezone": "UTC"},
        "end_time": {"timestamp": str(start + 3600), "timezone": "UTC"},
        **extra,
    }


def person(account):
    return {"type": "user", "user_id": account.user.open_id}


@pytest.fixture
def meeting(ann, ben):
    event = ann.made(timed(summary="Plan", vchat={"vc_type": "no_meeting"}))["event_id"]
    assert ann.invite(event, person(ben)).code == 0
    return event


def test_an_invited_user_sees_a_copy_that_names_its_organizer(ann, ben, meeting):
    [copy] = ben.whole()[0]
    assert copy["event_id"] == meeting
    assert copy["organizer_calendar_id"] == ann.user.primary
    assert copy["self_rsvp_status"] == "needs_action"


def test_a_participant_changes_only_his_own_view(ann, ben, meeting):
    refused = ben.patch(meeting, {"summary": "mine"})
    assert (refused.status, refused.code) == (403, 193002)
    assert ben.patch(meeting, timed(START + 60)).code == 193002
    assert ben.delete(meeting).code == 193002
    assert ben.patch(meeting, {"color": 7, "reminders": [{"minutes": 1}]}).code == 0
    assert ben.get(meeting).data["event"]["color"] == 7
    assert ann.get(meeting).data["event"]["color"] == -1


def test_a_participant_may_change_what_the_organizer_permits(ann, ben, meeting):
    ann.patch(meeting, {"attendee_ability": "can_modify_event"})
    assert ben.patch(meeting, {"summary": "ours"}).code == 0
    assert ann.get(meeting).data["event"]["summary"] == "ours"


def test_everybody_answers_for_himself_and_both_calendars_change(ann, ben, meeting):
    token = ann.whole()[1]
    assert ben.on("POST", "/:event_id/reply", {"rsvp_status": "accept"}, event=meeting).code == 0
    shown = ann.get(meeting, need_attendee="True").data["event"]
    assert shown["attendees"][0]["rsvp_status"] == "accept"
    assert [e["event_id"] for e in ann.listing(sync_token=token).data["items"]] == [meeting]
    stranger = ann.on("POST", "/:event_id/reply", {"rsvp_status": "accept"}, event=meeting)
    assert stranger.code == 193002


def test_being_uninvited_is_a_tombstone(ann, ben, meeting):
    token = ben.whole()[1]
    attendee = ann.on("GET", "/:event_id/attendees", event=meeting).data["items"][0]
    body = {"attendee_ids": [attendee["attendee_id"]], "need_notification": False}
    assert ann.on("POST", "/:event_id/attendees/batch_delete", body, event=meeting).code == 0
    [gone] = ben.listing(sync_token=token).data["items"]
    assert (gone["event_id"], gone["status"]) == (meeting, "cancelled")
    assert ann.get(meeting).data["event"]["status"] == "confirmed"
    again = ann.on("POST", "/:event_id/attendees/batch_delete", body, event=meeting)
    assert (again.status, again.code) == (404, 194000)


def test_deleting_at_the_organizer_deletes_everywhere(ann, ben, meeting):
    token = ben.whole()[1]
    ann.delete(meeting)
    assert ben.listing(sync_token=token).data["items"][0]["status"] == "cancelled"


def test_all_four_kinds_of_attendees_have_their_prefix(sandbox, ann, ben, eventually):
    sandbox.add_room("omm_1", "Blue room")
    sandbox.add_chat("oc_1", "Team", [ben.user])
    sandbox.switch(room_reply_seconds=0.05)
    event = ann.made(timed())["event_id"]
    added = ann.invite(
        event,
        person(ben),
        {"type": "chat", "chat_id": "oc_1"},
        {"type": "resource", "room_id": "omm_1", "is_optional": True},
        {"type": "third_party", "third_party_email": "X@else.example", "is_optional": True},
    ).data["attendees"]
    prefixes = [line["attendee_id"].split("_")[0] for line in added]
    assert prefixes == ["user", "chat", "resource", "third"]
    assert [line["is_optional"] for line in added] == [False, False, False, True]
    assert added[2]["rsvp_status"] == "needs_action"

    def room_of(event_id):
        lines = ann.on("GET", "/:event_id/attendees", event=event_id).data["items"]
        return next(x["rsvp_status"] for x in lines if x["type"] == "resource")

    eventually(lambda: room_of(event) == "accept")
    clash = ann.made(timed())["event_id"]
    ann.invite(clash, {"type": "resource", "room_id": "omm_1"})
    eventually(lambda: room_of(clash) == "decline")
    assert ann.invite(event, {"type": "robot"}).code == 194004


def test_attendees_are_paged_and_small_pages_are_widened(sandbox, ann):
    event = ann.made(timed())["event_id"]
    crowd = [{"type": "third_party", "third_party_email": f"p{n}@else.example"} for n in range(25)]
    ann.invite(event, *crowd)
    first = ann.on("GET", "/:event_id/attendees", event=event, page_size="3").data
    assert (len(first["items"]), first["has_more"]) == (10, True)
    rest = ann.on(
        "GET", "/:event_id/attendees", event=event, page_size="100",
        page_token=first["page_token"],
    ).data  # fmt: skip
    assert (len(rest["items"]), rest["has_more"]) == (15, False)
    assert ann.invite(event, *crowd * 41).code == 190014


def test_the_first_attendee_brings_a_video_meeting_unless_it_was_declined(ann, ben, meeting):
    assert ann.get(meeting).data["event"]["vchat"] == {"vc_type": "no_meeting"}
    bare = ann.made(timed())["event_id"]
    assert ann.get(bare).data["event"]["vchat"] == {}
    ann.invite(bare, person(ben))
    assert ann.get(bare).data["event"]["vchat"]["vc_type"] == "vc"


def test_notifications_are_on_unless_switched_off(sandbox, ann, ben, meeting):
    assert sandbox.mails == []
    ann.patch(meeting, {"summary": "loud", "need_notification": True})
    ann.on("PATCH", "/:event_id", {"summary": "louder"}, event=meeting)
    ann.delete(meeting, need_notification="true")
    assert [mail["to"] for mail in sandbox.mails] == ["ben@example.com"] * 3


def test_outside_addresses_get_mail_in_any_case(sandbox, ann):
    event = ann.made(timed())["event_id"]
    ann.invite(event, {"type": "third_party", "third_party_email": "x@else.example"})
    assert [mail["to"] for mail in sandbox.mails] == ["x@else.example"]


def test_seeding_is_silent_and_direct_edits_are_ordinary_changes(sandbox, ann, ben):
    token = ann.whole()[1]
    event = sandbox.seed_event(ann.user.primary, timed(summary="a"), [person(ben)])
    by_hand = sandbox.as_user(ann.user)
    by_hand.patch("primary", event, {"summary": "b"})
    by_hand.invite("primary", event, [{"type": "third_party", "third_party_email": "x@y.example"}])
    assert [e["summary"] for e in ann.listing(sync_token=token).data["items"]] == ["b"]
    assert [e["summary"] for e in ben.whole()[0]] == ["b"]
    assert sandbox.mails == []


def test_other_processes_edit_through_the_control_interface(sandbox, ann):
    import requests

    def act(action, body):
        return requests.post(f"{sandbox.url}/_sandbox/{action}", json=body, timeout=5).json()

    carl = act("users", {"name": "Carl", "email": "carl@example.com"})
    [seeded] = act("seed", {"user": "carl@example.com", "body": timed(summary="s")})["event_ids"]
    edit = {"user": "carl@example.com", "op": "patch", "event_id": seeded, "body": {"summary": "t"}}
    assert act("edit", edit)["summary"] == "t"
    assert act("edit", {"user": carl["open_id"], "op": "delete", "event_id": seeded}) == {
        "ok": True
    }
    assert act("edit", {"user": carl["open_id"], "op": "list"}) == []
    assert "193003" in act("edit", edit)["error"]
    assert "no such switch" in act("switches", {"weather": "fair"})["error"]


def test_free_and_busy_times(sandbox, ann, ben, meeting):
    ann.made(timed(START + 7200, free_busy_status="free"))
    window = {"time_min": "2025-12-01T00:00:00Z", "time_max": "2025-12-03T00:00:00Z"}
    path = "calendar/v4/freebusy/list"
    found = ben.call("POST", path, {**window, "user_id": ann.user.open_id}).data["freebusy_list"]
    assert found == [
        {"start_time": "2025-12-01T02:00:00+00:00", "end_time": "2025-12-01T03:00:00+00:00"}
    ]
    both = {**window, "user_ids": [ann.user.open_id, ben.user.open_id]}
    lists = ann.call("POST", "calendar/v4/freebusy/batch", both).data["freebusy_lists"]
    assert [len(line["freebusy_items"]) for line in lists] == [1, 1]
    long = window | {"time_max": "2026-12-03T00:00:00Z", "user_id": ann.user.open_id}
    assert ann.call("POST", path, long).code == 198003


def test_roles_are_given_and_taken_through_acls(ann, ben, sandbox):
    calendar = sandbox.add_calendar(ann.user, "Team").id
    path, paths = "calendar/v4/calendars/:id/acls", {"id": calendar}
    body = {"role": "reader", "scope": {"type": "user", "user_id": ben.user.open_id}}
    acl = ann.call("POST", path, body, paths=paths).data["acl_id"]
    assert ben.listing(calendar=calendar).code == 0
    assert ann.call("DELETE", path + "/:acl", paths={**paths, "acl": acl}).code == 0
    assert ben.listing(calendar=calendar).code == 191002
    assert ann.call("DELETE", path + "/:acl", paths={**paths, "acl": acl}).code == 192000


def test_a_reset_leaves_an_empty_tenant_with_the_same_app(sandbox, ann, bot, meeting):
    import requests

    app_id = sandbox.app.id
    requests.post(f"{sandbox.url}/_sandbox/reset", timeout=5)
    state = requests.get(f"{sandbox.url}/_sandbox/state", timeout=5).json()
    assert state["app_id"] == app_id
    assert [user["name"] for user in state["users"]] == ["Bot"]
    assert ann.listing().code == 99991668


def test_unknown_paths_and_broken_bodies_are_refused(sandbox, ann):
    import requests

    url = f"{sandbox.url}/open-apis/calendar/v4"
    header = {"Authorization": f"Bearer {ann.grant.access}"}
    assert requests.get(url + "/weather", headers=header, timeout=5).status_code == 404
    calendars = url + "/calendars"
    broken = requests.post(calendars, data="{", headers=header, timeout=5)
    assert broken.json()["code"] == 99992402
    assert requests.get(calendars, timeout=5).json()["code"] == 99991661
    odd = requests.get(calendars, headers={"Authorization": "Bearer"}, timeout=5)
    assert odd.json()["code"] == 99991671


def test_calls_are_logged_under_their_names(sandbox, ann, meeting):
    names = [entry.operation for entry in sandbox.calls()]
    assert names == ["events.create", "attendees.create"]
