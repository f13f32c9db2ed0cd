"""`run`: the service in the foreground, until SIGTERM or Ctrl-C."""

import logging
import signal
import threading

import click

from bridge.commands.session import Session, command
from bridge.service import ROLES, Service


@command("run", help="Run as a service until SIGTERM or Ctrl-C.")
@click.option("--only", multiple=True, type=click.Choice(ROLES), help="Only this role; repeatable.")
def run(session: Session, only: tuple[str, ...]) -> int:
    """Start the service and wait."""
    logging.getLogger("calbridge").setLevel(logging.INFO)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with session.runtime() as runtime:
        service = Service(runtime, only or ROLES)
        service.start()
        session.show(
            {"running": True, "links": len(runtime.config.links)},
            lambda: click.echo(f"running {len(runtime.config.links)} link(s); stop with Ctrl-C"),
        )
        while not stop.wait(1):
            pass
        service.stop()
    return 0
