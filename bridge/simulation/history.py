"""A history as a value: the kinds of calendars, the policy, and what happens, step by step.

Each step carries all chance that it needs, so that a history stays the same story when steps are
taken out of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from bridge.records import Side
from mappings.policy import (
    AttendeePolicy,
    Conflict,
    Content,
    DeleteGuard,
    Direction,
    EditVersusDelete,
    Policy,
    Window,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens.

    `do` names it, `n` is its number in the history (what people write bears it), `side` says
    where, `unit` whom it is about, `seed` gives every further choice. `breaks` are what comes
    between during a pass.
    """

    do: str
    n: int
    side: Side = Side.A
    unit: int = 0
    seed: int = 0
    breaks: tuple["Break", ...] = ()

    def chance(self) -> Random:
        """The step's own source of choices."""
        return Random(self.seed)  # noqa: S311 - a simulation, not a secret

    def __str__(self) -> str:
        inner = "".join(f" [{item}]" for item in self.breaks)
        where = "" if self.do in PASSES else f" on {self.side.value} of #{self.unit}"
        return f"{self.n}: {self.do}{where}{inner}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What happens at the `at`-th call or commit of a pass: a fault, a crash, another worker, or
    somebody's `step`."""

    at: int
    what: str
    step: Step | None = None

    def __str__(self) -> str:
        return f"at {self.at} {self.step or self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that a run needs."""

    seed: int
    kinds: tuple[str, str]
    policy: Policy
    steps: tuple[Step, ...]

    def with_steps(self, steps: Sequence[Step]) -> "History":
        """The same, with fewer things happening."""
        return replace(self, steps=tuple(steps))

    def __str__(self) -> str:
        policy = self.policy
        terms = (policy.direction, policy.content, policy.conflict, policy.edit_versus_delete)
        head = f"seed {self.seed}: {' <-> '.join(self.kinds)}, {', '.join(terms)}"
        return "\n".join([head, *(f"  {step}" for step in self.steps)])


HUBS = {"feishu-like": 6, "plain": 1}
TARGETS = {"google-like": 4, "exchange-like": 4, "feishu-like": 1, "plain": 1}
"""Which kinds of calendars meet, and how often."""
PASSES = frozenset({"pass", "full pass"})
FAULTS = ("refused", "limited", "answer lost", "request lost", "expired", "consent lost")
LISTINGS = ("short listing", "empty listing", "stale listing")

_DEEDS = {
    "create": 6,
    "create series": 5,
    "edit": 14,
    "edit again": 3,
    "move": 7,
    "change rule": 3,
    "edit occurrence": 9,
    "move occurrence": 6,
    "cancel occurrence": 5,
    "restore occurrence": 3,
    "split": 2,
    "delete": 4,
    "recreate": 2,
    "duplicate": 1,
    "leave the window": 1,
    "enter the window": 1,
    "be invited": 1,
    "spoil": 1,
}
_WORLD = {"expire cursors": 1, "wait": 2, "change policy": 1}
_CREATES = frozenset({"create", "create series", "be invited", "duplicate", "split", "recreate"})


def history(seed: int) -> History:
    """The history that this seed stands for."""
    return _Author(Random(seed)).write(seed)  # noqa: S311 - a simulation, not a secret


def _some(chance: Random, weights: Mapping[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


class _Author:
    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._n = 0
        self._units: list[int] = []
        self._policy = self._some_policy()

    def write(self, seed: int) -> History:
        chance = self._chance
        kinds = (_some(chance, HUBS), _some(chance, TARGETS))
        steps = [self._deed() for _ in range(chance.randint(1, 5))]
        for _ in range(chance.randint(2, 7)):
            steps.append(self._pass())
            steps += [self._happening() for _ in range(chance.randint(1, 5))]
        return History(seed=seed, kinds=kinds, policy=self._policy, steps=tuple(steps))

    def _some_policy(self) -> Policy:
        chance = self._chance
        return Policy(
            direction=chance.choices(list(Direction), (8, 1, 1))[0],
            content=chance.choices(list(Content), (6, 1, 1))[0],
            attendees=chance.choice((AttendeePolicy.TEXT, AttendeePolicy.NONE)),
            conflict=chance.choice(list(Conflict)),
            edit_versus_delete=chance.choices(list(EditVersusDelete), (3, 1))[0],
            window=Window(
                past=timedelta(days=chance.choice((5, 90))),
                future=chance.choice((None, timedelta(days=300))),
            ),
            delete_guard=chance.choice((DeleteGuard(count=1, share=0.0), DeleteGuard(count=20))),
        )

    def _number(self) -> int:
        self._n += 1
        return self._n

    def _side(self) -> Side:
        match self._policy.direction:
            case Direction.TO_TARGET:
                return Side.A
            case Direction.FROM_TARGET:
                return Side.B
            case _:
                return self._chance.choice(tuple(Side))

    def _deed(self) -> Step:
        """Something that a person does. People tend to meet in the same few events."""
        chance = self._chance
        do = _some(chance, _DEEDS)
        if not self._units:
            do = chance.choice(("create", "create series"))
        recent = self._units[-4:]
        unit = chance.choice(recent) if recent else 0
        n = self._number()
        if do in _CREATES:
            self._units.append(n)
        return Step(do=do, n=n, side=self._side(), unit=unit, seed=chance.getrandbits(32))

    def _happening(self) -> Step:
        chance = self._chance
        if chance.random() < 0.9:
            return self._deed()
        do = _some(chance, _WORLD)
        side = chance.choice(tuple(Side))
        return Step(do=do, n=self._number(), side=side, seed=chance.getrandbits(32))

    def _pass(self) -> Step:
        chance = self._chance
        do = "full pass" if chance.random() < 0.15 else "pass"
        n = self._number()
        breaks = []
        for _ in range(chance.choices((0, 1, 2, 3), (4, 4, 2, 1))[0]):
            at = chance.choice((chance.randint(1, 8), chance.randint(1, 30)))
            breaks.append(self._break(at))
        breaks.sort(key=lambda item: item.at)
        side = chance.choice(tuple(Side))
        return Step(do=do, n=n, side=side, seed=chance.getrandbits(32), breaks=tuple(breaks))

    def _break(self, at: int) -> Break:
        chance = self._chance
        kind = chance.choices(("crash", "fault", "listing", "deed", "rival"), (5, 4, 1, 5, 1))[0]
        match kind:
            case "fault":
                return Break(at=at, what=chance.choice(FAULTS))
            case "listing":
                return Break(at=0, what=chance.choice(LISTINGS))
            case "deed":
                return Break(at=at, what="deed", step=self._deed())
            case _:
                return Break(at=at, what=kind)
