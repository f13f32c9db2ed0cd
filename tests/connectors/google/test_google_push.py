"""Push channels: opened once, replaced before they end, believed only with their own secret."""

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.channels import proof_of
from connectors.contract import PushRequest, Receives, Subscribes
from connectors.errors import ConnectorError, OutcomeUnknownError
from connectors.sandbox.faults import Fault

ALICE = "alice@example.com"
WEEK = 7 * 86400
FORBIDDEN = {"error": {"code": 403, "message": "No.", "errors": [{"reason": "forbidden"}]}}


@pytest.fixture
def hook(google):
    """Where Google posts to: messages are kept, and answered by `provider` if there is one."""
    google.sandbox.switches.allow_http_push = True

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = PushRequest(headers=headers, body=b"")
            server.messages.append(request)
            status = 200
            if server.provider is not None:
                answer = server.provider.receive(request)
                server.hints += answer.hints
                status = answer.status
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.messages, server.hints, server.provider = [], [], None
    server.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/google"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    google.sandbox.channels.settle()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def provider(google, hook):
    made = google.provider(push_url=hook.url)
    google.consent()
    hook.provider = made
    return made


@pytest.fixture
def connector(provider):
    return provider.connect(ALICE)


def channels(google):
    google.sandbox.channels.settle()
    return google.sandbox.state()["channels"]


def happens(google):
    """Somebody makes an event, and Google has told whom it tells."""
    body = {
        "summary": "Lunch",
        "start": {"dateTime": "2026-03-02T12:00:00Z"},
        "end": {"dateTime": "2026-03-02T13:00:00Z"},
    }
    google.sandbox.seed_event(ALICE, body)
    google.sandbox.channels.settle()


def changed(request, **more):
    return replace(request, headers=dict(request.headers) | more)


def test_a_change_leads_to_a_hint_for_that_calendar_and_account(google, hook, provider, connector):
    assert isinstance(connector, Subscribes)
    assert isinstance(provider, Receives)
    subscription = connector.subscribe(ALICE)
    assert hook.hints == []
    happens(google)
    (hint,) = hook.hints
    assert (hint.connector, hint.calendar, hint.account) == ("google", ALICE, ALICE)
    left = (subscription.renew_at - google.sandbox.clock.now()).total_seconds()
    assert 0.7 * WEEK < left < WEEK


def test_a_subscription_to_the_list_of_calendars_names_no_calendar(google, hook, connector):
    connector.subscribe(None)
    google.sandbox.add_calendar(ALICE, "Second")
    google.sandbox.channels.settle()
    assert {(hint.calendar, hint.account) for hint in hook.hints} == {(None, ALICE)}


def test_each_message_is_told_apart_and_its_repetition_is_not(google, hook, connector):
    connector.subscribe(ALICE)
    google.sandbox.channels.script.append("duplicate")
    happens(google)
    happens(google)
    first, again, second = [hint.id for hint in hook.hints]
    assert first == again != second


def test_the_opening_message_is_a_sign_of_life_and_no_hint(google, hook, connector):
    connector.subscribe(ALICE)
    google.sandbox.channels.settle()
    (message,) = hook.messages
    assert message.headers["x-goog-resource-state"] == "sync"
    assert hook.hints == []
    assert google.channels.of("google", ALICE, ALICE)[0].heard


def test_the_secret_is_long_differs_by_channel_and_is_kept_nowhere(google, hook, connector):
    connector.subscribe(ALICE)
    connector.subscribe(None)
    secrets = {channel["token"] for channel in channels(google)}
    assert len(secrets) == 2
    assert all(len(secret) >= 40 for secret in secrets)
    kept = [*google.channels.of("google", ALICE, ALICE), *google.channels.of("google", ALICE, None)]
    assert {channel.proof for channel in kept} == {proof_of(secret) for secret in secrets}
    assert not [secret for secret in secrets if secret in repr(kept)]


@pytest.mark.parametrize(
    "forgery",
    [
        {"x-goog-channel-token": ""},
        {"x-goog-channel-token": "guess"},
        {"x-goog-channel-token": "é" * 1000},
        {"x-goog-channel-id": "another"},
        {"x-goog-channel-id": ""},
        {"x-goog-resource-id": "another"},
        {"x-goog-resource-id": "é"},
        {"x-goog-resource-state": "sync", "x-goog-channel-token": "guess"},
    ],
    ids=["no secret", "guessed", "long", "other id", "no id", "other resource", "odd", "opening"],
)
def test_a_message_that_is_not_proven_is_refused(google, hook, provider, connector, forgery):
    connector.subscribe(ALICE)
    happens(google)
    genuine = hook.messages[-1]
    assert provider.receive(genuine).hints
    answer = provider.receive(changed(genuine, **forgery))
    assert (answer.status, answer.hints) == (404, ())


def test_the_secret_of_another_channel_does_not_open_this_one(google, hook, provider, connector):
    connector.subscribe(ALICE)
    connector.subscribe(None)
    happens(google)
    other = next(c["token"] for c in channels(google) if c["id"] not in str(hook.hints[0].id))
    stolen = changed(hook.messages[-1], **{"x-goog-channel-token": other})
    assert provider.receive(stolen).status == 404


def test_without_an_address_nothing_is_asked_for_and_nothing_believed(google):
    provider = google.provider()
    google.consent()
    assert provider.connect(ALICE).subscribe(ALICE) is None
    assert channels(google) == []
    assert provider.receive(PushRequest(headers={}, body=b"")).status == 404


def test_asking_again_is_harmless_until_the_channel_nears_its_end(google, hook, connector):
    first = connector.subscribe(ALICE)
    assert connector.subscribe(ALICE) == first
    (old,) = channels(google)
    google.sandbox.clock.advance(0.85 * WEEK)
    second = connector.subscribe(ALICE)
    assert second.renew_at > first.renew_at
    (new,) = channels(google)
    assert new["id"] != old["id"]
    assert google.api_calls() == ["events.watch", "events.watch", "channels.stop"]
    happens(google)
    assert len(hook.hints) == 1


def test_a_short_life_granted_by_google_is_respected(google, hook, connector):
    google.sandbox.switches.watch_seconds = 600
    subscription = connector.subscribe(ALICE)
    assert (subscription.renew_at - google.sandbox.clock.now()).total_seconds() < 500


def test_the_old_channel_speaks_until_the_new_one_is_there(google, hook, connector):
    connector.subscribe(ALICE)
    (old,) = channels(google)
    google.sandbox.clock.advance(0.85 * WEEK)
    google.sandbox.faults.add(Fault("events/watch", "status", status=403, body=FORBIDDEN, times=0))
    with pytest.raises(ConnectorError):
        connector.subscribe(ALICE)
    assert len(google.channels.of("google", ALICE, ALICE)) == 1
    happens(google)
    assert [hint.id.split(":")[0] for hint in hook.hints] == [old["id"]]


def test_another_process_uses_the_channel_that_is_there(google, hook, connector):
    connector.subscribe(ALICE)
    again = google.provider(push_url=hook.url)
    again.connect(ALICE).subscribe(ALICE)
    assert len(channels(google)) == 1
    hook.provider = again
    happens(google)
    assert len(hook.hints) == 1


def test_many_who_ask_at_once_open_one_channel(google, hook, connector):
    threads = [threading.Thread(target=connector.subscribe, args=(ALICE,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(google.sandbox.calls("events.watch")) == 1


def test_a_new_address_gets_a_new_channel(google, hook, connector):
    connector.subscribe(ALICE)
    moved = google.provider(push_url=f"{hook.url}?moved")
    moved.connect(ALICE).subscribe(ALICE)
    assert len(channels(google)) == 1
    assert [each.address for each in google.sandbox.channels.open.values()] == [f"{hook.url}?moved"]


def test_unsubscribing_stops_the_channel_and_may_be_repeated(google, hook, connector):
    connector.subscribe(ALICE)
    connector.unsubscribe(ALICE)
    connector.unsubscribe(ALICE)
    assert channels(google) == []
    assert len(google.sandbox.calls("channels.stop")) == 1
    assert google.channels.of("google", ALICE, ALICE) == []


def test_a_late_message_of_a_stopped_channel_is_not_believed(google, hook, provider, connector):
    connector.subscribe(ALICE)
    happens(google)
    late = hook.messages[-1]
    connector.unsubscribe(ALICE)
    assert provider.receive(late).status == 404


def test_a_channel_that_vanished_is_made_anew(google, hook, connector):
    connector.subscribe(ALICE)
    google.sandbox.channels.open.clear()
    connector.unsubscribe(ALICE)
    connector.subscribe(ALICE)
    happens(google)
    assert len(hook.hints) == 1


def test_a_channel_whose_opening_was_never_answered_is_stopped_once_it_spoke(
    google, hook, connector
):
    google.sandbox.faults.add(Fault("events/watch", "drop_after", times=1))
    google.sandbox.faults.add(Fault("events/watch", "drop_before", times=0))
    with pytest.raises(OutcomeUnknownError):
        connector.subscribe(ALICE)
    google.sandbox.faults.clear()
    (orphan,) = channels(google)
    connector.subscribe(ALICE)
    (channel,) = channels(google)
    assert channel["id"] != orphan["id"]


def test_a_lost_answer_costs_no_second_channel(google, hook, connector):
    google.sandbox.faults.add(Fault("events/watch", "drop_after"))
    connector.subscribe(ALICE)
    happens(google)
    (channel,) = channels(google)
    assert [hint.id.split(":")[0] for hint in hook.hints] == [channel["id"]]
    connector.unsubscribe(ALICE)
    assert channels(google) == []


def test_a_stop_that_fails_is_tried_again_with_the_next_subscription(google, hook, connector):
    connector.subscribe(ALICE)
    google.sandbox.clock.advance(0.85 * WEEK)
    google.sandbox.faults.add(Fault("channels/stop", "status", status=403, body=FORBIDDEN))
    connector.subscribe(ALICE)
    assert len(channels(google)) == 2
    connector.subscribe(ALICE)
    assert len(channels(google)) == 1


def test_an_address_at_which_nothing_ever_arrives_is_told_about(google, hook, connector):
    said = []
    connector._channels._log = lambda message, **facts: said.append((message, facts))
    hook.provider = None
    connector.subscribe(ALICE)
    google.sandbox.channels.settle()
    connector.subscribe(ALICE)
    assert said == []
    google.sandbox.clock.advance(601)
    connector.subscribe(ALICE)
    ((message, facts),) = said
    assert "push_url" in message
    assert facts["push_url"] == hook.url
