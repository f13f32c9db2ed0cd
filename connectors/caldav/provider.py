"""One configured CalDAV server: hands out connectors."""

from collections.abc import Mapping, Sequence
from threading import Lock

from connectors.caldav.client import Client, Login
from connectors.caldav.connector import CaldavConnector
from connectors.caldav.errors import PROVIDER
from connectors.caldav.examine import examine
from connectors.caldav.recall import Recall
from connectors.caldav.settings import Account, Settings
from connectors.capabilities import Capabilities, RateBudget
from connectors.contract import Context, Finding, Identity
from connectors.errors import ReauthorizeError
from mappings.caldav import LIMITS


def capabilities_of(settings: Settings) -> Capabilities:
    """What every CalDAV server does (RFC 4791 section 5.3.4: strong ETags)."""
    return Capabilities(
        limits=LIMITS,
        write_guard=True,
        find_by_key=True,
        whole_changes=True,
        parallel_writes=settings.max_connections,
        budget=RateBudget(per_minute=settings.calls_per_minute, shared_by="account"),
    )


class CaldavProvider:
    """Methods promise what `Provider` of the contract says. Accounts are those of the settings,
    and their names are their ids."""

    def __init__(self, name: str, settings: Settings, context: Context) -> None:
        self._name = name
        self._settings = settings
        self._context = context
        self._capabilities = capabilities_of(settings)
        self._lock = Lock()
        self._recalls: dict[str, Recall] = {}
        self._connectors: set[CaldavConnector] = set()

    @property
    def name(self) -> str:
        """Its name in the config."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """The declared facts."""
        return self._capabilities

    def resolve(self, accounts: Sequence[str]) -> Mapping[str, Identity]:
        """Accounts that have a login in the settings; no call is made."""
        return {
            account: Identity(
                id=account, email=next(iter(_addresses(account, self._settings)), None)
            )
            for account in accounts
            if account in self._settings.accounts
        }

    def connect(self, account: str) -> CaldavConnector:
        """A session for one account. No network yet. Raises `ReauthorizeError` for one without
        a login."""
        client = self._client(account)
        with self._lock:
            recall = self._recalls.setdefault(account, Recall())
        connector = CaldavConnector(
            client=client,
            capabilities=self._capabilities,
            recall=recall,
            settings=self._settings,
            addresses=_addresses(account, self._settings),
            now=self._context.now,
            forget=self._forget,
        )
        with self._lock:
            self._connectors.add(connector)
        return connector

    def examine(self, account: str) -> Sequence[Finding]:
        """Try address, login and calendars of one account; never raises."""
        try:
            client = self._client(account)
        except ReauthorizeError as error:
            what, _, advice = error.message.partition(". ")
            return (
                Finding(ok=False, subject="login", detail=what, advice=advice, code=error.code),
            )
        try:
            return examine(client, account, _addresses(account, self._settings))
        finally:
            client.close()

    def close(self) -> None:
        """Close all connectors."""
        with self._lock:
            connectors = list(self._connectors)
        for connector in connectors:
            connector.close()

    def _forget(self, connector: CaldavConnector) -> None:
        with self._lock:
            self._connectors.discard(connector)

    def _client(self, account: str) -> Client:
        found: Account | None = self._settings.accounts.get(account)
        if found is None:
            raise ReauthorizeError(
                f"There is no login for {account}. Write it under `accounts` of {self._name}.",
                provider=PROVIDER,
                operation="login",
                code="no-login",
            )
        context = self._context
        return Client(
            login=Login(
                url=found.url or self._settings.url,
                username=found.username or account,
                password=found.password.get_secret_value(),
                digest=self._settings.auth == "digest",
                ca_bundle=self._settings.ca_bundle,
                timeout=self._settings.timeout_seconds,
            ),
            pacer=context.pacer(f"{self._name}/{account}", self._capabilities),
            meter=context.meter(self._name),
            sleep=context.sleep,
            random=context.random,
            now=context.now,
        )


def _addresses(account: str, settings: Settings) -> tuple[str, ...]:
    """The mail addresses that the config gives an account."""
    named = settings.accounts[account].addresses
    return named or ((account,) if "@" in account else ())
