"""A user connects an account: OAuth code flow with PKCE (RFC 7636), begun from an invitation.

The state and the verifier are sealed into the browser's own session, so that an answer counts only
in the browser that asked, and only once. That the right person consented is the connector's to
check (`Consents.redeem`), before anything is stored.
"""

from dataclasses import replace

from starlette.responses import Response

from bridge import orders
from bridge.commands.consent import Pkce
from bridge.web.accounts import asks_users
from bridge.web.sessions import Attempt, Invitation
from bridge.web.site import Visit
from connectors.contract import Consents
from connectors.errors import ConnectorError


def _invitation(visit: Visit) -> Invitation | None:
    found = visit.site.invitations.read(visit.request.path_params["secret"])
    if found is None or found.connector not in visit.runtime.config.connectors:
        return None
    ends = {
        (end.connector, end.account)
        for link in visit.runtime.config.select(user=found.user)
        for end in (link.a, link.b)
    }
    named = (found.connector, found.account) in ends
    return found if named and asks_users(visit.runtime, found.connector) else None


def _stale(visit: Visit) -> Response:
    text = visit._("This invitation has run out or was changed. Ask for a new one.")
    return _told(visit, 410, good=False, text=text)


def invitation_page(visit: Visit) -> Response:
    """Say who is to connect what, and to what end."""
    invitation = _invitation(visit)
    if invitation is None:
        return _stale(visit)
    known = visit.runtime.store.tokens.load(invitation.connector, invitation.account) is not None
    return visit.page("connect.html", invitation=invitation, known=known)


def depart(visit: Visit) -> Response:
    """On to the provider. A page of its own: browsers follow a form only to where our content
    policy lets forms go, and where a provider's login leads nobody knows beforehand."""
    invitation = _invitation(visit)
    if invitation is None:
        return _stale(visit)
    provider = visit.runtime.provider(invitation.connector)
    assert isinstance(provider, Consents)
    pkce = Pkce.new()
    address = provider.authorize_url(
        redirect_uri=_callback(visit), state=pkce.state, challenge=pkce.challenge
    )
    attempt = Attempt(
        connector=invitation.connector,
        account=invitation.account,
        state=pkce.state,
        verifier=pkce.verifier,
        at=visit.runtime.system.now(),
    )
    visit.session = replace(visit.session, attempt=attempt)
    return visit.page("depart.html", address=address, invitation=invitation)


def arrive(visit: Visit) -> Response:
    """Back from the provider, with a code or a refusal."""
    attempt = visit.site.sessions.take_attempt(visit.session, visit.query("state"))
    if attempt is None:
        text = visit._("This answer belongs to no consent that was begun in this browser, or was "
                       "used already. Open the invitation again.")  # fmt: skip
        return _told(visit, 403, good=False, text=text)
    visit.session = replace(visit.session, attempt=None)
    if visit.query("error") or not visit.query("code"):
        text = visit._("You did not agree, so nothing was stored. Open the invitation again to "
                       "change your mind.")  # fmt: skip
        return _told(visit, 400, good=False, text=text)
    provider = visit.runtime.provider(attempt.connector)
    assert isinstance(provider, Consents)
    try:
        provider.redeem(
            attempt.account,
            code=visit.query("code"),
            redirect_uri=_callback(visit),
            verifier=attempt.verifier,
        )
    except ConnectorError as error:
        return _told(visit, 403, good=False, text=error.message)
    orders.connected(visit.runtime, attempt.connector, attempt.account)
    visit.site.wake()
    text = visit._("{account} is connected. You can close this page.", account=attempt.account)
    return _told(visit, 200, good=True, text=text)


def _callback(visit: Visit) -> str:
    return f"{visit.site.address}/consent/callback"


def _told(visit: Visit, status: int, *, good: bool, text: str) -> Response:
    return visit.page("consented.html", status=status, good=good, text=text)
