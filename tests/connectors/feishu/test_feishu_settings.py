"""What may stand in the config, and what `check --online` says about an account."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.contract import Connector, Consents, Listens, Provider, Receives, Subscribes
from connectors.feishu import PLUGIN
from connectors.sandbox.faults import Fault

GOOD = {"app_id": "cli_1", "app_secret": "s3cret"}


def test_validating_a_config_imports_no_sdk() -> None:
    program = (
        "import sys; from connectors.feishu import PLUGIN; "
        f"PLUGIN.settings(**{GOOD!r}); "
        "sys.exit(any(name.split('.')[0] == 'lark_oapi' for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_neither_calls_nor_the_long_connection_load_the_sdk_s_catalogue() -> None:
    """It costs each process seconds and 130 MiB."""
    facts = {"app_id": "cli_1", "app_secret": "s3cret", "domain": "http://127.0.0.1"}
    program = (
        "import sys; from connectors.feishu.client import Client; "
        "Client('http://127.0.0.1', 1).close(); "
        "from connectors.feishu.longconn_child import _client; "
        f"_client({facts | {'timeout': 1, 'patience': 1}!r}, print, None); "
        "sys.exit(sum(name.startswith('lark_oapi.api') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("domain", "api", "accounts"),
    [
        ("feishu", "https://open.feishu.cn", "https://accounts.feishu.cn"),
        ("lark", "https://open.larksuite.com", "https://accounts.larksuite.com"),
        ("https://proxy.example/", "https://proxy.example", "https://proxy.example"),
    ],
)
def test_the_domain_decides_where_calls_and_consents_go(
    domain: str, api: str, accounts: str
) -> None:
    settings = PLUGIN.settings(**GOOD, domain=domain)
    assert (settings.api_origin, settings.accounts_origin) == (api, accounts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"app_secret": ""},
        {"app_id": ""},
        {"domain": "http://open.feishu.cn"},
        {"domain": "http://127.0.0.1.evil.example"},
        {"domain": "https://open.feishu.cn/path"},
        {"domain": "https://user@open.feishu.cn"},
        {"identity": "bot"},
        {"delivery": {"mode": "webhook"}},
        {"delivery": {"mode": "pigeon"}},
        {"dialect": {"read_end": "perhaps"}},
        {"page_size": 10},
    ],
)
def test_what_makes_no_sense_is_refused_without_showing_secrets(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        PLUGIN.settings(**{**GOOD, **wrong})
    assert "s3cret" not in str(refused.value)


def test_secrets_do_not_show_in_the_settings() -> None:
    delivery = {"mode": "webhook", "encrypt_key": "k3y", "verification_token": "t0ken"}
    shown = repr(PLUGIN.settings(**GOOD, delivery=delivery))
    assert not any(secret in shown for secret in ("s3cret", "k3y", "t0ken"))


def test_changes_come_over_the_long_connection_unless_said_otherwise() -> None:
    assert PLUGIN.settings(**GOOD).delivery.mode == "long-connection"


def test_provider_and_connector_offer_what_the_bridge_asks_for(bench: Any, ann: Any) -> None:
    provider = bench.provider()
    for ability in (Provider, Consents, Listens, Receives):
        assert isinstance(provider, ability)
    connector = provider.connect(ann.open_id)
    assert isinstance(connector, Connector)
    assert isinstance(connector, Subscribes)


# -- check --online ------------------------------------------------------------------------------


def test_a_healthy_account_has_only_good_findings(bench: Any, ann: Any) -> None:
    bench.consent(ann)
    findings = bench.provider().examine(ann.open_id)
    assert findings
    assert all(finding.ok for finding in findings)


def test_a_missing_consent_is_found_with_advice(bench: Any, ann: Any) -> None:
    findings = bench.provider().examine(ann.open_id)
    [bad] = [finding for finding in findings if not finding.ok]
    assert "calbridge connect" in bad.advice
    assert "not given consent" in bad.detail


def test_a_wrong_secret_is_found(bench: Any) -> None:
    findings = bench.provider(app_secret="wrong").examine("ann@example.com")
    assert next(finding.code for finding in findings if not finding.ok) == "10014"


def test_an_unknown_person_is_found(bench: Any) -> None:
    codes = [f.code for f in bench.provider().examine("x@nowhere.test") if not f.ok]
    assert "UNKNOWN_ACCOUNT" in codes


def test_a_binding_of_feishus_own_is_found(bench: Any, ann: Any) -> None:
    bench.consent(ann)
    bench.sandbox.add_calendar(ann, "Bound", "exchange")
    [bad] = [finding for finding in bench.provider().examine(ann.open_id) if not finding.ok]
    assert bad.code == "FOREIGN"
    assert "exchange" in bad.detail


@pytest.mark.parametrize("action", ["drop_before", "html", "truncate"])
def test_an_unreachable_feishu_is_found_and_raises_nothing(
    bench: Any, ann: Any, action: Any
) -> None:
    bench.consent(ann)
    bench.sandbox.faults.add(Fault("/calendars", action, times=0, status=502))
    assert not all(finding.ok for finding in bench.provider().examine(ann.open_id))
