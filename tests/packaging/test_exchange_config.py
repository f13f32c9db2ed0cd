"""What the config may say about Exchange: every mistake is named with its line and what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import config
from bridge.commands.template import Answers, render
from bridge.config import Config
from bridge.errors import ConfigError
from connectors.exchange.settings import Settings

ROOT = Path(__file__).parents[2]
SECRET = "s3cret-password"
GOOD = f"""\
connectors:
  hub: {{type: memory}}
  exchange:
    type: exchange
    endpoint: https://mail.example.com/EWS/Exchange.asmx
    auth: ntlm
    username: EXAMPLE\\bridge
    password: {SECRET}
    access: impersonation
    zone: Asia/Shanghai
users:
  ann:
    hub: ann
    links:
      - {{to: exchange, account: ann@example.com}}
"""
OAUTH = """\
    auth: oauth2
    oauth: {client_id: id, client_secret: s3cret-password, tenant: example}
"""
LOGIN = f"    auth: ntlm\n    username: EXAMPLE\\bridge\n    password: {SECRET}\n"
Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return config.load(path, {"EXCHANGE_PASSWORD": SECRET})

    return load_text


ENDPOINT = "    endpoint: https://mail.example.com/EWS/Exchange.asmx\n"
SERVICE = "    autodiscover: https://mail.example.com/Autodiscover/Autodiscover.svc\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(LOGIN, OAUTH),
        GOOD.replace(ENDPOINT, ""),
        GOOD.replace(ENDPOINT, SERVICE),
    ],
)
def test_a_good_config_loads(load: Load, text: str) -> None:
    assert isinstance(load(text).connectors["exchange"].settings, Settings)


BAD = {
    "two ways to the server": (
        GOOD.replace(ENDPOINT, ENDPOINT + SERVICE),
        "connectors.exchange",
        "endpoint or autodiscover",
    ),
    "the other form of Autodiscover": (
        GOOD.replace(ENDPOINT, SERVICE.replace(".svc", ".xml")),
        "connectors.exchange.autodiscover",
        "autodiscover.svc",
    ),
    "Autodiscover without encryption": (
        GOOD.replace(ENDPOINT, SERVICE.replace("https:", "http:")),
        "connectors.exchange.autodiscover",
        "https",
    ),
    "typing error": (GOOD.replace("endpoint", "endpont"), "connectors.exchange", "endpoint"),
    "no encryption": (GOOD.replace("https:", "http:"), "connectors.exchange.endpoint", "https"),
    "unknown login": (GOOD.replace("ntlm", "kerberos"), "connectors.exchange.auth", "ntlm"),
    "no password": (
        GOOD.replace(f"    password: {SECRET}\n", ""),
        "connectors.exchange",
        "username and password",
    ),
    "password beside an application": (
        GOOD.replace("    auth: ntlm\n", OAUTH),
        "connectors.exchange",
        "neither username nor password",
    ),
    "an application as delegate": (
        GOOD.replace(LOGIN, OAUTH).replace("access: impersonation", "access: delegate"),
        "connectors.exchange",
        "access: impersonation",
    ),
    "unknown access": (
        GOOD.replace("impersonation", "magic"),
        "connectors.exchange.access",
        "delegate",
    ),
    "Windows' name of a zone": (
        GOOD.replace("Asia/Shanghai", "China Standard Time"),
        "connectors.exchange.zone",
        "Asia/Shanghai",
    ),
    "unknown zone of a mailbox": (
        GOOD.replace("zone: Asia/Shanghai", "zones: {bob@example.com: Mars/Olympus}"),
        "connectors.exchange.zones",
        "IANA",
    ),
    "certificates that are not there": (
        GOOD.replace("zone: Asia/Shanghai", "ca_bundle: /nowhere/ca.pem"),
        "connectors.exchange.ca_bundle",
        "no such file",
    ),
    "too many connections": (
        GOOD.replace("zone: Asia/Shanghai", "max_connections: 1000"),
        "connectors.exchange.max_connections",
        "100",
    ),
    "no calls at all": (
        GOOD.replace("zone: Asia/Shanghai", "calls_per_minute: 0"),
        "connectors.exchange.calls_per_minute",
        "greater",
    ),
    "no calls for anybody": (
        GOOD.replace("zone: Asia/Shanghai", "server_calls_per_minute: 0"),
        "connectors.exchange.server_calls_per_minute",
        "greater",
    ),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_named_with_its_place_and_without_the_secret(load: Load, mistake: str) -> None:
    text, place, said = BAD[mistake]
    with pytest.raises(ConfigError) as error:
        load(text)
    lines = list(error.value.lines())
    assert any(place in line and said in line for line in lines), lines
    assert all(re.search(r"config\.yaml:\d+: ", line) for line in lines)
    assert SECRET not in "\n".join(lines)


def test_the_commented_example_loads_when_its_comments_are_taken_away(
    load: Load, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    text = render(Answers()).replace("/etc/ssl/certs/example-ca.pem", str(authority))
    section = re.search(r"^  # exchange:\n(?:  #   .*\n)+", text, re.MULTILINE)
    assert section is not None
    live = re.sub(r"^  # ", "  ", section[0], flags=re.MULTILINE)
    live = re.sub(r"^    # (?=\w+: \S+$|zones:)", "    ", live, flags=re.MULTILINE)
    text = text.replace(section[0], live).replace(
        "      # - {to: exchange", "      - {to: exchange"
    )
    loaded = load(text)
    assert [link.name for link in loaded.links] == ["alice/google", "alice/exchange"]
    settings = loaded.connectors["exchange"].settings
    assert isinstance(settings, Settings)
    assert settings.zone_of("Bob@example.com") == "Europe/Berlin"


def test_the_config_of_the_setup_guide_loads(load: Load) -> None:
    guide = (ROOT / "docs" / "setup-exchange.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    hub = "connectors:\n  feishu: {type: feishu, app_id: cli_1, app_secret: x}\n"
    loaded = load(example.replace("connectors:\n", hub, 1))
    assert [link.name for link in loaded.links] == ["alice/exchange"]
