"""The annotated config that `init` writes and that stands in the project as an example."""

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the example needs to know. The defaults load as they are."""

    domain: str = "feishu"
    app_id: str = "${FEISHU_APP_ID:-cli_replace_me}"
    user: str = "alice"
    feishu_account: str = "alice@example.com"
    google_account: str = "alice@example.com"
    secret_key: str = '"${CALBRIDGE_SECRET_KEY:-}"'  # noqa: S105 a reference, not a secret


def render(answers: Answers) -> str:
    """The config text for these answers."""
    text = files("bridge.commands").joinpath("template.yaml").read_text(encoding="utf-8")
    for name in Answers.__dataclass_fields__:
        text = text.replace(f"@{name.upper()}@", getattr(answers, name))
    return text
