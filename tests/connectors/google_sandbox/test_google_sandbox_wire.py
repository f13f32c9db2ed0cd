"""Batches, long queries, partial answers, rates, faults, the control interface."""

import json

import httplib2
import pytest
import requests
from googleapiclient.errors import HttpError

from connectors.sandbox.faults import Fault

ALICE = "alice@example.com"


@pytest.fixture
def fresh(alice):
    """A service whose access token is fresh: refreshing one for a batch leaks a socket."""
    alice.colors().get().execute()
    return alice


def test_a_batch_answers_each_call_on_its_own(fresh, sandbox, timed):
    answers = {}
    batch = fresh.new_batch_http_request(
        callback=lambda name, value, error: answers.update({name: error or value})
    )
    batch.add(
        fresh.events().insert(calendarId="primary", body=timed(id="aaaaa")), request_id="made"
    )
    batch.add(fresh.events().get(calendarId="primary", eventId="missing"), request_id="missing")
    batch.add(
        fresh.events().insert(calendarId="primary", body=timed(id="aaaaa")), request_id="twice"
    )
    batch.add(fresh.events().delete(calendarId="primary", eventId="aaaaa"), request_id="gone")
    batch.execute()
    assert answers["made"]["id"] == "aaaaa"
    assert answers["missing"].resp.status == 404
    assert answers["twice"].resp.status == 409
    assert answers["gone"] == ""
    assert [call.operation for call in sandbox.calls()][-1] == "batch"
    assert sandbox.calls("events.insert") == []


def test_conditions_hold_inside_batches(fresh, sandbox, timed):
    made = sandbox.seed_event(ALICE, timed(summary="Ä"))
    errors = []
    batch = fresh.new_batch_http_request(callback=lambda _n, _v, error: errors.append(error))
    for etag in ('"1"', made["etag"]):
        request = fresh.events().patch(
            calendarId="primary", eventId=made["id"], body={"location": "Zürich"}
        )
        request.headers["If-Match"] = etag
        batch.add(request)
    batch.execute()
    assert [error and error.resp.status for error in errors] == [412, None]
    assert sandbox.events(ALICE)[0]["location"] == "Zürich"


def test_a_query_too_long_for_a_url_arrives_as_post(alice, sandbox, timed):
    sandbox.seed_event(ALICE, timed(summary="x"))
    found = alice.events().list(calendarId="primary", q="x" * 3000).execute()
    assert found["items"] == []
    call = sandbox.calls("events.list")[0]
    assert (call.method, call.headers["x-http-method-override"]) == ("POST", "GET")


def test_fields_select_a_part_of_the_answer(alice, sandbox, timed):
    sandbox.seed_event(ALICE, timed(id="aaaaa"))
    found = (
        alice.events()
        .list(calendarId="primary", fields="nextSyncToken,items(id,start/timeZone)")
        .execute()
    )
    assert found["items"] == [{"id": "aaaaa", "start": {"timeZone": "Europe/Berlin"}}]
    assert set(found) == {"nextSyncToken", "items"}


def test_a_user_has_600_requests_a_minute(alice, sandbox, refused):
    sandbox.switches.limits = True
    sandbox.clock.freeze()
    alice.colors().get().execute()
    sandbox.limits.spend(ALICE, 599)
    found = refused(alice.colors().get())
    assert (found["status"], found["reason"]) == (403, "userRateLimitExceeded")
    assert found["domain"] == "usageLimits"
    alice.colors().get(quotaUser="somebody-else").execute()
    sandbox.clock.advance(61)
    alice.colors().get().execute()


def test_a_patch_costs_three_units(alice, sandbox, refused, timed):
    made = sandbox.seed_event(ALICE, timed())
    sandbox.switches.limits = True
    sandbox.clock.freeze()
    sandbox.limits.spend(ALICE, 597)
    request = alice.events().patch(calendarId="primary", eventId=made["id"], body={})
    request.execute()
    assert refused(alice.colors().get())["status"] == 403


def test_the_project_has_a_rate_of_its_own(alice, sandbox, refused):
    sandbox.switches.limits = True
    sandbox.clock.freeze()
    for n in range(20):
        sandbox.limits.spend(f"user{n}", 500)
    assert refused(alice.colors().get())["status"] == 429


def test_writes_to_one_calendar_can_be_spaced(alice, sandbox, refused, timed):
    sandbox.switches.write_spacing = 1.0
    sandbox.clock.freeze()
    alice.events().insert(calendarId="primary", body=timed()).execute()
    request = alice.events().insert(calendarId="primary", body=timed())
    assert refused(request)["reason"] == "rateLimitExceeded"
    sandbox.clock.advance(1)
    alice.events().insert(calendarId="primary", body=timed()).execute()


def test_a_lost_answer_leaves_the_event_and_a_repeat_meets_it(alice, sandbox, timed):
    """httplib2 repeats an unanswered POST by itself, so the second one finds the first's event."""
    sandbox.faults.add(Fault("POST .*/events", "drop_after"))
    with pytest.raises(HttpError) as caught:
        alice.events().insert(calendarId="primary", body=timed(id="aaaaa")).execute()
    assert caught.value.resp.status == 409
    assert [event["id"] for event in sandbox.events(ALICE)] == ["aaaaa"]


def test_refusals_come_by_script(alice, sandbox, refused):
    quota = {
        "domain": "usageLimits", "reason": "quotaExceeded",
        "message": "Calendar usage limits exceeded.",
    }  # fmt: skip
    body = {"error": {"errors": [quota], "code": 403, "message": quota["message"]}}
    sandbox.faults.add(Fault("colors", "status", status=403, body=body))
    assert refused(alice.colors().get())["reason"] == "quotaExceeded"
    alice.colors().get().execute()


def test_unknown_paths_and_missing_tokens_are_refused(sandbox):
    assert requests.get(sandbox.url + "/calendar/v3/nothing", timeout=10).status_code == 404
    answer = requests.get(sandbox.url + "/calendar/v3/colors", timeout=10)
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "authError"


def test_everything_can_be_done_over_the_control_interface(sandbox):
    def post(action, body):
        answer = requests.post(f"{sandbox.url}/_sandbox/{action}", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    post("reset", None)
    carol = "carol@example.com"
    post("users", {"email": carol, "zone": "Asia/Shanghai"})
    team = post("calendars", {"owner": carol, "summary": "Team"})["result"]
    body = {"summary": "x", "start": {"date": "2027-03-01"}, "end": {"date": "2027-03-02"}}
    made = post("seed", {"calendar": team, "events": [body]})["events"][0]
    values = [team, made["id"], {"summary": "y"}]
    changed = post("edit", {"user": carol, "action": "change", "values": values})
    assert changed["summary"] == "y"
    assert post("service_account", {"dwd": True})["token_uri"] == sandbox.url + "/token"
    app = post("client", {})["installed"]
    token = post("grant", {"email": carol})["result"]
    form = {
        "grant_type": "refresh_token", "refresh_token": token,
        "client_id": app["client_id"], "client_secret": app["client_secret"],
    }  # fmt: skip
    access = requests.post(app["token_uri"], data=form, timeout=10).json()["access_token"]
    post("switches", {"page_limit": 5})
    assert post("expire", {})["result"] == 1
    colors = f"{sandbox.url}/calendar/v3/colors"
    answer = requests.get(colors, headers={"Authorization": f"Bearer {access}"}, timeout=10)
    assert answer.status_code == 401
    state = requests.get(f"{sandbox.url}/_sandbox/state", timeout=10).json()
    assert state["calendars"][team]["events"][0]["summary"] == "y"
    unknown = requests.post(f"{sandbox.url}/_sandbox/nonsense", json={}, timeout=10)
    assert unknown.status_code == 400


def test_the_library_follows_the_overwritten_root_only(alice, sandbox):
    """No call can reach the real host: base, batch and token addresses are the sandbox's."""
    http = httplib2.Http()
    try:
        answer, content = http.request(f"{sandbox.url}/calendar/v3/colors")
    finally:
        http.close()
    assert answer.status == 401
    assert json.loads(content)["error"]["code"] == 401
    assert alice.colors().get().uri.startswith(sandbox.url)
