"""The service in this process, living by the city's clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from unittest.mock import patch

from benchmarks.proofs.city import City
from benchmarks.proofs.timelapse import unhurried
from bridge import config as config_file
from bridge.runtime import Runtime, System

NAP = 0.005


class Living:
    """A running service whose naps are short; `pass_time` makes hours go by."""

    def __init__(self, town: City, runtime: Runtime) -> None:
        self._town = town
        self.runtime = runtime
        self.service = unhurried(runtime)

    def pass_time(self, seconds: float, *, patience: float = 120.0) -> bool:
        """Put the clock forward, let everything happen that is due then, and wait for rest. False
        if there was none."""
        self._town.clock.advance(seconds)
        # What the service does by its own threads every so many real seconds.
        self.service._subscriptions.tend()  # noqa: SLF001
        self.service._housekeeping.tidy()  # noqa: SLF001
        return self.service.wait_idle(patience)


@contextmanager
def living(town: City, path: Path, *, seed: int = 0) -> Iterator[Living]:
    """The service of that config, started and at rest. Nobody's rates are limited."""
    town.feishu.limits.enabled = False
    town.google.switches.limits = False
    town.exchange.switches.limits = False
    system = System(
        now=town.now,
        sleep=lambda seconds: time.sleep(min(seconds, NAP)),
        random=Random(seed).random,
    )
    with (
        # Google's SDK looks at a clock of its own.
        patch("google.auth._helpers.utcnow", lambda: town.now().replace(tzinfo=None)),
        Runtime(config_file.load(path), system) as runtime,
    ):
        found = Living(town, runtime)
        found.service.start()
        try:
            found.service.wait_idle(120)
            yield found
        finally:
            found.service.stop()
