"""`check`: whether the config is right, and whether the providers agree."""

from collections.abc import Iterator
from typing import Any

import click

from bridge.commands.session import Session, command
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.runtime import Runtime
from bridge.wording import counted
from connectors.contract import Finding
from connectors.errors import ConnectorError


@command("check", help="Validate the config; with --online also accounts, rights and calendars.")
@click.option("--online", is_flag=True, help="Also ask the providers.")
def check(session: Session, *, online: bool) -> int:
    """Report everything that is wrong, or that all is well."""
    config = session.config()
    rows: list[dict[str, Any]] = []
    if online:
        with Runtime(config) as runtime:
            rows = [*_accounts(runtime), *_links(runtime)]
    bad = [row for row in rows if not row["ok"]]
    unset = config.unset
    value = {"ok": not bad, "links": len(config.links), "findings": rows}
    value["unset"] = [item.message for item in unset]
    session.show(value, lambda: _print(rows, config))
    return 1 if bad else 0


def _accounts(runtime: Runtime) -> list[dict[str, Any]]:
    ends = {
        (end.connector, end.account): None
        for link in runtime.config.links
        for end in (link.a, link.b)
    }
    rows = []
    for connector, account in ends:
        where = f"{connector} {account}"
        rows += [_row(where, finding) for finding in runtime.provider(connector).examine(account)]
    return rows


def _links(runtime: Runtime) -> list[dict[str, Any]]:
    rows = []
    for link in runtime.config.links:
        try:
            runtime.ready([link], store=False)
        except ConfigError as error:
            for problem in error.problems:
                finding = Finding(ok=False, subject="calendars", detail=problem.message)
                rows.append(_row(f"link {link.name}", finding))
        except ConnectorError as error:
            finding = Finding(ok=False, subject="calendars", detail=error.message, code=error.code)
            rows.append(_row(f"link {link.name}", finding))
        else:
            rows.append(_row(f"link {link.name}", Finding(ok=True, subject="calendars")))
    return rows


def _row(where: str, finding: Finding) -> dict[str, Any]:
    return {
        "where": where,
        "ok": finding.ok,
        "subject": finding.subject,
        "detail": finding.detail,
        "advice": finding.advice,
        "code": finding.code,
    }


def notes(config: Config) -> Iterator[str]:
    """A line for each variable that still has to be set."""
    for item in config.unset:
        line = f" (line {item.line})" if item.line else ""
        yield f"note {item.place}{line}: {item.message}"


def _print(rows: list[dict[str, Any]], config: Config) -> None:
    for line in notes(config):
        click.echo(line)
    if not rows:
        links = counted(len(config.links), "link")
        click.echo(f"the config is valid: {links}. `--online` asks the providers too")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("connector and account, or link", "what", "", "code")
    for row in rows:
        works = Text("ok", "green") if row["ok"] else Text("FAIL", "bold red")
        table.add_row(Text(row["where"]), Text(row["subject"]), works, Text(row["code"]))
    Console().print(table)
    for row in sorted(rows, key=lambda row: bool(row["ok"])):  # what fails first
        if not row["detail"] and row["ok"]:
            continue
        mark = "ok  " if row["ok"] else "FAIL"
        detail = f": {row['detail']}" if row["detail"] else ""
        code = f" [{row['code']}]" if row["code"] else ""
        click.echo(f"{mark} {row['where']}: {row['subject']}{detail}{code}")
        if row["advice"] and not row["ok"]:
            click.echo(f"     {row['advice']}")
