"""What the config may say about a CalDAV connector."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from mappings import zones

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_encrypted_or_loopback(url: str) -> bool:
    """Whether a login may be sent to this address."""
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    return (parts.scheme == "https" and bool(parts.hostname)) or loopback


def _address(url: str) -> str:
    if not is_encrypted_or_loopback(url):
        raise ValueError("must be an https address (http is taken on loopback only)")
    if urlsplit(url).username is not None:
        raise ValueError("must not contain a login; write it under `accounts`")
    return url.rstrip("/") + "/"


def _known_zone(zone: str) -> str:
    if not zones.is_known(zone):
        raise ValueError("must be an IANA time zone, for instance Asia/Shanghai")
    return zone


def _existing_file(path: str) -> str:
    if not Path(path).is_file():
        raise ValueError("there is no such file; write an absolute path")
    return path


Address = Annotated[str, AfterValidator(_address)]
Zone = Annotated[str, AfterValidator(_known_zone)]
File = Annotated[str, AfterValidator(_existing_file)]


class Account(BaseModel):
    """One login. `username` is the account's name in the config unless it says otherwise; `url`
    counts before the connector's. `addresses` are the account's own mail addresses: what names
    another organiser is somebody else's meeting."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    password: SecretStr
    username: str | None = None
    url: Address | None = None
    addresses: tuple[str, ...] = ()


class Settings(BaseModel):
    """One CalDAV server, and the logins to it by account.

    `url` is the server, a principal, or a collection of calendars; where it is only the server,
    `/.well-known/caldav` is asked (RFC 6764). `zone` is that of floating times in calendars that
    name none. `ca_bundle` is a file with the certificates that are trusted. `expansion`: for
    `verify`, occurrences are expanded by the server (`calendar-query` with `expand`), or by the
    bridge where a server cannot. `empty_is_deleted`: some servers (Feishu's) go on naming a deleted
    object, without content. `mail_guests`: whether the server may mail the guests of a meeting that
    a person made there when the bridge changes it; without, such a change is refused at servers
    that mail by themselves (RFC 6638).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Address
    accounts: dict[str, Account] = Field(min_length=1)
    auth: Literal["basic", "digest"] = "basic"
    zone: Zone = "UTC"
    ca_bundle: File | None = None
    expansion: Literal["server", "bridge"] = "server"
    empty_is_deleted: bool = False
    mail_guests: bool = False
    batch: int = Field(default=200, ge=1, le=1000)
    max_connections: int = Field(default=8, ge=1, le=100)
    calls_per_minute: float | None = Field(default=None, gt=0)
    timeout_seconds: float = Field(default=60, gt=0)
