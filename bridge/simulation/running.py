"""Runs one history to its end and says what is wrong there."""

import hashlib
import traceback
from dataclasses import dataclass, field

from bridge.records import Side
from bridge.simulation.history import History, Step
from bridge.simulation.invariants import judge, wanted
from bridge.simulation.office import Office, Report
from bridge.simulation.worlds import LIKENESSES

ROUNDS = 200
"""So many passes at most until everything has come to rest."""
IDLE = 10
"""So many rounds afterwards must write nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a history. `complaints` is empty if all is well; `places` is how many calls
    and commits there were to break, `raced` how many edits met an unguarded write in its flight,
    which nobody could know."""

    complaints: tuple[str, ...]
    trace: tuple[str, ...] = field(repr=False)
    passes: int = 0
    places: int = 0
    held: int = 0
    parked: int = 0
    conflicts: int = 0
    raced: int = 0

    @property
    def digest(self) -> str:
        """The same for the same course of events."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def run(history: History) -> Verdict:
    """Let everything happen, let it come to rest, and judge."""
    a, b = (LIKENESSES[name] for name in history.kinds)
    office = Office({Side.A: a, Side.B: b}, history.policy)
    try:
        return _Run(office, history).run()
    except Exception as error:  # noqa: BLE001 a fault of the program is what we look for
        office.trace += traceback.format_exception(error)
        text = " ".join(str(error).split())[:200]
        complaint = f"the program failed: {type(error).__name__}: {text}"
        return Verdict(complaints=(complaint,), trace=tuple(office.trace), places=office.steps)
    finally:
        office.close()


class _Run:
    def __init__(self, office: Office, history: History) -> None:
        self._office = office
        self._history = history
        self._passes = 0
        self._held = 0
        self._last_held = False
        self._wanted: set[tuple[Side, str]] = set()

    def run(self) -> Verdict:
        office = self._office
        for step in self._history.steps:
            report = office.happen(step)
            self._passes += report is not None
        complaints = [*self._rest(), *judge(office)]
        complaints += self._stay()
        for side in Side:
            office.trace += [f"end {side.value}: {event}" for event in _shown(office, side)]
        with office.store() as store:
            link = office.link(store)
            states = store.count_units(link.id)
            entries = store.journal(link_id=link.id, limit=100_000)
        return Verdict(
            complaints=tuple(complaints),
            trace=tuple(office.trace),
            passes=self._passes,
            places=office.steps,
            held=self._held,
            parked=sum(count for state, count in states.items() if state == "parked"),
            conflicts=sum(1 for entry in entries if entry.lost),
            raced=office.raced,
        )

    def _rest(self) -> list[str]:
        """Passes without any fault until one writes nothing and nothing is left to be retried."""
        office = self._office
        quiet = 0
        for number in range(ROUNDS):
            full = quiet == 1
            report = self._pass(full=full, approved=bool(number and self._last_held))
            self._wanted = wanted(office) if full else self._wanted
            self._last_held = bool(report.held)
            if report.ended != "ok":
                return [f"a pass without a fault ended: {report.ended}"]
            quiet = 0 if report.writes or report.held or self._waiting() else quiet + 1
            if quiet == 3:
                return []
        return [f"still writing after {ROUNDS} passes: {office.trace[-1]}"]

    def _stay(self) -> list[str]:
        for number in range(IDLE):
            report = self._pass(full=False)
            if report.writes or report.ended != "ok":
                return [f"idle round {number + 1} wrote {report.writes} ({report.ended})"]
        report = self._pass(full=True)
        # Only what has come into the link's window meanwhile.
        entered = wanted(self._office) - self._wanted
        writes = report.writes
        return [f"a full pass at rest wrote {writes}"] if writes > len(entered) else []

    def _pass(self, *, full: bool, approved: bool = False) -> Report:
        self._passes += 1
        step = Step(do="full pass" if full else "pass", n=0)
        report = self._office.run(step, approved=approved)
        self._held += bool(report.held)
        return report

    def _waiting(self) -> bool:
        with self._office.store() as store:
            link = self._office.link(store)
            return store.next_retry(link.id) is not None or bool(store.intents(link.id))


def _shown(office: Office, side: Side) -> list[str]:
    calendar = office.calendar(side)
    return sorted(f"{ref} {calendar.event(ref)!r}" for ref in calendar.refs())
