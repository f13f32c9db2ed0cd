"""Time zones: wall clocks to instants and back, and the names that calendars give to zones.

Zone data always comes from the `tzdata` package, never from the operating system, so that every
installation with the same lock file computes the same instants. Names are IANA ids.
"""

import json
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import tzdata

from mappings.errors import UnmappableError
from mappings.model import When

DATA_VERSION: str = tzdata.IANA_VERSION
"""The release of the zone data that everything here follows, for instance `2026f`."""

_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_DISPLAY = re.compile(r"\((?:UTC|GMT)(?:[+-]\d{1,2}:?\d{2})?\)\s*(.+)", re.IGNORECASE)
_HALF_HOURS = {  # zones that keep an odd offset all year, so that a name can stand for it
    "+0330": "Asia/Tehran",
    "+0430": "Asia/Kabul",
    "+0530": "Asia/Kolkata",
    "+0545": "Asia/Kathmandu",
    "+0630": "Asia/Yangon",
    "+0845": "Australia/Eucla",
    "+0930": "Australia/Darwin",
    "-0930": "Pacific/Marquesas",
}


@cache
def _ids() -> dict[str, str]:
    """Every id of the pinned zone data, by its lower-case form."""
    names = files("tzdata").joinpath("zones").read_text("ascii").split()
    return {name.lower(): name for name in names}


@cache
def _windows() -> dict[str, str]:
    """Windows ids and the names that Outlook shows for them, lower case, to IANA ids."""
    table = json.loads(files("mappings").joinpath("windows_zones.json").read_text("utf-8"))
    names = {windows.lower(): iana for windows, iana in table["zones"].items()}
    for shown, windows in table["shown"].items():
        names[shown.lower()] = table["zones"][windows]
    return names


def is_known(zone: str) -> bool:
    """True if `zone` is an id (or alias) of the pinned zone data, spelled exactly."""
    return _ids().get(zone.lower()) == zone


@lru_cache(maxsize=1024)
def info(zone: str) -> ZoneInfo:
    """The zone's rules. Raises `UnmappableError` `ZONE_UNKNOWN`."""
    if not is_known(zone):
        raise UnmappableError("ZONE_UNKNOWN", f"There is no time zone {zone!r}")
    with files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=zone)


def instant(wall: datetime, zone: str, fold: int = 0) -> datetime:
    """The aware UTC instant at which clocks in `zone` show the naive `wall`.

    A wall clock that a change of offset skips is shifted forward by what was skipped; of two
    equal ones `fold` 0 names the first (RFC 5545 section 3.3.5).
    """
    rules = info(zone)
    first = wall.replace(tzinfo=rules, fold=0).astimezone(UTC)
    if not fold:
        return first
    # In a gap, fold 1 would lie *before* fold 0 (PEP 495).
    return max(first, wall.replace(tzinfo=rules, fold=1).astimezone(UTC))


def wall(at: datetime, zone: str) -> tuple[datetime, int]:
    """What clocks in `zone` show at the aware instant `at`, and 1 if it is a repeated hour."""
    local = at.astimezone(info(zone))
    return local.replace(tzinfo=None, fold=0), local.fold


def start_instant(when: When) -> datetime:
    """The aware UTC instant at which `when` begins; all-day events begin at UTC midnight."""
    if not isinstance(when.start, datetime):
        return datetime.combine(when.start, time(), UTC)
    return instant(when.start, when.zone or "UTC", when.fold)


def end_instant(when: When) -> datetime:
    """The aware UTC instant at which `when` is over; all-day events end at a UTC midnight."""
    return start_instant(when) + when.duration


def day_bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """The first UTC instants of `day` and of the day after it, in `zone`.

    Where the clock skips midnight the day begins later; a day that was skipped is empty.
    """
    midnight = datetime.combine(day, time())
    return instant(midnight, zone), instant(midnight + timedelta(days=1), zone)


@lru_cache(maxsize=4096)
def resolve(name: str) -> str | None:
    """The IANA id that a calendar means by `name`, None if nobody can know.

    Understands ids in any case, TZIDs that end in one (`/example.org/Europe/Berlin`), Windows
    ids and the names Outlook shows for them, and fixed offsets (`+08:00`, `UTC+8`), whose sign is
    the opposite of that in `Etc/GMT-8`. An id is kept as it is: aliases are names of people's
    choice. Only a name is looked at; a VTIMEZONE that behaves differently is not.
    """
    name = name.strip().strip("\"'").strip()
    if found := _ids().get(name.replace(" ", "_").lower()):
        return found
    if offset := _OFFSET.fullmatch(name):
        return _fixed(*offset.groups(default="00"))
    if found := _named(name):
        return found
    if "/" not in name:
        return None
    parts = name.split("/")
    # A bare last part ("Japan") counts only where the front is plainly a vendor's prefix.
    shortest = 1 if name.startswith("/") or "://" in name else 2
    for length in (3, 2, 1):
        if shortest <= length < len(parts):
            found = _ids().get("/".join(parts[-length:]).replace(" ", "_").lower())
            if found:
                return found
    return None


def _named(name: str) -> str | None:
    if name.upper() == "Z":
        return "UTC"
    shown = _DISPLAY.fullmatch(name)
    return _windows().get((shown[1] if shown else name).strip().lower())


def _fixed(sign: str, hours: str, minutes: str) -> str | None:
    hour = int(hours)
    if minutes != "00":
        return _HALF_HOURS.get(f"{sign}{hour:02}{minutes}")
    if hour == 0:
        return "UTC"
    return _ids().get(f"etc/gmt{'-' if sign == '+' else '+'}{hour}")
