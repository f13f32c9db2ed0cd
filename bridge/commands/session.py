"""What every command needs: options wherever they stand, an opened runtime, printed results,
and errors turned into advice.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from bridge import config as config_file
from bridge.config import Config
from bridge.errors import UsageError
from bridge.logs import TEXT
from bridge.runtime import Runtime
from bridge.store import StoreError
from bridge.vault import VaultError
from connectors.errors import ConnectorError, FatalError, RateLimitedError, ReauthorizeError


@dataclass(slots=True)
class Session:
    """The options that all commands share."""

    config_path: str
    as_json: bool
    verbose: bool

    def config(self) -> Config:
        """The checked config. Raises `ConfigError`."""
        return config_file.load(Path(self.config_path))

    @contextmanager
    def runtime(self, *, keep: bool = True) -> Iterator[Runtime]:
        """The config at work. With `keep` False a database that is not there yet is not made."""
        config = self.config()
        with ExitStack() as stack:
            path = config.database.removeprefix("sqlite:///")
            if not keep and path != config.database and not Path(path).exists():
                folder = stack.enter_context(TemporaryDirectory(prefix="calbridge-"))
                config = replace(config, database=f"sqlite:///{folder}/empty.db")
            yield stack.enter_context(Runtime(config))

    def show(self, value: Any, text: Callable[[], None]) -> None:
        """Print `value` as JSON if asked to, else let `text` print for people."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False, default=str))
        else:
            text()


def command(name: str, *, help: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A click command whose function gets a `Session` first; it returns its exit code."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        def wrapper(*, config: str | None, as_json: bool, verbose: bool, **rest: Any) -> int:
            shared = click.get_current_context().obj or {}
            session = Session(
                config_path=config or shared.get("config", "config.yaml"),
                as_json=as_json or shared.get("json", False),
                verbose=verbose or shared.get("verbose", False),
            )
            _log_to_stderr(verbose=session.verbose)
            try:
                result = function(session, **rest)
            except ConnectorError as error:
                click.echo(advice(error), err=True)
                return 1
            except (StoreError, VaultError) as error:
                click.echo(f"calbridge: {error}", err=True)
                return 2
            return int(result or 0)

        own: list[click.Parameter] = list(reversed(getattr(function, "__click_params__", [])))
        return click.Command(name, callback=wrapper, params=own + _shared_options(), help=help)

    return decorate


def group(name: str, *, help: str, commands: Sequence[click.Command]) -> click.Group:
    """Several commands under one name, which takes the shared options too."""

    def remember(*, config: str | None, as_json: bool, verbose: bool) -> None:
        context = click.get_current_context()
        given = {"config": config, "json": as_json, "verbose": verbose}
        told = {option: value for option, value in given.items() if value}
        context.obj = {**(context.obj or {}), **told}

    return click.Group(
        name, commands=commands, callback=remember, params=_shared_options(), help=help
    )


def _shared_options() -> list[click.Parameter]:
    return [
        click.Option(["--config", "config"], metavar="PATH", help="The config file."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON instead of text."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Log to standard error."),
    ]


def confirmed(question: str) -> None:
    """Ask on a terminal; raises `click.Abort` if the answer is no, `UsageError` elsewhere."""
    if not sys.stdin.isatty():
        raise UsageError("this is no terminal to ask on; look with --dry-run, then say --yes")
    click.confirm(question, abort=True, err=True)


def _log_to_stderr(*, verbose: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format=TEXT,
    )


def advice(error: ConnectorError) -> str:
    """What happened, where, and what to do, in two lines at most."""
    where = " ".join(f"{name}={value}" for name, value in error.facts.items())
    if isinstance(error, ReauthorizeError) and "`calbridge connect" in error.message:
        then = "`calbridge check --online` shows what else is missing"
    elif isinstance(error, ReauthorizeError):
        then = "give consent again with `calbridge connect`, or see `calbridge check --online`"
    elif isinstance(error, FatalError):
        then = "nothing was deleted; `calbridge check --online` shows what is missing"
    elif isinstance(error, RateLimitedError):
        then = f"the provider asks to wait; try again in {error.after:.0f} s"
    else:
        then = "what was done is stored; run the command again to go on from there"
    return f"calbridge: {error.message}{f' ({where})' if where else ''}\n  {then}"
