"""Finds connectors by entry point, so that a stranger can add one without touching this project."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from connectors.contract import Plugin

GROUP = "feishu_calendar_bridge.connectors"


class UnknownConnectorError(LookupError):
    """No installed package offers this connector type. `known` are the ones there are."""

    def __init__(self, type_: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no connector type {type_!r}; installed: {', '.join(known)}")
        self.type = type_
        self.known = known


@cache
def _entries() -> Mapping[str, str]:
    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def known_types() -> tuple[str, ...]:
    """The names that may stand behind `type:` in the config, sorted."""
    return tuple(sorted(_entries()))


@cache
def plugin(type_: str) -> Plugin:
    """The plugin of that name. Raises `UnknownConnectorError`."""
    for entry in entry_points(group=GROUP):
        if entry.name == type_:
            loaded: Plugin = entry.load()
            return loaded
    raise UnknownConnectorError(type_, known_types())
