"""Accounts that do not answer: their links rest together, and one of them asks now and then. Pure.

An account counts as down after `THRESHOLD` runs in a row that ended with a passing fault of its
provider. Until `until` none of its links runs; then one may try (the probe), and the first success
makes all of them run again. Other accounts of the same provider know nothing of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.backoff import backoff

THRESHOLD = 3
BASE = timedelta(seconds=30)
CAP = timedelta(minutes=30)
SHARE = 8
"""A rest is at most this part of how long the account has been silent."""
PROBE = timedelta(minutes=2)
"""How long a probe may take before another link may try."""
LOOK = timedelta(seconds=5)
"""How often the others look whether the probe is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """One account with failures since its last success. `until` is None while it is used;
    `probing` until when a probe is expected to be over."""

    connector: str
    account: str
    failures: int
    since: datetime
    until: datetime | None = None
    probing: datetime | None = None
    error: str = ""

    def wait(self, now: datetime) -> datetime | None:
        """Until when a link has to rest; None if it may run, as the probe if `until` is set."""
        if self.until is None:
            return None
        if now < self.until:
            return self.until
        if self.probing is not None and now < self.probing:
            return now + LOOK
        return None

    def probed(self, now: datetime) -> "Circuit":
        """A link tries."""
        return replace(self, probing=now + PROBE)


def rest_after(silence: timedelta) -> timedelta:
    """The longest rest after so long a silence: short against it, so that it is soon noticed when
    there is an answer again."""
    return max(BASE, silence / SHARE)


def failed(
    known: Circuit | None,
    connector: str,
    account: str,
    error: str,
    now: datetime,
    random: Callable[[], float],
) -> Circuit:
    """The circuit after one more failure."""
    known = known or Circuit(connector=connector, account=account, failures=0, since=now)
    failures, until = known.failures + 1, known.until
    resting = until is not None and now < until
    if failures >= THRESHOLD and not resting:
        # A run that had begun before the others gave up says nothing new, and is not counted.
        longest = min(CAP, rest_after(now - known.since))
        pause = backoff(failures - THRESHOLD + 1, base=BASE, cap=longest, random=random)
        return replace(known, failures=failures, until=now + pause, probing=None, error=error)
    return replace(known, failures=known.failures if resting else failures, error=error)
