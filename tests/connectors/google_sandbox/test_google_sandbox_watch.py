"""Push channels, received over a real socket."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ALICE = "alice@example.com"


@pytest.fixture
def hook(sandbox):
    """A receiver of pushes; `messages` are the headers in order, `answers` its next statuses."""
    sandbox.switches.allow_http_push = True

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            server.messages.append(dict(self.headers.items()))
            self.send_response(server.answers.pop(0) if server.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.messages, server.answers = [], []
    server.address = f"http://127.0.0.1:{server.server_address[1]}/push"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def watch(alice, hook):
    def _watch(name="c1", **fields):
        body = {"id": name, "type": "web_hook", "address": hook.address, "token": "secret"}
        return alice.events().watch(calendarId="primary", body=body | fields).execute()

    return _watch


def states(hook):
    return [m["X-Goog-Resource-State"] for m in hook.messages]


def test_a_channel_begins_with_sync_and_tells_of_every_write(sandbox, hook, watch, timed):
    channel = watch()
    made = sandbox.seed_event(ALICE, timed())
    sandbox.edit(ALICE, "remove", "primary", made["id"])
    assert sandbox.channels.settle()
    assert states(hook) == ["sync", "exists", "exists"]
    first, second, third = hook.messages
    assert first["X-Goog-Message-Number"] == "1"
    assert 1 < int(second["X-Goog-Message-Number"]) < int(third["X-Goog-Message-Number"])
    for message in hook.messages:
        assert message["X-Goog-Channel-ID"] == "c1"
        assert message["X-Goog-Channel-Token"] == "secret"
        assert message["X-Goog-Resource-ID"] == channel["resourceId"]
        assert message["X-Goog-Resource-URI"] == channel["resourceUri"]
    assert int(channel["expiration"]) / 1000 - sandbox.clock.time() <= 7 * 86400


def test_other_calendars_are_silent(sandbox, hook, watch, timed):
    watch()
    sandbox.seed_event("bob@example.com", timed())
    assert sandbox.channels.settle()
    assert states(hook) == ["sync"]


def test_a_stopped_channel_is_silent(alice, sandbox, hook, watch, refused, timed):
    channel = watch()
    body = {"id": "c1", "resourceId": channel["resourceId"]}
    alice.channels().stop(body=body).execute()
    sandbox.seed_event(ALICE, timed())
    assert sandbox.channels.settle()
    assert states(hook) == ["sync"]
    assert refused(alice.channels().stop(body=body))["status"] == 404


def test_a_channel_expires_on_the_sandbox_clock(sandbox, hook, watch, timed):
    watch(params={"ttl": "600"})
    sandbox.clock.advance(601)
    sandbox.seed_event(ALICE, timed())
    assert sandbox.channels.settle()
    assert states(hook) == ["sync"]
    assert sandbox.channels.open == {}


def test_addresses_must_be_https(alice, sandbox, hook, refused):
    sandbox.switches.allow_http_push = False
    body = {"id": "c1", "type": "web_hook", "address": hook.address}
    found = refused(alice.events().watch(calendarId="primary", body=body))
    assert (found["status"], found["reason"]) == (400, "push.webhookUrlNotHttps")


def test_a_channel_id_is_good_once(alice, hook, watch, refused):
    watch()
    body = {"id": "c1", "type": "web_hook", "address": hook.address}
    found = refused(alice.events().watch(calendarId="primary", body=body))
    assert found["reason"] == "channelIdNotUnique"


def test_messages_are_lost_and_doubled_by_script(sandbox, hook, watch, timed):
    watch()
    sandbox.channels.script.extend(["drop", "duplicate", "send"])
    for _ in range(3):
        sandbox.seed_event(ALICE, timed())
    assert sandbox.channels.settle()
    numbers = [m["X-Goog-Message-Number"] for m in hook.messages]
    assert len(numbers) == 4
    assert numbers[1] == numbers[2] != numbers[3]


def test_a_message_that_met_503_is_sent_again_but_not_one_that_met_404(sandbox, hook, watch, timed):
    watch()
    assert sandbox.channels.settle()
    hook.answers += [503, 200, 404]
    sandbox.seed_event(ALICE, timed())
    sandbox.seed_event(ALICE, timed())
    assert sandbox.channels.settle()
    assert states(hook) == ["sync", "exists", "exists", "exists"]
    assert [d.status for d in sandbox.channels.deliveries] == [200, 200, 404]


def test_the_list_of_calendars_can_be_watched(alice, sandbox, hook):
    body = {"id": "list", "type": "web_hook", "address": hook.address}
    alice.calendarList().watch(body=body).execute()
    sandbox.add_calendar(ALICE, "Team")
    assert sandbox.channels.settle()
    assert states(hook) == ["sync", "exists"]
