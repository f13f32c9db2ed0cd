"""New links begin as soon as the accounts are connected that they wait for."""

import time
from pathlib import Path

import pytest

from bridge import config
from bridge.runtime import Runtime
from bridge.service import Service
from bridge.vault import Vault
from connectors.errors import ReauthorizeError
from connectors.memory import Call, named_world
from connectors.testing.builders import event
from connectors.tokens import Token

CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: newcomers-hub}}
  other: {{type: memory, world: newcomers-other}}
service: {{listen: "127.0.0.1:0", poll: 1d}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
"""
PATIENCE = 20.0


def test_an_account_connected_while_the_link_is_tried_for_another_is_not_overlooked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever connects two accounts one right after the other waits for no further attempt."""
    monkeypatch.setattr("bridge.service.NEWS_OF_CONSENT", 0.05)
    hub, other = named_world("newcomers-hub"), named_world("newcomers-other")
    hub.add_calendar("ann", "main").person_puts(event("Lunch", "2027-03-03T12:00"))
    copies = other.add_calendar("ann", "main")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(key=Vault.generate_key()))
    with Runtime(config.load(path, {})) as runtime:
        tokens = runtime.store.tokens
        token = Token(access="a", access_expires=runtime.system.now())

        def consent(call: Call) -> None:
            if call.operation != "calendars":
                return
            if not tokens.accounts():
                raise ReauthorizeError("no consent yet")
            if len(tokens.accounts()) < 2:
                tokens.save("other", "ann", token)  # at this very moment
                raise ReauthorizeError("no consent of the other account yet")

        hub.before = consent
        service = Service(runtime)
        service.start()
        try:
            tokens.save("hub", "ann", token)
            deadline = time.monotonic() + PATIENCE
            while not copies.refs() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert [copies.event(ref).details.title for ref in copies.refs()] == ["Lunch"]
        finally:
            service.stop()
