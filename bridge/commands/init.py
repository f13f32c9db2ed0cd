"""`init`: some questions, or flags, and a config that works.

No secret is asked for. The config names environment variables, and those hold the secrets.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from bridge import config as config_file
from bridge.commands.practice import practice
from bridge.commands.session import Session, command
from bridge.commands.template import SERVICES, Answers, Person, render
from bridge.errors import ConfigError, UsageError
from bridge.vault import Vault
from mappings import zones

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_NAMES = {"feishu": "Feishu", "lark": "Lark", "google": "Google", "exchange": "Exchange",
          "caldav": "the CalDAV server"}  # fmt: skip


@command("init", help="Ask a few questions and write an annotated config and a key.")
@click.argument("path", required=False, type=click.Path(dir_okay=False))
@click.option("--domain", help="feishu, lark, or the https origin of your own cloud.")
@click.option("--app-id", help="The app's id at Feishu or Lark.")
@click.option("--app-secret-env", metavar="NAME", help="The variable that will hold its secret.")
@click.option("--with", "services", multiple=True, type=click.Choice(SERVICES),
              help="The other side: google (default), exchange, caldav; repeatable.")  # fmt: skip
@click.option("--google-client-id", help="The id of the OAuth client at Google.")
@click.option("--google-secret-env", metavar="NAME", help="The variable with the client's secret.")
@click.option("--exchange-endpoint", help="The server's EWS address; without it Autodiscover.")
@click.option("--exchange-username", help="The login that opens the mailboxes.")
@click.option("--exchange-password-env", metavar="NAME", help="The variable with its password.")
@click.option("--exchange-zone", help="The mailboxes' time zone, for example Asia/Shanghai.")
@click.option("--caldav-url", help="The CalDAV server's https address.")
@click.option("--caldav-password-env", metavar="NAME",
              help="The variable with the password; with several users, a prefix.")  # fmt: skip
@click.option("--user", "users", multiple=True, help="A name for a user; repeatable.")
@click.option("--feishu-account", multiple=True, help="The user's e-mail or id there; repeatable.")
@click.option("--google-account", multiple=True, help="The user's address there; repeatable.")
@click.option("--exchange-account", multiple=True, help="The user's mailbox there; repeatable.")
@click.option("--caldav-account", multiple=True, help="The user's login there; repeatable.")
@click.option("--many/--one", "many", default=None, help="Many users, or a machine of one's own.")
@click.option("--sandbox", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The config that `calbridge sandbox` wrote; it answers everything.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Ask nothing; take the defaults for what is not said.")
@click.option("--force", is_flag=True, help="Overwrite the config if it is there; never the key.")
def init(
    session: Session,
    path: str | None,
    *,
    sandbox: Path | None,
    yes: bool,
    force: bool,
    **given: Any,
) -> int:
    """Write a config that passes `check`, and a key file beside it unless there is one, both
    readable by their owner alone."""
    target = Path(path or session.config_path)
    if target.exists() and not force:
        raise UsageError(f"{target} is there already; --force overwrites it")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}; make it first")
    asking = sys.stdin.isatty() and not yes and not session.as_json
    key_file = target.with_suffix(".key")
    trial = practice(sandbox) if sandbox else None
    answers = trial.answers if trial else _answers(_Desk(asking), given)
    answers = replace(answers, secret_key="${file:" + key_file.name + "}")
    if not key_file.exists():
        _write_private(key_file, Vault.generate_key() + "\n")
    _write_checked(target, render(answers))
    told = {"config": str(target), "key": str(key_file), "unset": list(_variables(answers))}
    secrets = trial.secrets if trial else {}
    session.show(told, lambda: _tell(target, key_file, answers, secrets))
    return 0


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where answers come from: a flag, else a question if there is somebody to ask, else the
    default. Raises `UsageError` for a flag that is no answer; a person is asked again."""

    asking: bool

    def __call__(
        self, question: str, flag: str | None, default: str,
        fit: Callable[[str], str] = str.strip, *, later: bool = False,
    ) -> str:  # fmt: skip
        """`later`: the default is a placeholder, which is not shown."""
        if flag is not None:
            try:
                return fit(flag)
            except click.BadParameter as error:
                raise UsageError(f"{question}: {error.message}") from None
        if not self.asking:
            return default
        answer: str = click.prompt(
            f"{question} (Enter: later)" if later else question,
            default="" if later else default, show_default=bool(default) and not later,
            value_proc=fit, err=True,
        )  # fmt: skip
        return answer or default


def _answers(desk: _Desk, given: dict[str, Any]) -> Answers:
    own = Answers()
    services = given["services"]
    if desk.asking:
        click.echo("Enter takes what stands in brackets; all of it can be changed later.", err=True)
    domain = desk("Feishu or Lark?", given["domain"], own.domain, _domain)
    hub = _NAMES.get(domain, "Feishu")
    app_id = desk(f"Id of your app at {hub}", given["app_id"], own.app_id, later=True)
    app_secret_env = desk(
        "Environment variable for the app's secret",
        given["app_secret_env"], own.app_secret_env, _variable,
    )  # fmt: skip
    if not services:
        services = desk("Google, Exchange, CalDAV, or several?", None, "google", _services).split()
    facts = _facts(desk, given, own, services)
    ordered = tuple(name for name in SERVICES if name in services)
    many = given["many"]
    if many is None:
        count = "many" if len(given["users"]) > 1 else "one"
        ask = desk.asking and not given["users"]
        many = (desk("One user or many?", None, count, _count) if ask else count) == "many"
    return replace(
        own, domain=domain, app_id=app_id, app_secret_env=app_secret_env, services=ordered,
        people=tuple(_people(desk, given, hub, ordered, many=many)),
        dashboard="password" if many else "open", **facts,
    )  # fmt: skip


def _facts(
    desk: _Desk, given: dict[str, Any], own: Answers, services: Sequence[str]
) -> dict[str, Any]:
    """What each service has to be asked about."""
    facts: dict[str, Any] = {}
    if "google" in services:
        facts["google_client_id"] = desk(
            "Id of your OAuth client at Google",
            given["google_client_id"], own.google_client_id, later=True,
        )  # fmt: skip
        facts["google_secret_env"] = desk(
            "Environment variable for the client's secret",
            given["google_secret_env"], own.google_secret_env, _variable,
        )  # fmt: skip
    if "exchange" in services:
        facts["exchange_endpoint"] = desk(
            "Address of the Exchange server, https://.../EWS/Exchange.asmx (Enter: Autodiscover)",
            given["exchange_endpoint"], "", _endpoint,
        )  # fmt: skip
        facts["exchange_username"] = desk(
            "Login that opens the mailboxes, DOMAIN\\name",
            given["exchange_username"], own.exchange_username, later=True,
        )  # fmt: skip
        facts["exchange_password_env"] = desk(
            "Environment variable for its password",
            given["exchange_password_env"], own.exchange_password_env, _variable,
        )  # fmt: skip
        facts["exchange_zone"] = desk(
            "Time zone of the mailboxes", given["exchange_zone"], own.exchange_zone, _zone
        )
    if "caldav" in services:
        facts["caldav_url"] = desk(
            "Address of the CalDAV server, https://...",
            given["caldav_url"], own.caldav_url, _endpoint, later=True,
        )  # fmt: skip
        facts["caldav_password_env"] = desk(
            "Environment variable for the password there",
            given["caldav_password_env"], own.caldav_password_env, _variable,
        )  # fmt: skip
    return facts


def _people(
    desk: _Desk, given: dict[str, Any], hub: str, services: Sequence[str], *, many: bool
) -> list[Person]:
    names: list[str] = [_fit(_user, name) for name in given["users"]]
    for kind in ("feishu", *SERVICES):
        count = len(given[f"{kind}_account"])
        if count not in (0, len(names) or 1):
            raise UsageError(f"--{kind}-account: say it once for every --user, in their order")
        if count and kind not in (*services, "feishu"):
            raise UsageError(f"--{kind}-account needs --with {kind}")
    if len(set(names)) < len(names):
        raise UsageError("--user: two users have the same name")
    people: list[Person] = []
    while len(people) < len(names) or not people or (desk.asking and many and not given["users"]):
        at = len(people)
        told = names[at] if at < len(names) else None
        default = "alice" if not people else ""
        question = "Name of the user" if not people else "Name of the next user (Enter: no more)"
        name = desk(question, told, default, _user)
        if not name:
            break
        if name in {person.name for person in people}:
            click.echo(f"{name} is there already", err=True)
            continue
        mail = f"{name}@example.com"

        def account(kind: str, service: str, at: int = at, mail: str = mail) -> str:
            flags = given[f"{kind}_account"]
            return desk(f"Address at {service}", flags[at] if at < len(flags) else None, mail)

        feishu = mail = account("feishu", hub)
        others = tuple(account(kind, _NAMES[kind], mail=mail) for kind in services)
        people.append(Person(name=name, feishu=feishu, accounts=others))
    return people


# -- what fits -------------------------------------------------------------------------------------


def _fit(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except click.BadParameter as error:
        raise UsageError(error.message) from None


def _domain(text: str) -> str:
    text = text.strip()
    if text.lower() in ("feishu", "lark"):
        return text.lower()
    if not text.startswith("https://"):
        raise click.BadParameter("write feishu or lark, or the https address of your own cloud")
    return text


def _services(text: str) -> str:
    words = re.findall(r"\w+", text.lower().replace("both", "google exchange"))
    if not words or not set(words) <= set(SERVICES):
        raise click.BadParameter(f"write {', '.join(SERVICES)}, or several of them")
    return " ".join(dict.fromkeys(words))


def _count(text: str) -> str:
    if text.strip().lower() not in ("one", "many"):
        raise click.BadParameter("write one or many")
    return text.strip().lower()


def _variable(text: str) -> str:
    """Never tells what was typed: it may be the secret itself."""
    if not _VARIABLE.fullmatch(text.strip()):
        raise click.BadParameter(
            "that is no name of an environment variable, such as FEISHU_APP_SECRET; "
            "the secret itself must not be written into the config"
        )
    return text.strip()


def _endpoint(text: str) -> str:
    if text.strip() and not text.strip().startswith("https://"):
        raise click.BadParameter("write an https address")
    return text.strip()


def _zone(text: str) -> str:
    if not zones.is_known(text.strip()):
        raise click.BadParameter("write an IANA time zone, for example Asia/Shanghai")
    return text.strip()


def _user(text: str) -> str:
    if re.search(r"[\s/]", text.strip()):
        raise click.BadParameter("a user's name has neither spaces nor slashes")
    return text.strip()


# -- writing ---------------------------------------------------------------------------------------


def _write_checked(target: Path, text: str) -> None:
    """Only what loads by itself, whatever the environment has, gets its name."""
    draft = target.with_name(f".{target.name}.new")
    try:
        _write_private(draft, text)
        config_file.load(draft, {})
        draft.replace(target)
    except ConfigError as error:
        told = "; ".join(f"{item.place}: {item.message}" for item in error.problems)
        raise UsageError(f"nothing was written, these answers make no config: {told}") from None
    finally:
        draft.unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


def _variables(answers: Answers) -> list[str]:
    """What has to be in the environment, in the order of the config."""
    found = ["FEISHU_APP_ID"] if answers.app_id.startswith("${") else []
    found.append(answers.app_secret_env)
    if "google" in answers.services:
        found += ["GOOGLE_CLIENT_ID"] if answers.google_client_id.startswith("${") else []
        found.append(answers.google_secret_env)
    if "exchange" in answers.services:
        found.append(answers.exchange_password_env)
    if "caldav" in answers.services:
        found += dict.fromkeys(answers.logins.values())
    return found + (["CALBRIDGE_PASSWORD_HASH"] if answers.dashboard == "password" else [])


def _tell(target: Path, key_file: Path, answers: Answers, secrets: Mapping[str, str]) -> None:
    guides = ", ".join(f"docs/setup-{name}.md" for name in ("feishu", *answers.services))
    dashboard = "http://127.0.0.1:8377/accounts"
    where = "" if target.name == "config.yaml" else f" --config {target}"
    steps = [
        f"register the bridge with the providers: {guides}",
        f"set these environment variables: {' '.join(_variables(answers))}",
        f"calbridge{where} check",
    ]
    if secrets:
        exports = "".join(f"\n     export {name}={value}" for name, value in secrets.items())
        steps = [f"set these environment variables:{exports}", steps[2], f"calbridge{where} run"]
        steps += [f"open {dashboard} and make a link for each account, to connect it"]
    elif answers.dashboard == "password":
        steps[1] += "\n     (`calbridge password` makes the last one)"
        steps += [
            f"calbridge{where} run",
            f"log in at {dashboard} and send everybody an invitation",
        ]
    else:
        user = answers.people[0].name
        consenting = ["feishu", *(name for name in answers.services if name == "google")]
        steps += [f"calbridge{where} connect {name} --user {user}" for name in consenting]
        steps += [f"calbridge{where} check --online", f"calbridge{where} run"]
    click.echo(
        f"wrote {target} and {key_file} (keep a copy of the key: without it every user has to give "
        "consent again)\nnext:"
    )
    for number, step in enumerate(steps, 1):
        click.echo(f"  {number}. {step}")
