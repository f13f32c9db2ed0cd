"""Push channels: asked for once, believed only with our seal, replaced before they end."""

import pytest

from connectors.contract import PushRequest, Receives, Subscribes

ALICE = "alice@example.com"
PUSH = {"address": "https://bridge.example.com/push/google", "secret": "0123456789abcdef"}


def channels(google):
    return google.sandbox.state()["channels"]


def message(channel, **more):
    headers = {
        "x-goog-channel-id": channel["id"],
        "x-goog-channel-token": channel["token"],
        "x-goog-message-number": "7",
        "x-goog-resource-state": "exists",
    } | more
    return PushRequest(headers=headers, body=b"")


@pytest.fixture
def pushing(google):
    """The sandbox holds its messages back: nobody listens at the address."""
    google.sandbox.channels.script.extend(["drop"] * 50)
    return google


def test_a_subscription_leads_to_a_hint_for_that_calendar_and_account(pushing):
    provider = pushing.provider(push=PUSH)
    pushing.consent()
    connector = provider.connect(ALICE)
    assert isinstance(connector, Subscribes)
    assert isinstance(provider, Receives)
    connector.subscribe(ALICE)
    (channel,) = channels(pushing)
    answer = provider.receive(message(channel))
    assert answer.status == 200
    (hint,) = answer.hints
    assert (hint.connector, hint.calendar, hint.account) == ("google", ALICE, ALICE)
    assert hint.id == f"{channel['id']}:7"


def test_a_subscription_to_the_list_of_calendars_names_no_calendar(pushing):
    provider = pushing.provider(push=PUSH)
    pushing.consent()
    provider.connect(ALICE).subscribe(None)
    (channel,) = channels(pushing)
    (hint,) = provider.receive(message(channel)).hints
    assert hint.calendar is None
    assert hint.account == ALICE


def test_the_opening_message_is_no_hint(pushing):
    provider = pushing.provider(push=PUSH)
    pushing.consent()
    provider.connect(ALICE).subscribe(ALICE)
    (channel,) = channels(pushing)
    answer = provider.receive(message(channel, **{"x-goog-resource-state": "sync"}))
    assert (answer.status, answer.hints) == (200, ())


@pytest.mark.parametrize("token", ["", "no dot", "forged.W10=", ".", "é.é", "x" * 300])
def test_a_message_without_our_seal_is_refused(google, token):
    provider = google.provider(push=PUSH)
    answer = provider.receive(message({"id": "c", "token": token}))
    assert (answer.status, answer.hints) == (403, ())


def test_a_seal_of_another_secret_is_refused(pushing):
    provider = pushing.provider(push=PUSH)
    pushing.consent()
    provider.connect(ALICE).subscribe(ALICE)
    (channel,) = channels(pushing)
    stranger = pushing.provider(push=PUSH | {"secret": "another secret, long"})
    assert stranger.receive(message(channel)).status == 403


def test_without_push_settings_nothing_is_asked_for_and_nothing_believed(google):
    provider = google.provider()
    google.consent()
    provider.connect(ALICE).subscribe(ALICE)
    assert channels(google) == []
    assert provider.receive(message({"id": "c", "token": ""})).status == 403


def test_asking_again_is_harmless_until_the_channel_nears_its_end(pushing):
    connector = pushing.connect(push=PUSH)
    connector.subscribe(ALICE)
    connector.subscribe(ALICE)
    (first,) = channels(pushing)
    pushing.sandbox.clock.advance(6.5 * 86400)
    connector.subscribe(ALICE)
    (second,) = channels(pushing)
    assert second["id"] != first["id"]
    assert len(pushing.sandbox.calls("events.watch")) == 2


def test_unsubscribing_stops_the_channel_and_may_be_repeated(pushing):
    connector = pushing.connect(push=PUSH)
    connector.subscribe(ALICE)
    connector.unsubscribe(ALICE)
    connector.unsubscribe(ALICE)
    assert channels(pushing) == []
    assert len(pushing.sandbox.calls("channels.stop")) == 1
