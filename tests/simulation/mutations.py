"""Breaks the engine on purpose, one place at a time, and sees that some test notices.

    python tests/simulation/mutations.py [NAME ...]

Every fault is made in a copy of the packages in a temporary folder. The fast tests that are named
for it run there, and then the first simulated histories. Exits 1 if a fault goes unnoticed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("bridge", "connectors", "mappings", "tests", "pyproject.toml")
SUBSETS = {
    "reconcile": "tests/bridge/test_reconcile.py",
    "apply": "tests/bridge/test_apply.py",
    "sync": "tests/bridge/test_sync.py",
    "merge": "tests/mappings/test_merge.py",
    "occurrences": "tests/mappings/test_occurrences.py",
    "zones": "tests/mappings/test_zones.py",
    "projection": "tests/mappings/test_projection.py",
    "identity": "tests/mappings/test_identity.py",
    "memory": "tests/contract/test_memory.py",
    "meet": "tests/bridge/test_both_sides_meet.py",
    "churn": "tests/bridge/test_churn.py",
    "succession": "tests/bridge/test_succession.py",
    "crash points": "tests/simulation/test_crash_points.py",
    "recovery": "tests/bridge/test_recovery.py",
    "mended": "tests/simulation/test_mended_histories.py",
}
HISTORIES = 250
SOAK = f"""
import sys
from bridge.simulation.history import history
from bridge.simulation.running import run
for seed in range({HISTORIES}):
    complaints = run(history(seed)).complaints
    if complaints:
        print(f"seed {{seed}}: {{complaints[0]}}")
        sys.exit(1)
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One place, broken: `old` stands there once, and `new` instead of it is wrong."""

    name: str
    file: str
    old: str
    new: str
    subsets: tuple[str, ...] = ()


FAULTS = (
    # What is written, and how.
    Fault(
        "forget the intent", "bridge/apply.py",
        "                    for task in loud\n", "                    for task in loud[:0]\n",
        ("apply",),
    ),
    Fault(
        "announce nothing that is decided anew", "bridge/apply.py",
        "                for action in decision.actions\n", "                for action in ()\n",
        ("apply",),
    ),
    Fault(
        "look at nothing before writing", "connectors/memory/connector.py",
        "        if contested or", "        if False and", ("apply",),
    ),
    Fault(
        "take for a stranger what another link has replaced", "bridge/succession.py",
        "if unit.state is not UnitState.DONE:", "if False:", ("succession",),
    ),
    Fault(
        "never another key", "bridge/task.py",
        "unit = replace(unit, generation=unit.generation + 1)", "pass", ("apply",),
    ),
    Fault(
        "skip the version precondition", "connectors/memory/connector.py",
        "if current is None or not self.capabilities.write_guard:", "if True:",
    ),
    Fault(
        "take somebody's edit in an answer for ours", "bridge/task.py",
        "foreign = happened.keys() - merge.changes(base.event, desired).keys()",
        "foreign = set()", ("mended",),
    ),
    Fault(
        "forget what half a task has done", "bridge/task.py",
        "            seen[side.other] = answer\n", "            pass\n", ("apply",),
    ),
    Fault(
        "keep the key of the dead", "bridge/task.py",
        "row = replace(row.without(side), generation=row.generation + 1)",
        "row = row.without(side)",
        ("apply",),
    ),
    Fault(
        "lose the loser's journal entry", "bridge/apply.py",
        "return lost or None", "return None", ("apply",),
    ),
    # What is read.
    Fault(
        "advance the cursor early", "bridge/sync.py",
        "        applier.apply(self._in_turn(self._first()))\n",
        "        first = list(self._first())\n        self._advance()\n"
        "        applier.apply(first)\n",
        ("mended",),
    ),
    Fault(
        "go on with a void cursor", "bridge/sync.py",
        "            if cursor is None:\n                raise\n",
        "            return\n", ("sync",),
    ),
    Fault(
        "take absence for deletion", "bridge/observe.py",
        "            observation = self._ask(ref, unit)\n",
        "            observation = Observation(unit=unit, seen=GONE)\n",
        ("sync",),
    ),
    Fault(
        "believe a shrunken listing", "bridge/observe.py",
        "        if reason and not self._approved:", "        if False:", ("sync",),
    ),
    Fault(
        "ignore tombstones", "bridge/observe.py",
        "                    gone[ref] = None\n", "                    pass\n", ("sync",),
    ),
    Fault(
        "drop an exception", "connectors/changes.py",
        "    overrides |= {override.key: override for override in change.overrides}\n",
        "    overrides |= {o.key: o for o in change.overrides[1:]}\n",
    ),
    Fault(
        "guess about a side that was not shown", "bridge/sync.py",
        "            if side in seen or over or not open_:", "            if True:", ("mended",),
    ),
    # What is decided.
    Fault(
        "take our own echo for an edit", "bridge/task.py",
        "            row = row.with_copy(side, answer)\n", "            pass\n", ("apply",),
    ),
    Fault(
        "swap the winner of a conflict", "bridge/travel.py",
        "        case ConflictPolicy.A:\n            return Side.A",
        "        case ConflictPolicy.A:\n            return Side.B",
        ("reconcile",),
    ),
    Fault(
        "the older edit wins", "bridge/travel.py", "b > a else Side.A", "b < a else Side.A",
        ("reconcile",),
    ),
    Fault(
        "let masked fields flow back", "bridge/travel.py",
        "allowed = {*VISIBLE[rules.policy.content],", "allowed = {*merge.DETAIL_FIELDS,",
        ("reconcile",),
    ),
    Fault(
        "show what is masked", "mappings/projection.py",
        "        if self._masks(details):\n            return self._masked(details)\n", "",
        ("projection",),
    ),
    Fault(
        "delete although it was edited", "bridge/reconcile.py",
        "    if edits and wins and rules.writes(deleted):", "    if False:", ("reconcile",),
    ),
    Fault(
        "switch the delete guard off", "bridge/plan.py",
        "if deletes <= limit.count or deletes <= limit.share * known:", "if True:", ("sync",),
    ),
    Fault(
        "let an overruled schedule take exceptions along", "bridge/reconcile.py",
        "    if not overruled or shadow is None:", "    if True:", ("meet",),
    ),
    Fault(
        "copy what a bridge has made", "bridge/reconcile.py",
        "    if not known and copy.origin is not None:", "    if False:", ("reconcile",),
    ),
    Fault(
        "write against the direction", "mappings/policy.py",
        "return self.direction in (Direction.TWO_WAY, allowed)", "return True", ("reconcile",),
    ),
    Fault(
        "mail the guests", "mappings/projection.py",
        "attendees=details.attendees if invite else (),", "attendees=details.attendees,",
        ("projection",),
    ),
    # What a crash leaves.
    Fault(
        "recover nothing", "bridge/recovery.py",
        "    intents = store.intents(link.id)\n", "    intents = store.intents(link.id)[:0]\n",
        ("apply",),
    ),
    Fault(
        "believe that every write has arrived", "bridge/recovery.py",
        "        if path in wanted and wanted[path].after == change.after\n", "",
    ),
    Fault(
        "let what is not known yet pass the guard", "bridge/recovery.py",
        "    return _unversioned(now, event, shadow)\n", "    return replace(now, event=event)\n",
        ("recovery",),
    ),
    Fault(
        "leave half a change standing", "bridge/recovery.py",
        "    if not connector.capabilities.find_by_key:\n        now =",
        "    if False:\n        now =", ("mended",),
    ),
    Fault(
        "do not ask what a create has made", "bridge/recovery.py",
        "        found = _made(connector, calendar, intent)\n", "        found = None\n",
    ),
    Fault(
        "believe that every deletion has arrived", "bridge/recovery.py",
        "        if now is not None:\n            return unit\n        gone", "        gone",
    ),
    Fault(
        "forget what a broken-off write overruled", "bridge/recovery.py",
        "tx.journal(_overruled(intent, intent.lost))", "pass", ("crash points",),
    ),
    Fault(
        "leave an attempt at a replacement standing", "bridge/recovery.py",
        "        half = connector.abandon(calendar, shadow, desired)\n",
        "        half = standing\n",
        ("mended",),
    ),
    Fault(
        "take what has arrived for the original's own", "bridge/recovery.py",
        "    if twin is None or unit.home is", "    if twin is not None or unit.home is",
        ("recovery",),
    ),
    Fault(
        "forget the side that was written where the other one failed", "bridge/apply.py",
        " | {action.side for action, _answer in result.done}\n", "\n", ("apply",),
    ),
    Fault(
        "forget what a create has found where nothing came of it", "bridge/apply.py",
        "if intent.op is Op.CREATE and result.conflicts]", "if False]", ("mended",),
    ),
    Fault(
        "park what was understood later", "bridge/sync.py",
        "        self._problems.pop(unit.id, None)\n", "", ("mended",),
    ),
    Fault(
        "take somebody's renamed occurrence for ours", "bridge/task.py",
        "        return action.alone[1]\n", "        pass\n", ("mended",),
    ),
    Fault(
        "take an occurrence for ours on another schedule", "bridge/recovery.py",
        "    if merge.SCHEDULE in wanted.keys() - common:\n", "    if False:\n", ("recovery",),
    ),
    Fault(
        "write over what an earlier attempt made", "bridge/apply.py",
        "        if difference(copy.event, action.desired, action.side, self._rules):\n",
        "        if False:\n", ("apply",),
    ),
    Fault(
        "never compare once more", "bridge/reconcile.py",
        "row.doubted() if len(actions) > 1 else row", "row",
        ("mended",),
    ),
    Fault(
        "repeat a broken-off write over somebody's edit", "bridge/recovery.py",
        "desired, wanted, ours.keys() - spared)", "desired, wanted, ours.keys())", ("apply",),
    ),
    Fault(
        "say nothing of what a repeated write overrules", "bridge/recovery.py",
        "    if news:\n", "    if False:\n", ("apply",),
    ),
    Fault(
        "believe an unguarded write to what has gone", "bridge/task.py",
        "return bool(contested - happened.keys())", "return False", ("apply",),
    ),
    Fault(
        "rewrite for ever", "bridge/churn.py",
        "    if not updates or sent_on or", "    if True or sent_on or", ("churn",),
    ),
    # What a merge means.
    Fault(
        "two edits of one field never clash", "mappings/merge.py",
        "if mine[path][1] != yours[path][1]}", "if False}", ("merge",),
    ),
    Fault(
        "an edited occurrence never clashes with its removal", "mappings/merge.py",
        'path[2] == "exists" and value is False:', 'path[2] == "exists" and value is None:',
        ("merge",),
    ),
    Fault(
        "leave exceptions behind when their series moves", "mappings/merge.py",
        "result = replace(result, overrides=recurrence.rekey(onto.overrides, onto, result))",
        "pass", ("merge",),
    ),
    Fault(
        "let an exception stand where its rule has no date", "mappings/merge.py",
        "        del overrides[key]\n\n\ndef _revived", "        pass\n\n\ndef _revived",
        ("meet",),
    ),
    Fault(
        "use a fixed offset", "mappings/zones.py",
        "    first = wall.replace(tzinfo=rules, fold=0).astimezone(UTC)\n",
        "    first = (wall - rules.utcoffset(datetime(2026, 1, 15))).replace(tzinfo=UTC)\n",
        ("zones",),
    ),
    Fault(
        "name a write by chance", "mappings/identity.py",
        'digest(["create", link_uid, unit_id, side, generation])',
        'digest(["create", link_uid, unit_id, side, generation, id(object())])',
        ("identity",),
    ),
)  # fmt: skip


def main() -> int:
    """Run the faults that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="words of a fault's name")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    faults = [
        fault
        for fault in FAULTS
        if not chosen.names or any(name in fault.name for name in chosen.names)
    ]
    with tempfile.TemporaryDirectory(prefix="calbridge-whole-") as folder:
        whole = Path(folder)
        copy(ROOT, whole)  # nobody's edits meanwhile are to be taken for a fault
        if blame := noticed_by(whole, (*SUBSETS, "soak")):
            tell(f"without any fault: {blame}")
            return 1
        return 1 if survivors(whole, faults, chosen.jobs) else 0


def survivors(whole: Path, faults: Sequence[Fault], jobs: int) -> int:
    """Make every fault and print who noticed; how many nobody did."""
    unnoticed = 0
    with ThreadPoolExecutor(jobs) as pool:
        attempts = pool.map(lambda fault: attempt(whole, fault), faults)
        for fault, (noticed, seconds) in zip(faults, attempts, strict=True):
            unnoticed += not noticed
            tell(f"{fault.name:56} {noticed or 'NOBODY NOTICED':60} {seconds:4.0f} s")
    tell(f"{len(faults)} faults, {unnoticed} unnoticed")
    return unnoticed


def tell(line: str) -> None:
    """One line of the table, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def copy(source: Path, target: Path) -> None:
    """Everything that the tests need."""
    for name in COPIED:
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / name, target / name, ignore=ignored)
        else:
            shutil.copy(source / name, target / name)


def attempt(whole: Path, fault: Fault) -> tuple[str, float]:
    """Make one fault in a copy; who noticed it, empty if nobody did."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="calbridge-fault-") as folder:
        there = Path(folder)
        copy(whole, there)
        broken = there / fault.file
        broken.write_text(made(fault, broken.read_text(encoding="utf-8")), encoding="utf-8")
        noticed = noticed_by(there, (*fault.subsets, "soak"))
    return noticed, time.monotonic() - started


def noticed_by(folder: Path, subsets: Iterable[str]) -> str:
    """The first of the tests that fails there, empty if none does."""
    return next(filter(None, (_noticed(folder, subset) for subset in subsets)), "")


def made(fault: Fault, text: str) -> str:
    """The text with the fault. Raises ValueError if its place is not there exactly once."""
    if text.count(fault.old) != 1:
        raise ValueError(f"{fault.name}: {fault.file} has its place {text.count(fault.old)} times")
    return text.replace(fault.old, fault.new)


def _noticed(folder: Path, subset: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONTZPATH": ""}
    if subset == "soak":
        command = [sys.executable, "-c", SOAK]
    else:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
                   "-k", "not postgresql", SUBSETS[subset]]  # fmt: skip
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    lines = done.stdout.splitlines()
    told = next((line for line in lines if line.startswith(("FAILED", "ERROR", "seed "))), "")
    return told.removeprefix("FAILED ").rpartition("/")[2][:60] or f"{subset}: {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
