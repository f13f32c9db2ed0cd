"""The structure of requests: which elements, in which order, of which type.

Own description of the supported operations, from their pages in the EWS reference. One line per
element: its attributes (`!` = required), then its children as a regular expression over names
(`t:` is implied), or the type of its text. A request that breaks it is answered with
ErrorSchemaValidation, as Exchange does for what its own schema refuses.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files

from connectors.sandbox.exchange.errors import EwsFaultError
from connectors.sandbox.exchange.fields import FIELDS, Field
from connectors.sandbox.exchange.soap import Element, line_of, local, prefixed

_LEAVES = {"text": "string", "boolean": "boolean", "integer": "int", "instant": "dateTime"}


class _ViolationError(Exception):
    def __init__(self, element: Element, message: str) -> None:
        super().__init__(message)
        self.line = line_of(element)


class _Rule:
    """What one element may hold."""

    def __init__(self, marks: str, content: str) -> None:
        names = [re.fullmatch(r"@([\w:]+)(?:=([\w|]+))?(!?)", mark) for mark in marks.split()]
        self.marks = {found[1]: found[2] for found in names if found}
        self.required = {found[1] for found in names if found and found[3]}
        self.open = content == "{.*}"
        self.text = None if content.startswith("{") else content
        self.children = None if self.text else _compiled(content.strip("{} "))

    def check(self, element: Element) -> None:
        self._check_marks(element)
        name = local(element)
        if self.children is None:
            if len(element):
                raise _ViolationError(element, f"The element '{name}' cannot contain elements.")
            if not _fits(self.text or "", element.text or ""):
                raise _ViolationError(element, f"The '{name}' element has an invalid value.")
            return
        row = "".join(f"<{prefixed(child)}>" for child in element)
        if self.children.fullmatch(row) is None:
            said = f"The element '{name}' has invalid or incomplete content: {row or 'nothing'}."
            raise _ViolationError(element, said)

    def _check_marks(self, element: Element) -> None:
        for name, value in element.attrib.items():
            if name.startswith("{"):
                continue
            if name not in self.marks:
                raise _ViolationError(element, f"The '{name}' attribute is not declared.")
            choices = self.marks[name]
            if choices and not _fits(choices, value):
                said = f"The '{name}' attribute has an invalid value: '{value}'."
                raise _ViolationError(element, said)
        if missing := self.required - set(element.attrib):
            said = f"The required attribute '{min(missing)}' is missing."
            raise _ViolationError(element, said)


def check(operation: Element) -> None:
    """Raises EwsFaultError with code ErrorSchemaValidation, or ErrorInvalidRequest for an operation
    that the server does not have."""
    rules = _rules()
    if prefixed(operation) not in rules:
        raise EwsFaultError("ErrorInvalidRequest", "The request is invalid.")
    try:
        _check(operation, rules)
    except _ViolationError as violation:
        raise EwsFaultError(
            "ErrorSchemaValidation",
            f"The request failed schema validation: {violation}",
            LineNumber=str(violation.line),
            LinePosition="1",
            Violation=str(violation),
        ) from None


def _check(element: Element, rules: dict[str, "_Rule"]) -> None:
    rule = rules.get(prefixed(element))
    if rule is None:
        raise _ViolationError(element, f"The element '{prefixed(element)}' is not declared.")
    rule.check(element)
    if not rule.open:
        for child in element:
            _check(child, rules)


@lru_cache
def _rules() -> dict[str, _Rule]:
    described = files("connectors.sandbox.exchange").joinpath("requests.txt").read_text("utf-8")
    rules = {}
    for line in described.splitlines():
        if not line or line.startswith("#"):
            continue
        head, _, content = line.partition(" : ")
        names, _, marks = head.partition(" @")
        for name in names.split():
            rules[name] = _Rule("@" + marks if marks else "", content.strip())
    for field in FIELDS:
        if field.kind in ("text", "boolean", "integer", "instant", "choice"):
            rules.setdefault(f"t:{field.name}", _Rule("", _leaf(field)))
        elif field.kind == "other":
            rules.setdefault(f"t:{field.name}", _Rule("", "{.*}"))
    inside = " ".join(
        f"{field.name}{'*' if field.name == 'ExtendedProperty' else '?'}" for field in FIELDS
    )
    rules["t:CalendarItem"] = _Rule("", "{" + inside + "}")
    rules["t:Message"] = rules["t:CalendarItem"]
    return rules


def _leaf(field: Field) -> str:
    return "|".join(field.choices) if field.choices else _LEAVES[field.kind]


def _compiled(model: str) -> re.Pattern[str]:
    if model == ".*":
        return re.compile(".*")
    named = re.sub(
        r"([amt]:)?([A-Za-z]\w*)", lambda found: f"(?:<{found[1] or 't:'}{found[2]}>)", model
    )
    return re.compile(named.replace(" ", ""))


def _fits(kind: str, text: str) -> bool:
    checker = _TYPES.get(kind)
    if checker is not None:
        return checker(text.strip())
    if kind.startswith("list "):
        return set(text.split()) <= set(kind.removeprefix("list ").split("|"))
    return text.strip() in kind.split("|")


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,10}", text) is not None


def _is_instant(text: str) -> bool:
    shape = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?"
    return re.fullmatch(shape, text) is not None and _parses(datetime.fromisoformat, text[:19])


def _is_date(text: str) -> bool:
    shape = r"\d{4}-\d{2}-\d{2}(Z|[+-]\d{2}:\d{2})?"
    return re.fullmatch(shape, text) is not None and _parses(date.fromisoformat, text[:10])


def _parses(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


_TYPES: dict[str, Callable[[str], bool]] = {
    "string": lambda _text: True,
    "boolean": lambda text: text in ("0", "1", "true", "false"),
    "int": _is_integer,
    "dateTime": _is_instant,
    "date": _is_date,
}
