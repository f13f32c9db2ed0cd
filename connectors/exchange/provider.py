"""One configured Exchange organization: hands out connectors and listens for news."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock

from connectors.capabilities import Capabilities, RateBudget
from connectors.contract import Context, Finding, Hint, Identity
from connectors.exchange.client import Affinity, Client, Organization
from connectors.exchange.connections import Network
from connectors.exchange.connector import ExchangeConnector
from connectors.exchange.discovery import Discovery
from connectors.exchange.edits import BATCH
from connectors.exchange.examine import examine
from connectors.exchange.recall import Recall
from connectors.exchange.settings import Settings
from connectors.exchange.streaming import Streams
from connectors.pacing import JointPacer
from mappings.exchange import LIMITS


def capabilities_of(settings: Settings) -> Capabilities:
    """Exchange's facts ("EWS throttling in Exchange", "UpdateItem operation")."""
    return Capabilities(
        limits=LIMITS,
        write_guard=True,
        nets_changes=True,
        find_by_key=True,
        whole_changes=True,
        parallel_writes=min(8, settings.max_connections),
        batch_size=BATCH,
        budget=RateBudget(per_minute=settings.calls_per_minute, shared_by="account"),
    )


class ExchangeProvider:
    """Methods promise what `Provider` and `Listens` of the contract say.

    Accounts are the primary SMTP addresses of mailboxes, which are also their ids.
    """

    def __init__(
        self, name: str, settings: Settings, context: Context, network: Network | None = None
    ) -> None:
        self._name = name
        self._settings = settings
        self._context = context
        self._capabilities = capabilities_of(settings)
        everybody = RateBudget(per_minute=settings.server_calls_per_minute, shared_by="app")
        self._server = replace(self._capabilities, budget=everybody)
        discovery = Discovery(settings, network)
        self._organization = Organization(settings, settings.max_connections, discovery)
        self._lock = Lock()
        self._recalls: dict[str, Recall] = {}
        self._streams = Streams(
            name,
            settings,
            client=self._client,
            discovery=discovery,
            now=context.now,
            sleep=context.sleep,
            random=context.random,
            log=context.log,
        )

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

    def connect(self, account: str) -> ExchangeConnector:
        """A session for one account. No network yet."""
        account = account.lower()
        with self._lock:
            recall = self._recalls.setdefault(account, Recall())
        return ExchangeConnector(
            client=self._client(account, self._organization),
            capabilities=self._capabilities,
            recall=recall,
            zone=self._settings.zone_of(account),
            now=self._context.now,
            watch=self._streams.watch,
            log=self._context.log,
        )

    def examine(self, account: str) -> Sequence[Finding]:
        """Try endpoint, login, rights and calendars of one account; never raises."""
        client = self._client(account.lower(), self._organization)
        return examine(client, self._settings)

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        """Deliver hints about the calendars that were subscribed to, until `stop()`."""
        self._streams.listen(sink, stop)

    def close(self) -> None:
        """Close all connections."""
        self._streams.close()
        self._organization.close()

    def _client(
        self, account: str, organization: Organization, affinity: Affinity | None = None
    ) -> Client:
        context = self._context
        return Client(
            organization=organization,
            account=account,
            pacer=JointPacer(
                context.pacer(f"{self._name}/{account}", self._capabilities),
                context.pacer(self._name, self._server),
            ),
            meter=context.meter(self._name),
            sleep=context.sleep,
            random=context.random,
            affinity=affinity,
        )
