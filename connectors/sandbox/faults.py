"""A script of faults: which requests go wrong, in which way, how often."""

import random
import re
import threading
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

Action = Literal[
    "drop_before",  # close the connection; the request was never processed
    "drop_after",  # process it, then close the connection without an answer
    "delay",  # wait `seconds`, then process
    "status",  # answer `status` with `body` instead of processing
    "truncate",  # process, then cut the answer's body in half
    "html",  # answer `status` with a gateway's HTML page instead of processing
    "rewrite",  # process, then let the provider's hook `name` change the answer
]


@dataclass
class Fault:
    """One line of the script.

    Matches requests whose `METHOD path` the regular expression `match` finds; skips the first
    `skip` of them, then strikes `times` (0 = for ever), each with probability `chance`.
    """

    match: str
    action: Action
    skip: int = 0
    times: int = 1
    chance: float = 1.0
    seconds: float = 0.0
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    seen: int = 0
    struck: int = 0

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> "Fault":
        """From the control interface's JSON. Raises ValueError naming what is wrong."""
        known = {item.name for item in fields(cls) if item.name not in ("seen", "struck")}
        unknown = set(raw) - known
        if unknown or "match" not in raw or raw.get("action") not in get_args(Action):
            raise ValueError(f"a fault needs match and action of {get_args(Action)}; {unknown=}")
        re.compile(raw["match"])
        return cls(**raw)


class Faults:
    """The script in force. Deterministic for a given seed and order of requests."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []
        self._random = random.Random(seed)
        self.struck = 0

    def add(self, *faults: Fault) -> None:
        """Append to the script."""
        with self._lock:
            self._script.extend(faults)

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self._script.clear()

    def strike(self, line: str) -> Fault | None:
        """The fault that this request (`METHOD path?query`) meets, if any."""
        with self._lock:
            for fault in self._script:
                if not re.search(fault.match, line):
                    continue
                fault.seen += 1
                spent = bool(fault.times) and fault.struck >= fault.times
                if spent or fault.seen <= fault.skip or self._random.random() >= fault.chance:
                    continue
                fault.struck += 1
                self.struck += 1
                return fault
        return None
