"""`password`: the hash of a dashboard password, for the config."""

import sys

import click

from bridge.commands.session import Session, command
from bridge.errors import UsageError
from bridge.web.passwords import hash_password

SHORTEST = 12


@command("password", help="Ask for a dashboard password and print its hash for the config.")
def password(session: Session) -> int:
    """Ask twice on a terminal; elsewhere read one line. The config holds only the hash."""
    if sys.stdin.isatty():
        text = click.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if len(text) < SHORTEST:
        raise UsageError(f"that is too short; use {SHORTEST} characters or more")
    value = hash_password(text)
    session.show({"password_hash": value}, lambda: click.echo(value))
    return 0
