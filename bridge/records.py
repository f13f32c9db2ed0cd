"""The rows that the bridge remembers, as plain values; `bridge.store` keeps them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from connectors.contract import Copy
from mappings.merge import Path
from mappings.model import Loss


class Side(StrEnum):
    """The two calendars of a link. A is the hub's."""

    A = "a"
    B = "b"

    @property
    def other(self) -> "Side":
        """The opposite side."""
        return Side.B if self is Side.A else Side.A


class LinkState(StrEnum):
    """Whether a link runs, and if not, who has to act.

    `HELD`: a guard waits for `approve`. `PAUSED`: a person said so. `WAITING`: consent or a
    right is missing; resumes by itself. `SUSPENDED`: calendar or user is gone. `ENDED`: unlinked
    or no longer in the config.
    """

    ACTIVE = "active"
    HELD = "held"
    PAUSED = "paused"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One side of a link: connector name in the config, account there, calendar id there."""

    connector: str
    account: str
    calendar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link as stored. `uid` is derived from its endpoints alone, so that create keys stay
    the same when the database is lost. `name` is `user/connector` or what the config says."""

    id: int
    uid: str
    name: str
    user: str
    a: Endpoint
    b: Endpoint
    state: LinkState = LinkState.ACTIVE
    reason: str = ""
    policy_digest: str = ""

    def endpoint(self, side: Side) -> Endpoint:
        """The calendar on that side."""
        return self.a if side is Side.A else self.b


class UnitState(StrEnum):
    """`LIVE`: kept the same. `PARKED`: waits for a person or for its next attempt. `DROPPED`: a
    person said to leave it alone; neither side is touched any more. `DONE`: deleted on both sides;
    the row stays as a tombstone so that a late echo finds it."""

    LIVE = "live"
    PARKED = "parked"
    DROPPED = "dropped"
    DONE = "done"


FORMER = 8
"""So many of the names that a unit had on a side are remembered."""

WHOLE: Path = ("*",)
"""Stands for the unit itself where paths are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What an undo of run `run` put back on `side`, where it stays as it is although the other
    side says otherwise, until somebody changes it there. `WHOLE` among `paths`: the unit stands
    on `side` alone, or in spite of the link's filters."""

    run: int
    side: Side
    paths: frozenset[Path]

    def without(self, paths: Collection[Path]) -> "Restored | None":
        """What is left of it when the other side's word counts again for these."""
        left = self.paths.difference(paths)
        return replace(self, paths=left) if left else None


AGAIN = "?"
"""Follows the digest of the rules that a doubted unit was compared under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit of a link: both shadows, and how it fares.

    `id` is derived from the link and the side and ref where it was first seen. `home` is the side
    that the event comes from, whose copy on the other side is ours; None where both are people's
    own and the bridge has only found that they are the same. `ref_a` and
    `ref_b` name it on each side, None where it never stood; a unit that could not be read, or
    that is gone from a side, has a ref without a shadow there. `generation` grows when the unit
    has to be made anew on a side, because providers remember create keys of the dead. `rewrites`
    counts updates since it was last certain that a person edits it (`bridge.churn`). `retry_at`
    None while parked = only a person helps. `restored` is what an undo put back for good.
    `former_a` and `former_b` are the names under which it stood before something else was put in
    its place there, the latest last.
    """

    id: str
    link_id: int
    state: UnitState = UnitState.LIVE
    home: Side | None = Side.A
    ref_a: str | None = None
    ref_b: str | None = None
    a: Copy | None = None
    b: Copy | None = None
    policy_digest: str = ""
    generation: int = 0
    losses: tuple[Loss, ...] = ()
    error_code: str = ""
    error: str = ""
    attempts: int = 0
    retry_at: datetime | None = None
    rewrites: int = 0
    restored: Restored | None = None
    former_a: tuple[str, ...] = ()
    former_b: tuple[str, ...] = ()

    def copy(self, side: Side) -> Copy | None:
        """The shadow of that side."""
        return self.a if side is Side.A else self.b

    def ref(self, side: Side) -> str | None:
        """The unit's name on that side."""
        return self.ref_a if side is Side.A else self.ref_b

    def doubted(self) -> "Unit":
        """The row, whose sides are to be compared once more, whatever they show."""
        return replace(self, policy_digest=self.policy_digest.removesuffix(AGAIN) + AGAIN)

    def ruled_by(self, digest: str) -> bool:
        """Whether it was last compared under these rules, as far as one knows."""
        return self.policy_digest.removesuffix(AGAIN) in ("", digest)

    def former(self, side: Side) -> tuple[str, ...]:
        """The names that the unit had on that side before, the latest last."""
        return self.former_a if side is Side.A else self.former_b

    @property
    def extend_at(self) -> datetime | None:
        """When a side has to be given the next piece of an endless series."""
        times = [copy.extend_at for copy in (self.a, self.b) if copy and copy.extend_at]
        return min(times, default=None)

    def without(self, side: Side) -> "Unit":
        """The same unit after we took it away from that side: nothing of it stands there now,
        so that the provider's own word of our deletion is no news."""
        gone = self.with_copy(side, None)
        return replace(gone, ref_a=None) if side is Side.A else replace(gone, ref_b=None)

    def with_copy(self, side: Side, copy: Copy | None) -> "Unit":
        """The same unit with another shadow on that side. Without one the ref stays: somebody
        else's deletion, or a write whose first half is all we know of."""
        ref, former = self.ref(side), self.former(side)
        if copy is not None and ref is not None and ref != copy.ref:
            former = tuple(name for name in (*former, ref) if name != copy.ref)[-FORMER:]
        ref = copy.ref if copy else ref
        if side is Side.A:
            return replace(self, a=copy, ref_a=ref, former_a=former)
        return replace(self, b=copy, ref_b=ref, former_b=former)


class Op(StrEnum):
    """What an action does on its side."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ADOPT = "adopt"
    PARK = "park"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write that was decided but whose result is not stored yet. Found after a crash, it is
    looked up before anything else happens to its unit. `desired` is what the side's shadow was to
    become by this write alone, `lost` what a conflict overrules there, by path."""

    id: int
    link_id: int
    run_id: int
    unit_id: str
    side: Side
    op: Op
    key: str
    desired: Any
    at: datetime
    lost: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One thing that happened, kept for `journal`, `explain` and `undo`.

    `before` and `after` are the unit's content on that side (JSON values as of
    `mappings.jsonform`), `lost` the values that a conflict overruled.
    """

    id: int
    at: datetime
    run_id: int
    link_id: int
    unit_id: str
    side: Side | None
    op: str
    cause: str
    title: str = ""
    before: Any = None
    after: Any = None
    lost: Any = None


class RunKind(StrEnum):
    """Why a run took place."""

    BACKFILL = "backfill"
    SYNC = "sync"
    APPLY = "apply"
    UNDO = "undo"
    UNLINK = "unlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One pass over one link."""

    id: int
    link_id: int
    kind: RunKind
    started: datetime
    ended: datetime | None = None
    outcome: str = ""
    counts: Any = None
