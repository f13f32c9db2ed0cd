"""Puts a config to work: opens the store and the providers, and makes links ready to run."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from bridge import logs
from bridge.config import Config, EndpointConfig, LinkConfig
from bridge.decision import Action, Rules
from bridge.errors import ConfigError, ConfigProblem, UsageError
from bridge.jobs import open_engine
from bridge.metering import CallCounter
from bridge.pacing import SharedPacer
from bridge.records import Endpoint, Link, LinkState, Side
from bridge.store import Store, open_store
from bridge.sync import LinkPass, Surroundings
from bridge.vault import Vault
from connectors.capabilities import Capabilities
from connectors.contract import Calendar, Connector, Context, Provider, Role
from connectors.errors import ConnectorError
from connectors.metering import Meter
from connectors.pacing import FreePacer, Pacer
from connectors.registry import plugin
from mappings import identity, zones
from mappings.limits import TargetLimits

PROJECTION = 1
"""Grows when what we write for the same event changes, so that everything is written once more."""

READING = {Role.READER, Role.WRITER, Role.OWNER}
WRITING = {Role.WRITER, Role.OWNER}


@dataclass(frozen=True, slots=True)
class System:
    """The outside world, so that tests can rule it. `now` is aware UTC."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: DTZ005,RUF100
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = field(default=random.random)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyLink:
    """A configured link together with its row."""

    config: LinkConfig
    link: Link


Absent = list[tuple[LinkConfig, ConnectorError]]
"""New links that cannot be used yet, each with what stands in the way."""


class Runtime:
    """A config at work. Providers open when first used; `close` lets go of everything. `store`
    stands in for the database that the config names."""

    def __init__(
        self, config: Config, system: System | None = None, store: Store | None = None
    ) -> None:
        self.config = config
        self._own_clock = system.now if system else None
        self.system = system or System()
        self._log = logging.getLogger("calbridge")
        self.store: Store = store or open_store(
            config.database, vault=Vault(config.secret_keys), now=self.system.now
        )
        try:
            self.engine = open_engine(config.service.engine, self.store)
        except BaseException:
            self.store.close()
            raise
        self.calls = CallCounter(self.store, self.system.now)
        self._providers: dict[str, Provider] = {}
        self._connectors: dict[tuple[str, str], Connector] = {}
        self._pacers: dict[str, Pacer] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of sockets and the database."""
        for connector in self._connectors.values():
            connector.close()
        for provider in self._providers.values():
            provider.close()
        self.calls.store()
        self.store.close()

    def log(self, message: str, **facts: object) -> None:
        """One line of the log: a fixed sentence and facts, never a secret."""
        told = " ".join(f"{name}={value}" for name, value in facts.items())
        extra = logs.told(message, facts)
        self._log.info("%s%s", message, f" {told}" if told else "", extra=extra)

    # -- providers ---------------------------------------------------------------------------------

    def provider(self, name: str) -> Provider:
        """The configured connector of that name, opened."""
        with self._lock:
            if name not in self._providers:
                entry = self.config.connectors[name]
                context = Context(
                    now=self.system.now,
                    sleep=self.system.sleep,
                    random=self.system.random,
                    tokens=self.store.tokens,
                    channels=self.store.channels,
                    pacer=self._pacer,
                    log=self.log,
                    meter=self._meter,
                )
                self._providers[name] = plugin(entry.type).open(name, entry.settings, context)
            return self._providers[name]

    def _meter(self, name: str) -> Meter:
        return Meter(name, monotonic=self.system.monotonic, report=self.calls.count)

    def _pacer(self, name: str, capabilities: Capabilities) -> Pacer:
        """The budget shared under `name`, one per app or per account, as the provider counts; by
        all processes on the database, and by its clock unless there is one of our own."""
        with self._lock:
            if name not in self._pacers:
                budget = capabilities.budget
                limited = budget.per_second or budget.per_minute
                self._pacers[name] = (
                    SharedPacer(
                        self.store,
                        name,
                        budget,
                        now=self._own_clock,
                        monotonic=self.system.monotonic,
                        sleep=self.system.sleep,
                    )
                    if limited
                    else FreePacer()
                )
            return self._pacers[name]

    def connector(self, name: str, account: str) -> Connector:
        """The session of one account, shared by all its links."""
        provider = self.provider(name)
        with self._lock:
            key = (name, account)
            if key not in self._connectors:
                self._connectors[key] = provider.connect(account)
            return self._connectors[key]

    def connectors(self, link: Link) -> Mapping[Side, Connector]:
        """Both sides of a link."""
        return {
            side: self.connector(link.endpoint(side).connector, link.endpoint(side).account)
            for side in Side
        }

    # -- links -------------------------------------------------------------------------------------

    def select(self, user: str | None = None, link: str | None = None) -> tuple[LinkConfig, ...]:
        """The configured links that a command names. Raises `UsageError` if there is none."""
        chosen = self.config.select(user, link)
        if not chosen:
            wanted = f"link {link!r}" if link else f"user {user!r}" if user else "link"
            names = ", ".join(item.name for item in self.config.links) or "none"
            raise UsageError(f"no {wanted} in {self.config.source}; links there: {names}")
        return chosen

    def ready(
        self, links: Iterable[LinkConfig], *, store: bool = True, absent: Absent | None = None
    ) -> list[ReadyLink]:
        """The links with their rows, resolved at the providers where that was not done before.

        Raises `ConfigError` naming every link whose calendar does not exist, lacks the right, is
        bound natively, or is linked twice; then nothing was written. With `store` False the rows
        of new links have number 0 and are not kept. New links whose providers cannot be asked (no
        consent yet, or a fault) are added to `absent` with the reason and left out; without
        `absent` the first such `ConnectorError` is raised.
        """
        problems: list[ConfigProblem] = []
        fresh: list[tuple[LinkConfig, Link, str]] = []
        result: list[ReadyLink] = []
        for config in links:
            spec = identity.digest([asdict(config.a), asdict(config.b)])
            known = self.store.link(config.name)
            if known and self.store.setting(_spec(config)) == spec:
                result.append(ReadyLink(config=config, link=known))
                continue
            try:
                ends = [self._resolve(config, side, problems) for side in Side]
            except ConnectorError as error:
                if absent is None:
                    raise
                absent.append((config, error))
                continue
            if ends[0] is not None and ends[1] is not None:
                fresh.append((config, _new_link(config, ends[0], ends[1]), spec))
        problems += _twins(fresh, result)
        if problems:
            raise ConfigError(self.config.source, tuple(problems))
        if store and fresh:
            # Processes that start together must not both believe that a link is new.
            with self.store.lock("links"), self.store.begin() as tx:
                for config, link, spec in fresh:
                    result.append(ReadyLink(config=config, link=tx.put_link(link)))
                    tx.put_setting(_spec(config), spec)
        else:
            result += [ReadyLink(config=config, link=link) for config, link, _ in fresh]
        return result

    def _resolve(
        self, config: LinkConfig, side: Side, problems: list[ConfigProblem]
    ) -> Endpoint | None:
        end = config.a if side is Side.A else config.b
        place = f"{config.place} ({end.connector} {end.account})"
        try:
            found = _choose(self.connector(end.connector, end.account).calendars(), end)
        except LookupError as error:
            problems.append(ConfigProblem(place=place, message=str(error), line=config.line))
            return None
        message = _unfit(found, writing=config.policy.writes(to_target=side is Side.B))
        if message:
            problems.append(ConfigProblem(place=place, message=message, line=config.line))
            return None
        return Endpoint(connector=end.connector, account=end.account, calendar=found.id)

    def rules(self, config: LinkConfig, link: Link) -> Rules:
        """What decisions about the link's units depend on, as of now."""
        connectors = self.connectors(link)
        limits = {side: connectors[side].capabilities.limits for side in Side}
        return rules(config, limits, self.system.now())

    def link_pass(
        self,
        ready: ReadyLink,
        *,
        full: bool = False,
        approved: bool = False,
        permit: Callable[[Action], bool] = lambda _action: True,
        progress: Callable[[str, int], None] = lambda _link, _done: None,
        around: Surroundings | None = None,
    ) -> LinkPass:
        """A pass over a link, ready to plan or run."""
        return LinkPass(
            ready.link,
            self.rules(ready.config, ready.link),
            self.connectors(ready.link),
            around
            or Surroundings(store=self.store, now=self.system.now, log=self.log, progress=progress),
            full=full,
            approved=approved,
            permit=permit,
        )


def rules(config: LinkConfig, limits: Mapping[Side, TargetLimits], now: datetime) -> Rules:
    """The rules of a link at a point in time."""
    policy = config.policy
    window = policy.window
    content = [
        PROJECTION,
        policy.content.value,
        policy.busy_title,
        policy.attendees.value,
        policy.reminders,
        policy.color,
        asdict(policy.filters),
        _spelled(limits[Side.B]),
        [zones.DATA_VERSION for side in Side if limits[side].zone_rules],
    ]
    return Rules(
        policy=policy,
        limits=limits,
        since=now - window.past if window.past is not None else None,
        until=now + window.future if window.future is not None else None,
        digest=identity.digest(content),
    )


def _spelled(value: Any) -> Any:
    """A value of dataclasses and sets as JSON that is the same in every process: the order in
    which a set shows its members is not."""
    if is_dataclass(value):
        return [[item.name, _spelled(getattr(value, item.name))] for item in fields(value)]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    return str(value)


def _spec(config: LinkConfig) -> str:
    return f"spec:{config.name}"


def _new_link(config: LinkConfig, a: Endpoint, b: Endpoint) -> Link:
    ends = [(end.connector, end.account, end.calendar) for end in (a, b)]
    return Link(
        id=0,
        uid=identity.link_uid(ends[0], ends[1]),
        name=config.name,
        user=config.user,
        a=a,
        b=b,
        state=LinkState.ACTIVE,
    )


def _choose(calendars: Iterable[Calendar], end: EndpointConfig) -> Calendar:
    """The calendar that is meant by id, by `primary`, or by its name if only one has it."""
    calendars = list(calendars)
    for calendar in calendars:
        if calendar.id == end.calendar or (end.calendar == "primary" and calendar.primary):
            return calendar
    named = [calendar for calendar in calendars if calendar.name == end.calendar]
    if len(named) == 1:
        return named[0]
    if named:
        raise LookupError(f"{len(named)} calendars are named {end.calendar!r}; give the id instead")
    names = ", ".join(repr(calendar.name) for calendar in calendars[:10]) or "none"
    raise LookupError(f"no calendar {end.calendar!r}; there are: {names}")


def _unfit(calendar: Calendar, *, writing: bool) -> str:
    """Why a calendar cannot be linked, empty if it can."""
    if calendar.foreign:
        return (
            f"calendar {calendar.name!r} is bound to {calendar.foreign} by the provider itself; "
            "bridging it again would double every event: end that binding or link another calendar"
        )
    if writing and calendar.role not in WRITING:
        return f"calendar {calendar.name!r} may not be written by this account; share it as writer"
    if calendar.role not in READING:
        return f"calendar {calendar.name!r} may not be read by this account; share it as reader"
    return ""


def _twins(
    fresh: Iterable[tuple[LinkConfig, Link, str]], known: Iterable[ReadyLink]
) -> list[ConfigProblem]:
    """Links that turned out to join the same two calendars under different spellings."""
    pairs = {frozenset((item.link.a, item.link.b)): item.config for item in known}
    problems = []
    for config, link, _ in fresh:
        twin = pairs.setdefault(frozenset((link.a, link.b)), config)
        if twin is not config:
            problems.append(
                ConfigProblem(
                    place=config.place,
                    message=f"same pair of calendars as {twin.place}; remove one of them",
                    line=config.line,
                )
            )
    return problems
