"""Addresses of collections and objects: one spelling each, and whom a login may be shown to.

A calendar's id is its full address, an object's ref the last segment of its own, decoded. Servers
spell the same address in several ways (RFC 3986 section 6.2.2).
"""

from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from connectors.caldav.settings import is_encrypted_or_loopback

_SAFE = "/:@!$&'()*+,;=~"
_PORTS = {"http": 80, "https": 443}


def canonical(base: str, href: str) -> str:
    """The one spelling of `href` as it stands in an answer of `base`."""
    parts = urlsplit(urljoin(base, href))
    port = f":{parts.port}" if parts.port not in (None, _PORTS.get(parts.scheme)) else ""
    path = quote(unquote(parts.path), safe=_SAFE) or "/"
    return urlunsplit((parts.scheme, f"{(parts.hostname or '').lower()}{port}", path, "", ""))


def collection(base: str, href: str) -> str:
    """The same for a collection, which ends in a slash (RFC 4918 section 5.2)."""
    return canonical(base, href).rstrip("/") + "/"


def object_url(calendar: str, ref: str) -> str:
    """Where an object of the calendar is."""
    return calendar + quote(ref, safe=_SAFE.replace("/", ""))


def ref_in(calendar: str, href: str) -> str | None:
    """The object of the calendar that an answer names; None for the calendar itself, and for
    what is not in it."""
    above = unquote(urlsplit(calendar).path)
    path = unquote(urlsplit(urljoin(calendar, href)).path)
    ref = path.removeprefix(above)
    if not path.startswith(above) or not ref or "/" in ref:
        return None
    return ref


def path_of(url: str) -> str:
    """The path, as requests name objects."""
    return urlsplit(url).path


def trusted(home: str, url: str) -> bool:
    """Whether the login for `home` may be sent to `url`: to the same host, or over TLS to one
    beside or below it (a server that spreads its users over several hosts)."""
    if not is_encrypted_or_loopback(url):
        return False
    ours, theirs = urlsplit(home), urlsplit(url)
    if (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port):
        return True
    host = ours.hostname or ""
    parent = host.partition(".")[2] if host.count(".") > 1 else host
    other = theirs.hostname or ""
    return theirs.scheme == "https" and "." in parent and f".{other}".endswith(f".{parent}")
