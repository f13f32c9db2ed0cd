"""Translating an event: read Feishu's JSON, reduce it, compare it, write Google's JSON; and from
iCalendar to iCalendar, for a CalDAV server."""

from datetime import UTC, datetime
from typing import Any

from benchmarks.measuring import Case, Row, row, scaled, seconds_per
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.worlds import WORLDS
from mappings import caldav, feishu, google, merge
from mappings.limits import TargetLimits
from mappings.model import Event
from mappings.policy import Direction, Policy
from mappings.projection import project

POLICY = Policy(direction=Direction.TO_TARGET)
REPEAT = 20
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cases(_full: bool) -> dict[str, Case]:
    return {"google": _google, "caldav": _caldav}


def _wires() -> list[dict[str, Any]]:
    """The events of a small calendar at Feishu."""
    trial = WORLDS["desk"](0)
    try:
        sandbox = trial.sandboxes["feishu"]
        assert isinstance(sandbox, FeishuSandbox)
        alice = sandbox.as_user(sandbox.world.user_by("alice@office.example"))
        found = alice.events(alice.user.primary)
    finally:
        trial.stop()
    return [wire for wire in found if not feishu.is_exception(wire)]


def _reduced(event: Event | None, limits: TargetLimits) -> Event:
    assert event is not None
    found = project(event, POLICY, limits).event
    assert found is not None
    return found


def _google() -> list[Row]:
    wires = _wires()
    shown = [_reduced(feishu.decode(wire), google.LIMITS) for wire in wires]

    def decode() -> int:
        for _time in range(REPEAT):
            for wire in wires:
                feishu.decode(wire)
        return REPEAT * len(wires)

    def whole() -> int:
        for _time in range(REPEAT):
            for wire, before in zip(wires, shown, strict=True):
                after = _reduced(feishu.decode(wire), google.LIMITS)
                merge.changes(before, after)
                google.encode(after, id="0" * 26, origin_mark="mark")
        return REPEAT * len(wires)

    return [
        row("decode a Feishu event", scaled(seconds_per(decode), 1e6), "µs"),
        row("decode, project, compare, encode for Google", scaled(seconds_per(whole), 1e6), "µs",
            "<= 200"),
    ]  # fmt: skip


def _caldav() -> list[Row]:
    def encode(event: Event) -> str:
        return caldav.encode(event, key="0" * 64, now=NOW)

    def decode(text: str) -> Event | None:
        found = caldav.decode(text, "UTC")
        return found.event if found else None

    texts = [encode(_reduced(feishu.decode(wire), caldav.LIMITS)) for wire in _wires()]
    shown = [_reduced(decode(text), caldav.LIMITS) for text in texts]

    def reading() -> int:
        for _time in range(REPEAT):
            for text in texts:
                decode(text)
        return REPEAT * len(texts)

    def whole() -> int:
        for _time in range(REPEAT):
            for text, before in zip(texts, shown, strict=True):
                after = _reduced(decode(text), caldav.LIMITS)
                merge.changes(before, after)
                encode(after)
        return REPEAT * len(texts)

    return [
        row("decode a calendar object", scaled(seconds_per(reading), 1e6), "µs"),
        row("decode, project, compare, encode for CalDAV", scaled(seconds_per(whole), 1e6), "µs",
            "<= 200"),
    ]  # fmt: skip
