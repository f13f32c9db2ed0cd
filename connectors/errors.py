"""What went wrong at a provider, by consequence: callers branch on the class, never on text.

ConnectorError
├── RetryableError        nothing happened; the same call may work later
│   └── RateLimitedError  ... not before `after` seconds have passed
├── ReauthorizeError      consent, credential or right is missing: a person must act
├── ConflictError         the object is not what we thought; `current` shows it (None = gone)
├── ResyncError           the cursor is void: list everything again
├── OutcomeUnknownError   the write may or may not have happened: look before repeating
├── RejectedError         this unit will never be taken as it is: park it, go on
└── FatalError            this calendar cannot be used at all: stop the link, delete nothing
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.contract import Copy


class ConnectorError(Exception):
    """Base of all. `message` is for people: what happened and what to do; never a secret.

    `code` is the provider's own code, `request_id` its log id, for support cases. `account` is
    (connector, account) that it came from; whoever knows that fills it in.
    """

    account: tuple[str, str] | None = None

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        operation: str = "",
        code: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.operation = operation
        self.code = code
        self.request_id = request_id

    @property
    def facts(self) -> Mapping[str, str]:
        """Provider, operation, code and request id, as far as known."""
        pairs = {
            "provider": self.provider,
            "operation": self.operation,
            "code": self.code,
            "request_id": self.request_id,
        }
        return {name: value for name, value in pairs.items() if value}


class RetryableError(ConnectorError):
    """A passing fault: nothing was changed, the same call may succeed later."""


class RateLimitedError(RetryableError):
    """The provider asks for patience of `after` seconds (its own figure, or our estimate)."""

    def __init__(self, message: str, *, after: float, **facts: str) -> None:
        super().__init__(message, **facts)
        self.after = after


class ReauthorizeError(ConnectorError):
    """The account's consent, credential, scope or right is missing or lost."""


class ConflictError(ConnectorError):
    """The precondition of a write failed. `current` is the unit now, None if it is gone."""

    def __init__(self, message: str, *, current: "Copy | None", **facts: str) -> None:
        super().__init__(message, **facts)
        self.current = current


class ResyncError(ConnectorError):
    """The cursor is expired, foreign or malformed; only a full listing helps."""


class OutcomeUnknownError(ConnectorError):
    """The answer to a write was lost. It must be looked up before it may be repeated."""


class RejectedError(ConnectorError):
    """The provider refuses this unit's content for good."""


class FatalError(ConnectorError):
    """The calendar, user or tenant is gone or unusable. Never a reason to delete anything."""
