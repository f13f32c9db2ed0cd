"""`calbridge`: the command line. Kept light, so that `--help` answers at once.

Exit codes: 0 done, 1 differences, failures or held links, 2 wrong use or wrong config. A user's
mistake never shows a traceback.
"""

import difflib
import importlib
import os
import sys

import click

from bridge import shadowing
from bridge.errors import ConfigError, UsageError

COMMANDS = {
    "init": ("bridge.commands.init", "init"),
    "check": ("bridge.commands.setup", "check"),
    "connect": ("bridge.commands.connect", "connect"),
    "plan": ("bridge.commands.copying", "plan"),
    "apply": ("bridge.commands.copying", "apply"),
    "backfill": ("bridge.commands.copying", "backfill"),
    "sync": ("bridge.commands.copying", "sync"),
    "run": ("bridge.commands.run", "run"),
    "verify": ("bridge.commands.looking", "verify"),
    "status": ("bridge.commands.looking", "status"),
    "explain": ("bridge.commands.explaining", "explain_command"),
    "journal": ("bridge.commands.history", "journal"),
    "undo": ("bridge.commands.history", "undo"),
    "parked": ("bridge.commands.parked", "parked"),
    "approve": ("bridge.commands.links", "approve"),
    "pause": ("bridge.commands.links", "pause"),
    "resume": ("bridge.commands.links", "resume"),
    "unlink": ("bridge.commands.links", "unlink"),
    "password": ("bridge.commands.password", "password"),
    "sandbox": ("bridge.commands.trial", "sandbox"),
    "demo": ("bridge.commands.trial", "demo"),
    "soak": ("bridge.commands.soak", "soak"),
}
SUMMARIES = {
    "init": "Ask a few questions and write an annotated config and a key.",
    "check": "Validate the config; with --online also accounts, rights and calendars.",
    "connect": "Give consent for one account in a browser.",
    "plan": "Show what would change and why; write nothing.",
    "apply": "Do exactly what a saved plan says, or refuse if it is stale.",
    "backfill": "Copy everything once, resumable.",
    "sync": "One pass over the changes.",
    "run": "Run as a service.",
    "verify": "Compare both sides by their occurrences.",
    "status": "Show every link and how it fares.",
    "explain": "Show why an event is as it is, and what happens to it next.",
    "journal": "Show what was done, when and why; the newest last.",
    "undo": "Take back what a run did, on the side where it did it, without mail.",
    "parked": "List, retry or drop events that wait for a person.",
    "approve": "Let a held link go on with what it was held for.",
    "pause": "Stop a link until `resume`.",
    "resume": "Let a paused, waiting, suspended or unlinked link run again.",
    "unlink": "End a link cleanly; with --remove-copies take the bridge's copies away.",
    "password": "Ask for a dashboard password and print its hash for the config.",
    "sandbox": "Start the built-in provider sandboxes.",
    "demo": "Show the whole story against the sandboxes.",
    "soak": "Try to break the bridge with simulated people, faults and crashes.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of a user's first day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; of one that there is not, the nearest is named."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="feishu-calendar-bridge")
@click.option(
    "--config",
    "config",
    default="config.yaml",
    show_default=True,
    metavar="PATH",
    help="The config file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")
@click.pass_context
def cli(ctx: click.Context, config: str, *, as_json: bool, verbose: bool) -> None:
    """Keep Feishu/Lark calendars and Google or Exchange calendars the same."""
    ctx.obj = {"config": config, "json": as_json, "verbose": verbose}


def main() -> None:
    """Entry point of the console script."""
    # Zone data comes from the pinned package, not from whatever the machine has.
    os.environ.setdefault("PYTHONTZPATH", "")
    problem = shadowing.problem()
    if problem:
        click.echo(f"calbridge: {problem}", err=True)
        sys.exit(2)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code instead of leaving the process."""
    try:
        result = cli.main(args=arguments, prog_name="calbridge", standalone_mode=False)
    except ConfigError as error:
        for line in error.lines():
            click.echo(line, err=True)
        return 2
    except UsageError as error:
        click.echo(f"calbridge: {error}", err=True)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"calbridge: {place}{error.strerror or error}", err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        click.echo("stopped", err=True)
        return 1
    except click.exceptions.Exit as error:
        return error.exit_code
    return result if isinstance(result, int) else 0
