"""Where the bridge remembers: links, units, intents, journal, pending work and tokens."""

from bridge.store.errors import LeaseLostError, OutdatedError, StoreError
from bridge.store.jobs import Claim, Job
from bridge.store.observed import CalendarChanges
from bridge.store.store import Store, Tx, open_store
from bridge.store.tokens import StoredTokens

__all__ = [
    "CalendarChanges",
    "Claim",
    "Job",
    "LeaseLostError",
    "OutdatedError",
    "Store",
    "StoreError",
    "StoredTokens",
    "Tx",
    "open_store",
]
