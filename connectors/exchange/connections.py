"""Connections to one address: exchangelib's sessions and logins, on our conditions.

Used for Exchange Web Services and for Autodiscover alike, so that certificates, login, name and
time-out of the settings hold for both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from exchangelib import (
    BASIC,
    NTLM,
    OAUTH2,
    Configuration,
    Credentials,
    FailFast,
    OAuth2Credentials,
    Version,
)
from exchangelib.protocol import Protocol
from exchangelib.version import (
    EXCHANGE_2010_SP2,
    EXCHANGE_2013_SP1,
    EXCHANGE_2016,
    EXCHANGE_2019,
    EXCHANGE_O365,
)
from requests.adapters import HTTPAdapter

from connectors.exchange.settings import OAuthSettings, Settings

_AUTH = {"basic": BASIC, "ntlm": NTLM, "oauth2": OAUTH2}
_VERSIONS = {
    "2010": EXCHANGE_2010_SP2,
    "2013": EXCHANGE_2013_SP1,
    "2016": EXCHANGE_2016,
    "2019": EXCHANGE_2019,
    "online": EXCHANGE_O365,
}
_PORTS = {"http": 80, "https": 443}
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    host: str


def _published(name: str) -> Sequence[Service]:
    from dns import exception, resolver

    try:
        answers = resolver.resolve(name, "SRV")
    except (resolver.NXDOMAIN, resolver.NoAnswer):
        return ()
    except exception.DNSException as error:
        raise OSError("the name service does not answer") from error
    return [
        Service(each.priority, each.weight, each.port, each.target.to_text(omit_final_dot=True))
        for each in answers
    ]


@dataclass(frozen=True, slots=True)
class Network:
    """What names stand for.

    `locate` says where to connect for a host and port; certificates are checked for the name all
    the same. `services` gives the SRV records of a name; OSError = it could not be asked.
    """

    locate: Callable[[str, int], tuple[str, int]] = lambda host, port: (host, port)
    services: Callable[[str], Sequence[Service]] = _published


class ElsewhereError(Exception):
    """A call was answered with another address, to which it was not sent on. `away`: it is that
    of another server."""

    def __init__(self, asked: str, url: str) -> None:
        super().__init__(f"{asked} redirects to {url}")
        self.url = without_query(url)
        self.away = urlsplit(asked).hostname != urlsplit(url).hostname


class _AppCredentials(OAuth2Credentials):  # type: ignore[misc]
    """Client credentials whose token comes from a configured place."""

    def __init__(self, settings: OAuthSettings) -> None:
        super().__init__(
            client_id=settings.client_id,
            client_secret=settings.client_secret.get_secret_value(),
            tenant_id=settings.tenant,
        )
        self._tokens_from = settings.tokens_from
        self._asked = (settings.scope,)

    @property
    def token_url(self) -> str:
        return self._tokens_from

    @property
    def scope(self) -> list[str]:
        return list(self._asked)


class _Connections(Protocol):  # type: ignore[misc]
    """The library's connections with our name.

    What the environment says about proxies and certificates is read once: `requests` would do so
    for every call. Where tokens are fetched over the same session, the address tells.
    """

    USERAGENT = "feishu-calendar-bridge"

    @classmethod
    def raw_session(cls, prefix: str, oauth2_client: Any = None, **options: Any) -> Any:
        session = super().raw_session(prefix, oauth2_client=oauth2_client, **options)
        if oauth2_client is None:
            found = session.merge_environment_settings(prefix, {}, None, None, None)
            session.trust_env = False
            session.proxies, session.verify = found["proxies"], found["verify"]
        return session


class _Impatient(FailFast):  # type: ignore[misc]
    """Fails at once, and keeps the address that a redirection names.

    451 with X-MS-Location is what a server says that has not got the mailbox ([MS-ASHTTP]
    3.1.5.2.2).
    """

    def raise_response_errors(self, response: Any) -> None:
        target = response.headers.get(
            "X-MS-Location" if response.status_code == 451 else "Location"
        )
        if target and (response.status_code in REDIRECTS or response.status_code == 451):
            target = urljoin(response.url, target)
            if "genericerrorpage" not in target:  # Exchange's way of saying 500
                raise ElsewhereError(response.url, target)
        super().raise_response_errors(response)


class _Adapter(HTTPAdapter):
    """Trusts the configured certificates and nothing else, whatever REQUESTS_CA_BUNDLE says: in a
    session that variable counts more than the session's own setting."""

    bundle = ""
    network = Network()

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        where: Any
        how: Any
        where, how = super().build_connection_pool_key_attributes(request, verify, cert)
        named = (where["host"], where["port"] or _PORTS[where["scheme"]])
        host, port = self.network.locate(*named)
        if (host, port) == named:
            return where, how
        if where["scheme"] == "https":
            how = {**how, "server_hostname": named[0], "assert_hostname": named[0]}
        return {**where, "host": host, "port": port}, how

    def add_headers(self, request: Any, **_options: Any) -> None:
        # Without this it would be the address that the host was located at.
        request.headers.setdefault("Host", urlsplit(request.url).netloc.rpartition("@")[2])

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, self.bundle or verify, cert)  # type: ignore[no-untyped-call]


def connections(settings: Settings, address: str, maximum: int, network: Network) -> Any:
    """The library's `Protocol` for an address, with at most so many connections. No network yet.

    Its own cache of these is passed by: there the first user decides for all others.
    """
    credentials: Any
    if settings.oauth is not None:
        credentials = _AppCredentials(settings.oauth)
    else:
        assert settings.password is not None
        credentials = Credentials(settings.username, settings.password.get_secret_value())
    config = Configuration(
        service_endpoint=address,
        credentials=credentials,
        auth_type=_AUTH[settings.auth],
        version=Version(build=_VERSIONS[settings.version]),
        retry_policy=_Impatient(),
        max_connections=maximum,
    )
    traits = {"bundle": settings.ca_bundle or "", "network": network}
    adapter = type("BridgeAdapter", (_Adapter,), traits)
    kind = type(
        "BridgeProtocol",
        (_Connections,),
        {"TIMEOUT": settings.timeout_seconds, "HTTP_ADAPTER_CLS": adapter},
    )
    made: Any = type.__call__(kind, config=config)
    return made


def without_query(url: str) -> str:
    """An address as it may be shown: what follows the path may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
