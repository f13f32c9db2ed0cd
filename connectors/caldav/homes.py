"""Which calendars an account has: from its server to its principal to its calendars.

Sources: RFC 6764 (well-known address), RFC 5397 (current principal), RFC 4791 section 6.2
(calendar homes), RFC 3744 (privileges), RFC 6638 section 9.2 (default calendar).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from connectors.caldav import dav
from connectors.caldav.addresses import canonical, collection
from connectors.caldav.client import Client
from connectors.caldav.reading import CALENDAR, USER_ADDRESSES, ZONE, ZONE_ID, zone_of
from connectors.contract import Calendar, Role
from connectors.errors import FatalError

_PRINCIPAL = f"{dav.DAV}current-user-principal"
_HOMES = f"{dav.CAL}calendar-home-set"
_INBOX = f"{dav.CAL}schedule-inbox-URL"
_DEFAULT = f"{dav.CAL}schedule-default-calendar-URL"
_NAME = f"{dav.DAV}displayname"
_OWNER = f"{dav.DAV}owner"
_PRIVILEGES = f"{dav.DAV}current-user-privilege-set"
_COMPONENTS = f"{dav.CAL}supported-calendar-component-set"
_WRITES = ("all", "write", "write-content", "bind")
_WELL_KNOWN = "/.well-known/caldav"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who the account is at the server, and where its calendars are. `addresses` are its mail
    addresses as the server knows them, lower case."""

    url: str
    homes: tuple[str, ...]
    addresses: frozenset[str]
    default: str | None = None


def principal(client: Client) -> Principal:
    """Find the account's principal from the configured address. Two to five calls.

    A server that tells of no principal (Feishu's) is taken to keep the calendars right below the
    address. Raises `FatalError` where there is no CalDAV at all.
    """
    start = client.login.url
    places = [start, urljoin(start, _WELL_KNOWN)]
    if urlsplit(start).path == "/":
        places.reverse()  # the root of a server may be somebody's web page
    for url in places:
        try:
            found, at = client.propfind(url, _PRINCIPAL, _HOMES, USER_ADDRESSES)
        except FatalError:
            continue
        if named := _first(found, _PRINCIPAL):
            return _principal(client, canonical(at, named))
        if any(answer.hrefs(_HOMES) for answer in found.answers):
            return _principal(client, at)
    return Principal(url=start, homes=(start,), addresses=frozenset())


def _principal(client: Client, url: str) -> Principal:
    found, at = client.propfind(url, _HOMES, USER_ADDRESSES, _INBOX)
    homes = [collection(at, href) for each in found.answers for href in each.hrefs(_HOMES)]
    mails = [href for each in found.answers for href in each.hrefs(USER_ADDRESSES)]
    inbox = _first(found, _INBOX)
    return Principal(
        url=at,
        homes=tuple(dict.fromkeys(homes)) or (collection(at, ""),),
        addresses=frozenset(
            mail[7:].lower() for mail in mails if mail.lower().startswith("mailto:")
        ),
        default=_default(client, canonical(at, inbox)) if inbox else None,
    )


def _default(client: Client, inbox: str) -> str | None:
    try:
        found, at = client.propfind(inbox, _DEFAULT)
    except FatalError:
        return None
    named = _first(found, _DEFAULT)
    return collection(at, named) if named else None


def calendars(client: Client, who: Principal) -> Iterator[tuple[Calendar, dav.Answer]]:
    """The account's calendars that hold events, with their properties. One call for each home.

    Where the server names no default calendar, the only one there is counts as that.
    """
    wanted = (dav.KIND, _NAME, _OWNER, _PRIVILEGES, _COMPONENTS, ZONE, ZONE_ID, dav.TOKEN)
    rows: list[tuple[str, dav.Answer]] = []
    for home in who.homes:
        found, at = client.propfind(home, *wanted, depth=1)
        rows += [
            (collection(at, answer.href), answer)
            for answer in found.answers
            if answer.has(dav.KIND, CALENDAR) and _holds_events(answer)
        ]
    only = rows[0][0] if len(rows) == 1 else None
    for url, answer in dict(rows).items():
        calendar = Calendar(
            id=url,
            name=answer.text(_NAME).strip() or _last_segment(url),
            role=_role(answer, who, url),
            primary=url == (who.default or only),
            zone=zone_of(answer),
        )
        yield calendar, answer


def _last_segment(url: str) -> str:
    return unquote(urlsplit(url).path.rstrip("/")).rpartition("/")[2]


def _holds_events(answer: dav.Answer) -> bool:
    found = answer.properties.get(_COMPONENTS)
    names = [] if found is None else [each.get("name") for each in found]
    return not names or "VEVENT" in names


def _role(answer: dav.Answer, who: Principal, url: str) -> Role:
    """By the privileges; a server that tells none is taken to permit everything."""
    found = answer.properties.get(_PRIVILEGES)
    names = {_local_name(each) for each in found.iter()} if found is not None else set()
    if not names:
        return Role.OWNER
    owners = {canonical(url, href) for href in answer.hrefs(_OWNER)}
    if names.intersection(_WRITES):
        return Role.OWNER if not owners or who.url in owners else Role.WRITER
    if "read" in names:
        return Role.READER
    return Role.FREE_BUSY if "read-free-busy" in names else Role.NONE


def _local_name(element: object) -> str:
    return str(getattr(element, "tag", "")).rpartition("}")[2]


def _first(found: dav.Multistatus, name: str) -> str:
    hrefs: Iterable[str] = (href for answer in found.answers for href in answer.hrefs(name))
    return next(iter(hrefs), "")
