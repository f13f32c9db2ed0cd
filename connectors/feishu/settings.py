"""What an administrator may say about one Feishu or Lark app in the config."""

from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from mappings.feishu import FeishuDialect

_API = {"feishu": "https://open.feishu.cn", "lark": "https://open.larksuite.com"}
_ACCOUNTS = {"feishu": "https://accounts.feishu.cn", "lark": "https://accounts.larksuite.com"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

DEFAULT_SCOPES = (
    "calendar:calendar",
    "calendar:calendar:readonly",
    "contact:user.employee_id:readonly",
    "contact:user.id:readonly",
    "offline_access",
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Delivery(_Strict):
    """How Feishu tells us about changes.

    `long-connection` needs no public address, `webhook` does; with `none` changes are only found
    by polling. `encrypt_key` and `verification_token` are those of the app's event page; a
    webhook needs at least one of them. A webhook call older than `max_age` is refused: Feishu
    redelivers for up to 6 h 6 min, so less than 7 h loses redeliveries (docs: event overview).
    `silence` is how long a long connection may show no sign of life, in ping intervals.
    """

    mode: Literal["long-connection", "webhook", "none"] = "long-connection"
    encrypt_key: SecretStr | None = None
    verification_token: SecretStr | None = None
    max_age: timedelta = timedelta(hours=7)
    silence: float = Field(default=2.5, gt=1)

    @model_validator(mode="after")
    def _webhook_is_authenticated(self) -> Self:
        if self.mode == "webhook" and not (self.encrypt_key or self.verification_token):
            raise ValueError("a webhook needs encrypt_key or verification_token, better both")
        return self


class Dialect(_Strict):
    """Behaviour of Calendar v4 that its documentation leaves open; see `FeishuDialect`.

    `cancelled_in_listing`: whether a full listing shows removed occurrences. Where they are
    `hidden`, each series of such a listing costs two or more calls that find them.
    """

    read_end: Literal["exclusive", "inclusive"] = "exclusive"
    write_end: Literal["exclusive", "inclusive"] = "inclusive"
    until_date: Literal["midnight", "whole_day"] = "whole_day"
    blank_location: str = " "
    cancelled_in_listing: Literal["shown", "hidden"] = "shown"

    @property
    def mapping(self) -> FeishuDialect:
        """The same for the translation."""
        return FeishuDialect(**self.model_dump(exclude={"cancelled_in_listing"}))


class Settings(_Strict):
    """One app of one tenant.

    `domain`: `feishu` (China), `lark` (international), or the API's https origin.
    `accounts_domain`: origin of the consent page; needed only where `domain` is an origin.
    `identity`: whose calendars are bridged with which token: each `user` consents, or the
    app's own `tenant` token is used, which sees only calendars shared with the app's bot.
    `timeout`: seconds one call may take. `attempts`: how often a call is tried.
    `full_since`: how far back the first listing reaches, in Unix seconds; 1 = everything, which
    is the only value that also brings exceptions of long-running series from before it.
    `attendees`: `read` asks for the attendees of each changed event (one GET each: listings
    carry none), `skip` saves those calls and shows no attendees.
    """

    app_id: str = Field(min_length=1)
    app_secret: SecretStr
    domain: str = "feishu"
    accounts_domain: str | None = None
    identity: Literal["user", "tenant"] = "user"
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    delivery: Delivery = Delivery()
    dialect: Dialect = Dialect()
    attendees: Literal["read", "skip"] = "read"
    full_since: int = Field(default=1, ge=1)
    page_size: int = Field(default=500, ge=50, le=1000)
    timeout: float = Field(default=30, gt=0)
    attempts: int = Field(default=5, ge=1, le=10)

    @field_validator("app_secret")
    @classmethod
    def _secret_is_given(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value():
            raise ValueError("app_secret is empty")
        return value

    @field_validator("domain", "accounts_domain")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None or value in _API:
            return value
        parts = urlsplit(value.rstrip("/"))
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        bare = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
        if not (secure and bare and parts.hostname):
            raise ValueError("say feishu, lark, or an https origin without path")
        return parts.geturl()

    @property
    def api_origin(self) -> str:
        """Where the API is served, without trailing slash."""
        return _API.get(self.domain, self.domain)

    @property
    def accounts_origin(self) -> str:
        """Where users give consent, without trailing slash."""
        domain = self.accounts_domain or self.domain
        return _ACCOUNTS.get(domain, domain)
