"""Runs links when they are due: the port, and the engines behind it."""

from bridge.jobs.embedded import EmbeddedEngine
from bridge.jobs.port import (
    LEASE,
    Done,
    Ending,
    Engine,
    Failed,
    Fence,
    Handler,
    Snooze,
    Stopping,
    Workers,
)
from bridge.store import Store

__all__ = [
    "LEASE",
    "Done",
    "EmbeddedEngine",
    "Ending",
    "Engine",
    "Failed",
    "Fence",
    "Handler",
    "Snooze",
    "Stopping",
    "Workers",
    "open_engine",
]


def open_engine(name: str, store: Store) -> Engine:
    """The engine of that name, which from now on hears of every link that becomes due in the
    store. Raises `StoreError` if it cannot work there."""
    if name == "procrastinate":
        from bridge.jobs.procrastinate import ProcrastinateEngine

        return ProcrastinateEngine(store)
    return EmbeddedEngine(store)
