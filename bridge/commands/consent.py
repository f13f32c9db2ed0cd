"""The client's half of an OAuth code flow: PKCE (RFC 7636), state, and reading the redirect."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from bridge.errors import UsageError


@dataclass(frozen=True, slots=True)
class Pkce:
    """The secrets of one attempt."""

    verifier: str
    state: str

    @classmethod
    def new(cls) -> "Pkce":
        """Fresh ones."""
        return cls(secrets.token_urlsafe(48), secrets.token_urlsafe(24))

    @property
    def challenge(self) -> str:
        """The S256 challenge of the verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def code_of(address: str, state: str) -> str:
    """The code in the address that the browser was sent back to. Raises `UsageError`."""
    query = parse_qs(urlsplit(address).query)
    if query.get("error"):
        raise UsageError(f"consent was refused ({query['error'][0]}); nothing was stored")
    if not secrets.compare_digest(query.get("state", [""])[0], state):
        raise UsageError("that answer belongs to another attempt; run `connect` again")
    if not query.get("code"):
        raise UsageError("there is no code in that address; copy all of it")
    return query["code"][0]
