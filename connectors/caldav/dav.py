"""WebDAV's XML: the requests we make, and multistatus answers (RFC 4918 section 13).

An answer is believed whole or not at all: one that was cut off is not well-formed, and nothing
is mended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lxml import etree  # type: ignore[import-untyped]

DAV = "{DAV:}"
CAL = "{urn:ietf:params:xml:ns:caldav}"
CS = "{http://calendarserver.org/ns/}"
_NAMESPACES = {"d": "DAV:", "c": "urn:ietf:params:xml:ns:caldav"}

ETAG = f"{DAV}getetag"
TOKEN = f"{DAV}sync-token"
DATA = f"{CAL}calendar-data"
KIND = f"{DAV}resourcetype"


class NotMultistatusError(ValueError):
    """The body is no multistatus answer, or not all of one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a multistatus says of one resource: its status if it has one of its own, else the
    properties that were found."""

    href: str
    status: int | None
    properties: Mapping[str, etree._Element] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A property's text, empty without it."""
        found = self.properties.get(name)
        return (found.text or "") if found is not None else ""

    def hrefs(self, name: str) -> list[str]:
        """The addresses that a property holds."""
        found = self.properties.get(name)
        return [] if found is None else [(each.text or "").strip() for each in found.iter(_HREF)]

    def has(self, name: str, part: str) -> bool:
        """Whether a property holds an element."""
        found = self.properties.get(name)
        return found is not None and next(found.iter(part), None) is not None


@dataclass(frozen=True, slots=True)
class Multistatus:
    """A whole answer; `token` only to a `sync-collection`."""

    answers: tuple[Answer, ...]
    token: str = ""


_HREF = f"{DAV}href"


def read(content: bytes) -> Multistatus:
    """Understand a multistatus. Raises `NotMultistatusError`."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise NotMultistatusError(str(error)) from error
    if root.tag != f"{DAV}multistatus":
        raise NotMultistatusError(f"a {root.tag} where a multistatus was expected")
    answers = tuple(
        answer for response in root.iterfind(f"{DAV}response") for answer in _answers(response)
    )
    return Multistatus(answers, (root.findtext(TOKEN) or "").strip())


def _answers(response: etree._Element) -> Iterable[Answer]:
    hrefs = [(each.text or "").strip() for each in response.iterfind(_HREF)]
    status = _status(response.findtext(f"{DAV}status"))
    properties: dict[str, etree._Element] = {}
    for propstat in response.iterfind(f"{DAV}propstat"):
        if _status(propstat.findtext(f"{DAV}status")) in (None, 200):
            for found in propstat.iterfind(f"{DAV}prop"):
                properties |= {str(each.tag): each for each in found}
    return [Answer(href, status, properties) for href in hrefs]


def _status(line: str | None) -> int | None:
    parts = (line or "").split()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None


# Requests


def propfind(*names: str) -> bytes:
    """Ask for these properties."""
    root = _root(f"{DAV}propfind")
    _props(root, names)
    return _bytes(root)


def sync_collection(token: str) -> bytes:
    """What changed since the token, with content where the server gives it along."""
    root = _root(f"{DAV}sync-collection")
    etree.SubElement(root, TOKEN).text = token
    etree.SubElement(root, f"{DAV}sync-level").text = "1"
    _props(root, (ETAG, DATA))
    return _bytes(root)


def multiget(paths: Iterable[str]) -> bytes:
    """These objects, with content."""
    root = _root(f"{CAL}calendar-multiget")
    _props(root, (ETAG, DATA))
    for path in paths:
        etree.SubElement(root, _HREF).text = path
    return _bytes(root)


def expanded(since: datetime, until: datetime) -> bytes:
    """Every instance of every event that overlaps the span (RFC 4791 sections 7.8 and 9.6.5)."""
    span = {"start": _utc(since), "end": _utc(until)}
    root = _root(f"{CAL}calendar-query")
    data = etree.SubElement(etree.SubElement(root, f"{DAV}prop"), DATA)
    etree.SubElement(data, f"{CAL}expand", span)
    within = etree.SubElement(root, f"{CAL}filter")
    for name in ("VCALENDAR", "VEVENT"):
        within = etree.SubElement(within, f"{CAL}comp-filter", {"name": name})
    etree.SubElement(within, f"{CAL}time-range", span)
    return _bytes(root)


def _root(tag: str) -> etree._Element:
    return etree.Element(tag, nsmap=_NAMESPACES)


def _props(root: etree._Element, names: Iterable[str]) -> None:
    found = etree.SubElement(root, f"{DAV}prop")
    for name in names:
        etree.SubElement(found, name)


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _bytes(root: etree._Element) -> bytes:
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return content
