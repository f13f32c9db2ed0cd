"""What the log looks like for people, and for programs that gather it."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import config, logs
from bridge.runtime import Runtime
from bridge.service import Service
from bridge.vault import Vault
from connectors.errors import ReauthorizeError
from connectors.memory import named_world
from connectors.testing.builders import event

CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: logs-hub}}
  other: {{type: memory, world: logs-other}}
service: {{listen: "127.0.0.1:0", poll: 1d, log: json}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
"""


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What goes to standard error."""
    root, text = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(text)
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.INFO)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def objects(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_is_one_object_with_its_facts_beside_the_sentence(written: io.StringIO) -> None:
    logs.write_as("json")
    log = logging.getLogger("calbridge")
    log.info("cursor void link=a", extra=logs.told("cursor void", {"link": "a", "run": 7}))
    with logs.about(link="b", run=8), logs.about(unit="u"):
        log.warning("two\nlines of %s", "会议")
    log.info("over")
    first, second, third = objects(written)
    assert (first["message"], first["link"], first["run"]) == ("cursor void", "a", 7)
    assert second["message"] == "two\nlines of 会议"
    assert (second["level"], second["link"], second["run"], second["unit"]) == (
        "WARNING", "b", 8, "u",
    )  # fmt: skip
    assert "link" not in third
    assert first["time"].endswith("+00:00")


def test_an_exception_stays_on_its_line(written: io.StringIO) -> None:
    logs.write_as("json")
    try:
        raise ZeroDivisionError("nothing")
    except ZeroDivisionError:
        logging.getLogger("calbridge").exception("it failed")
    (line,) = objects(written)
    assert "ZeroDivisionError: nothing" in line["exception"]


def test_people_read_a_line(written: io.StringIO) -> None:
    logs.write_as("text")
    logging.getLogger("calbridge").info("cursor void link=a")
    assert written.getvalue().endswith(" INFO calbridge cursor void link=a\n")


def test_the_service_says_which_link_and_which_run(tmp_path: Path, written: io.StringIO) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(key=Vault.generate_key()))
    hub, other = named_world("logs-hub"), named_world("logs-other")
    a = hub.add_calendar("ann", "main")
    other.add_calendar("ann", "main")
    loaded = config.load(path, {})
    logs.write_as(loaded.service.log)
    a.person_puts(event("Lunch with the secret aunt", "2027-03-03T12:00"))

    def broken(call: Any) -> None:
        if call.operation.startswith("create"):
            raise ZeroDivisionError
        if call.operation == "changes" and len(runs()) > 1:
            raise ReauthorizeError("consent was withdrawn")

    def runs() -> list[Any]:
        return runtime.store.runs()

    other.before = hub.before = broken
    with Runtime(loaded) as runtime:
        service = Service(runtime)
        service.start()
        assert service.wait_idle(20)
        with runtime.store.begin() as tx:
            tx.hint([1], runtime.system.now())
        service._workers.wake()
        assert service.wait_idle(20)
        service.stop()
    found = objects(written)
    (parked,) = [line for line in found if "unit parked" in line["message"]]
    assert (parked["link"], parked["run"]) == ("ann/other", 1)
    assert parked["unit"]
    assert any(line.get("link") == "ann/other" and line["level"] == "WARNING" for line in found)
    assert "aunt" not in written.getvalue()
