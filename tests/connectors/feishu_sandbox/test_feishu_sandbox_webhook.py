import json
import threading
from types import SimpleNamespace

import pytest

START = 1764554400
KEY, TOKEN = "encrypt-key", "verification-token"


def timed(**extra):
    return {
        "start_time": {"timestamp": str(START), "timezone": "UTC"},
        "end_time": {"timestamp": str(START + 3600), "timezone": "UTC"},
        **extra,
    }


@pytest.fixture
def dispatched(lark, receiver):
    """A receiver that lets the SDK's dispatcher check every call; collects what passed."""
    seen = []
    build = lark.EventDispatcherHandler.builder(KEY, TOKEN, lark.LogLevel.CRITICAL)
    handler = (
        build.register_p2_calendar_calendar_event_changed_v4(seen.append)
        .register_p2_calendar_calendar_changed_v4(seen.append)
        .register_p2_calendar_calendar_acl_created_v4(seen.append)
        .build()
    )

    def answer(headers, body):
        request = lark.RawRequest()
        request.uri, request.headers, request.body = "/feishu", headers, body
        response = handler.do(request)
        return response.status_code, response.content

    receiver.answer = answer
    return seen


@pytest.fixture
def raw(receiver):
    """A receiver that takes everything as it is, with the statuses that `raw.statuses` names."""

    taken = SimpleNamespace(statuses=[], bodies=[])

    def answer(_headers, body):
        parsed = json.loads(body)
        if parsed.get("type") == "url_verification":
            return 200, json.dumps({"challenge": parsed["challenge"]}).encode()
        taken.bodies.append(parsed)
        return (taken.statuses.pop(0) if taken.statuses else 200), b"{}"

    receiver.answer = answer
    return taken


def watch(account, calendar=None):
    assert account.on("POST", "/subscription", calendar=calendar or account.user.primary).code == 0


def test_a_signed_encrypted_push_passes_the_sdks_checks(
    sandbox, receiver, dispatched, ann, eventually
):
    sandbox.delivery.use("webhook", receiver.url, KEY, TOKEN)
    watch(ann)
    ann.made(timed())
    eventually(lambda: dispatched)
    [push] = dispatched
    assert push.header.token == TOKEN
    assert push.event.calendar_id == ann.user.primary
    assert [user.open_id for user in push.event.user_id_list] == [ann.user.open_id]
    eventually(lambda: sandbox.delivery.attempts)
    assert sandbox.delivery.attempts[0].acknowledged


def test_a_url_with_the_wrong_token_does_not_pass_the_challenge(sandbox, receiver, dispatched):
    with pytest.raises(ValueError, match="challenge"):
        sandbox.delivery.use("webhook", receiver.url, KEY, "other")
    sandbox.delivery.use("webhook", receiver.url, KEY, TOKEN)


def test_a_push_says_only_which_calendar_unless_the_tenant_is_grey(
    sandbox, receiver, raw, ann, eventually
):
    sandbox.delivery.use("webhook", receiver.url, "", TOKEN)
    watch(ann)
    made = ann.made(timed())["event_id"]
    eventually(lambda: len(raw.bodies) == 1)
    assert set(raw.bodies[0]["event"]) == {"calendar_id", "user_id_list"}
    sandbox.switch(grey_fields=True)
    ann.delete(made)
    eventually(lambda: len(raw.bodies) == 2)
    event = raw.bodies[1]["event"]
    assert (event["calendar_event_id"], event["change_type"]) == (made, "delete")


def test_changes_within_the_window_become_one_push_or_none(sandbox, receiver, raw, ann, eventually):
    sandbox.delivery.use("webhook", receiver.url)
    sandbox.clock.freeze()
    sandbox.switch(aggregation_seconds=3.0, grey_fields=True)
    watch(ann)
    kept = ann.made(timed())["event_id"]
    ann.patch(kept, {"summary": "x"})
    fleeting = ann.made(timed())["event_id"]
    ann.delete(fleeting)
    sandbox.clock.advance(3.1)
    eventually(lambda: raw.bodies)
    ann.patch(kept, {"summary": "y"})
    ann.patch(kept, {"summary": "z"})
    sandbox.clock.advance(3.1)
    eventually(lambda: len(raw.bodies) == 2)
    told = [(b["event"]["calendar_event_id"], b["event"]["change_type"]) for b in raw.bodies]
    assert told == [(kept, "create"), (kept, "update")]


def test_an_unacknowledged_push_comes_again_four_times_with_the_same_id(
    sandbox, receiver, raw, ann, eventually
):
    sandbox.delivery.use("webhook", receiver.url)
    watch(ann)
    raw.statuses = [500] * 5
    ann.made(timed())
    for number, delay in enumerate((15, 300, 3600, 21_600), 1):
        eventually(lambda number=number: len(sandbox.delivery.attempts) == number)
        sandbox.clock.advance(delay + 1)
    eventually(lambda: len(sandbox.delivery.attempts) == 5)
    sandbox.clock.advance(86_400)
    assert {body["header"]["event_id"] for body in raw.bodies} == {
        raw.bodies[0]["header"]["event_id"]
    }
    assert [attempt.number for attempt in sandbox.delivery.attempts] == [0, 1, 2, 3, 4]


def test_pushes_can_be_doubled_and_dropped(sandbox, receiver, raw, ann, eventually):
    sandbox.delivery.use("webhook", receiver.url)
    watch(ann)
    sandbox.switch(push_duplicate_chance=1.0)
    ann.made(timed())
    eventually(lambda: len(raw.bodies) == 2)
    assert raw.bodies[0] == raw.bodies[1]
    sandbox.switch(push_duplicate_chance=0.0, push_drop_chance=1.0)
    ann.made(timed())
    sandbox.switch(push_drop_chance=1.0)
    eventually(lambda: not sandbox.pushes._pending)
    sandbox.switch(push_drop_chance=0.0)
    last = ann.call("POST", "calendar/v4/calendars/subscription")
    assert last.code == 0
    ann.call("POST", "calendar/v4/calendars", {"summary": "x"})
    eventually(lambda: len(raw.bodies) == 3)
    assert raw.bodies[2]["header"]["event_type"] == "calendar.calendar.changed_v4"


def test_the_calendar_list_and_acls_have_their_own_pushes(
    sandbox, receiver, dispatched, ann, ben, eventually
):
    sandbox.delivery.use("webhook", receiver.url, KEY, TOKEN)
    assert ann.call("POST", "calendar/v4/calendars/subscription").code == 0
    made = ann.call("POST", "calendar/v4/calendars", {"summary": "T"}).data["calendar"]
    eventually(lambda: dispatched)
    assert dispatched[0].header.event_type == "calendar.calendar.changed_v4"
    paths = {"id": made["calendar_id"]}
    ann.call("POST", "calendar/v4/calendars/:id/acls/subscription", paths=paths)
    body = {"role": "reader", "scope": {"type": "user", "user_id": ben.user.open_id}}
    ann.call("POST", "calendar/v4/calendars/:id/acls", body, paths=paths)
    eventually(lambda: len(dispatched) == 2)
    assert dispatched[1].event.role == "reader"


def test_subscribing_needs_a_user_token_and_the_right_to_read(sandbox, bot, ann, ben):
    assert bot.on("POST", "/subscription", calendar=bot.sandbox.app.bot.primary).code == 99991663
    hidden = sandbox.add_calendar(ann.user, "hidden")
    assert ben.on("POST", "/subscription", calendar=hidden.id).code == 191002
    watch(ann)
    watch(ann)
    assert sandbox.subscriptions.who(sandbox.app.id, "events", ann.user.primary) == [
        ann.user.open_id
    ]
    assert ann.on("POST", "/unsubscription").code == 0
    assert sandbox.subscriptions.as_json() == []


def test_edits_by_hand_push_and_seeds_do_not(sandbox, receiver, raw, ann, eventually):
    sandbox.delivery.use("webhook", receiver.url)
    sandbox.switch(grey_fields=True)
    watch(ann)
    seeded = sandbox.seed_event(ann.user.primary, timed())
    by_hand = sandbox.as_user(ann.user).create("primary", timed())["event_id"]
    eventually(lambda: raw.bodies)
    eventually(lambda: sandbox.delivery.attempts)
    told = {body["event"]["calendar_event_id"] for body in raw.bodies}
    assert told == {by_hand}
    assert seeded not in told


def test_a_slow_receiver_counts_as_deaf(sandbox, receiver, raw, ann, eventually, monkeypatch):
    from connectors.sandbox.feishu import webhook

    monkeypatch.setattr(webhook, "POST_TIMEOUT", 0.1)
    sandbox.delivery.use("webhook", receiver.url)
    release = threading.Event()

    def answer(_headers, _body):
        release.wait(10)
        return 200, b"{}"

    receiver.answer = answer
    watch(ann)
    ann.made(timed())
    eventually(lambda: sandbox.delivery.attempts)
    release.set()
    assert not sandbox.delivery.attempts[0].acknowledged


def test_a_push_can_be_overtaken_by_a_later_one(sandbox, receiver, raw, ann, eventually):
    sandbox.delivery.use("webhook", receiver.url)
    sandbox.switch(grey_fields=True, push_reorder_chance=1.0)
    sandbox.clock.freeze()
    watch(ann)
    first = ann.made(timed())["event_id"]
    sandbox.clock.advance(0.1)
    eventually(lambda: not sandbox.pushes._pending)
    sandbox.switch(push_reorder_chance=0.0)
    second = ann.made(timed())["event_id"]
    sandbox.clock.advance(0.1)
    eventually(lambda: raw.bodies)
    sandbox.clock.advance(1)
    eventually(lambda: len(raw.bodies) == 2)
    assert [body["event"]["calendar_event_id"] for body in raw.bodies] == [second, first]


def test_withdrawn_consent_is_told(sandbox, receiver, raw, ann, eventually):
    sandbox.delivery.use("webhook", receiver.url)
    sandbox.control("revoke", {"user": ann.user.open_id})
    eventually(lambda: raw.bodies)
    assert raw.bodies[0]["header"]["event_type"] == "auth.user_access_token.revoked_v4"
    assert raw.bodies[0]["event"]["open_id"] == ann.user.open_id
    assert ann.listing().code == 99991668
