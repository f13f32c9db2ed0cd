"""Exchange Web Services over SOAP with its ways to log in, on loopback."""

from connectors.sandbox.exchange.server import ExchangeSandbox
from connectors.sandbox.exchange.switches import ExchangeSwitches

__all__ = ["ExchangeSandbox", "ExchangeSwitches"]
