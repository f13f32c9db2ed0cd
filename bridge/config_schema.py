"""The shape of the config file, as pydantic models. Unknown keys are errors."""

import re
from datetime import time, timedelta
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from bridge.web.passwords import well_formed
from mappings.policy import (
    AttendeePolicy,
    Conflict,
    Content,
    DeleteGuard,
    Direction,
    EditVersusDelete,
    Filters,
    Policy,
    Unwritable,
    Window,
)

UNITS = {
    "s": "seconds",
    "m": "minutes",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}
DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)\s*(s|m|min|h|d|w|y)")
LONGEST = timedelta(days=365 * 100)


def duration(value: Any) -> Any:
    """`90d`, `12 h`, `1y` as a timedelta; `none` as None. A bare number could mean anything."""
    if isinstance(value, int | float):
        raise ValueError("is a number without a unit; write for example 90d, 12h, 1y or none")
    if isinstance(value, str):
        text = value.strip().lower()
        if text in ("none", "unlimited"):
            return None
        match = DURATION.fullmatch(text)
        if match is None:
            raise ValueError("is no duration; write for example 90d, 12h, 1y or none")
        number, unit = float(match[1]), match[2]
        try:
            found = timedelta(**({"days": 365 * number} if unit == "y" else {UNITS[unit]: number}))
        except OverflowError:
            found = timedelta.max
        if found > LONGEST:
            raise ValueError("is longer than 100y; write none for no bound")
        return found
    return value


Duration = Annotated[timedelta, BeforeValidator(duration)]
OptionalDuration = Annotated[timedelta | None, BeforeValidator(duration)]


def _listen(value: Any) -> str:
    host, _, port = str(value).rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535 or re.search(r"\s", host):
        raise ValueError("is no address to listen on; write ADDRESS:PORT, such as 127.0.0.1:8377")
    return str(value)


def _database(value: str) -> str:
    if not re.match(r"(sqlite|postgres(ql)?)(\+\w+)?:", value):
        raise ValueError("is no database; write sqlite:///PATH or postgresql://HOST/NAME")
    return value


def _regular_expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return value


def _time_of_day(value: Any) -> Any:
    """`03:00` as a time without zone. YAML reads a bare 3:00 in base 60, as 180."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,2}):(\d{2})", value.strip())):
        hour, minute = map(int, match.groups())
        if hour < 24 and minute < 60:
            return time(hour, minute)
    elif isinstance(value, int) and 60 <= value < 24 * 60:
        return time(*divmod(value, 60))
    raise ValueError('is no time of day; write for example "03:00"')


class Strict(BaseModel):
    """Base: unknown keys are refused, values are never changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WindowSection(Strict):
    """How far back and ahead events are kept the same."""

    past: OptionalDuration = timedelta(days=90)
    future: OptionalDuration = None


class FilterSection(Strict):
    """Events that are not wanted on the other side."""

    skip_declined: bool = True
    skip_all_day: bool = False
    only_busy: bool = False
    skip_titles: tuple[Annotated[str, BeforeValidator(_regular_expression)], ...] = ()


class GuardSection(Strict):
    """How much one pass may delete without a person's word."""

    count: int = Field(default=10, ge=0)
    share: float = Field(default=0.2, ge=0, le=1)


class PolicySection(Strict):
    """A policy, or the part of one that a link overrides (None = as in `defaults`)."""

    direction: Direction | None = None
    window: WindowSection | None = None
    content: Content | None = None
    busy_title: str | None = Field(default=None, min_length=1, max_length=200)
    attendees: AttendeePolicy | None = None
    reminders: bool | None = None
    color: bool | None = None
    filters: FilterSection | None = None
    conflict: Conflict | None = None
    edit_versus_delete: EditVersusDelete | None = None
    unwritable: Unwritable | None = None
    delete_guard: GuardSection | None = None

    def over(self, base: Policy) -> Policy:
        """`base` with everything that is set here."""
        values: dict[str, Any] = {
            name: value
            for name in type(self).model_fields
            if name in Policy.__dataclass_fields__ and (value := getattr(self, name)) is not None
        }
        if self.window:
            values["window"] = Window(**self.window.model_dump())
        if self.filters:
            values["filters"] = Filters(**self.filters.model_dump())
        if self.delete_guard:
            values["delete_guard"] = DeleteGuard(**self.delete_guard.model_dump())
        return Policy(**{**{n: getattr(base, n) for n in Policy.__dataclass_fields__}, **values})


class HubSection(Strict):
    """A user's account and calendar at the hub."""

    account: str = Field(min_length=1)
    calendar: str = "primary"


class LinkSection(PolicySection):
    """One link of a user. `source` is another calendar of the hub than the user's usual one."""

    to: str
    account: str = Field(min_length=1)
    calendar: str = "primary"
    source: str | None = None
    name: str | None = Field(default=None, pattern=r"^[^\s/]+$")


class ServiceSection(Strict):
    """How `calbridge run` behaves."""

    listen: Annotated[str, BeforeValidator(_listen)] = "127.0.0.1:8377"
    poll: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))
    nightly: Annotated[time, BeforeValidator(_time_of_day)] = time(3)
    workers: int = Field(default=4, ge=1, le=64)
    engine: Literal["embedded", "procrastinate"] = "embedded"
    log: Literal["text", "json"] = "text"


def _hash(value: SecretStr) -> SecretStr:
    if not well_formed(value.get_secret_value()):
        raise ValueError("is no hash; make one with `calbridge password`")
    return value


def _networks(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is no address or network; write 10.0.0.5 or 10.0.0.0/8"
        ) from None
    return value


PasswordHash = Annotated[SecretStr, AfterValidator(_hash)]
# An environment variable that is not set means that there is none.
MaybeHash = Annotated[PasswordHash | None, BeforeValidator(lambda value: value or None)]


class WebSection(Strict):
    """Who gets to see the dashboard. Without a way to log in there is none."""

    password_hash: MaybeHash = None
    viewer_password_hash: MaybeHash = None
    trusted_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    trusted_proxies: tuple[Annotated[str, AfterValidator(_networks)], ...] = ("127.0.0.1", "::1")
    administrators: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    open_on_loopback: bool = False
    public_url: str | None = Field(default=None, pattern=r"^https?://[^\s/?#@]+$")
    metrics_token: SecretStr | None = None

    @property
    def guarded(self) -> bool:
        """Whether anybody has to say who he is."""
        return bool(self.password_hash or self.viewer_password_hash or self.trusted_header)

    @property
    def served(self) -> bool:
        """Whether there is a dashboard."""
        return self.guarded or self.open_on_loopback


class RootSection(Strict):
    """The whole file. `connectors` and `users` have keys of their own, checked separately."""

    database: Annotated[str, AfterValidator(_database)] = "sqlite:///calbridge.db"
    secret_key: SecretStr | None = None
    old_secret_keys: tuple[SecretStr, ...] = ()
    connectors: dict[str, dict[str, Any]] = Field(min_length=1)
    defaults: PolicySection = PolicySection()
    service: ServiceSection = ServiceSection()
    web: WebSection = WebSection()
    users: dict[str, dict[str, Any]] = Field(default_factory=dict)
