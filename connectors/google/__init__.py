"""Google Calendar (API v3) through the official client.

Importing this package imports no SDK: validating a config has to stay quick.
"""

from typing import Any

from pydantic import BaseModel

from connectors.contract import Context, Provider
from connectors.google.settings import Settings


class GooglePlugin:
    """The entry point `google`."""

    settings: type[BaseModel] = Settings

    def open(self, name: str, settings: Any, context: Context) -> Provider:
        """A provider for these settings. Loads the SDK; no network yet."""
        from connectors.google.provider import GoogleProvider

        return GoogleProvider(name, settings, context)


PLUGIN = GooglePlugin()
