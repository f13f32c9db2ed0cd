"""One authenticated API call, and how its parameters are read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.sandbox.feishu.errors import RefusalError, violation, wrong_type
from connectors.sandbox.feishu.state import App, User, World
from connectors.sandbox.http import Request

TokenKind = Literal["tenant", "user"]


@dataclass(frozen=True)
class Caller:
    """Who calls: a user through an app, or the app's own bot."""

    app: App
    user: User
    kind: TokenKind
    scopes: frozenset[str]


@dataclass(frozen=True)
class Call:
    """One call. `args` are the path parameters, percent-decoded; `body` a JSON object; `at_once`
    for a user's own client, which shows at once what he does there."""

    world: World
    caller: Caller
    args: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    at_once: bool = False

    @property
    def user(self) -> User:
        """The identity whose rights count."""
        return self.caller.user

    @property
    def id_kind(self) -> str:
        """The asked `user_id_type`."""
        kind = self.query.get("user_id_type") or "open_id"
        if kind not in ("open_id", "union_id", "user_id"):
            raise wrong_type("user_id_type", kind, "open_id, union_id or user_id")
        return kind

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean query parameter; the Python SDK capitalises it."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        if text.lower() not in ("true", "false"):
            raise wrong_type(name, text, "true or false")
        return text.lower() == "true"

    def size(self, low: int, high: int, default: int, *, raise_small: bool = False) -> int:
        """`page_size` within its documented bounds."""
        text = self.query.get("page_size")
        if not text:
            return default
        if not text.isdecimal():
            raise wrong_type("page_size", text, "a number is expected")
        size = int(text)
        if low <= size <= high:
            return size
        if self.world.switches.page_size == "clamped" or (raise_small and size < low):
            return min(max(size, low), high)
        raise violation("page_size", text, f"{low} to {high}")

    def seconds(self, name: str) -> int | None:
        """A query parameter in Unix seconds."""
        text = self.query.get(name)
        if not text:
            return None
        if not text.isdecimal():
            raise violation(name, text, "seconds are expected")
        return int(text)

    def visible_id(self, user: User) -> dict[str, str]:
        """`user_id` of the asked kind, or nothing where the scope is missing."""
        kind = self.id_kind
        if kind == "user_id" and "contact:user.employee_id:readonly" not in self.caller.scopes:
            return {}
        return {"user_id": user.id(kind)}


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in the body, empty if there is none. Raises 99992402."""
    try:
        value = request.json()
    except ValueError:
        raise RefusalError(99992402, msg="the body is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusalError(99992402, msg="the body is not a JSON object")
    return value


Handler = Callable[[Call], dict[str, Any]]

READ = ("calendar:calendar", "calendar:calendar:readonly")
WRITE = ("calendar:calendar",)


@dataclass(frozen=True)
class Route:
    """An API: `path` below /open-apis, `{name}` a parameter; any one of `scopes` suffices."""

    method: str
    path: str
    operation: str
    handler: Handler
    scopes: tuple[str, ...] = ()
    tokens: tuple[TokenKind, ...] = ("tenant", "user")
