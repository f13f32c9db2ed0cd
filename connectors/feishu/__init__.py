"""Feishu and Lark calendars (Calendar v4 API) through the official SDK.

The SDK is heavy: it is imported when a connector opens, not when this package is.
"""

from typing import TYPE_CHECKING

from connectors.feishu.settings import Settings

if TYPE_CHECKING:
    from connectors.contract import Context
    from connectors.feishu.provider import FeishuProvider


class FeishuPlugin:
    """The connector type `feishu`."""

    settings = Settings

    def open(self, name: str, settings: Settings, context: "Context") -> "FeishuProvider":
        """A provider for one app; imports the SDK."""
        from connectors.feishu.provider import FeishuProvider

        return FeishuProvider(name, settings, context)


PLUGIN = FeishuPlugin()
