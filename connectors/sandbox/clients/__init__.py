"""Calendar clients: what a person does in front of each provider's own, in the same words."""

from connectors.sandbox.clients.feishu import FeishuClient
from connectors.sandbox.clients.google import GoogleClient
from connectors.sandbox.clients.outlook import OutlookClient
from connectors.sandbox.clients.sheet import Client, Line, Place, Refused, Repeat, Sheet

__all__ = [
    "Client", "FeishuClient", "GoogleClient", "Line", "OutlookClient", "Place", "Refused", "Repeat",
    "Sheet",
]  # fmt: skip
