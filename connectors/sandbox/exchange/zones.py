"""Time zones by Windows name, with the rules that this server follows.

A server follows its own registry, which may be older or newer than anybody else's zone data; a
patch replaces the rules of one zone ("Time zones and EWS in Exchange").
"""

import json
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.switches import ExchangeSwitches

CUSTOM = "tzone://Microsoft/Custom"


@lru_cache
def golden() -> dict[str, str]:
    """Windows name -> the IANA zone that CLDR names for it world-wide."""
    text = files("connectors.sandbox.exchange").joinpath("windows_zones.json").read_text("utf-8")
    zones: dict[str, str] = json.loads(text)["zones"]
    return zones


@lru_cache
def _windows_names() -> dict[str, str]:
    return {iana: name for name, iana in reversed(golden().items())}


class Zones:
    """What each zone name means on this server."""

    def __init__(self, switches: ExchangeSwitches) -> None:
        self._switches = switches
        self._patches: dict[str, tzinfo] = {}

    def patch(self, name: str, iana: str) -> None:
        """From now on the zone follows the rules of that IANA zone."""
        if name not in golden() and name != CUSTOM:
            raise ValueError(f"{name} is no Windows time zone")
        self._patches[name] = ZoneInfo(iana)

    def rules(self, name: str) -> tzinfo:
        """The zone's rules. Raises EwsError if there is none of that name."""
        if name in self._patches:
            return self._patches[name]
        if name in ("UTC", "tzone://Microsoft/Utc"):
            return UTC
        if name == CUSTOM:
            return ZoneInfo("Europe/Berlin")
        if name not in golden():
            raise EwsError("ErrorTimeZone")
        return ZoneInfo(golden()[name])

    def instant(self, wall: datetime, name: str) -> datetime:
        """The UTC instant of a wall time; a gap moves it forward, of two one counts (switch)."""
        found = wall.replace(tzinfo=self.rules(name), fold=0).astimezone(UTC)
        if self._switches.fold == "second" and self.wall(found, name) == wall:
            return wall.replace(tzinfo=self.rules(name), fold=1).astimezone(UTC)
        return found

    def wall(self, instant: datetime, name: str) -> datetime:
        """The naive local time."""
        return instant.astimezone(self.rules(name)).replace(tzinfo=None)

    def suffix(self, wall: datetime, name: str) -> str:
        """The offset at that wall time as `+08:00`, or `Z`."""
        offset = wall.replace(tzinfo=self.rules(name)).utcoffset() or timedelta()
        minutes = int(offset.total_seconds()) // 60
        if not minutes:
            return "Z"
        return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def windows_name(zone: str) -> str:
    """The Windows name for an IANA zone or for a Windows name itself. Raises ValueError."""
    if zone in golden():
        return zone
    if zone in ("UTC", "Etc/UTC"):
        return "UTC"
    if zone not in _windows_names():
        raise ValueError(f"no Windows time zone has {zone} as its main zone")
    return _windows_names()[zone]
