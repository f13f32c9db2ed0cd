"""Microsoft Exchange Server through Exchange Web Services.

Importing this package imports no SDK: validating a config has to stay quick.
"""

from typing import Any

from pydantic import BaseModel

from connectors.contract import Context, Provider
from connectors.exchange.settings import Settings


class ExchangePlugin:
    """The entry point `exchange`."""

    settings: type[BaseModel] = Settings

    def open(self, name: str, settings: Any, context: Context) -> Provider:
        """A provider for these settings. Loads the SDK; no network yet."""
        from connectors.exchange.provider import ExchangeProvider

        return ExchangeProvider(name, settings, context)


PLUGIN = ExchangePlugin()
