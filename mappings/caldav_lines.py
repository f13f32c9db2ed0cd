"""Content lines of calendar objects (RFC 5545 section 3.1), quickly.

icalendar knows everything that may stand in an object, and takes half a millisecond to read or
write one. What stands in nearly all of them, plain texts and times, is read and written here, with
the same result; the rest of a component is icalendar's. An object that is built in any other way
than a calendar with its events and their alarms is icalendar's altogether.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

from icalendar import Alarm, Calendar, Component, Event
from icalendar.parser import Contentline
from icalendar.prop import vDDDTypes, vDuration, vInt, vRecur, vText, vUnknown

_KINDS: dict[str, type[Component]] = {"VCALENDAR": Calendar, "VEVENT": Event, "VALARM": Alarm}
_TEXTS = frozenset(
    {"ACTION", "CALSCALE", "CLASS", "DESCRIPTION", "LOCATION", "METHOD", "PRODID", "STATUS"}
    | {"SUMMARY", "TRANSP", "UID", "VERSION"}
)
_TIMES = frozenset({"DTSTART", "DTEND", "RECURRENCE-ID"})
_STAMPS = frozenset({"CREATED", "DTSTAMP", "LAST-MODIFIED"})
_BREAK = re.compile(r"\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]")
_GAP = re.compile(r"\n\r?\n")
_LINE = re.compile(r"([A-Z-]+)(?:;(TZID|VALUE)=([A-Za-z0-9_/+-]+))?:(.*)")
_LENGTH = re.compile(r"-?P(?:\d+[WD])?(?:T(?:\d+[HMS])+)?", re.ASCII)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)
_ESCAPED = re.compile(r"\\([\\,;:nN])")
_PLAIN = re.compile(r"[A-Za-z0-9_/+-]+")
_WIDTH = 74


class _UnusualError(Exception):
    """This is icalendar's."""


def read(source: str) -> Component:
    """What `Calendar.from_ical` makes of the text. Raises `ValueError`, `KeyError`, `IndexError`.

    A wall clock in a zone bears its zone as parameter only.
    """
    if "\n" not in source:
        raise ValueError("no lines")  # icalendar would take it for the name of a file
    if _GAP.search(source):
        return Calendar.from_ical(source)
    try:
        return _read(_BREAK.split(_FOLD.sub("", source)))
    except _UnusualError:
        return Calendar.from_ical(source)


def _read(lines: list[str]) -> Component:
    stack: list[tuple[Component, list[str]]] = []
    done: Component | None = None
    for line in filter(None, lines):
        if line.startswith("BEGIN:"):
            kind = _KINDS.get(line[6:])
            if kind is None or done is not None:
                raise _UnusualError
            stack.append((kind(), []))
            continue
        if not stack:
            raise _UnusualError
        component, others = stack[-1]
        if line.startswith("END:"):
            if line[4:] != component.name:
                raise _UnusualError
            _add_others(component, others)
            stack.pop()
            if stack:
                stack[-1][0].subcomponents.append(component)
            else:
                done = component
        elif not _add(component, line, others):
            others.append(line)
    if done is None or stack:
        raise _UnusualError
    return done


def _add(component: Component, line: str, others: list[str]) -> bool:
    """Add the property if it is one of the common ones, and the first of its name."""
    parts = _LINE.fullmatch(line)
    if parts is None:
        return False
    name, parameter, argument, value = parts.groups()
    if dict.__contains__(component, name) or (others and _begins(others, name)):
        return False
    try:
        found = _value(name, parameter, argument, value)
    except ValueError:
        return False
    if found is None:
        return False
    component[name] = found
    return True


def _begins(lines: list[str], name: str) -> bool:
    return any(line.startswith(name) for line in lines)


def _value(name: str, parameter: str | None, argument: str | None, value: str) -> object:
    if name in _TIMES:
        return _time(parameter, argument, value)
    if parameter is not None:
        return None
    if name in _TEXTS:
        return vText(_ESCAPED.sub(_meant, value) if "\\" in value else value)
    if name in _STAMPS:
        return _time(None, None, value)
    if name == "TRIGGER" and _LENGTH.fullmatch(value):
        return vDDDTypes(vDuration.from_ical(value))  # type: ignore[no-untyped-call]
    if name == "RRULE":
        return vRecur(vRecur.from_ical(value))
    if name == "SEQUENCE" and value.isascii() and value.isdigit():
        return vInt(value)
    return vUnknown(value) if name.startswith("X-") else None


def _meant(match: re.Match[str]) -> str:
    return "\n" if match[1] in "nN" else match[1]


def _time(parameter: str | None, argument: str | None, value: str) -> vDDDTypes | None:
    """A date, a time in UTC, a floating one, or a wall clock in a zone; any other way of saying a
    time is icalendar's. Raises `ValueError`."""
    parts = _TIME.fullmatch(value)
    if parts is None:
        return None
    year, month, day, hour, minute, second, utc = parts.groups()
    if hour is None:
        if (parameter, argument) != ("VALUE", "DATE"):
            return None
        return vDDDTypes(date(int(year), int(month), int(day)))
    zoned = parameter == "TZID" and argument is not None and not utc and _is_place(argument)
    if parameter is not None and not zoned:
        return None
    clock = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))  # noqa: DTZ001 - a wall clock
    found = vDDDTypes(clock.replace(tzinfo=UTC) if utc else clock)
    if zoned:
        found.params["TZID"] = argument
    return found


def _is_place(tzid: str) -> bool:
    """Not UTC under one of its names, of which icalendar writes the times in its own way."""
    return "/" in tzid and not tzid.startswith("Etc/")


def _add_others(component: Component, lines: list[str]) -> None:
    if not lines:
        return
    name = component.name
    read = type(component).from_ical("\r\n".join((f"BEGIN:{name}", *lines, f"END:{name}", "")))
    for name, value in read.items():
        for each in value if isinstance(value, list) else [value]:
            component.add(name, each, encode=False)
    component.errors.extend(read.errors)


def written(component: Component) -> Iterator[str]:
    """The lines that `Component.to_ical` writes, folded, without their ends."""
    yield f"BEGIN:{component.name}"
    values = dict(component.items())
    for name in component.sorted_keys():
        found = values[name]
        for value in found if isinstance(found, list) else (found,):
            yield _folded(_line(name, value))
    for part in component.subcomponents:
        yield from written(part)
    yield f"END:{component.name}"


def _line(name: str, value: object) -> str:
    kind = type(value)
    if kind is vText or kind is vUnknown:
        assert isinstance(value, vText | vUnknown)
        if not value.params:
            return f"{name}:{value.to_ical().decode()}"
    elif kind is vDDDTypes:
        assert isinstance(value, vDDDTypes)
        line = _line_of_time(name, value)
        if line:
            return line
    return str(Contentline.from_parts(name, value.params, value))  # type: ignore[attr-defined]


def _line_of_time(name: str, value: vDDDTypes) -> str:
    at, params = value.dt, value.params
    head = name
    if params:
        ((parameter, argument), *more) = params.items()
        if more or parameter not in ("TZID", "VALUE") or not _PLAIN.fullmatch(str(argument)):
            return ""
        if argument == "UTC":
            return ""
        head = f"{name};{parameter}={argument}"
    if not isinstance(at, datetime):
        return f"{head}:{at:%Y%m%d}" if type(at) is date and at.year > 999 else ""
    if at.tzinfo not in (None, UTC) or at.year < 1000:
        return ""
    return f"{head}:{at:%Y%m%dT%H%M%S}{'Z' if at.tzinfo else ''}"


def _folded(line: str) -> str:
    """In pieces of at most 75 octets, none of which ends within a character or an escape."""
    if len(line) <= _WIDTH and line.isascii():
        return line
    data, pieces, start = line.encode(), [], 0
    while len(data) - start > _WIDTH:
        end = start + _WIDTH
        while data[end] & 0xC0 == 0x80:
            end -= 1
        if data[end - 1] in b"\\^":
            end -= 1
        pieces.append(data[start:end])
        start = end
    pieces.append(data[start:])
    return b"\r\n ".join(pieces).decode()
