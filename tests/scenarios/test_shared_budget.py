"""The complaint: "with a second machine the provider began to refuse us"."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bridge.config import load
from bridge.runtime import Runtime

ALICE = "alice@office.example"
EACH = 80


def test_two_bridges_together_are_never_refused_for_calling_too_fast(desk: Any) -> None:
    """Feishu permits 50 calls of an API in any second and counts them itself."""
    desk.restart()
    before = len(desk.feishu.log)
    with Runtime(load(desk.path)) as one, Runtime(load(desk.path)) as two:
        connectors = [runtime.connector("feishu", ALICE) for runtime in (one, two)]
        with ThreadPoolExecutor(12) as threads:
            asked = [
                threads.submit(connector.calendars)
                for _n in range(EACH)
                for connector in connectors
            ]
            assert all(each.result() for each in asked)
    answers = [call for call in desk.feishu.calls(since=before) if "calendar" in call.operation]
    assert len(answers) == 2 * EACH
    assert {call.status for call in answers} == {200}
