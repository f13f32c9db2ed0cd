"""The faults that `make mutate` makes still have their places."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("mutations", HERE / "mutations.py")
assert SPEC is not None
assert SPEC.loader is not None
mutations = importlib.util.module_from_spec(SPEC)
sys.modules["mutations"] = mutations
SPEC.loader.exec_module(mutations)


@pytest.mark.parametrize("fault", mutations.FAULTS, ids=lambda fault: fault.name)
def test_every_fault_has_its_one_place(fault) -> None:
    text = (mutations.ROOT / fault.file).read_text(encoding="utf-8")
    broken = mutations.made(fault, text)
    assert broken != text
    compile(broken, fault.file, "exec")


def test_there_are_enough_of_them() -> None:
    names = [fault.name for fault in mutations.FAULTS]
    assert len(set(names)) == len(names) >= 25
    assert all((mutations.ROOT / name).is_file() for name in mutations.SUBSETS.values())
