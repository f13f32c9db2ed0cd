"""Encrypted connections: trusted by the bundle that the config names, and by nothing less."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.errors import ConnectorError

from .conftest import Exchange


@pytest.fixture
def own_authority(open_exchange: Any, tmp_path: Path) -> tuple[Exchange, Path]:
    """An Exchange behind TLS, and the file with the certificate that vouches for it."""
    exchange = open_exchange()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, private)
    server = exchange.sandbox._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    return exchange, bundle


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
