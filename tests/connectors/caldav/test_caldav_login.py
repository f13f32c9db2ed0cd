"""How the connector gets in: Digest, and TLS with certificates of the server's own."""

import base64
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.caldav import PLUGIN
from connectors.contract import Connector, Context
from connectors.errors import ReauthorizeError, RetryableError
from connectors.metering import Called, Meter
from connectors.pacing import FreePacer
from connectors.sandbox.caldav import CaldavServer, Digest, Wire, radicale
from connectors.sandbox.tls import certified

ANN = "ann@example.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaldavServer]:
    with radicale(tmp_path_factory.mktemp("radicale"), password="Pässwörd") as running:
        yield running


def opened(wire: Wire, calls: list[Called], **settings: Any) -> Connector:
    context = Context(
        now=lambda: datetime(2026, 2, 1, tzinfo=UTC),
        sleep=lambda _seconds: None,
        random=lambda: 0.5,
        tokens=None,  # type: ignore[arg-type]
        pacer=lambda _name, _capabilities: FreePacer(),
        meter=lambda name: Meter(name, monotonic=time.monotonic, report=calls.append),
    )
    password = settings.pop("password", "Pässwörd")
    login = {"username": "ann", "password": password, "addresses": [ANN]}
    known = PLUGIN.settings(url=wire.url, accounts={ANN: login}, **settings)
    return PLUGIN.open("dav", known, context).connect(ANN)


@pytest.fixture
def guarded(server: CaldavServer) -> Iterator[Wire]:
    """A server that wants Digest."""
    basic = base64.b64encode(f"ann:{server.password}".encode()).decode()
    digest = Digest("ann", server.password)
    with Wire(server.url, digest=digest, basic=f"Basic {basic}") as wire:
        yield wire


def test_digest_lets_in_and_a_challenge_is_counted_as_a_login(guarded: Wire) -> None:
    calls: list[Called] = []
    connector = opened(guarded, calls, auth="digest")
    connector.calendars()
    connector.calendars()
    assert Counter(call.kind for call in calls)["login"] == 1
    assert guarded.digest is not None
    guarded.digest.renew()
    connector.calendars()
    assert Counter(call.kind for call in calls)["login"] == 2
    assert len(calls) == guarded.count()
    assert {call.outcome for call in calls} == {"ok"}
    connector.close()


@pytest.mark.parametrize("wrong", [{"auth": "basic"}, {"auth": "digest", "password": "other"}])
def test_the_wrong_login_is_a_matter_for_a_person(guarded: Wire, wrong: dict[str, str]) -> None:
    connector = opened(guarded, [], **wrong)
    with pytest.raises(ReauthorizeError) as refused:
        connector.calendars()
    assert "password" in refused.value.message
    assert guarded.count() <= 2
    connector.close()


def test_tls_needs_a_certificate_that_somebody_vouches_for(
    server: CaldavServer, tmp_path: Path
) -> None:
    tls, bundle = certified(tmp_path, "dav")
    calls: list[Called] = []
    with Wire(server.url, tls=tls) as wire:
        assert wire.url.startswith("https://")
        known = opened(wire, calls, ca_bundle=str(bundle))
        known.calendars()
        known.close()
        seen = wire.count()
        assert seen == len(calls)
        stranger = opened(wire, calls)
        with pytest.raises(RetryableError) as refused:
            stranger.calendars()
        assert "certificates" in refused.value.message
        assert wire.count() == seen, "the login went to a server that nobody vouches for"
        stranger.close()
