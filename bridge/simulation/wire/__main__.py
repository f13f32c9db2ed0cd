"""Replays histories over the wire: `python -m bridge.simulation.wire SEED...`; exit 1 if one
fails."""

import sys
from collections.abc import Sequence

import click

from bridge.simulation.wire.tale import tale
from bridge.simulation.wire.telling import told
from connectors.sandbox.worlds.town import Town


def main(seeds: Sequence[str]) -> int:
    """Tell each, step by step, with everything that is wrong at its end."""
    town = Town().start()
    failed = 0
    try:
        for seed in map(int, seeds):
            history = tale(seed)
            verdict = told(town, history)
            failed += bool(verdict.complaints)
            for line in (str(history), *verdict.trace, *verdict.complaints):
                click.echo(line)
            click.echo("all is well" if not verdict.complaints else "SOMETHING IS WRONG")
    finally:
        town.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
