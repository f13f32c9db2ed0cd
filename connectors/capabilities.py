"""What a provider can do, as declared facts. The bridge asks these, never a provider's name."""

from dataclasses import dataclass, field
from datetime import timedelta

from mappings.limits import TargetLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class RateBudget:
    """Calls that a provider permits, and who shares them (`app` = all accounts together).

    `per_second` and `per_minute` are ceilings of the provider; None = not limited.
    """

    per_second: float | None = None
    per_minute: float | None = None
    shared_by: str = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The declared facts of one provider.

    `write_guard`: a write can carry a version precondition that the provider enforces.
    `find_by_key`: a create whose answer was lost can be looked up by its key without repeating
    it; without it, repeating the create with the same key must return the first event.
    `whole_changes`: a delta names whole units; otherwise it may name single members.
    `reshape_refetch`: after a change of a series' time or rule the exceptions must be read again.
    `batch_size`: how many units one call can make (`connectors.contract.CreatesMany`).
    `lag`: how long a write may stay invisible to a following read.
    `nets_changes`: what was made and deleted since a cursor was given is not named by it.
    """

    limits: TargetLimits = field(default_factory=TargetLimits)
    write_guard: bool = False
    find_by_key: bool = False
    whole_changes: bool = False
    reshape_refetch: bool = False
    writable: bool = True
    cursor_lifetime: timedelta | None = None
    parallel_writes: int = 1
    parallel_reads: int = 1
    batch_size: int = 1
    budget: RateBudget = field(default_factory=RateBudget)
    lag: timedelta = timedelta(0)
    nets_changes: bool = False
