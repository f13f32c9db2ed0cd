"""Calendars in memory: the contract's reference, and the fastest world to test the bridge in."""

from pydantic import BaseModel, ConfigDict

from connectors.contract import Context
from connectors.memory.calendar import MemoryCalendar
from connectors.memory.connector import MemoryConnector, MemoryProvider
from connectors.memory.world import LOSSLESS, Call, MemoryWorld, named_world

__all__ = [
    "LOSSLESS",
    "PLUGIN",
    "Call",
    "MemoryCalendar",
    "MemoryConnector",
    "MemoryProvider",
    "MemorySettings",
    "MemoryWorld",
    "named_world",
]


class MemorySettings(BaseModel):
    """What stands in the config: the world's name, and calendars that exist from the start."""

    model_config = ConfigDict(extra="forbid")

    world: str = "default"
    accounts: dict[str, list[str]] = {}


class _MemoryPlugin:
    settings: type[BaseModel] = MemorySettings

    def open(self, name: str, settings: MemorySettings, context: Context) -> MemoryProvider:
        """Join the named world of this process. Its own clock and pace rule, not the context's."""
        world = named_world(settings.world)
        for account, calendars in settings.accounts.items():
            for calendar in calendars:
                world.add_calendar(account, calendar)
        return MemoryProvider(name, world)


PLUGIN = _MemoryPlugin()
