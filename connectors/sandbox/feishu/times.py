"""time_info: how Feishu writes instants and days ("event resource" page)."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.sandbox.feishu.errors import violation, wrong_type
from connectors.sandbox.feishu.switches import FeishuSwitches

DEFAULT_ZONE = "Asia/Shanghai"
LATEST = 16725225600
DAY = 86_400


@dataclass(frozen=True)
class Span:
    """From start to end (exclusive), in Unix seconds; for all-day events, UTC midnights."""

    start: int
    end: int
    all_day: bool
    start_zone: str
    end_zone: str

    @property
    def length(self) -> int:
        """Elapsed seconds."""
        return self.end - self.start

    def moved_to(self, start: int) -> "Span":
        """The same length at another time."""
        return Span(start, start + self.length, self.all_day, self.start_zone, self.end_zone)

    def overlaps(self, start: float, end: float) -> bool:
        """Shares an instant with [start, end); an empty span counts as its start."""
        return self.start < end and (self.end > start or self.start == self.end >= start)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo | None:
    """The IANA zone, None if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def midnight(day: date) -> int:
    """UTC midnight of a day, in Unix seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def day_of(seconds: int) -> date:
    """The UTC day of an instant."""
    return datetime.fromtimestamp(seconds, UTC).date()


def read_span(start: Any, end: Any, switches: FeishuSwitches) -> Span:
    """The two `time_info` objects of a request. Raises 190014 or 99992402 naming the field."""
    start_at, start_zone, start_day = _read("start_time", start)
    end_at, end_zone, end_day = _read("end_time", end)
    if start_day != end_day:
        raise violation("end_time", end, "start and end must both be dates or both timestamps")
    if start_day and switches.write_end == "inclusive":
        end_at += DAY
    if end_at < start_at or (end_at == start_at and (start_day or not switches.zero_length)):
        raise violation("end_time", end, "end must not be before start")
    return Span(start_at, end_at, start_day, start_zone, end_zone)


def _read(field: str, value: Any) -> tuple[int, str, bool]:
    if not isinstance(value, dict):
        raise wrong_type(field, value, "an object is expected")
    day, stamp = value.get("date"), value.get("timestamp")
    if bool(day) == bool(stamp):
        raise violation(field, value, "exactly one of date and timestamp is required")
    if day:
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
                raise ValueError(day)
            return midnight(date.fromisoformat(day)), "UTC", True
        except (TypeError, ValueError):
            raise violation(f"{field}.date", day, "YYYY-MM-DD is expected") from None
    if not isinstance(stamp, str):
        raise wrong_type(f"{field}.timestamp", stamp, "a string is expected")
    if not stamp.isdecimal() or not 1 <= int(stamp) <= LATEST:
        raise violation(f"{field}.timestamp", stamp, "seconds are expected")
    zone = value.get("timezone") or DEFAULT_ZONE
    if not isinstance(zone, str) or zone_of(zone) is None:
        raise violation(f"{field}.timezone", zone, "an IANA time zone is expected")
    return int(stamp), zone, False


def write_span(span: Span, switches: FeishuSwitches) -> dict[str, Any]:
    """`start_time` and `end_time` as Feishu shows them."""
    if not span.all_day:
        return {
            "start_time": {"timestamp": str(span.start), "timezone": span.start_zone},
            "end_time": {"timestamp": str(span.end), "timezone": span.end_zone},
        }
    last = span.end - (DAY if switches.read_end == "inclusive" else 0)
    return {
        "start_time": _write_day(span.start, switches),
        "end_time": _write_day(last, switches),
    }


def _write_day(seconds: int, switches: FeishuSwitches) -> dict[str, str]:
    shown = {"date": day_of(seconds).isoformat(), "timezone": "UTC"}
    return shown | ({"timestamp": str(seconds)} if switches.all_day_timestamp else {})


def wall(seconds: int, zone: str) -> datetime:
    """The naive wall clock of an instant."""
    return datetime.fromtimestamp(seconds, zone_of(zone)).replace(tzinfo=None)


def instant(local: datetime, zone: str) -> int:
    """A naive wall clock as an instant: a time in a gap moves forward, a doubled one is the first
    (RFC 5545 section 3.3.5)."""
    return int(local.replace(tzinfo=zone_of(zone), fold=0).timestamp())


def rfc3339(text: Any) -> int | None:
    """An RFC 3339 instant in Unix seconds, None if it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return int(moment.timestamp()) if moment.tzinfo else None


def to_rfc3339(seconds: int) -> str:
    """Unix seconds as RFC 3339 in UTC."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()
