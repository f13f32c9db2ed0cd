"""SOAP 1.1 envelopes as Exchange reads and writes them ("EWS XML elements in Exchange").

Elements are lxml elements; `t` and `m` build them in the types and messages namespaces.
"""

import re
from typing import Any, TypeAlias

from lxml import etree  # type: ignore[import-untyped]

Element: TypeAlias = Any

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
AUTODISCOVER = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
PREFIXES = {"s": SOAP, "t": TYPES, "m": MESSAGES, "a": AUTODISCOVER}
CONTENT_TYPE = "text/xml; charset=utf-8"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)


class MalformedError(Exception):
    """The bytes are no SOAP envelope."""


def _element(
    namespace: str, name: str, children: tuple[Any, ...], marks: dict[str, str]
) -> Element:
    made = etree.Element(f"{{{namespace}}}{name}", marks, nsmap={"t": TYPES, "m": MESSAGES})
    for child in children:
        if isinstance(child, str):
            made.text = xml_text(child)
        elif child is not None:
            made.append(child)
    return made


def t(name: str, *children: Any, **marks: str) -> Element:
    """An element of the types namespace; a str child is its text, None is left out."""
    return _element(TYPES, name, children, marks)


def m(name: str, *children: Any, **marks: str) -> Element:
    """An element of the messages namespace."""
    return _element(MESSAGES, name, children, marks)


def xml_text(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold."""
    return _ILLEGAL.sub("", text)


def local(element: Element) -> str:
    """The name without its namespace."""
    return str(etree.QName(element).localname)


def prefixed(element: Element) -> str:
    """The name as `t:Subject` or `m:Items`."""
    name = etree.QName(element)
    prefix = next((p for p, uri in PREFIXES.items() if uri == name.namespace), "?")
    return f"{prefix}:{name.localname}"


def child(element: Element, path: str) -> Element | None:
    """The first descendant on a path such as `m:ItemShape/t:BaseShape`."""
    return element.find(path, PREFIXES)


def need(element: Element, path: str) -> Element:
    """The same, for what the schema has already made sure of."""
    found = child(element, path)
    if found is None:
        raise KeyError(path)
    return found


def text(element: Element, path: str, default: str = "") -> str:
    """The text of that descendant."""
    found = child(element, path)
    return default if found is None else (found.text or "")


def parse(body: bytes) -> tuple[Element | None, Element]:
    """The SOAP header (None if absent) and the operation's element. Raises MalformedError."""
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise MalformedError(str(error)) from None
    if root.tag != f"{{{SOAP}}}Envelope":
        raise MalformedError("The root element is not a SOAP envelope.")
    content = child(root, "s:Body")
    if content is None or len(content) != 1:
        raise MalformedError("The SOAP body does not hold exactly one element.")
    return child(root, "s:Header"), content[0]


def envelope(content: Element, *, fault: bool = False) -> bytes:
    """An answer with the header that tells the server's version."""
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP})
    if not fault:
        version = t("ServerVersionInfo", MajorVersion="15", MinorVersion="2",
                    MajorBuildNumber="2562", MinorBuildNumber="17",
                    Version="V2017_07_11")  # fmt: skip
        etree.SubElement(root, f"{{{SOAP}}}Header").append(version)
    etree.SubElement(root, f"{{{SOAP}}}Body").append(content)
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return written


def written(element: Element) -> bytes:
    """The element alone as XML."""
    raw: bytes = etree.tostring(element)
    return raw


def line_of(element: Element) -> int:
    """The line of the request on which the element begins."""
    return int(element.sourceline or 1)


def fault(code: str, message: str, values: dict[str, str] | None = None) -> bytes:
    """A SOAP fault: the request as a whole was refused."""
    root = etree.Element(f"{{{SOAP}}}Fault", nsmap={"s": SOAP})
    etree.SubElement(root, "faultcode").text = f"s:{'Server' if 'Busy' in code else 'Client'}"
    etree.SubElement(root, "faultstring").text = message
    detail = etree.SubElement(root, "detail")
    for name, value in (("ResponseCode", code), ("Message", message)):
        line = etree.SubElement(detail, f"{{{ERRORS}}}{name}", nsmap={"e": ERRORS})
        line.text = value
    if values:
        detail.append(message_xml(values))
    return envelope(root, fault=True)


def message_xml(values: dict[str, str], namespace: str = TYPES) -> Element:
    """Particulars of an error by name: `BackOffMilliseconds`, `LineNumber`, `Violation`..."""
    lines = []
    for name, value in values.items():
        if name in ("LineNumber", "LinePosition", "Violation"):
            lines.append(t(name, value))
        else:
            lines.append(t("Value", value, Name=name))
    return _element(namespace, "MessageXml", tuple(lines), {})
