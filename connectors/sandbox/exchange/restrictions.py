"""Restrictions of FindItem ("Restriction", EWS reference)."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from connectors.sandbox.exchange import values
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.fields import BY_URI
from connectors.sandbox.exchange.occurrences import View, utc
from connectors.sandbox.exchange.shapes import extended_values
from connectors.sandbox.exchange.soap import Element, child, local, need
from connectors.sandbox.exchange.state import ExtendedKey, Folder, Item

MOST_NODES = 255
NOT_SEARCHABLE = {"calendar:UID", "calendar:StartTimeZone", "calendar:EndTimeZone"}
ALSO_SEARCHABLE = {"item:Body"}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "IsEqualTo": operator.eq,
    "IsNotEqualTo": operator.ne,
    "IsGreaterThan": operator.gt,
    "IsGreaterThanOrEqualTo": operator.ge,
    "IsLessThan": operator.lt,
    "IsLessThanOrEqualTo": operator.le,
}


@dataclass(frozen=True)
class Restriction:
    """What FindItem is limited to; `root` None = nothing."""

    root: Element | None

    @classmethod
    def of(cls, element: Element | None) -> "Restriction":
        """From a request. Raises EwsError."""
        if element is None:
            return cls(None)
        if sum(1 for _ in element.iter("*")) > MOST_NODES:
            raise EwsError("ErrorRestrictionTooLong")
        for line in element.iter("{*}FieldURI"):
            _check_searchable(line.get("FieldURI"))
        for line in element.iter("{*}ExtendedFieldURI"):
            values.extended_key(line)
        return cls(element[0])

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.root is not None

    def fits(self, view: View) -> bool:
        """Whether the item fulfils it."""
        return self.root is None or _fits(self.root, view)

    def candidates(self, folder: Folder) -> Iterable[Item]:
        """The folder's items, or those among them that an index finds."""
        for node in _conjuncts(self.root):
            wanted = _indexed(node)
            if wanted is not None:
                return [folder.items[name] for name in folder.by_extended.get(wanted, {})]
        return list(folder.items.values())


def _check_searchable(uri: str) -> None:
    field = BY_URI.get(uri)
    known = field is not None and (field.find or uri in ALSO_SEARCHABLE)
    if not known or uri in NOT_SEARCHABLE:
        raise EwsError("ErrorUnsupportedPathForQuery", "The property cannot be searched for.")


def _conjuncts(root: Element | None) -> list[Element]:
    if root is None:
        return []
    return list(root) if local(root) == "And" else [root]


def _indexed(node: Element) -> tuple[ExtendedKey, str] | None:
    """The stored property and value that the node demands."""
    if local(node) != "IsEqualTo" or local(node[0]) != "ExtendedFieldURI":
        return None
    constant, key = child(node, "t:FieldURIOrConstant/t:Constant"), values.extended_key(node[0])
    if constant is None or key.type != "String":
        return None
    return key, constant.get("Value")


def comparable(view: View, uri: Element) -> Any:
    """A property's value in a form that can be compared; None if it has none."""
    if local(uri) == "ExtendedFieldURI":
        found = extended_values(view, values.extended_key(uri))
        return _extended_constant(uri, found[0]) if found else None
    name = uri.get("FieldURI")
    match name:
        case "item:DateTimeCreated":
            return view.item.created
        case "item:LastModifiedTime":
            return view.item.modified
        case "item:Body":
            return (view.value(name) or ("", ""))[1]
        case "calendar:CalendarItemType":
            return view.kind
        case "calendar:IsRecurring":
            return view.item.recurrence is not None
        case _:
            return view.value(name)


def _constant(uri: Element, raw: str) -> Any:
    if local(uri) == "ExtendedFieldURI":
        return _extended_constant(uri, raw)
    field = BY_URI[uri.get("FieldURI")]
    try:
        match field.kind:
            case "instant":
                return utc(values.instant(raw))
            case "boolean":
                return raw.lower() in ("true", "1")
            case "integer":
                return int(raw)
            case _:
                return raw
    except (ValueError, AssertionError):
        raise EwsError("ErrorInvalidValueForProperty") from None


def _extended_constant(uri: Element, raw: str) -> Any:
    kind = uri.get("PropertyType")
    if kind in ("Integer", "Short", "Long"):
        return int(raw)
    return raw.lower() if kind == "Boolean" else raw


def _fits(node: Element, view: View) -> bool:
    match local(node):
        case "And":
            return all(_fits(part, view) for part in node)
        case "Or":
            return any(_fits(part, view) for part in node)
        case "Not":
            return not _fits(node[0], view)
        case "Exists":
            return comparable(view, node[0]) is not None
        case "Contains":
            return _contains(node, view)
        case kind if kind in COMPARISONS:
            other = need(node, "t:FieldURIOrConstant")[0]
            mine = comparable(view, node[0])
            if local(other) == "Constant":
                theirs = _constant(node[0], other.get("Value"))
            else:
                theirs = comparable(view, other)
            if isinstance(mine, tuple):
                return theirs in mine if kind == "IsEqualTo" else theirs not in mine
            if mine is None or theirs is None:
                return kind == "IsNotEqualTo" and mine is not theirs
            return COMPARISONS[kind](mine, theirs)
        case _:
            raise EwsError("ErrorInvalidRestriction")


def _contains(node: Element, view: View) -> bool:
    mine, wanted = comparable(view, node[0]), need(node, "t:Constant").get("Value")
    if mine is None:
        return False
    texts = [str(part) for part in mine] if isinstance(mine, tuple) else [str(mine)]
    if node.get("ContainmentComparison", "Exact") != "Exact":
        texts, wanted = [part.casefold() for part in texts], wanted.casefold()
    match node.get("ContainmentMode", "FullString"):
        case "FullString":
            return wanted in texts
        case "Prefixed":
            return any(part.startswith(wanted) for part in texts)
        case "PrefixOnWords":
            return any(w.startswith(wanted) for part in texts for w in part.split())
        case _:
            return any(wanted in part for part in texts)
