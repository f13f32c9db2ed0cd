"""What the config may say about a Google connector."""

import json
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

EVENTS_SCOPE = "https://www.googleapis.com/auth/calendar.events"
CALENDARS_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _encrypted_or_loopback(url: str) -> str:
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if parts.scheme != "https" and not loopback:
        raise ValueError("must be an https address (http is taken on loopback only)")
    return url


Address = Annotated[str, AfterValidator(_encrypted_or_loopback)]


class Settings(BaseModel):
    """One project at Google, with one of two ways to act for a user.

    `service_account` is the key file's JSON text: the service account then acts as each
    configured user (domain-wide delegation). `client_id` and `client_secret` name an OAuth
    client instead; each user consents once. `quota_user` makes delegated calls count for the user
    rather than for the service account (guide "Usage limits"). `api_root`, `token_uri` and
    `auth_uri` change only for a sandbox or a proxy. `calls_per_minute` is what the project's
    console shows as "queries per minute per user", `project_calls_per_minute` as "queries per
    minute": what all accounts together may make. `push_url` is the public https address at which
    Google reaches `/hooks/NAME` of the bridge's web part; Google takes no other (guide "Push
    notifications"). Without it changes at Google are found by polling.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    service_account: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    scopes: tuple[str, ...] = (EVENTS_SCOPE, CALENDARS_SCOPE)
    api_root: Address = "https://www.googleapis.com/"
    token_uri: Address = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    auth_uri: Address = "https://accounts.google.com/o/oauth2/v2/auth"
    quota_user: bool = True
    calls_per_minute: float = Field(default=600, gt=0)
    project_calls_per_minute: float = Field(default=10_000, gt=0)
    timeout_seconds: float = Field(default=60, gt=0)
    push_url: Address | None = None

    @field_validator("service_account", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return json.dumps(value) if isinstance(value, dict) else value

    @field_validator("service_account")
    @classmethod
    def _is_key_file(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            key = json.loads(value.get_secret_value())
        except ValueError:
            key = None
        wanted = ("client_email", "private_key")
        if not isinstance(key, dict) or not all(isinstance(key.get(part), str) for part in wanted):
            raise ValueError(
                "must be the JSON text of a service account key (client_email, private_key); "
                "read it in with ${file:PATH}"
            )
        return value

    @field_validator("api_root")
    @classmethod
    def _with_slash(cls, value: str) -> str:
        return value.rstrip("/") + "/"

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("client_id and client_secret belong together")
        if (self.service_account is None) == (self.client_id is None):
            raise ValueError("give either service_account, or client_id and client_secret")
        return self
