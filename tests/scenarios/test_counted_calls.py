"""The complaint: "it got slow, and nobody could say at whose end". Every call is counted, with how
it ended, and the counts are those of the providers themselves."""

from typing import Any

from bridge.store.calls import Tally, called


def counts(desk: Any, connector: str) -> dict[tuple[str, str], Tally]:
    with desk.runtime() as runtime:
        runtime.calls.store()
        found = called(runtime.store).items()
    return {
        (what.kind, what.outcome): tally for what, tally in found if what.connector == connector
    }


def number(found: dict[tuple[str, str], Tally], *kinds: str) -> int:
    return sum(tally.calls for (kind, _), tally in found.items() if kind in kinds)


def failed(found: dict[tuple[str, str], Tally]) -> int:
    return sum(tally.calls for (_, outcome), tally in found.items() if outcome != "ok")


def test_calls_to_feishu_and_google_are_counted_as_they_arrived(desk: Any) -> None:
    desk.run(full=True)
    google, feishu = counts(desk, "google"), counts(desk, "feishu")
    assert set(google) == {("read", "ok"), ("write", "ok")}
    assert number(google, "read", "write") == desk.google_calls()
    ours = [call for call in desk.feishu.calls() if call.operation != "oauth.authorize"]
    assert number(feishu, "read", "write", "login") == len(ours)
    assert feishu["login", "ok"].calls > 0
    for tally in (*google.values(), *feishu.values()):
        assert tally.time.total_seconds() > 0
        assert list(tally.within) == sorted(tally.within)
        assert tally.within[-1] == tally.calls


def test_what_goes_wrong_is_counted_with_its_consequence_and_survives_a_restart(desk: Any) -> None:
    desk.run(full=True)
    desk.weather("google", "GET .*events", "status", status=429, times=2)
    desk.run(full=True)
    desk.restart()
    desk.weather("feishu", "GET .*events", "status", status=502, times=1)
    desk.run(full=True)
    assert counts(desk, "google")["read", "RateLimitedError"].calls == 2
    assert failed(counts(desk, "feishu")) == 1


def test_calls_to_exchange_are_counted_as_they_arrived(mailbox: Any) -> None:
    mailbox.weather("exchange", "op=.*Folder", "status", status=503, times=1)
    mailbox.run(full=True)
    found = counts(mailbox, "exchange")
    assert {("read", "ok"), ("write", "ok")} < set(found)
    assert number(found, "read", "write") == mailbox.exchange_calls()
    assert failed(found) == 1
