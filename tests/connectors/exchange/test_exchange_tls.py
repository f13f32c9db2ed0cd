"""Encrypted connections: trusted by the bundle that the config names, and by nothing less."""

from pathlib import Path
from typing import Any

import pytest

from connectors.errors import ConnectorError

from .conftest import Exchange, encrypt


@pytest.fixture
def own_authority(open_exchange: Any, tmp_path: Path) -> tuple[Exchange, Path]:
    """An Exchange behind TLS, and the file with the certificate that vouches for it."""
    exchange = open_exchange()
    return exchange, encrypt(exchange.sandbox, tmp_path)


def test_the_bundle_of_the_config_is_trusted(own_authority: tuple[Exchange, Path]) -> None:
    exchange, bundle = own_authority
    endpoint = exchange.sandbox.ews_url.replace("http://", "https://")
    connector = exchange.connect(endpoint=endpoint, ca_bundle=str(bundle))
    assert [calendar.primary for calendar in connector.calendars()] == [True]


def test_a_stranger_is_not_trusted_and_the_advice_names_the_bundle(
    own_authority: tuple[Exchange, Path],
) -> None:
    exchange, _bundle = own_authority
    endpoint = exchange.sandbox.ews_url.replace("http://", "https://")
    with pytest.raises(ConnectorError) as caught:
        exchange.connect(endpoint=endpoint).calendars()
    assert "ca_bundle" in caught.value.message
    assert exchange.sandbox.calls() == []
