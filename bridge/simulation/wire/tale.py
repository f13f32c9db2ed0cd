"""A history over the wire as a value: who links what under which policy, and what happens.

Each step carries all chance that it needs, so that the story stays the same when steps are left
out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from connectors.sandbox.worlds.town import HUB, WEATHER

TOWNS = (("google",), ("exchange",), ("google", "exchange"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens: `do` names it, `n` is its number, `place` says where, `unit` whom it
    is about, `seed` gives every further choice. `breaks` are what comes between during a pass."""

    do: str
    n: int
    place: str = HUB
    unit: int = 0
    seed: int = 0
    breaks: tuple["Break", ...] = ()

    def chance(self) -> Random:
        """The step's own source of choices."""
        return Random(self.seed)  # noqa: S311 - a simulation, not a secret

    def __str__(self) -> str:
        inner = "".join(f" [{item}]" for item in self.breaks)
        where = "" if self.do in PASSES else f" at {self.place} of #{self.unit}"
        return f"{self.n}: {self.do}{where}{inner}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What comes between at a provider, at the call after `skip`: bad weather, or a deed."""

    place: str
    skip: int
    what: str
    step: Step | None = None

    def __str__(self) -> str:
        return f"{self.step or self.what} at {self.place}+{self.skip}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """Everything that a run needs. `lag`: seconds until the hub's listings show a write."""

    seed: int
    targets: tuple[str, ...]
    policy: Mapping[str, Any]
    lag: float
    steps: tuple[Step, ...]

    def with_steps(self, steps: Sequence[Step]) -> "Tale":
        """The same, with fewer things happening."""
        return replace(self, steps=tuple(steps))

    def __str__(self) -> str:
        head = f"seed {self.seed}: {HUB} <-> {', '.join(self.targets)}, {dict(self.policy)}"
        if self.lag:
            head += f", lag {self.lag:.0f} s"
        return "\n".join([head, *(f"  {step}" for step in self.steps)])


PASSES = frozenset({"pass", "full pass"})
_DEEDS = {
    "create": 6,
    "create series": 6,
    "write": 12,
    "move": 7,
    "change rule": 4,
    "write occurrence": 9,
    "move occurrence": 6,
    "cancel occurrence": 5,
    "split": 3,
    "delete": 4,
    "recreate": 2,
    "restore": 2,
    "duplicate": 2,
    "put away": 2,
    "fetch back": 3,
    "be invited": 2,
    "answer": 1,
    "turn": 2,
}
_MAKING = frozenset({"create", "create series", "split", "recreate", "duplicate", "be invited"})


def tale(seed: int) -> Tale:
    """The history that this seed stands for."""
    return _Author(Random(seed)).write(seed)  # noqa: S311 - a simulation, not a secret


class _Author:
    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._n = 0
        self._units: list[int] = []
        self._targets = chance.choices(TOWNS, (4, 4, 2))[0]
        self._places = (HUB, *self._targets)

    def write(self, seed: int) -> Tale:
        chance = self._chance
        policy = {
            "conflict": chance.choice(("newest", "a", "b")),
            "edit_versus_delete": chance.choices(("edit-wins", "delete-wins"), (4, 1))[0],
            "delete_guard": {"count": chance.choice((0, 20, 20)), "share": 0.0},
        }
        lag = chance.choice((0.0, 0.0, 0.0, 30.0))
        steps = [self._deed() for _ in range(chance.randint(2, 5))]
        for _ in range(chance.randint(2, 4)):
            steps.append(self._pass())
            steps += [self._deed() for _ in range(chance.randint(1, 5))]
        return Tale(seed=seed, targets=self._targets, policy=policy, lag=lag, steps=tuple(steps))

    def _number(self) -> int:
        self._n += 1
        return self._n

    def _deed(self) -> Step:
        """Something that a person does. People tend to meet in the same few events."""
        chance = self._chance
        do = chance.choices(list(_DEEDS), list(_DEEDS.values()))[0]
        if not self._units:
            do = chance.choice(("create", "create series"))
        recent = self._units[-3:]
        unit = chance.choice(recent) if recent else 0
        n = self._number()
        if do in _MAKING:
            self._units.append(n)
        place = chance.choice(self._places)
        return Step(do=do, n=n, place=place, unit=unit, seed=chance.getrandbits(32))

    def _pass(self) -> Step:
        chance = self._chance
        do = "full pass" if chance.random() < 0.15 else "pass"
        n = self._number()
        breaks = []
        for _ in range(chance.choices((0, 1, 2), (3, 4, 3))[0]):
            place = chance.choice(self._places)
            skip = chance.choice((0, 1, 2, chance.randint(0, 8)))
            if chance.random() < 0.3:
                breaks.append(Break(place=place, skip=skip, what="deed", step=self._deed()))
            else:
                what = chance.choice(WEATHER)
                breaks.append(Break(place=place, skip=skip, what=what))
        return Step(do=do, n=n, seed=chance.getrandbits(32), breaks=tuple(breaks))
