"""Start and end values of events: a date, or an instant with the zone it was meant in."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.sandbox.google.errors import ApiError, invalid, required


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """The IANA zone, None if there is none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def localized(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a naive wall time.

    In a gap the offset before it counts, so the time moves forward; in a fold it is the first of
    the two (RFC 5545 section 3.3.5).
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """Either `day` (all-day) or `instant` (UTC, whole seconds) with the IANA name `zone`."""

    day: date | None = None
    instant: datetime | None = None
    zone: str = ""

    @property
    def all_day(self) -> bool:
        """It is a date."""
        return self.day is not None

    @property
    def order(self) -> datetime:
        """For sorting and comparing: the instant, or the day's midnight taken as UTC."""
        if self.instant is not None:
            return self.instant
        assert self.day is not None
        return datetime.combine(self.day, time(), UTC)

    @property
    def wall(self) -> datetime:
        """The naive local time in its own zone; midnight for a date."""
        if self.instant is None:
            return self.order.replace(tzinfo=None)
        return self.instant.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)

    @property
    def key(self) -> str:
        """As in the ids of instances: `20270201` or `20270201T010000Z`."""
        return f"{self.order:%Y%m%d}" if self.all_day else f"{self.order:%Y%m%dT%H%M%SZ}"

    def within(self, zone: str) -> datetime:
        """The instant at which it happens for somebody in `zone` (a date begins there)."""
        if self.instant is not None:
            return self.instant
        return localized(self.order.replace(tzinfo=None), ZoneInfo(zone))

    def plus(self, delta: timedelta) -> "Moment":
        """Later by so much; whole days for a date."""
        if self.day is not None:
            return Moment(day=self.day + delta)
        return Moment(instant=self.order + delta, zone=self.zone)

    def raw(self) -> dict[str, Any]:
        """As a client would send it."""
        return self.render(self.zone, with_zone=True)

    def render(self, offset_zone: str, *, with_zone: bool) -> dict[str, Any]:
        """As the API shows it, with the offset of `offset_zone`."""
        if self.instant is None:
            return {"date": self.order.date().isoformat()}
        local = self.instant.astimezone(zone_named(offset_zone) or UTC)
        text = local.isoformat(timespec="seconds")
        shown = {"dateTime": text.removesuffix("+00:00") + "Z" if _is_utc(local) else text}
        return shown | ({"timeZone": self.zone} if with_zone else {})


def _is_utc(local: datetime) -> bool:
    return local.isoformat().endswith("+00:00")


def parse_moment(raw: Any, side: str, default_zone: str) -> Moment:
    """A `start` or `end` object (`side` names which). Raises the API's 400s."""
    if not isinstance(raw, dict) or not (raw.get("date") or raw.get("dateTime")):
        raise required(f"Missing {side} time.")
    zone = raw.get("timeZone")
    if zone is not None and (not isinstance(zone, str) or zone_named(zone) is None):
        raise invalid(f"Invalid time zone definition for {side} time.")
    if raw.get("date") and raw.get("dateTime"):
        raise invalid(f"Invalid {side} time.")
    try:
        if raw.get("date"):
            return Moment(day=date.fromisoformat(raw["date"]))
        value = datetime.fromisoformat(raw["dateTime"])
    except (TypeError, ValueError):
        raise invalid(f"Invalid {side} time.") from None
    if "T" not in raw["dateTime"].upper():
        raise invalid(f"Invalid {side} time.")
    value = value.replace(microsecond=0)
    if value.tzinfo is not None:
        return Moment(instant=value.astimezone(UTC), zone=zone or default_zone)
    if zone is None:
        raise required(f"Missing time zone definition for {side} time.")
    return Moment(instant=localized(value, ZoneInfo(zone)), zone=zone)


def parse_span(body: dict[str, Any], default_zone: str) -> tuple[Moment, Moment]:
    """Start and end of an event body: of one kind, and not empty. Raises the API's 400s."""
    start = parse_moment(body.get("start"), "start", default_zone)
    end = parse_moment(body.get("end"), "end", default_zone)
    if start.all_day != end.all_day:
        raise invalid("Start and end times must either both be date or both be dateTime.")
    if end.order <= start.order:
        raise ApiError(
            400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar"
        )
    return start, end


def parse_bound(text: str | None, name: str) -> datetime | None:
    """A time bound of a query (RFC 3339, offset mandatory); None if absent."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise bad_bound(name) from None
    if value.tzinfo is None or len(text) <= len("2027-01-01"):
        raise bad_bound(name)
    return value.astimezone(UTC).replace(microsecond=0)


def bad_bound(name: str) -> ApiError:
    """400 for a time bound without offset or not a time at all."""
    return ApiError(400, "badRequest", "Bad Request", location=("parameter", name))


def millis_text(millis: int) -> str:
    """`created` and `updated` on the wire: UTC with three decimals."""
    at = datetime.fromtimestamp(millis // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"
