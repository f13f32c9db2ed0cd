"""`run`: the service in the foreground, until SIGTERM or Ctrl-C."""

import logging
import os
import signal
import sys
import threading
from types import FrameType

import click

from bridge.commands.session import Session, command
from bridge.commands.setup import notes
from bridge.logs import write_as
from bridge.runtime import Runtime
from bridge.service import ROLES, Service
from bridge.wording import counted

LAST_MOMENT = 8.5
"""Seconds after SIGTERM at which the process ends, whatever still holds it."""


@command("run", help="Run as a service until SIGTERM or Ctrl-C.")
@click.option("--only", multiple=True, type=click.Choice(ROLES), help="Only this role; repeatable.")
def run(session: Session, only: tuple[str, ...]) -> int:
    """Start the service and wait. Raises `StoreError` once nothing can be stored any more: a newer
    program has migrated the database, or its disk is full."""
    logging.getLogger("calbridge").setLevel(logging.INFO)
    stop, before = threading.Event(), set(threading.enumerate())

    def end(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            _leave()
        stop.set()
        _after(LAST_MOMENT)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    write_as(session.config().service.log)
    with session.runtime() as runtime:
        roles = only or ROLES
        service = Service(runtime, roles)
        service.start()
        for line in notes(runtime.config):
            click.echo(line, err=True)
        session.show(
            {"running": True, "links": len(runtime.config.links)},
            lambda: click.echo(greeting(runtime, service.address if "web" in roles else "")),
        )
        while not stop.wait(1) and not runtime.store.halt:
            pass
        service.stop()
        halt = runtime.store.halt
    if halt:
        raise halt
    if any(not thread.daemon for thread in set(threading.enumerate()) - before):
        _leave()  # a thread that waits for a provider's answer would keep the process
    return 0


def greeting(runtime: Runtime, address: str) -> str:
    """What a person who starts it wants to know; `address` is empty if another process listens."""
    links, web = counted(len(runtime.config.links), "link"), runtime.config.web
    if not address:
        where = ""
    elif web.served:
        where = f"; the dashboard is at {web.public_url or address}"
    else:
        where = f"; listening at {address}, without a dashboard: `web` lets nobody log in"
    return f"running with {links}{where}; stop with Ctrl-C"


def _after(seconds: float) -> None:
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    """End now. Nothing is lost by it: what matters is in the database."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
