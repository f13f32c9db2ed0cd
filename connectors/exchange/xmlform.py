"""XML of Exchange Web Services as plain values, and back.

An element is its text, or a dict: `@Name` for attributes, `#` for text beside attributes, and its
children by local name, repeated ones as a list. exchangelib's own item classes are left aside:
they take all-day dates in the zone of the machine that they run on, drop zones they do not know,
and fail a whole page over one item whose zone is custom.
"""

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PREFIXES = {"t": TYPES, "m": MESSAGES}


def local(element: Any) -> str:
    """An element's name without its namespace."""
    return str(etree.QName(element).localname)


def plain(element: Any) -> Any:
    """An element as plain values."""
    children = [child for child in element if isinstance(child.tag, str)]
    if not children and not element.attrib:
        return element.text or ""
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    if not children:
        if element.text:
            found["#"] = element.text
        return found
    for child in children:
        name, value = local(child), plain(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def element(name: str, value: Any, namespace: str = TYPES) -> Any:
    """Plain values as an element; its children are of the types namespace.

    None and empty lists leave a child out.
    """
    made = etree.Element(f"{{{namespace}}}{name}", nsmap=_PREFIXES)
    _fill(made, value, TYPES)
    return made


def message(name: str, content: Mapping[str, Any]) -> Any:
    """An operation's element; its own children are of the messages namespace."""
    made = etree.Element(f"{{{MESSAGES}}}{name}", nsmap=_PREFIXES)
    _fill(made, content, MESSAGES)
    return made


def _fill(made: Any, value: Any, namespace: str) -> None:
    if not isinstance(value, Mapping):
        made.text = _legal(value)
        return
    for name, content in value.items():
        if name.startswith("@"):
            made.set(name[1:], _legal(content))
        elif name == "#":
            made.text = _legal(content)
        else:
            for each in content if isinstance(content, list) else [content]:
                if each is None:
                    continue
                child = etree.SubElement(made, f"{{{namespace}}}{name}")
                _fill(child, each, TYPES)


def _legal(value: Any) -> str:
    """The text without what XML 1.0 cannot hold (section 2.2)."""
    return _ILLEGAL.sub("", str(value))
