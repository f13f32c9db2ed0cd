"""Sessions and invitations: values sealed into cookies and links, so that nobody can make or read
one without the key, and no process has to remember them.

What must not be used twice is remembered in the database for longer than it is valid.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bridge.store import Store
from bridge.vault import Vault, VaultError

LIFE = timedelta(hours=12)
"""How long somebody stays logged in."""
ATTEMPT_LIFE = timedelta(minutes=10)
"""How long somebody may take on the provider's consent page."""
_ENDED, _STATE = "web:ended", "web:state"


class Role(StrEnum):
    """What a visitor may do: `VIEWER` looks, `ADMINISTRATOR` also acts."""

    VIEWER = "viewer"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A consent under way in one browser: for whom, and the secrets that bind the answer to it."""

    connector: str
    account: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser. `role` is None for a stranger. `proof` names the password that was used: a new
    one ends the session. `said` is shown once, on the next page."""

    id: str
    csrf: str = field(repr=False)
    begun: datetime
    role: Role | None = None
    name: str = ""
    proof: str = ""
    said: str = ""
    attempt: Attempt | None = None


class Sessions:
    """Reads and writes session cookies."""

    def __init__(self, vault: Vault, store: Store, now: Callable[[], datetime]) -> None:
        self._seal = Seal(vault, "web session")
        self._store = store
        self._now = now

    def fresh(self, **facts: Any) -> Session:
        """A new one, with an id that nobody knows: also at login, so that one that somebody
        planted before is worth nothing."""
        id_, csrf = secrets.token_urlsafe(18), secrets.token_urlsafe(24)
        return Session(id=id_, csrf=csrf, begun=self._now(), **facts)

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie, None if there is none, or it is not ours, or over."""
        value = self._seal.open(cookie) if cookie else None
        session = _session(value) if value else None
        if session is None or not self._now() - LIFE <= session.begun <= self._now():
            return None
        if session.role is not None and self._store.had_push(_ENDED, session.id):
            return None
        return session

    def write(self, session: Session) -> str:
        """The cookie's value."""
        return self._seal.close(asdict(session))

    def end(self, session: Session) -> Session:
        """Nobody uses this one again."""
        with self._store.begin() as tx:
            tx.seen_push(_ENDED, session.id, self._now())
        return self.fresh()

    def take_attempt(self, session: Session, state: str) -> Attempt | None:
        """The consent that an answer belongs to; each is taken once, everywhere."""
        attempt = session.attempt
        if attempt is None or not secrets.compare_digest(attempt.state.encode(), state.encode()):
            return None
        if not self._now() - ATTEMPT_LIFE <= attempt.at <= self._now():
            return None
        with self._store.begin() as tx:
            return attempt if tx.seen_push(_STATE, state, self._now()) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Permission to connect one account, for whoever holds the link."""

    user: str
    connector: str
    account: str
    expires: datetime


class Invitations:
    """Makes and reads the secret part of invitation links."""

    LIFE = timedelta(days=7)

    def __init__(self, vault: Vault, now: Callable[[], datetime]) -> None:
        self._seal = Seal(vault, "web invitation")
        self._now = now

    def write(self, user: str, connector: str, account: str) -> str:
        """A new invitation."""
        expires = self._now() + self.LIFE
        invitation = Invitation(user=user, connector=connector, account=account, expires=expires)
        return self._seal.close(asdict(invitation))

    def read(self, text: str) -> Invitation | None:
        """The invitation, None if it is not ours or has run out."""
        value = self._seal.open(text)
        if value is None:
            return None
        invitation = Invitation(**value | {"expires": datetime.fromisoformat(value["expires"])})
        return invitation if self._now() < invitation.expires else None


class Seal:
    """JSON objects as text that fits into a cookie or an address."""

    def __init__(self, vault: Vault, purpose: str) -> None:
        self._vault = vault
        self._purpose = purpose

    def close(self, value: dict[str, Any]) -> str:
        """The text."""
        plain = json.dumps(value, default=lambda at: at.isoformat()).encode()
        return base64.urlsafe_b64encode(self._vault.seal(plain, self._purpose)).decode().rstrip("=")

    def open(self, text: str) -> dict[str, Any] | None:
        """The value, None if we did not write it for this purpose."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found = json.loads(self._vault.open(sealed, self._purpose))
        except (binascii.Error, ValueError, VaultError):
            return None
        return found if isinstance(found, dict) else None


def _session(value: dict[str, Any]) -> Session:
    role, attempt = value["role"], value["attempt"]
    session = Session(**value | {"begun": datetime.fromisoformat(value["begun"])})
    if attempt is not None:
        attempt = Attempt(**attempt | {"at": datetime.fromisoformat(attempt["at"])})
    return replace(session, role=Role(role) if role else None, attempt=attempt)
