"""Deciding what units need: unchanged ones, changed ones, new ones."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from benchmarks.measuring import Case, Row, row, seconds_per
from bridge.decision import Rules
from bridge.reconcile import decide
from bridge.records import Side, Unit
from connectors.contract import Copy, Member
from mappings import google
from mappings.limits import TargetLimits
from mappings.model import Details, Event, When
from mappings.policy import Direction, Policy
from mappings.projection import project

UNITS = 5000
POLICY = Policy(direction=Direction.TO_TARGET)
RULES = Rules(
    policy=POLICY,
    limits={Side.A: TargetLimits(), Side.B: google.LIMITS},
    since=datetime(2026, 1, 1, tzinfo=UTC),
    digest="d",
)


def cases(_full: bool) -> dict[str, Case]:
    return {"all": _measure}


def _measure() -> list[Row]:
    known = [known_unit(number) for number in range(UNITS)]
    fresh = [Unit(id=unit.id, link_id=1, ref_a=unit.ref_a) for unit in known]
    moved = [_moved(unit.a) for unit in known if unit.a]

    def unchanged() -> int:
        for unit in known:
            assert unit.a is not None
            assert not decide(unit, {Side.A: unit.a}, RULES).actions
        return UNITS

    def changed() -> int:
        for unit, copy in zip(known, moved, strict=True):
            assert len(decide(unit, {Side.A: copy}, RULES).actions) == 1
        return UNITS

    def new() -> int:
        for unit, old in zip(fresh, known, strict=True):
            assert old.a is not None
            assert len(decide(unit, {Side.A: old.a}, RULES).actions) == 1
        return UNITS

    return [
        row("unchanged units", _rates(unchanged), "/s", ">= 20,000"),
        row("moved units", _rates(changed), "/s"),
        row("new units", _rates(new), "/s"),
    ]


def _rates(run: Callable[[], int]) -> list[float]:
    return [1 / sample for sample in seconds_per(run)]


def known_unit(number: int) -> Unit:
    """A unit that stands on both sides."""
    start = datetime(2026, 3, 2, 9) + timedelta(minutes=30 * number)  # noqa: DTZ001 wall time
    event = Event(
        details=Details(title=f"Event {number}", description="<p>Agenda</p>" * 5),
        when=When(start=start, duration=timedelta(hours=1), zone="Asia/Shanghai"),
    )
    shown = project(event, POLICY, google.LIMITS).event
    assert shown is not None
    return Unit(
        id=f"unit{number}",
        link_id=1,
        ref_a=f"a{number}",
        ref_b=f"b{number}",
        a=_copy(f"a{number}", event),
        b=_copy(f"b{number}", shown),
        policy_digest="d",
    )


def _copy(ref: str, event: Event) -> Copy:
    return Copy(ref=ref, event=event, members=(Member(part="main", id=ref),))


def _moved(copy: Copy) -> Copy:
    when = replace(copy.event.when, start=copy.event.when.start + timedelta(hours=2))
    return replace(copy, event=replace(copy.event, when=when))
