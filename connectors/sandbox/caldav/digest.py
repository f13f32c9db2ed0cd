"""A server's side of Digest access authentication (RFC 7616)."""

import re
import secrets
from hashlib import sha256

_FIELD = re.compile(r'([a-z]+)=(?:"([^"]*)"|([^\s,]+))')


class Digest:
    """Lets one user in, with SHA-256 and `qop=auth`. A nonce holds until `renew`; each of its
    counts is taken once, in any order, for clients have several connections."""

    def __init__(self, user: str, password: str, *, realm: str = "calendars") -> None:
        self._realm = realm
        self._user = user
        self._secret = _hash(f"{user}:{realm}:{password}")
        self.renew()

    def renew(self) -> None:
        """From now on the nonces given out before are stale."""
        self._nonces: set[str] = set()
        self._taken: set[tuple[str, str]] = set()

    def challenge(self) -> str:
        """A value of `WWW-Authenticate`, with a new nonce."""
        nonce = secrets.token_hex(16)
        self._nonces.add(nonce)
        return f'Digest realm="{self._realm}", qop="auth", algorithm=SHA-256, nonce="{nonce}"'

    def admits(self, method: str, path: str, authorization: str) -> bool:
        """Whether the header answers a challenge of ours, for this request and the first time."""
        scheme, _, rest = authorization.partition(" ")
        found = {name: quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
        nonce, count = found.get("nonce", ""), found.get("nc", "")
        if scheme.lower() != "digest" or nonce not in self._nonces:
            return False
        if (nonce, count) in self._taken or found.get("uri") != path:
            return False
        about = f"{nonce}:{count}:{found.get('cnonce')}:auth:{_hash(f'{method}:{path}')}"
        right = secrets.compare_digest(found.get("response", ""), _hash(f"{self._secret}:{about}"))
        if right:
            self._taken.add((nonce, count))
        return right and found.get("username") == self._user


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
