"""Google Calendar API v3 with OAuth 2.0, on loopback."""

from connectors.sandbox.google.server import GoogleSandbox
from connectors.sandbox.google.switches import GoogleSwitches

__all__ = ["GoogleSandbox", "GoogleSwitches"]
