"""`init --sandbox`: the answers that fit the sandboxes which `calbridge sandbox` has started."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bridge.commands.template import Answers, Person
from bridge.errors import UsageError

_TARGET = ("api_root", "token_uri", "auth_uri")


@dataclass(frozen=True, slots=True)
class Practice:
    """Answers, and what stands in the variables that they name. These secrets guard nothing."""

    answers: Answers
    secrets: Mapping[str, str]


def practice(path: Path) -> Practice:
    """The first user in the sandboxes' config who has to consent on both sides.

    Raises `UsageError` if there is none.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        connectors, users = content["connectors"], content["users"]
    except (yaml.YAMLError, TypeError, KeyError):
        raise UsageError(f"{path} is no config that `calbridge sandbox` wrote") from None
    for name, user in users.items():
        for link in user["links"]:
            hub = next(key for key in user if key in connectors)
            ours, theirs = connectors[hub], connectors[link["to"]]
            if ours.get("identity", "user") == "user" and "client_secret" in theirs:
                return _practice(name, user[hub]["account"], link["account"], ours, theirs)
    raise UsageError(f"nobody in {path} has to consent on both sides; take the world `office`")


def _practice(
    name: str, feishu: str, google: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Practice:
    answers = Answers(
        domain=ours["domain"],
        app_id=ours["app_id"],
        google_client_id=theirs["client_id"],
        people=(Person(name=name, feishu=feishu, accounts=(google,)),),
        dashboard="open",
        addresses={
            "feishu": {"accounts_domain": ours["accounts_domain"]},
            "google": {key: theirs[key] for key in _TARGET},
        },
    )
    secrets = {
        answers.app_secret_env: ours["app_secret"],
        answers.google_secret_env: theirs["client_secret"],
    }
    return Practice(answers, secrets)
