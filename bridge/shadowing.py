"""Refuses to run in an environment where somebody else's package stands in place of ours.

Our packages have plain names at the top level. Another distribution with a package of such a name
would be imported instead of ours, halfway through a run; so their folders are compared first.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("bridge", "connectors", "mappings")


def problem(packages: Sequence[str] = PACKAGES) -> str:
    """What is wrong with where the packages lie, and what to do; empty if nothing is.

    Imports none of them and asks for no list of distributions: a millisecond, not a fifth of a
    second.
    """
    found = {name: _folder(name) for name in packages}
    home = Path(__file__).resolve().parent.parent
    strays = {name: folder for name, folder in found.items() if folder != home}
    if not strays:
        return ""
    places = "; ".join(f"{name} {_told(folder)}" for name, folder in strays.items())
    return (
        f"the packages of this program are mixed with others: {places}, not in {home}. Install it "
        "into an environment of its own (pipx, uv tool or a fresh venv) and unset PYTHONPATH"
    )


def _folder(package: str) -> Path | None:
    """Where Python would import it from; None if it would not, or from several places."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).resolve().parent.parent


def _told(folder: Path | None) -> str:
    return f"comes from {folder}" if folder else "has no one place"
