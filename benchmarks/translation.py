"""Translating an event: read Feishu's JSON, reduce it, compare it, write Google's JSON."""

from benchmarks.measuring import Case, Row, row, scaled, seconds_per
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.worlds import WORLDS
from mappings import feishu, google, merge
from mappings.policy import Direction, Policy
from mappings.projection import project

POLICY = Policy(direction=Direction.TO_TARGET)
REPEAT = 20


def cases(_full: bool) -> dict[str, Case]:
    return {"all": _measure}


def _measure() -> list[Row]:
    trial = WORLDS["desk"](0)
    try:
        sandbox = trial.sandboxes["feishu"]
        assert isinstance(sandbox, FeishuSandbox)
        alice = sandbox.as_user(sandbox.world.user_by("alice@office.example"))
        found = alice.events(alice.user.primary)
    finally:
        trial.stop()
    wires = [wire for wire in found if not feishu.is_exception(wire)]
    events = [feishu.decode(wire) for wire in wires]
    shown = [project(event, POLICY, google.LIMITS).event for event in events]

    def decode() -> int:
        for _time in range(REPEAT):
            for wire in wires:
                feishu.decode(wire)
        return REPEAT * len(wires)

    def whole() -> int:
        for _time in range(REPEAT):
            for wire, before in zip(wires, shown, strict=True):
                after = project(feishu.decode(wire), POLICY, google.LIMITS).event
                assert before is not None
                assert after is not None
                merge.changes(before, after)
                google.encode(after, id="0" * 26, origin_mark="mark")
        return REPEAT * len(wires)

    return [
        row("decode a Feishu event", scaled(seconds_per(decode), 1e6), "µs"),
        row("decode, project, compare, encode for Google", scaled(seconds_per(whole), 1e6), "µs",
            "<= 200"),
    ]  # fmt: skip
