"""The accounts that act for their users: which are connected, and the links that invite to it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.responses import Response

from bridge.records import LinkState
from bridge.runtime import Runtime
from bridge.vault import VaultError
from bridge.web.site import NotHere, Visit
from connectors.contract import Consents
from connectors.errors import ReauthorizeError

SOON = timedelta(days=2)
"""Consents that end sooner than that have not been renewed as they should."""


@dataclass(slots=True, kw_only=True)
class Account:
    """One account of the config. `state`: connected, expiring, lost, missing; or empty where the
    connector acts by itself and nobody has to consent."""

    connector: str
    account: str
    user: str
    state: str = ""
    reason: str = ""
    ends: datetime | None = None
    links: list[tuple[str, int | None]] = field(default_factory=list)


def accounts(runtime: Runtime) -> list[Account]:
    """All accounts of the config, those that need somebody first."""
    found: dict[tuple[str, str], Account] = {}
    rows = {link.name: link for link in runtime.store.links() if link.state is not LinkState.ENDED}
    lost: dict[tuple[str, str], str] = {}
    for config in runtime.config.links:
        row = rows.get(config.name)
        for end in (config.a, config.b):
            key = (end.connector, end.account)
            entry = found.setdefault(
                key, Account(connector=end.connector, account=end.account, user=config.user)
            )
            entry.links.append((config.name, row.id if row else None))
            if row and row.state is LinkState.WAITING and end.account in row.reason:
                lost[key] = row.reason
    asking = {name: asks_users(runtime, name) for name in runtime.config.connectors}
    for key, entry in found.items():
        if asking[entry.connector]:
            _judge(runtime, entry, lost.get(key, ""))
    order = ("lost", "missing", "expiring", "connected", "")
    return sorted(found.values(), key=lambda each: (order.index(each.state), each.account))


def _judge(runtime: Runtime, entry: Account, lost: str) -> None:
    now = runtime.system.now()
    try:
        token = runtime.store.tokens.load(entry.connector, entry.account)
    except VaultError as error:
        entry.state, entry.reason = "lost", str(error)
        return
    if token is None:
        entry.state = "missing"
        return
    entry.ends = token.refresh_expires
    if entry.ends is not None and entry.ends <= now:
        entry.state = "lost"
    elif lost:
        entry.state, entry.reason = "lost", lost
    else:
        expiring = entry.ends is not None and entry.ends <= now + SOON
        entry.state = "expiring" if expiring else "connected"


def asks_users(runtime: Runtime, connector: str) -> bool:
    """Whether users of this connector each have to consent."""
    provider = runtime.provider(connector)
    if not isinstance(provider, Consents):
        return False
    try:
        provider.authorize_url(redirect_uri="http://127.0.0.1/", state="", challenge="")
    except ReauthorizeError:
        return False
    return True


def accounts_page(visit: Visit) -> Response:
    """The table."""
    everything = accounts(visit.runtime)
    return visit.page(
        "accounts.html",
        accounts=[each for each in everything if each.state],
        silent=[each for each in everything if not each.state],
        circuits=visit.runtime.store.circuits(),
    )


def invite(visit: Visit) -> Response:
    """A link for one user and one account, to be sent to that user."""
    wanted = visit.form.get("connector"), visit.form.get("account")
    for each in accounts(visit.runtime):
        if (each.connector, each.account) == wanted and each.state:
            secret = visit.site.invitations.write(each.user, each.connector, each.account)
            address = f"{visit.site.address}/connect/{secret}"
            days = visit.site.invitations.LIFE.days
            return visit.page("invitation.html", account=each, address=address, days=days)
    raise NotHere
