"""How long calls to a provider take and how they end, for whoever counts them.

A connector wraps every single call, as it goes over the wire, in `Meter.call`: after its pacer let
it through, so that waiting for a budget is no part of it, and within the repetitions, so that each
attempt counts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from connectors import errors
from connectors.errors import ConnectorError

Kind = Literal["read", "write", "login"]
OK = "ok"
OTHER = "other"
"""What ended otherwise than an error of a connector may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One call that ended. `outcome` is `ok` or the class of the error in `connectors.errors`."""

    connector: str
    kind: Kind
    outcome: str
    seconds: float


@dataclass(slots=True)
class Pending:
    """A call under way. `failed` takes an error that came as an answer and is not raised."""

    failed: ConnectorError | None = None


class Meter:
    """Times the calls of one connector. Thread safe."""

    def __init__(
        self, connector: str, *, monotonic: Callable[[], float], report: Callable[[Called], None]
    ) -> None:
        self._connector = connector
        self._monotonic = monotonic
        self._report = report

    @contextmanager
    def call(self, kind: Kind) -> Iterator[Pending]:
        """Around one call. What it raises is counted and goes on."""
        begun, pending, outcome = self._monotonic(), Pending(), ""
        try:
            yield pending
            outcome = consequence(pending.failed) if pending.failed else OK
        except ConnectorError as error:
            outcome = consequence(error)
            raise
        except Exception:
            outcome = OTHER
            raise
        finally:
            if outcome:  # else the process is being ended
                self._told(kind, outcome, begun)

    def _told(self, kind: Kind, outcome: str, begun: float) -> None:
        seconds = max(0.0, self._monotonic() - begun)
        self._report(Called(connector=self._connector, kind=kind, outcome=outcome, seconds=seconds))


def consequence(error: ConnectorError) -> str:
    """The name of the class by which callers branch; connectors have subclasses of their own."""
    public = vars(errors)
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in public)


def unmetered(connector: str) -> Meter:
    """A meter that nobody reads."""
    return Meter(connector, monotonic=lambda: 0.0, report=lambda _called: None)
