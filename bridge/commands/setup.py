"""`init` and `check`: from nothing to a config that works."""

from pathlib import Path
from typing import Any

import click

from bridge.commands.session import Session, command
from bridge.commands.template import Answers, render
from bridge.errors import ConfigError, UsageError
from bridge.runtime import Runtime
from bridge.vault import Vault
from connectors.contract import Finding
from connectors.errors import ConnectorError


@command("init", help="Write an annotated config to start from.")
@click.argument("path", default="config.yaml", type=click.Path(dir_okay=False))
@click.option("--domain", default="feishu", show_default=True, help="feishu or lark.")
@click.option("--app-id", default="", help="The Feishu app's id.")
@click.option("--user", default="alice", show_default=True, help="A name for the first user.")
@click.option("--feishu-account", default="", help="Their e-mail, open_id or user_id at Feishu.")
@click.option("--google-account", default="", help="Their address at Google.")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def init(
    session: Session,
    path: str,
    domain: str,
    app_id: str,
    user: str,
    feishu_account: str,
    google_account: str,
    *,
    force: bool,
) -> int:
    """Write a config and a key file beside it, both readable by their owner alone."""
    target = Path(path)
    if target.exists() and not force:
        raise UsageError(f"{path} is there already; --force overwrites it")
    key_file = target.with_suffix(".key")
    if not key_file.exists():
        _write_private(key_file, Vault.generate_key() + "\n")
    given = {
        "app_id": app_id,
        "feishu_account": feishu_account,
        "google_account": google_account,
    }
    answers = Answers(
        domain=domain,
        user=user,
        secret_key="${file:" + key_file.name + "}",
        **{name: value for name, value in given.items() if value},
    )
    _write_private(target, render(answers))
    session.show(
        {"config": str(target), "key": str(key_file)},
        lambda: click.echo(
            f"wrote {target} and {key_file} (keep a copy of the key: without it every user has "
            f"to give consent again)\nnext: edit {target}, then `calbridge check --online`"
        ),
    )
    return 0


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


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
    value = {"ok": not bad, "links": len(config.links), "findings": rows}
    session.show(value, lambda: _print(rows, len(config.links)))
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


def _print(rows: list[dict[str, Any]], links: int) -> None:
    if not rows:
        click.echo(f"the config is valid; {links} link(s). `--online` asks the providers too")
        return
    for row in rows:
        mark = "ok  " if row["ok"] else "FAIL"
        detail = f": {row['detail']}" if row["detail"] else ""
        code = f" [{row['code']}]" if row["code"] else ""
        click.echo(f"{mark} {row['where']}: {row['subject']}{detail}{code}")
        if row["advice"] and not row["ok"]:
            click.echo(f"     {row['advice']}")
