"""One Feishu or Lark app with everything that hangs on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock

from connectors.contract import (
    Context,
    Finding,
    Hint,
    Identity,
    PushAnswer,
    PushRequest,
)
from connectors.errors import FatalError, ReauthorizeError
from connectors.feishu import identities
from connectors.feishu.api import CalendarApi
from connectors.feishu.auth import App, TenantAccess, UserAccess
from connectors.feishu.client import Call, Client, TokenKind
from connectors.feishu.connector import FeishuConnector, capabilities_of
from connectors.feishu.errors import PROVIDER
from connectors.feishu.examine import examine
from connectors.feishu.extras import Extras
from connectors.feishu.longconn import LongConnection
from connectors.feishu.session import Access, Open, Session
from connectors.feishu.settings import Settings
from connectors.feishu.webhook import Webhook

_TOKEN_ATTEMPTS = 2  # around it, the call that needs the token is repeated anyway


class FeishuProvider:
    """The connector configured as `name`. Thread safe; no network before the first call."""

    def __init__(self, name: str, settings: Settings, context: Context) -> None:
        self.name = name
        self.capabilities = capabilities_of(settings)
        self._settings = settings
        self._context = context
        self._client = Client(settings.api_origin, settings.timeout)
        self._pacer = context.pacer(name, self.capabilities)
        self._app = App(settings, self._session(Open(), _TOKEN_ATTEMPTS), context.now)
        self._tenant = self._session(TenantAccess(self._app, context.now))
        self._webhook = Webhook(name, settings, context.now)
        self._extras = Extras()
        self._users: dict[str, UserAccess] = {}
        self._people: dict[str, Identity] = {}
        self._lock = Lock()

    # -- accounts ------------------------------------------------------------------------------

    def resolve(self, accounts: Sequence[str]) -> Mapping[str, Identity]:
        """See `Provider`. Accounts are open_ids, e-mail addresses or user ids of the tenant."""
        found = {name: self._people[name] for name in accounts if name in self._people}
        missing = [name for name in accounts if name not in found]
        asked = identities.resolve(self._tenant, missing)
        self._people |= asked
        return found | asked

    def connect(self, account: str) -> FeishuConnector:
        """See `Provider`."""
        user = self._session(self.user_access(account))
        tenant = self._settings.identity == "tenant"
        return FeishuConnector(
            CalendarApi(self._tenant if tenant else user),
            CalendarApi(user),
            self._settings,
            now=self._context.now,
            open_id=lambda: self._open_id(account) if tenant else None,
            user_ids=lambda addresses: identities.open_ids(self._tenant, addresses),
            extras=self._extras,
        )

    def user_access(self, account: str) -> UserAccess:
        """The one keeper of this account's tokens in this process."""
        with self._lock:
            if account not in self._users:
                self._users[account] = UserAccess(self.name, account, self._app, self._context)
            return self._users[account]

    def keep_alive(self, account: str) -> None:
        """See `KeepsAlive`. Reads the token store; one call if the consent lay idle."""
        if self._settings.identity == "user":
            self.user_access(account).keep_alive()

    def examine(self, account: str) -> Sequence[Finding]:
        """See `Provider`."""
        return examine(self, account, self._settings.identity)

    def close(self) -> None:
        """See `Provider`."""
        self._client.close()

    def _session(self, access: Access, attempts: int | None = None) -> Session:
        attempts = attempts or self._settings.attempts
        meter = self._context.meter(self.name)
        return Session(self._client, access, self._pacer, meter, self._context, attempts)

    def _open_id(self, account: str) -> str:
        identity = self.resolve([account]).get(account)
        if identity is None:
            raise FatalError(f"Feishu does not know {account}", provider=PROVIDER)
        return identity.id

    # -- consent -------------------------------------------------------------------------------

    def authorize_url(self, *, redirect_uri: str, state: str, challenge: str) -> str:
        """See `Consents`."""
        if self._settings.identity != "user":
            raise _refused(f"{self.name} acts as the app itself, so users do not consent")
        return self._app.authorize_url(redirect_uri=redirect_uri, state=state, challenge=challenge)

    def redeem(self, account: str, *, code: str, redirect_uri: str, verifier: str) -> Identity:
        """See `Consents`. Two calls (token, user_info), and one to find out whom the account
        names. Without `offline_access` the consent would end after two hours, so it is refused.
        """
        token = self._app.redeem(code=code, redirect_uri=redirect_uri, verifier=verifier)
        who = self._owner(token.access)
        expected = self.resolve([account]).get(account)
        same_mail = who.email is not None and who.email == account.lower()
        if expected is None and not same_mail:
            raise _refused(f"Feishu does not know {account}")
        if expected is not None and expected.id != who.id:
            raise _refused(f"{who.name or who.id} consented, but {account} was asked")
        if token.refresh is None:
            raise _refused("Feishu gave no refresh token: add scope offline_access to the app")
        with self._context.tokens.lock(self.name, account):
            self._context.tokens.save(self.name, account, replace(token, owner=who.id))
        return who

    def _owner(self, access: str) -> Identity:
        session = self._session(_Given(access))
        path = "/open-apis/authen/v1/user_info"
        info = session.call(Call(method="GET", path=path))
        email = info.get("email") or info.get("enterprise_email")
        return Identity(
            id=str(info.get("open_id") or ""),
            email=str(email).lower() if email else None,
            name=str(info.get("name") or ""),
        )

    # -- pushes --------------------------------------------------------------------------------

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        """See `Listens`. Returns at once unless `delivery.mode` is `long-connection`."""
        if self._settings.delivery.mode == "long-connection":
            LongConnection(self.name, self._settings, self._context).listen(sink, stop)

    def receive(self, request: PushRequest) -> PushAnswer:
        """See `Receives`; 403 unless `delivery.mode` is `webhook`."""
        if self._settings.delivery.mode != "webhook":
            reason = "no webhook is configured for this app"
            return PushAnswer(status=403, body={"msg": reason}, reason=reason)
        return self._webhook.receive(request)


class _Given:
    """One access token that is not stored yet."""

    identity: TokenKind = "user"

    def __init__(self, access: str) -> None:
        self._access = access

    def token(self, *, stale: str = "") -> str:
        """That one, or nothing at all."""
        if stale:
            raise _refused("Feishu does not take the token that it has just given")
        return self._access


def _refused(why: str) -> ReauthorizeError:
    return ReauthorizeError(f"{why}; nothing was stored", provider=PROVIDER)
