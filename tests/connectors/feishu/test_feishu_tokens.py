"""Whose token is sent, when it is renewed, and what is never lost on the way."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from connectors.contract import KeepsAlive
from connectors.errors import FatalError, ReauthorizeError, RetryableError
from connectors.sandbox.faults import Fault

REDIRECT = "http://127.0.0.1:9/callback"


def test_every_call_carries_the_users_own_token_and_never_the_apps(bench: Any, ann: Any) -> None:
    token = bench.consent(ann)
    connector = bench.connect(ann)
    connector.calendars()
    list(connector.changes("primary", None))
    assert bench.bearers("calendars.list") == {token.access}
    assert bench.bearers("events.list") == {token.access}
    assert bench.count("auth.tenant_token") == 0


def test_without_consent_nothing_is_sent_although_the_app_has_a_secret(
    bench: Any, ann: Any
) -> None:
    connector = bench.provider().connect(ann.open_id)
    with pytest.raises(ReauthorizeError, match="has not given consent"):
        connector.calendars()
    assert bench.sandbox.calls() == []


def test_an_empty_stored_token_is_refreshed_and_not_replaced_by_the_apps(
    bench: Any, ann: Any
) -> None:
    token = bench.consent(ann)
    bench.tokens.kept["feishu", ann.open_id] = replace(token, access="")
    bench.connect(ann).calendars()
    assert bench.bearers("calendars.list") == {bench.tokens.saves[0].access}
    assert bench.count("auth.tenant_token") == 0


def test_a_token_with_less_than_ten_minutes_is_renewed_before_the_call(
    bench: Any, ann: Any
) -> None:
    old = bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.clock.advance(7200 - 590)
    connector.calendars()
    kept = bench.tokens.load("feishu", ann.open_id)
    assert bench.bearers("calendars.list") == {kept.access}
    assert kept.access != old.access
    assert kept.refresh != old.refresh
    assert kept.owner == ann.open_id


def test_the_new_refresh_token_is_stored_before_the_new_access_token_is_used(
    bench: Any, ann: Any
) -> None:
    bench.consent(ann)
    connector = bench.connect(ann, attempts=1)
    bench.sandbox.clock.advance(7100)
    bench.sandbox.faults.add(Fault("/calendars", "drop_before"))
    with pytest.raises(RetryableError):
        connector.calendars()
    assert len(bench.tokens.saves) == 1
    connector.calendars()
    assert bench.count("oauth.token") == 1


def test_a_token_that_the_server_calls_expired_is_renewed_and_the_call_repeated_once(
    bench: Any, ann: Any
) -> None:
    bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.desk.expire(ann)
    assert [calendar.primary for calendar in connector.calendars()] == [True]
    assert bench.count("calendars.list") == 2
    assert bench.count("oauth.token") == 1


@pytest.mark.parametrize("status", [400, 401])
def test_the_http_status_of_an_expired_token_does_not_matter(
    bench: Any, ann: Any, status: int
) -> None:
    bench.sandbox.switch(token_error_status=status)
    bench.consent(ann)
    bench.sandbox.desk.expire(ann)
    assert len(bench.connect(ann).calendars()) == 1


def test_many_threads_and_two_processes_make_one_refresh(bench: Any, ann: Any) -> None:
    bench.consent(ann)
    bench.sandbox.clock.advance(7100)
    connectors = [bench.provider().connect(ann.open_id) for _ in range(2)]
    barrier = threading.Barrier(8)

    def call(number: int) -> int:
        barrier.wait(10)
        return len(connectors[number % 2].calendars())

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(call, range(8))) == [1] * 8
    assert bench.count("oauth.token") == 1
    assert len(bench.tokens.saves) == 1


def test_a_revoked_consent_asks_for_a_new_one_and_says_who_and_how(bench: Any, ann: Any) -> None:
    bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.desk.revoke(ann)
    with pytest.raises(ReauthorizeError, match="calbridge connect") as refused:
        connector.calendars()
    assert ann.open_id in refused.value.message
    assert refused.value.code == "20064"


def test_a_refresh_token_that_ran_out_is_not_even_tried(bench: Any, ann: Any) -> None:
    bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.clock.advance(8 * 86_400)
    with pytest.raises(ReauthorizeError, match="run out"):
        connector.calendars()
    assert bench.sandbox.calls() == []


def test_when_refreshing_fails_for_the_moment_a_still_valid_token_goes_on(
    bench: Any, ann: Any
) -> None:
    old = bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.clock.advance(7000)
    bench.sandbox.faults.add(Fault("/oauth/token", "html", times=0, status=503))
    assert len(connector.calendars()) == 1
    assert bench.bearers("calendars.list") == {old.access}
    assert bench.tokens.load("feishu", ann.open_id) == old


def failing(bench: Any, times: int) -> None:
    """The store takes nothing, so many times."""
    save, left = bench.tokens.save, [times]

    def fail(*values: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError("the database restarts")
        save(*values)

    bench.tokens.save = fail


def test_a_store_that_fails_for_a_moment_costs_no_consent(bench: Any, ann: Any) -> None:
    bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.clock.advance(7100)
    failing(bench, 4)
    assert len(connector.calendars()) == 1
    assert bench.slept == [0.5, 1.0, 2.0, 4.0]
    assert bench.count("oauth.token") == 1


def test_a_store_that_fails_for_long_costs_no_consent_and_nobody_uses_what_is_not_stored(
    bench: Any, ann: Any
) -> None:
    bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.clock.advance(7100)
    failing(bench, 12)
    for _time in range(2):
        with pytest.raises(OSError, match="restarts"):
            connector.calendars()
        assert bench.count("calendars.list") == 0
    assert len(connector.calendars()) == 1
    assert bench.count("oauth.token") == 1
    assert bench.bearers("calendars.list") == {bench.tokens.load("feishu", ann.open_id).access}


def test_a_new_consent_counts_more_than_a_token_that_could_not_be_stored(
    bench: Any, ann: Any
) -> None:
    bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.clock.advance(7100)
    failing(bench, 5)
    with pytest.raises(OSError, match="restarts"):
        connector.calendars()
    new = bench.consent(ann)
    assert len(connector.calendars()) == 1
    assert bench.bearers("calendars.list") == {new.access}
    assert bench.tokens.load("feishu", ann.open_id) == new


@pytest.mark.parametrize("usable", [True, False], ids=["still good", "to be refreshed"])
def test_a_refused_refresh_looks_whether_somebody_else_has_made_it(
    bench: Any, ann: Any, usable: bool
) -> None:
    """Who loses the database for a moment loses the lock, too."""
    spent = bench.consent(ann)
    connector = bench.connect(ann)
    bench.sandbox.clock.advance(7100)
    bench.provider().connect(ann.open_id).calendars()
    newer = bench.tokens.load("feishu", ann.open_id)
    if not usable:
        bench.sandbox.clock.advance(7100)
    looks = iter([spent, spent])
    load = bench.tokens.load
    bench.tokens.load = lambda *key: next(looks, None) or load(*key)
    assert len(connector.calendars()) == 1
    assert (bench.tokens.load("feishu", ann.open_id) == newer) is usable


def test_keeping_alive_refreshes_an_idle_account_and_leaves_a_busy_one_alone(
    bench: Any, ann: Any
) -> None:
    bench.consent(ann)
    provider = bench.provider()
    assert isinstance(provider, KeepsAlive)
    for _hour in range(20):
        provider.keep_alive(ann.open_id)
        bench.sandbox.clock.advance(3600)
    assert bench.count("oauth.token") == 0
    for _ in range(3):
        bench.sandbox.clock.advance(6 * 86_400)
        provider.keep_alive(ann.open_id)
        provider.keep_alive(ann.open_id)
    assert bench.count("oauth.token") == 3
    assert len(provider.connect(ann.open_id).calendars()) == 1


def test_the_apps_identity_fetches_one_token_and_renews_it_in_time(bench: Any, ann: Any) -> None:
    provider = bench.provider(identity="tenant")
    connector = provider.connect(ann.open_id)
    connector.calendars()
    connector.calendars()
    assert bench.count("auth.tenant_token") == 1
    bench.sandbox.clock.advance(7200 - 590)
    connector.calendars()
    assert bench.count("auth.tenant_token") == 2
    assert all(token.startswith("t-") for token in bench.bearers("calendars.list"))


def test_the_apps_identity_finds_the_users_primary_calendar_and_not_its_own(
    bench: Any, ann: Any, single: Any
) -> None:
    calendar = bench.sandbox.world.calendars[ann.primary]
    bench.sandbox.share(calendar, bench.sandbox.app.bot, "writer")
    ref = bench.sandbox.seed_event(ann.primary, single)
    connector = bench.provider(identity="tenant").connect("ann@example.com")
    assert connector.resolve("primary") == ann.primary
    [page] = connector.changes("primary", None)
    assert [change.ref for change in page.changes] == [ref]


def test_a_wrong_app_secret_is_an_administrators_business(bench: Any, ann: Any) -> None:
    provider = bench.provider(app_secret="mistyped", identity="tenant")
    with pytest.raises(ReauthorizeError, match="secret is wrong") as refused:
        provider.connect(ann.open_id).calendars()
    assert "mistyped" not in str(refused.value)


def test_a_missing_scope_is_named(bench: Any, ann: Any) -> None:
    grant = bench.sandbox.grant(ann, frozenset({"contact:user.id:readonly"}))
    token = bench.consent(ann)
    bench.tokens.kept["feishu", ann.open_id] = replace(token, access=grant.access)
    with pytest.raises(ReauthorizeError, match="calendar:calendar"):
        bench.connect(ann).calendars()


def test_accounts_are_resolved_in_batches_and_strangers_left_out(bench: Any, ann: Any) -> None:
    people = [bench.sandbox.add_user(email=f"p{n}@example.com") for n in range(60)]
    names = [user.email.upper() for user in people] + [ann.open_id, ann.user_id, "x@nowhere.test"]
    found = bench.provider().resolve(names)
    assert found.keys() == set(names) - {"x@nowhere.test"}
    assert [found[user.email.upper()].id for user in people] == [user.open_id for user in people]
    assert found[ann.user_id].id == ann.open_id
    assert bench.count("contact.batch_get_id") == 2


def test_an_unknown_account_stops_its_link_and_nothing_else(bench: Any) -> None:
    connector = bench.provider(identity="tenant").connect("x@nowhere.test")
    with pytest.raises(FatalError, match="does not know"):
        connector.resolve("primary")


# -- consent --------------------------------------------------------------------------------------


def consent_code(bench: Any, provider: Any, verifier: str) -> str:
    """Follow the consent page as a browser would."""
    import base64
    import hashlib
    from urllib.parse import parse_qs, urlsplit

    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    url = provider.authorize_url(redirect_uri=REDIRECT, state="s1", challenge=challenge)
    answer = requests.get(url, allow_redirects=False, timeout=10)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["s1"]
    return query["code"][0]


def test_consent_stores_tokens_that_work(bench: Any, ann: Any) -> None:
    bench.sandbox.sign_in(ann)
    provider = bench.provider()
    code = consent_code(bench, provider, "v" * 60)
    who = provider.redeem("ann@example.com", code=code, redirect_uri=REDIRECT, verifier="v" * 60)
    assert who.id == ann.open_id
    assert bench.tokens.load("feishu", "ann@example.com").owner == ann.open_id
    connector = provider.connect("ann@example.com")
    assert connector.resolve("primary") == ann.primary
    bench.sandbox.clock.advance(7100)
    assert len(connector.calendars()) == 1


def test_somebody_elses_consent_is_refused_and_not_stored(bench: Any, ann: Any, bob: Any) -> None:
    bench.sandbox.sign_in(bob)
    provider = bench.provider()
    code = consent_code(bench, provider, "v" * 60)
    with pytest.raises(ReauthorizeError, match="Bob consented"):
        provider.redeem("ann@example.com", code=code, redirect_uri=REDIRECT, verifier="v" * 60)
    assert bench.tokens.kept == {}


def test_a_consent_that_cannot_be_refreshed_is_refused_and_not_stored(bench: Any, ann: Any) -> None:
    bench.sandbox.sign_in(ann)
    provider = bench.provider(scopes=["calendar:calendar", "contact:user.id:readonly"])
    code = consent_code(bench, provider, "v" * 60)
    with pytest.raises(ReauthorizeError, match="offline_access"):
        provider.redeem(ann.open_id, code=code, redirect_uri=REDIRECT, verifier="v" * 60)
    assert bench.tokens.kept == {}


def test_a_code_without_its_verifier_is_worth_nothing(bench: Any, ann: Any) -> None:
    bench.sandbox.sign_in(ann)
    provider = bench.provider()
    code = consent_code(bench, provider, "v" * 60)
    with pytest.raises(Exception, match="20049"):
        provider.redeem(ann.open_id, code=code, redirect_uri=REDIRECT, verifier="w" * 60)
    assert bench.tokens.kept == {}


def test_no_secret_appears_in_errors_logs_or_reprs(bench: Any, ann: Any) -> None:
    token = bench.consent(ann)
    provider = bench.provider(attempts=1)
    connector = provider.connect(ann.open_id)
    shown = [repr(provider._settings), repr(token)]
    for fault in ("drop_before", "html", "truncate"):
        bench.sandbox.faults.add(Fault("/calendars", fault, status=502))
        with pytest.raises(RetryableError) as failed:
            connector.calendars()
        shown += [str(failed.value), repr(failed.value), str(failed.value.facts)]
    shown += [str(entry) for entry in bench.logged]
    for secret in (token.access, token.refresh, bench.sandbox.app.secret):
        assert secret not in " ".join(shown)
    assert timedelta(0) < token.access_expires - bench.sandbox.clock.now()
