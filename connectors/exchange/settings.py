"""What the config may say about an Exchange connector."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from mappings import zones

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_encrypted_or_loopback(url: str) -> bool:
    """Whether a login may be sent to this address."""
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    return (parts.scheme == "https" and bool(parts.hostname)) or loopback


def _encrypted_or_loopback(url: str) -> str:
    if not is_encrypted_or_loopback(url):
        raise ValueError("must be an https address (http is taken on loopback only)")
    return url


def _soap_service(url: str) -> str:
    if not urlsplit(url).path.lower().endswith("/autodiscover.svc"):
        raise ValueError("must end in /autodiscover/autodiscover.svc (not .xml)")
    return url


def _known_zone(zone: str) -> str:
    if not zones.is_known(zone):
        raise ValueError("must be an IANA time zone, for instance Asia/Shanghai")
    return zone


def _existing_file(path: str) -> str:
    if not Path(path).is_file():
        raise ValueError("there is no such file; write an absolute path")
    return path


Address = Annotated[str, AfterValidator(_encrypted_or_loopback)]
Zone = Annotated[str, AfterValidator(_known_zone)]
File = Annotated[str, AfterValidator(_existing_file)]


class OAuthSettings(BaseModel):
    """An application with a secret of its own (OAuth client credentials grant).

    `token_url` follows from `tenant` at Microsoft's public cloud; national clouds and AD FS have
    their own. The application needs the right `full_access_as_app` and acts by impersonation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    tenant: str = Field(min_length=1)
    token_url: Address | None = None
    scope: str = "https://outlook.office365.com/.default"

    @property
    def tokens_from(self) -> str:
        """Where tokens are asked for."""
        return self.token_url or (
            f"https://login.microsoftonline.com/{self.tenant}/oauth2/v2.0/token"
        )


class Settings(BaseModel):
    """One Exchange organization, reached with one login.

    Without `endpoint` the Autodiscover service is asked for each account's server: the one that
    `autodiscover` names, or the one that the account's domain publishes. `access` says how one
    login opens many mailboxes: `delegate` (calendars shared with it, or its own) or
    `impersonation` (the ApplicationImpersonation role). `zone` is the time zone of the mailboxes,
    in which their all-day events are days; `zones` names those that have another. `version` only
    saves a question; an older server is found out. `ca_bundle` is a file with the certificates
    that are trusted. `calls_per_minute` for a mailbox, `server_calls_per_minute` for all together
    and `max_connections` stay below what the server's throttling policy permits
    (EWSMaxConcurrency 27). `max_streams` bounds the streaming connections, each with up to 200
    calendars: HangingConnectionLimit is 3 on premises and 10 at Exchange Online.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    endpoint: Address | None = None
    autodiscover: Annotated[Address, AfterValidator(_soap_service)] | None = None
    auth: Literal["basic", "ntlm", "oauth2"] = "ntlm"
    username: str | None = None
    password: SecretStr | None = None
    oauth: OAuthSettings | None = None
    access: Literal["delegate", "impersonation"] = "delegate"
    ca_bundle: File | None = None
    version: Literal["2010", "2013", "2016", "2019", "online"] = "2016"
    max_connections: int = Field(default=8, ge=1, le=100)
    calls_per_minute: float | None = Field(default=None, gt=0)
    server_calls_per_minute: float | None = Field(default=None, gt=0)
    timeout_seconds: float = Field(default=60, gt=0)
    zone: Zone = "UTC"
    zones: dict[str, Zone] = Field(default_factory=dict)
    streaming: bool = True
    max_streams: int = Field(default=3, ge=1, le=100)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.endpoint and self.autodiscover:
            raise ValueError("write endpoint or autodiscover, not both")
        if self.auth == "oauth2":
            if self.oauth is None or self.username or self.password:
                raise ValueError("auth oauth2 takes `oauth`, and neither username nor password")
            if self.access != "impersonation":
                raise ValueError(
                    "an application acts by impersonation: write access: impersonation"
                )
        elif self.oauth is not None or not self.username or self.password is None:
            raise ValueError(f"auth {self.auth} takes username and password, and no `oauth`")
        return self

    def zone_of(self, account: str) -> str:
        """The time zone of an account's mailbox."""
        folded = {name.lower(): zone for name, zone in self.zones.items()}
        return folded.get(account.lower(), self.zone)
