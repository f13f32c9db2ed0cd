"""What Google's answers mean, by consequence; and what the package costs to import."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from connectors.errors import (
    ConflictError,
    FatalError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)
from connectors.google.errors import AbsentError, ForbiddenError, UnansweredError, of_answer
from connectors.recent import Recent

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def classed(status, reason="", *, writing=False, headers=None, content=None):
    body = {"error": {"errors": [{"reason": reason, "message": "m"}], "code": status}}
    return of_answer(
        status,
        headers or {},
        json.dumps(body).encode() if content is None else content,
        operation="events.insert" if writing else "events.list",
        writing=writing,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("status", "reason", "writing", "kind"),
    [
        (400, "timeRangeEmpty", True, RejectedError),
        (400, "invalid", True, RejectedError),
        (401, "authError", False, ReauthorizeError),
        (403, "userRateLimitExceeded", False, RateLimitedError),
        (403, "rateLimitExceeded", True, RateLimitedError),
        (403, "quotaExceeded", True, RateLimitedError),
        (403, "dailyLimitExceeded", False, RateLimitedError),
        (403, "accessNotConfigured", False, ReauthorizeError),
        (403, "insufficientPermissions", True, ReauthorizeError),
        (403, "requiredAccessLevel", True, ReauthorizeError),
        (403, "forbidden", True, ForbiddenError),
        (403, "forbiddenForNonOrganizer", True, RejectedError),
        (403, "eventTypeRestriction", True, RejectedError),
        (403, "forbidden", False, FatalError),
        (404, "notFound", False, AbsentError),
        (409, "duplicate", True, ConflictError),
        (410, "deleted", True, AbsentError),
        (410, "fullSyncRequired", False, ResyncError),
        (410, "updatedMinTooLongAgo", False, ResyncError),
        (412, "conditionNotMet", True, ConflictError),
        (429, "rateLimitExceeded", False, RateLimitedError),
        (500, "backendError", False, RetryableError),
        (503, "backendError", True, UnansweredError),
    ],
)
def test_status_and_reason_decide_the_class(status, reason, writing, kind):
    error = classed(status, reason, writing=writing)
    assert type(error) is kind or (kind is RejectedError and type(error) is ForbiddenError)
    assert error.code == reason
    assert error.facts["provider"] == "google"


def test_the_newer_envelope_is_understood_too():
    details = [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]
    content = json.dumps({"error": {"code": 403, "message": "m", "details": details}}).encode()
    assert isinstance(classed(403, content=content), ReauthorizeError)


@pytest.mark.parametrize("content", [b"<html>no</html>", b"", b"[]", b'{"error": "text"}', b"\xff"])
@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 412])
def test_what_is_not_googles_own_answer_decides_nothing(status, content):
    assert type(classed(status, content=content, writing=True)) is RetryableError


@pytest.mark.parametrize(
    ("header", "after"),
    [("30", 30.0), ("Mon, 02 Mar 2026 09:01:30 GMT", 90.0), ("soon", 5.0), ("", 5.0)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, after):
    error = classed(429, "rateLimitExceeded", headers={"retry-after": header})
    assert error.after == after


def test_a_memory_forgets_what_was_used_longest_ago():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)


def test_importing_the_plugin_loads_no_sdk():
    script = (
        "import sys, connectors.google; connectors.google.PLUGIN.settings;"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('googleapiclient', 'google', 'httplib2', 'google_auth_httplib2')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
