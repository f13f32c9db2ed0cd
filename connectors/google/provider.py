"""One configured project at Google: hands out connectors, takes consents and pushes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock

from connectors.capabilities import Capabilities, RateBudget
from connectors.contract import Context, Finding, Identity, PushAnswer, PushRequest
from connectors.errors import ReauthorizeError
from connectors.google import consent
from connectors.google.auth import Credentials, DelegatedCredentials, StaticToken, UserCredentials
from connectors.google.client import Client, Methods, calendar_methods
from connectors.google.connector import GoogleConnector
from connectors.google.errors import PROVIDER
from connectors.google.examine import examine
from connectors.google.recall import Recall
from connectors.google.settings import Settings
from connectors.google.transport import Connections
from connectors.google.watch import Channels
from connectors.pacing import JointPacer
from mappings.google import LIMITS


def capabilities_of(settings: Settings) -> Capabilities:
    """Google's facts (guides "Usage limits" and "Get specific versions of resources")."""
    return Capabilities(
        limits=LIMITS,
        write_guard=True,
        find_by_key=True,
        reshape_refetch=True,
        parallel_writes=8,
        budget=RateBudget(per_minute=settings.calls_per_minute, shared_by="account"),
    )


class GoogleProvider:
    """Methods promise what `Provider`, `Consents` and `Receives` of the contract say.

    Accounts are e-mail addresses, which are also their ids.
    """

    def __init__(self, name: str, settings: Settings, context: Context) -> None:
        self._name = name
        self._settings = settings
        self._context = context
        self._capabilities = capabilities_of(settings)
        everybody = RateBudget(per_minute=settings.project_calls_per_minute, shared_by="app")
        self._project = replace(self._capabilities, budget=everybody)
        self._channels = Channels(
            name, settings.push_url, context.channels, now=context.now, log=context.log
        )
        self._lock = Lock()
        self._told = False
        self._methods: Methods | None = None
        self._connections = Connections(settings.timeout_seconds)
        self._accounts: dict[str, tuple[Credentials, Recall]] = {}
        self._connectors: set[GoogleConnector] = set()

    @property
    def name(self) -> str:
        """Its name in the config."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """The declared facts."""
        return self._capabilities

    def resolve(self, accounts: Sequence[str]) -> Mapping[str, Identity]:
        """Addresses name themselves; no call is made. What is no address is left out."""
        return {
            account: Identity(id=account.lower(), email=account.lower())
            for account in accounts
            if "@" in account
        }

    def connect(self, account: str) -> GoogleConnector:
        """A session for one account. No network yet."""
        credentials, recall = self._known(account)
        connector = GoogleConnector(
            account=account.lower(),
            client=self._client(account, credentials),
            capabilities=self._capabilities,
            recall=recall,
            channels=self._channels,
            forget=self._forget,
        )
        with self._lock:
            self._connectors.add(connector)
        return connector

    def examine(self, account: str) -> Sequence[Finding]:
        """Try credentials, scopes and reachability of one account; never raises."""
        credentials, _ = self._known(account)
        findings = examine(self._client(account, credentials), account)
        return (*findings, *(self._on_pushes() if all(each.ok for each in findings) else ()))

    def authorize_url(self, *, redirect_uri: str, state: str, challenge: str) -> str:
        """Where to send the user. Raises `ReauthorizeError` if users have nothing to consent to."""
        if self._settings.client_id is None:
            raise ReauthorizeError(
                f"{self._name} acts through a service account; users do not consent. An "
                "administrator delegates its scopes instead.",
                provider=PROVIDER,
                operation="the consent",
                code="service-account",
            )
        return consent.authorize_url(
            self._settings, redirect_uri=redirect_uri, state=state, challenge=challenge
        )

    def redeem(self, account: str, *, code: str, redirect_uri: str, verifier: str) -> Identity:
        """Trade the code for tokens and keep them, if `account` itself consented.

        The primary calendar's id is its owner's address, so no further scope is needed to ask.
        """
        token = consent.exchange(
            self._settings,
            account,
            code=code,
            redirect_uri=redirect_uri,
            verifier=verifier,
            now=self._context.now,
        )
        client = self._client(account, StaticToken(token, self._context.now))
        owner = str(client.read("calendarList.get", calendarId="primary")["id"]).lower()
        if owner != account.lower():
            raise ReauthorizeError(
                f"{owner} gave consent, but the config says {account}. Sign in as {account}, or "
                "correct the config.",
                provider=PROVIDER,
                operation="the consent",
                code="other-account",
            )
        with self._context.tokens.lock(self._name, account):
            self._context.tokens.save(self._name, account, replace(token, owner=owner))
        return Identity(id=owner, email=owner)

    def receive(self, request: PushRequest) -> PushAnswer:
        """A notification of one of our channels."""
        return self._channels.receive(request)

    def close(self) -> None:
        """Close all connectors."""
        with self._lock:
            connectors = list(self._connectors)
        for connector in connectors:
            connector.close()
        self._connections.close()

    def _on_pushes(self) -> Sequence[Finding]:
        """Said once, whatever the number of accounts: it is nobody's fault."""
        with self._lock:
            told, self._told = self._told, True
        if told or self._settings.push_url is not None:
            return ()
        detail = "changes made here are found by polling alone; `push_url` would bring them at once"
        return (Finding(ok=True, subject="pushes", detail=detail, code="polling"),)

    def _forget(self, connector: GoogleConnector) -> None:
        with self._lock:
            self._connectors.discard(connector)

    def _known(self, account: str) -> tuple[Credentials, Recall]:
        """What all connectors of an account share."""
        with self._lock:
            if account not in self._accounts:
                self._accounts[account] = (self._credentials(account), Recall())
            return self._accounts[account]

    def _credentials(self, account: str) -> Credentials:
        context = self._context
        if self._settings.service_account is not None:
            return DelegatedCredentials(self._settings, account, context.now)
        return UserCredentials(self._settings, self._name, account, context.tokens, context.now)

    def _client(self, account: str, credentials: Credentials) -> Client:
        context = self._context
        with self._lock:
            if self._methods is None:
                self._methods = calendar_methods(self._settings)
        return Client(
            settings=self._settings,
            methods=self._methods,
            connections=self._connections,
            credentials=credentials,
            account=account,
            pacer=JointPacer(
                context.pacer(f"{self._name}/{self._counted_for(account)}", self._capabilities),
                context.pacer(self._name, self._project),
            ),
            meter=context.meter(self._name),
            sleep=context.sleep,
            random=context.random,
            now=context.now,
        )

    def _counted_for(self, account: str) -> str:
        """Whose budget the calls for an account are taken from; empty for the service account."""
        delegated = self._settings.service_account is not None
        return "" if delegated and not self._settings.quota_user else account
