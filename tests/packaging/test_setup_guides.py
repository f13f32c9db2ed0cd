"""The guides from nothing to the first event name what the program really wants."""

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.commands.connect import connect
from bridge.commands.template import Answers, render
from bridge.config_schema import ServiceSection
from bridge.web.dashboard import ENTRIES
from connectors.feishu.settings import _ACCOUNTS, _API, DEFAULT_SCOPES
from connectors.google.settings import CALENDARS_SCOPE, EVENTS_SCOPE

DOCS = Path(__file__).resolve().parents[2] / "docs"


def guide(name: str) -> str:
    return (DOCS / f"setup-{name}.md").read_text(encoding="utf-8")


def test_every_scope_that_is_asked_for_is_in_the_guide_and_for_google_no_other() -> None:
    assert [scope for scope in DEFAULT_SCOPES if f"`{scope}`" not in guide("feishu")] == []
    assert set(re.findall(r"https://www\.googleapis\.com/auth/\S+", guide("google"))) == {
        EVENTS_SCOPE,
        CALENDARS_SCOPE,
    }


@pytest.mark.parametrize("name", ["feishu", "google"])
def test_the_redirect_addresses_are_those_that_the_program_uses(name: str) -> None:
    (port,) = [option.default for option in connect.params if option.name == "port"]
    page = next(entry.path for entry in ENTRIES if entry.path.endswith("callback"))
    listen = ServiceSection().listen
    assert f"http://127.0.0.1:{port}/callback\n" in guide(name)
    assert f"http://{listen}{page}\n" in guide(name)
    assert f"https://bridge.example.com{page}\n" in guide(name)


def test_both_clouds_are_in_the_guide_with_their_consoles() -> None:
    for domain, address in _API.items():
        assert f"`{domain}`" in guide("feishu")
        assert f"{address.removeprefix('https://')}/app" in guide("feishu")
    assert _ACCOUNTS.keys() == _API.keys()


@pytest.mark.parametrize(
    ("name", "answers"), [("feishu", {}), ("google", {}), ("exchange", {"services": ("exchange",)})]
)
def test_the_variables_of_the_config_have_the_same_names_in_the_guide(
    name: str, answers: dict[str, Any]
) -> None:
    text = render(Answers(**answers))
    section = re.search(rf"^  {name}:\n(?:    .*\n)+", text, re.MULTILINE)
    assert section is not None
    live = [line for line in section[0].splitlines() if not line.lstrip().startswith("#")]
    secret = [name for name in re.findall(r"\$\{([A-Z_]+)", "\n".join(live)) if "ID" not in name]
    assert secret
    assert [name_ for name_ in secret if f"${{{name_}}}" not in guide(name)] == []


def test_the_guides_name_every_way_in() -> None:
    assert "impersonation" in guide("exchange")
    assert "delegate" in guide("exchange")
    assert "Domain-wide" in guide("google")
    assert "service_account: ${file:" in guide("google")
    assert "identity: tenant" in guide("feishu")
