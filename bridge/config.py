"""The config: one YAML file in, a checked value out. No network, no SDK, no writing.

Every problem is found in one go and named with its line, its place and what to do.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.config_schema import HubSection, LinkSection, RootSection, ServiceSection, WebSection
from bridge.config_text import Text, dotted, read
from bridge.errors import ConfigError, ConfigProblem
from bridge.vault import Vault, VaultError
from connectors.registry import UnknownConnectorError, known_types, plugin
from mappings.policy import Policy

DEFAULT_POLICY = Policy()
Place = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorConfig:
    """One entry under `connectors`: its plugin type and its validated settings."""

    name: str
    type: str
    settings: BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """One side of a link as configured: the calendar may still be a name or `primary`."""

    connector: str
    account: str
    calendar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """One link as configured. `place` and `line` say where, for messages."""

    name: str
    user: str
    a: EndpointConfig
    b: EndpointConfig
    policy: Policy
    place: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole checked config. `unset` names variables that still have to be set, whose
    placeholders keep the config loadable."""

    source: str
    database: str
    secret_keys: tuple[str, ...]
    connectors: Mapping[str, ConnectorConfig]
    links: tuple[LinkConfig, ...]
    service: ServiceSection
    web: WebSection
    unset: tuple[ConfigProblem, ...] = ()

    def select(self, user: str | None = None, link: str | None = None) -> tuple[LinkConfig, ...]:
        """The links of one user or of one name; all by default."""
        return tuple(
            item
            for item in self.links
            if (user is None or item.user == user) and (link is None or item.name == link)
        )


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check the file. Raises `ConfigError` with every problem there is."""
    text = read(path, os.environ if environment is None else environment)
    return _Checker(text, path.parent).check()


class _Checker:
    def __init__(self, text: Text, folder: Path) -> None:
        self._text = text
        self._folder = folder
        self._problems: list[ConfigProblem] = []

    def check(self) -> Config:
        root = self._model(RootSection, self._text.value, ())
        if root is None:
            raise ConfigError(self._text.source, tuple(self._problems))
        connectors = {
            name: found
            for name, raw in root.connectors.items()
            if (found := self._connector(name, raw))
        }
        base = root.defaults.over(DEFAULT_POLICY)
        links = [
            link
            for user, raw in root.users.items()
            for link in self._user(user, raw, set(root.connectors), base)
        ]
        self._no_twins(links)
        self._keys(root)
        self._engine(root)
        self._web(root)
        if self._problems:
            raise ConfigError(self._text.source, tuple(self._problems))
        keys = [key for key in (root.secret_key,) if key and key.get_secret_value()]
        return Config(
            source=self._text.source,
            database=_absolute(root.database, self._folder),
            secret_keys=tuple(key.get_secret_value() for key in [*keys, *root.old_secret_keys]),
            connectors=connectors,
            links=tuple(links),
            service=root.service,
            web=root.web,
            unset=tuple(self._text.unset),
        )

    def _connector(self, name: str, raw: dict[str, Any]) -> ConnectorConfig | None:
        place: Place = ("connectors", name)
        type_ = str(raw.get("type", ""))
        try:
            found = plugin(type_)
        except UnknownConnectorError:
            known = ", ".join(known_types())
            self._problem((*place, "type"), f"unknown type {type_!r}; there are: {known}")
            return None
        rest = {key: value for key, value in raw.items() if key != "type"}
        settings = self._model(found.settings, rest, place)
        return ConnectorConfig(name=name, type=type_, settings=settings) if settings else None

    def _user(
        self, user: str, raw: dict[str, Any], connectors: set[str], base: Policy
    ) -> Iterator[LinkConfig]:
        place: Place = ("users", user)
        hubs = [key for key in raw if key in connectors]
        for key in sorted(raw.keys() - connectors - {"links"}):
            self._unknown((*place, key), key, [*connectors, "links"])
        if len(hubs) != 1:
            self._problem(place, "needs exactly one connector's section with the user's account")
            return
        hub_raw = raw[hubs[0]]
        if isinstance(hub_raw, str):
            hub_raw = {"account": hub_raw}
        hub = self._model(HubSection, hub_raw, (*place, hubs[0]))
        sections = raw.get("links", [])
        if not isinstance(sections, list):
            self._problem((*place, "links"), "must be a list; begin each link with a dash")
            return
        for index, section in enumerate(sections):
            here = (*place, "links", index)
            link = self._model(LinkSection, section, here)
            if link is None or hub is None:
                continue
            if link.to not in connectors:
                self._unknown((*here, "to"), link.to, connectors, what="connector")
                continue
            policy = link.over(base)
            yield LinkConfig(
                name=link.name or _name(user, link.to, index, sections),
                user=user,
                a=EndpointConfig(
                    connector=hubs[0], account=hub.account, calendar=link.source or hub.calendar
                ),
                b=EndpointConfig(connector=link.to, account=link.account, calendar=link.calendar),
                policy=policy,
                place=dotted(here),
                line=self._text.line(here),
            )

    def _keys(self, root: RootSection) -> None:
        places: list[Place] = [("secret_key",)]
        places += [("old_secret_keys", number) for number in range(len(root.old_secret_keys))]
        for place, key in zip(places, [root.secret_key, *root.old_secret_keys], strict=True):
            if key and (text := key.get_secret_value()):
                try:
                    Vault([text])
                except VaultError:
                    message = "is no key: 32 bytes in URL-safe base64; `calbridge init` makes one"
                    self._problem(place, message)

    def _engine(self, root: RootSection) -> None:
        if root.service.engine != "procrastinate":
            return
        if not root.database.startswith("postgres"):
            message = "procrastinate needs PostgreSQL: write postgresql://HOST/NAME at `database`"
            self._problem(("service", "engine"), f"{message}, or embedded here")
        elif find_spec("procrastinate") is None:
            message = "needs a package more; install feishu-calendar-bridge[procrastinate]"
            self._problem(("service", "engine"), message)

    def _web(self, root: RootSection) -> None:
        web, place = root.web, "web"
        if web.trusted_header and not (web.administrators or web.viewers):
            message = "names nobody: list who may log in under `administrators` or `viewers`"
            self._problem((place, "trusted_header"), message)
        if on_loopback(root.service.listen):
            return
        if web.open_on_loopback:
            message = "`service.listen` is reachable from outside; set `password_hash` instead"
            self._problem((place, "open_on_loopback"), message)
        elif web.guarded and not (web.public_url or "").startswith("https:"):
            message = "`service.listen` is reachable from outside; put a TLS proxy in front of it "
            self._problem((place, "public_url"), f"{message}and name its https address here")

    def _no_twins(self, links: list[LinkConfig]) -> None:
        names: dict[str, LinkConfig] = {}
        pairs: dict[frozenset[EndpointConfig], LinkConfig] = {}
        for link in links:
            pair = frozenset((link.a, link.b))
            if link.a == link.b:
                self._at(link, "links a calendar with itself")
            if twin := pairs.get(pair):
                self._at(link, f"same pair of calendars as {twin.place}; remove one of them")
            elif twin := names.get(link.name):
                self._at(link, f"same name {link.name!r} as {twin.place}; give it another `name`")
            pairs[pair] = names[link.name] = link

    # -- problems ----------------------------------------------------------------------------------

    def _model(self, model: type[M], raw: Any, place: Place) -> M | None:
        if not isinstance(raw, dict):
            self._problem(place, "must be a section with keys of its own")
            return None
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False):
                path = (*place, *item["loc"])
                if item["type"] == "extra_forbidden":
                    owner = _model_at(model, item["loc"][:-1])
                    self._unknown(path, str(item["loc"][-1]), list(owner.model_fields))
                elif item["type"] == "missing":
                    self._problem(path, "is missing; add it")
                else:
                    self._problem(path, _plain(item["msg"]))
            return None

    def _unknown(self, path: Place, key: str, known: Any, *, what: str = "key") -> None:
        near = difflib.get_close_matches(key, sorted(known), 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known))}"
        self._problem(path, f"unknown {what} {key!r}; {hint}")

    def _problem(self, path: Place, message: str) -> None:
        self._problems.append(
            ConfigProblem(place=dotted(path), message=message, line=self._text.line(path))
        )

    def _at(self, link: LinkConfig, message: str) -> None:
        self._problems.append(ConfigProblem(place=link.place, message=message, line=link.line))


def on_loopback(listen: str) -> bool:
    """Whether only this machine reaches that address, HOST:PORT."""
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _model_at(model: type[BaseModel], location: tuple[str | int, ...]) -> type[BaseModel]:
    """The nested model that a pydantic error location points into."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return model


def _plain(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[0].lower() + text[1:]


def _name(user: str, to: str, index: int, sections: list[Any]) -> str:
    same = sum(isinstance(item, dict) and item.get("to") == to for item in sections[:index])
    return f"{user}/{to}" + (f"-{same + 1}" if same else "")


def _absolute(url: str, folder: Path) -> str:
    """A relative SQLite path starts at the config's folder, not where the command was typed."""
    prefix = "sqlite:///"
    path = url.removeprefix(prefix)
    if not url.startswith(prefix) or path.startswith("/") or path == ":memory:":
        return url
    return f"{prefix}{(folder / path).resolve()}"
