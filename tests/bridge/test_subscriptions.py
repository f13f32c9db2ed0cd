"""Pushes about every calendar that is read: asked for in time, missed when they stay away."""

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge import config
from bridge.records import Endpoint, Link, LinkState
from bridge.runtime import Runtime, System
from bridge.service import Service
from bridge.store import Store
from bridge.subscriptions import AGAIN, LATE, RETRY, release
from bridge.vault import Vault
from connectors.channels import Channel, proof_of
from connectors.contract import Subscription
from connectors.errors import ReauthorizeError, RejectedError, RetryableError
from connectors.memory import Call, MemoryConnector, MemoryWorld, named_world
from connectors.testing.builders import event

CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: pushes-hub-{n}}}
  other: {{type: memory, world: pushes-other-{n}}}
defaults: {{direction: {direction}}}
service: {{listen: "127.0.0.1:0", poll: 5h, workers: 2, nightly: "{night}"}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
  bob:
    hub: bob
    links: [{{to: other, account: ann, calendar: {shared}}}]
"""
PATIENCE = 20.0
_numbers = itertools.count(1)


class Office:
    """Two links into one account, and a clock that can be put forward."""

    def __init__(self, folder: Path, direction: str = "two-way", shared: str = "main") -> None:
        number = next(_numbers)
        path = folder / "config.yaml"
        # No night falls into the hours that a test lasts: what is listed then is no news.
        night = f"{(datetime.now(UTC) - timedelta(hours=3)):%H}:00"
        keys = {"n": number, "key": Vault.generate_key(), "night": night}
        path.write_text(CONFIG.format(direction=direction, shared=shared, **keys))
        self.hub = named_world(f"pushes-hub-{number}")
        self.other = named_world(f"pushes-other-{number}")
        self.a = self.hub.add_calendar("ann", "main")
        self.hub.add_calendar("bob", "bobs")
        self.b = self.other.add_calendar("ann", "main")
        self.other.add_calendar("ann", "second")
        self._ahead = timedelta(0)
        self.runtime = Runtime(config.load(path, {}), System(now=self.now, random=lambda: 0.5))
        self.store = self.runtime.store
        self.service = Service(self.runtime)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def later(self, time: timedelta) -> None:
        """Time passes; whatever becomes due is done."""
        self._ahead += time
        self.service._workers.wake()
        time_out = time_after(PATIENCE)
        while any(job.run_at and job.run_at <= self.now() for job in self.store.jobs()):
            assert not time_out(), "it never became quiet"
            _nap()
        self.settled()

    def start(self) -> None:
        self.service.start()
        self.settled()

    def again(self) -> None:
        """The process is restarted."""
        self.service.stop()
        self.service = Service(self.runtime)

    def settled(self) -> None:
        assert self.service.wait_idle(PATIENCE)

    def tend(self) -> None:
        self.service._subscriptions.tend()
        self.settled()

    def link(self, name: str = "ann/other") -> Link:
        link = self.store.link(name)
        assert link is not None
        return link

    def titles(self) -> list[str]:
        return sorted(self.a.event(ref).details.title for ref in self.a.refs())

    def suspected(self) -> list[Endpoint]:
        return [watched.end for watched in self.store.watched() if watched.suspected]


def _nap() -> None:
    time.sleep(0.01)


def time_after(seconds: float) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def until(true: Callable[[], object]) -> None:
    over = time_after(PATIENCE)
    while not true():
        assert not over(), "it never came true"
        _nap()


def deaf(world: MemoryWorld) -> None:
    """The service forgets its subscribers without telling them."""
    world.subscribed.clear()


def failing(operation: str, error: Exception) -> Callable[[Call], None]:
    def fault(call: Call) -> None:
        if call.operation == operation:
            raise error

    return fault


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def maker(**options: str) -> Office:
        made.append(Office(tmp_path, **options))
        return made[-1]

    yield maker
    for office in made:
        office.service.stop()
        office.runtime.close()


@pytest.fixture
def office(make: Callable[..., Office]) -> Office:
    made = make(shared="second")
    made.start()
    return made


@pytest.mark.parametrize(
    ("direction", "hub", "other"),
    [("two-way", True, True), ("to-target", True, False), ("from-target", False, True)],
)
def test_what_is_read_is_subscribed_to_and_nothing_else(
    make: Callable[..., Office], direction: str, hub: bool, other: bool
) -> None:
    office = make(direction=direction, shared="second")
    office.start()
    assert office.hub.subscribed == ({("ann", "main"), ("bob", "bobs")} if hub else set())
    assert office.other.subscribed == ({("ann", "main"), ("ann", "second")} if other else set())
    assert len(office.store.watched()) == 2 * (hub + other)


def test_a_calendar_is_subscribed_to_before_it_is_first_read(make: Callable[..., Office]) -> None:
    office = make(shared="second")
    order: dict[str, list[str]] = {}
    for world in (office.hub, office.other):
        world.before = lambda call: order.setdefault(f"{call.account} {call.calendar}", []).append(
            call.operation
        )
    office.start()
    read = [calls for calls in order.values() if "changes" in calls]
    assert read
    assert all(calls.index("subscribe") < calls.index("changes") for calls in read)


def test_a_change_on_either_side_is_pushed(office: Office) -> None:
    office.b.person_puts(event("From there", "2027-03-03T12:00"))
    until(lambda: office.titles() == ["From there"])
    office.a.person_puts(event("From here", "2027-03-04T12:00"))
    until(lambda: len(office.b.refs()) == 2)


def test_without_subscriptions_polling_goes_on_and_they_are_tried_again(
    make: Callable[..., Office],
) -> None:
    office = make(shared="second")
    office.other.before = failing("subscribe", RetryableError("not now"))
    office.start()
    assert office.other.subscribed == set()
    office.b.person_puts(event("Polled", "2027-03-03T12:00"))
    office.later(timedelta(hours=6))
    assert office.titles() == ["Polled"]
    office.other.before = lambda call: None
    office.b.person_puts(event("Missed meanwhile", "2027-03-04T12:00"))
    office._ahead += RETRY
    office.tend()
    assert ("ann", "main") in office.other.subscribed
    until(lambda: len(office.titles()) == 2)


def test_a_refusal_for_good_is_not_repeated_all_day(make: Callable[..., Office]) -> None:
    office = make(shared="second")
    office.other.before = failing("subscribe", RejectedError("this calendar has no pushes"))
    office.start()
    asked = office.other.calls["subscribe"]
    office._ahead += AGAIN / 2
    office.service._subscriptions.tend()
    assert office.other.calls["subscribe"] == asked
    office._ahead += AGAIN / 2
    office.service._subscriptions.tend()
    assert office.other.calls["subscribe"] > asked


def test_what_the_provider_lets_end_is_renewed_in_time(
    make: Callable[..., Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make(shared="second")
    short = timedelta(hours=1)
    subscribe = MemoryConnector.subscribe
    monkeypatch.setattr(
        MemoryConnector,
        "subscribe",
        lambda self, calendar: (
            subscribe(self, calendar) and Subscription(renew_at=office.now() + short)
        ),
    )
    office.start()
    asked = office.other.calls["subscribe"]
    office.tend()
    assert office.other.calls["subscribe"] == asked
    office._ahead += short
    office.tend()
    assert office.other.calls["subscribe"] == asked + 2, "both calendars, not the list of them"


def test_missed_pushes_are_noticed_and_asked_for_anew(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.later(timedelta(hours=6))
    deaf(office.other)
    office.b.person_puts(event("Unheard", "2027-03-03T12:00"))
    office.later(timedelta(hours=6))
    assert office.titles() == ["Unheard"]
    end = office.link().b
    assert office.suspected() == [end]
    office.tend()
    assert office.other.calls["unsubscribe"] == 0, "the push may only be late"
    office._ahead += LATE
    with caplog.at_level(logging.WARNING, "calbridge"):
        office.tend()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "connector=other account=ann calendar=main" in line
    assert ("ann", "main") in office.other.subscribed
    assert office.suspected() == []
    office.b.person_puts(event("Heard", "2027-03-04T12:00"))
    until(lambda: len(office.titles()) == 2)


def test_a_push_that_is_only_late_clears_the_suspicion(office: Office) -> None:
    office.later(timedelta(hours=6))
    deaf(office.other)
    office.b.person_puts(event("Late", "2027-03-03T12:00"))
    office.later(timedelta(hours=6))
    assert office.suspected() == [office.link().b]
    office.other.subscribed.add(("ann", "main"))
    office.other.announce("ann", "main")
    until(lambda: office.suspected() == [])
    office._ahead += LATE
    office.tend()
    assert office.other.calls["unsubscribe"] == 0


def test_what_happened_while_nobody_listened_is_no_deafness(office: Office) -> None:
    office.later(timedelta(hours=6))
    office.again()
    office.b.person_puts(event("Overnight", "2027-03-03T12:00"))
    office._ahead += timedelta(hours=8)
    office.start()
    assert office.titles() == ["Overnight"]
    assert office.suspected() == []


def test_our_own_writes_are_no_deafness(office: Office) -> None:
    office.later(timedelta(hours=6))
    office.a.person_puts(event("Copied", "2027-03-03T12:00"))
    until(lambda: len(office.b.refs()) == 1)
    deaf(office.other)
    office.later(timedelta(hours=6))
    assert office.suspected() == []


def test_a_consent_that_was_given_again_is_followed_by_a_subscription(office: Office) -> None:
    office.other.before = failing("changes", ReauthorizeError("consent was withdrawn"))
    office.later(timedelta(hours=6))
    assert office.link().state is LinkState.WAITING
    office.tend()
    office.other.before = lambda call: None
    deaf(office.other)
    office.later(timedelta(minutes=16))
    assert office.link().state is LinkState.ACTIVE
    office.tend()
    assert ("ann", "main") in office.other.subscribed


def test_a_stop_gives_up_nothing(office: Office) -> None:
    before = set(office.other.subscribed)
    watched = office.store.watched()
    office.service.stop()
    assert (office.other.subscribed, office.store.watched()) == (before, watched)


def test_a_link_that_ends_gives_up_what_no_other_link_needs(make: Callable[..., Office]) -> None:
    office = make(shared="main")  # both links join Ann's calendar there
    office.start()
    release(office.runtime, office.link("ann/other"))
    assert office.hub.subscribed == {("bob", "bobs")}
    assert office.other.subscribed == {("ann", "main")}
    with office.store.begin() as tx:
        tx.set_link_state(office.link("ann/other").id, LinkState.ENDED)
    release(office.runtime, office.link("bob/other"))
    assert office.other.subscribed == set()
    assert office.store.watched() == []


def test_a_link_ended_by_another_process_is_given_up_here_too(office: Office) -> None:
    with office.store.begin() as tx:
        tx.set_link_state(office.link("bob/other").id, LinkState.ENDED)
    office.tend()
    assert office.hub.subscribed == {("ann", "main")}
    assert office.other.subscribed == {("ann", "main")}
    office.b.person_puts(event("Still heard", "2027-03-03T12:00"))
    until(lambda: office.titles() == ["Still heard"])


def test_what_a_link_of_another_process_needs_is_not_given_up(office: Office) -> None:
    theirs = Endpoint(connector="other", account="ann", calendar="theirs")
    with office.store.begin() as tx:
        link = Link(id=0, uid="theirs", name="their/link", user="x", a=theirs, b=theirs)
        tx.put_link(link)
        tx.watch(theirs, office.now())
    office.tend()
    assert theirs in [watched.end for watched in office.store.watched()]


def test_a_provider_that_cannot_be_asked_does_not_keep_a_link_from_ending(office: Office) -> None:
    office.other.before = failing("unsubscribe", ReauthorizeError("consent was withdrawn"))
    release(office.runtime, office.link())
    assert office.link().b not in [watched.end for watched in office.store.watched()]


def test_a_push_about_what_is_only_written_to_wakes_nobody(make: Callable[..., Office]) -> None:
    office = make(direction="to-target", shared="second")
    office.start()
    before = office.store.job(office.link().id)
    bob = office.store.job(office.link("bob/other").id)
    assert bob is not None
    office.other.subscribed.add(("ann", "main"))
    accepted = office.service._intake.accepted
    office.b.person_puts(event("Not read", "2027-03-03T12:00"))
    until(lambda: office.service._intake.accepted > accepted)
    office.hub.announce("bob", "bobs")  # a later push that is acted upon
    until(lambda: (job := office.store.job(bob.link_id)) and job.dirty > bob.dirty)
    assert office.store.job(office.link().id) == before


def test_an_intake_without_workers_subscribes_by_itself(make: Callable[..., Office]) -> None:
    office = make(shared="second")
    office.service = Service(office.runtime, only=["intake"])
    office.service.start()
    until(lambda: len(office.store.watched()) == 4)
    jobs = {job.link_id: job.dirty for job in office.store.jobs()}
    assert set(jobs) == {office.link().id, office.link("bob/other").id}


# -- the rows --------------------------------------------------------------------------------------

END = Endpoint(connector="google", account="ann", calendar="c1")
LIST = Endpoint(connector="google", account="ann", calendar="")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_only_silence_of_a_subscription_that_was_there_is_suspicious(store: Store) -> None:
    with store.begin() as tx:
        assert not tx.suspect(END, NOON, NOON + HOUR), "nobody pushes about it"
        tx.watch(END, NOON)
        assert not tx.suspect(END, NOON - HOUR, NOON + HOUR), "it began only later"
        tx.announce("google", "c1", NOON + HOUR)
        assert not tx.suspect(END, NOON + HOUR, NOON + 2 * HOUR), "there was a push"
        assert tx.suspect(END, NOON + 2 * HOUR, NOON + 3 * HOUR)
        assert not tx.suspect(END, NOON + 2 * HOUR, NOON + 4 * HOUR), "it is known already"
    (watched,) = store.watched()
    assert (watched.suspected, watched.announced) == (NOON + 3 * HOUR, NOON + HOUR)
    with store.begin() as tx:
        tx.announce("google", None, NOON + 4 * HOUR)
    assert store.watched_calendar(END) is not None
    assert store.watched()[0].suspected is None


def test_a_push_announces_its_calendar_and_no_other(store: Store) -> None:
    other = Endpoint(connector="google", account="bob", calendar="c2")
    strange = Endpoint(connector="exchange", account="ann", calendar="c1")
    with store.begin() as tx:
        for end in (END, other, strange, LIST):
            tx.watch(end, NOON)
        tx.announce("google", "c1", NOON + HOUR)
    announced = {watched.end for watched in store.watched() if watched.announced}
    assert announced == {END}
    with store.begin() as tx:
        tx.unwatch(END)
        tx.unwatch(END)
    assert store.watched_calendar(END) is None


def test_channels_outlive_the_process(store: Store) -> None:
    channel = Channel(
        id="x1",
        account="ann",
        calendar=None,
        address="https://bridge.example.com/hooks/google",
        proof=proof_of("secret"),
        opened=NOON,
        expires=NOON + 7 * 24 * HOUR,
    )
    channels = store.channels
    with channels.lock("google", "ann", None):
        channels.save("google", channel)
    assert channels.find("google", "x1") == channel
    assert channels.find("other", "x1") is None
    channels.hear("google", "x1", "resource")
    channels.save("google", channel)
    heard = channels.find("google", "x1")
    assert heard is not None
    assert (heard.heard, heard.resource) == (True, ""), (
        "what is saved counts, except a sign of life"
    )
    channels.hear("google", "x1", "resource")
    channels.hear("google", "x1", "another")
    (known,) = channels.of("google", "ann", None)
    assert known.resource == "resource"
    assert channels.of("google", "ann", "c1") == []
    assert channels.forget(channel.expires) == 0
    assert channels.forget(channel.expires + HOUR) == 1
    channels.drop("google", "x1")
    assert channels.find("google", "x1") is None
