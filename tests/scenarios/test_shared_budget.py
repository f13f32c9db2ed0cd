"""The complaint: "with a second machine the provider began to refuse us"."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from bridge.config import load
from bridge.runtime import Runtime
from connectors.capabilities import RateBudget
from connectors.feishu import connector
from connectors.sandbox.feishu import limits

ALICE = "alice@office.example"
EACH = 25
PER_SECOND = 15
"""Feishu permits 50 a second; a busy machine may not even try that many."""


def test_two_bridges_together_are_never_refused_for_calling_too_fast(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PER_SECOND", PER_SECOND)
    budget = RateBudget(per_second=PER_SECOND, per_minute=1000, shared_by="app")
    facts = replace(connector.CAPABILITIES, budget=budget)
    monkeypatch.setattr(connector, "CAPABILITIES", facts)
    desk.feishu.limits.enabled = True
    desk.restart()
    before = len(desk.feishu.log)
    with Runtime(load(desk.path)) as one, Runtime(load(desk.path)) as two:
        alices = [runtime.connector("feishu", ALICE) for runtime in (one, two)]
        with ThreadPoolExecutor(12) as threads:
            asked = [threads.submit(alice.calendars) for _n in range(EACH) for alice in alices]
            assert all(each.result() for each in asked)
    answers = [call for call in desk.feishu.calls(since=before) if "calendar" in call.operation]
    assert len(answers) == 2 * EACH
    assert {call.status for call in answers} == {200}
