"""When everything is compared: once a night, where the calendar is, and not all links at once.
Pure."""

import zlib
from datetime import UTC, datetime, time, timedelta, tzinfo

SPREAD = timedelta(hours=2)
"""Over this time after the configured hour the links are spread, each with a place of its own."""


def latest_night(now: datetime, at: time, zone: tzinfo, uid: str) -> datetime:
    """The last moment before `now` at which the link `uid` was to be compared: `at` on the clocks
    of `zone`, plus its own share of `SPREAD`. Aware UTC; a wall time that a clock change skips
    counts as RFC 5545 section 3.3.5 says."""
    share = SPREAD * (zlib.crc32(uid.encode()) / 2**32)
    today = now.astimezone(zone).date()
    for days in (1, 0, -1, -2):
        begin = datetime.combine(today + timedelta(days=days), at, zone)
        moment = begin.astimezone(UTC) + share
        if moment <= now:
            return moment
    raise AssertionError("no zone is two days away from UTC")
