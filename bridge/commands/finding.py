"""Finds the unit that a person means: by its id, a provider's id, an address or its title."""

from dataclasses import dataclass, replace

import click

from bridge.commands.session import Session
from bridge.errors import UsageError
from bridge.explain import standing, when_text
from bridge.orders import title_of
from bridge.records import Link, Side, Unit
from bridge.runtime import ReadyLink, Runtime
from connectors.contract import HasAddresses
from connectors.errors import ConnectorError

HOW = "name one by its unit id, by a provider's id, by its address or by part of its title"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A unit and the link that it belongs to."""

    ready: ReadyLink
    unit: Unit

    @property
    def link(self) -> Link:
        """The link's row."""
        return self.ready.link

    @property
    def when(self) -> str:
        """When the event takes place, for people; empty if it could never be read."""
        copy = self.unit.a or self.unit.b
        return when_text(replace(copy.event, rdates=())) if copy else ""


def find(runtime: Runtime, text: str, link: str | None = None) -> list[Found]:
    """The units that may be meant, of configured links. Raises `UsageError` if there is none."""
    configs = {config.name: config for config in runtime.select(link=link)}
    names = _ids_in(runtime, text) if "://" in text else (text,)
    exact: dict[tuple[int, str], Unit] = {}
    loose: dict[tuple[int, str], Unit] = {}
    for name in names:
        for unit in runtime.store.find_units(name):
            where = exact if _named(unit, name) else loose
            where.setdefault((unit.link_id, unit.id), unit)
    found = [
        Found(ready=ReadyLink(config=config, link=row), unit=unit)
        for unit in standing(list((exact or loose).values()))
        if (row := runtime.store.link_by_id(unit.link_id)) is not None
        if (config := configs.get(row.name)) is not None
    ]
    if not found:
        raise UsageError(f"no event {text!r} is known; {HOW}")
    return found


def find_one(runtime: Runtime, text: str, link: str | None = None) -> Found:
    """The unit that is meant. Raises `UsageError` if there is none, or more than one."""
    found = find(runtime, text, link)
    if len(found) > 1:
        names = "; ".join(f"{item.unit.id} on {item.link.name}" for item in found[:5])
        raise UsageError(f"{len(found)} events may be meant by {text!r}: {names}; {HOW}")
    return found[0]


def show_matches(session: Session, found: list[Found]) -> None:
    """Several events may be meant: list them with what names each."""
    rows = [
        {
            "unit": item.unit.id,
            "link": item.link.name,
            "title": title_of(item.unit),
            "when": item.when,
            "state": item.unit.state.value,
        }
        for item in found
    ]

    def text() -> None:
        click.echo(f"{len(rows)} events may be meant; say which:")
        for row in rows:
            click.echo(f"  {row['unit']}  {row['link']}  {row['title']!r}  {row['when']}")

    session.show({"matches": rows}, text)


def _named(unit: Unit, name: str) -> bool:
    members = {member.id for copy in (unit.a, unit.b) if copy for member in copy.members}
    return name in {unit.id, unit.ref(Side.A), unit.ref(Side.B), *members}


def _ids_in(runtime: Runtime, address: str) -> tuple[str, ...]:
    """The ids that the connectors of the config read from an address."""
    accounts = {
        end.connector: end.account for link in runtime.config.links for end in (link.a, link.b)
    }
    found: dict[str, None] = {}
    for name, account in accounts.items():
        try:
            connector = runtime.connector(name, account)
        except ConnectorError:
            continue
        if isinstance(connector, HasAddresses):
            found |= dict.fromkeys(connector.ids_in(address))
    if not found:
        raise UsageError(f"no connector of the config knows the address {address!r}; {HOW}")
    return tuple(found)
