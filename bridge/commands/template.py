"""The annotated config that `init` writes and that stands in the project as an example."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files

import yaml
from jinja2 import Environment, StrictUndefined

SERVICES = ("google", "exchange", "caldav")
"""What a Feishu calendar can be kept the same with, by the names of their sections."""
_PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9@._+\\/-]|:(?=/))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One user. `accounts` has one for every service in use."""

    name: str
    feishu: str
    accounts: tuple[str, ...]


ALICE = Person(name="alice", feishu="alice@example.com", accounts=("alice@example.com",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the example needs to know. The defaults load as they are. `*_env` are the names of the
    environment variables that will hold the secrets; the secrets themselves are never asked for.
    `addresses` are those of sandboxes, by connector and setting."""

    domain: str = "feishu"
    app_id: str = "${FEISHU_APP_ID:-cli_replace_me}"
    app_secret_env: str = "FEISHU_APP_SECRET"  # noqa: S105 a variable's name
    services: tuple[str, ...] = ("google",)
    google_client_id: str = "${GOOGLE_CLIENT_ID:-replace-me.apps.example.com}"
    google_secret_env: str = "GOOGLE_CLIENT_SECRET"  # noqa: S105
    exchange_endpoint: str = ""
    exchange_username: str = r"EXAMPLE\bridge"
    exchange_password_env: str = "EXCHANGE_PASSWORD"  # noqa: S105
    exchange_zone: str = "Asia/Shanghai"
    caldav_url: str = "https://dav.example.com/"
    caldav_password_env: str = "CALDAV_PASSWORD"  # noqa: S105
    people: tuple[Person, ...] = (ALICE,)
    dashboard: str = "none"
    addresses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secret_key: str = '"${CALBRIDGE_SECRET_KEY:-}"'  # noqa: S105 a reference, not a secret

    @property
    def logins(self) -> Mapping[str, str]:
        """The variable that holds each CalDAV account's password: of several, one for each, with
        the user's name at its end."""
        at = self.services.index("caldav") if "caldav" in self.services else 0
        found: dict[str, str] = {}
        for number, person in enumerate(self.people, 1):
            name = re.sub(r"[^A-Z0-9]+", "_", person.name.upper()).strip("_")
            variable = f"{self.caldav_password_env}_{name or number}"
            if variable in found.values():
                variable += f"_{number}"
            found.setdefault(person.accounts[at], variable)
        return dict.fromkeys(found, self.caldav_password_env) if len(found) == 1 else found


def render(answers: Answers) -> str:
    """The config text for these answers."""
    text = files("bridge.commands").joinpath("template.yaml").read_text(encoding="utf-8")
    environment = Environment(  # noqa: S701 YAML, not HTML
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"scalar": scalar, "off": _off}
    facts = {name: getattr(answers, name) for name in Answers.__dataclass_fields__}
    return environment.from_string(text).render(
        **facts, logins=answers.logins, all_services=SERVICES
    )


def scalar(text: str) -> str:
    """A text as YAML reads it back, whatever stands in it; a reference stays as it is."""
    if text.startswith("${") or (_PLAIN.fullmatch(text) and yaml.safe_load(text) == text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _off(section: str) -> str:
    """A section under `connectors` as comments."""
    return "".join(f"  # {line[2:]}\n" for line in section.splitlines())
