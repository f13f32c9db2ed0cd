"""Pull and streaming subscriptions."""

import threading

import pytest
from exchangelib.errors import (
    ErrorExceededSubscriptionCount,
    ErrorExpiredSubscription,
    ErrorInvalidWatermark,
    ErrorSubscriptionNotFound,
)

ALICE = "alice@office.example"
FIELDS = {"subject": "x", "start": "2027-03-01T09:00:00", "end": "2027-03-01T10:00:00"}


def kinds(notification):
    return [event.ELEMENT_NAME for event in notification.events]


def test_a_pull_subscription_tells_what_happened_in_order(sandbox, alice):
    name, mark = alice.calendar.subscribe_to_pull(timeout=10)
    made = sandbox.edit(ALICE, "create", FIELDS)["id"]
    sandbox.edit(ALICE, "change", made, {"subject": "y"})
    sandbox.edit(ALICE, "remove", made)
    [notification] = alice.calendar.get_events(name, mark)
    assert kinds(notification) == ["CreatedEvent", "ModifiedEvent", "MovedEvent"]
    moved = notification.events[-1]
    assert moved.old_item_id.id == made
    assert moved.old_parent_folder_id.id == alice.calendar.id
    [later] = alice.calendar.get_events(name, moved.watermark)
    assert kinds(later) == ["StatusEvent"]


def test_more_events_than_fit_are_announced(sandbox, alice, post):
    name, mark = alice.calendar.subscribe_to_pull(timeout=10)
    for _ in range(60):
        sandbox.edit(ALICE, "create", FIELDS)
    answer = post(
        f"<m:GetEvents><m:SubscriptionId>{name}</m:SubscriptionId>"
        f"<m:Watermark>{mark}</m:Watermark></m:GetEvents>"
    ).text
    assert "<t:MoreEvents>true</t:MoreEvents>" in answer
    assert answer.count("<t:CreatedEvent>") == 50


def test_subscriptions_end(sandbox, alice):
    name, mark = alice.calendar.subscribe_to_pull(timeout=10)
    with pytest.raises(ErrorInvalidWatermark):
        list(alice.calendar.get_events(name, "bm8="))
    sandbox.clock.advance(601)
    with pytest.raises(ErrorExpiredSubscription):
        list(alice.calendar.get_events(name, mark))
    name, mark = alice.calendar.subscribe_to_pull(timeout=10)
    alice.calendar.unsubscribe(name)
    with pytest.raises(ErrorSubscriptionNotFound):
        list(alice.calendar.get_events(name, mark))


def test_a_mailbox_has_a_limit_of_subscriptions(sandbox, alice):
    sandbox.switches.turn(max_subscriptions=2)
    for _ in range(2):
        alice.calendar.subscribe_to_streaming()
    with pytest.raises(ErrorExceededSubscriptionCount):
        alice.calendar.subscribe_to_streaming()


@pytest.fixture
def stream(sandbox, alice):
    """Collect the kinds of events of a streaming connection until it ends."""
    threads = []

    def _stream(name):
        seen, failures = [], []

        def read():
            try:
                for notification in alice.calendar.get_streaming_events(name, connection_timeout=1):
                    seen.extend(kinds(notification))
            except Exception as error:  # noqa: BLE001
                failures.append(error)

        threads.append(threading.Thread(target=read))
        threads[-1].start()
        opened = threading.Event()
        while not sandbox.streams.open_count:
            opened.wait(0.01)
        return threads[-1], seen, failures

    yield _stream
    sandbox.streams.close_all()
    for thread in threads:
        thread.join(10)


def test_a_stream_carries_events_until_its_time_is_over(sandbox, alice, stream):
    name = alice.calendar.subscribe_to_streaming()
    sandbox.edit(ALICE, "create", FIELDS)
    thread, seen, failures = stream(name)
    made = sandbox.edit(ALICE, "create", FIELDS)["id"]
    sandbox.edit(ALICE, "remove", made, how="HardDelete")
    while len(seen) < 3:
        thread.join(0.01)
    sandbox.clock.advance(61)
    thread.join(10)
    assert not thread.is_alive()
    assert (seen, failures) == (["CreatedEvent", "CreatedEvent", "DeletedEvent"], [])


def test_a_lost_subscription_ends_the_stream_with_its_name(sandbox, alice, stream):
    name = alice.calendar.subscribe_to_streaming()
    thread, _seen, failures = stream(name)
    with sandbox.lock:
        sandbox.subscriptions.clear()
    thread.join(10)
    assert not thread.is_alive()
    assert [type(error) for error in failures] == [ErrorSubscriptionNotFound]


def test_a_stream_may_break_off_without_a_word(sandbox, alice, stream):
    sandbox.switches.turn(streaming_close=False)
    thread, seen, failures = stream(alice.calendar.subscribe_to_streaming())
    sandbox.streams.close_all()
    thread.join(10)
    assert (thread.is_alive(), seen, failures) == (False, [], [])


def test_a_streaming_subscription_outlives_its_connection_for_a_while(sandbox, alice, post):
    name = alice.calendar.subscribe_to_streaming()
    sandbox.clock.advance(sandbox.switches.subscription_seconds + 1)
    answer = post(
        f"<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>{name}</t:SubscriptionId>"
        "</m:SubscriptionIds><m:ConnectionTimeout>1</m:ConnectionTimeout></m:GetStreamingEvents>"
    ).text
    assert "ErrorSubscriptionNotFound" in answer
    assert f"<t:SubscriptionId>{name}</t:SubscriptionId>" in answer


def streaming(names):
    listed = "".join(f"<t:SubscriptionId>{name}</t:SubscriptionId>" for name in names)
    return (
        f"<m:GetStreamingEvents><m:SubscriptionIds>{listed}</m:SubscriptionIds>"
        "<m:ConnectionTimeout>1</m:ConnectionTimeout></m:GetStreamingEvents>"
    )


def test_a_server_knows_only_the_subscriptions_of_its_own_mailboxes(sandbox, alice, post):
    name = alice.calendar.subscribe_to_streaming()
    sandbox.world.mailboxes[ALICE].server = "mbx2"
    answer = post(streaming([name]), Cookie="X-BackEndOverrideCookie=mbx1~1").text
    assert "ErrorSubscriptionNotFound" in answer
    assert f"<t:SubscriptionId>{name}</t:SubscriptionId>" in answer


def test_a_connection_takes_two_hundred_subscriptions(post):
    assert "ErrorInvalidArgument" in post(streaming(["x"] * 201)).text


def test_a_caller_may_keep_only_so_many_connections_open(sandbox, alice, stream, post):
    sandbox.switches.turn(hanging_connections=1)
    name = alice.calendar.subscribe_to_streaming()
    stream(name)
    assert "ErrorExceededConnectionCount" in post(streaming([name])).text
