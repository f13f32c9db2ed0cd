"""Calendars on any CalDAV server (RFC 4791).

Importing this package imports no library that talks or parses: validating a config has to stay
quick.
"""

from typing import Any

from pydantic import BaseModel

from connectors.caldav.settings import Settings
from connectors.contract import Context, Provider


class CaldavPlugin:
    """The entry point `caldav`."""

    settings: type[BaseModel] = Settings

    def open(self, name: str, settings: Any, context: Context) -> Provider:
        """A provider for these settings. No network yet."""
        from connectors.caldav.provider import CaldavProvider

        return CaldavProvider(name, settings, context)


PLUGIN = CaldavPlugin()
