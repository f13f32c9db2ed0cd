"""What the connector itself says no to, before or in between its calls."""

from connectors.errors import ConflictError, OutcomeUnknownError, RejectedError
from connectors.feishu.errors import PROVIDER
from mappings.model import Event

DEAD_KEY = "dead-key"
"""The code of what is made under a key whose event was deleted."""


def check_holdable(event: Event) -> None:
    """Raises `RejectedError` for an event that no Feishu event can be."""
    if event.rdates:
        raise RejectedError(
            "a Feishu series cannot hold extra dates; take the dates out of the series and make "
            "each of them an event of its own",
            provider=PROVIDER,
            code="rdates",
        )


def gone() -> ConflictError:
    """The event is not there any more."""
    return ConflictError("the event was deleted meanwhile", current=None, provider=PROVIDER)


def two_stand() -> OutcomeUnknownError:
    """A replacement broke off after its first half."""
    return OutcomeUnknownError(
        "the event was made anew and the old one is still there; the change is completed with the "
        "next attempt",
        provider=PROVIDER,
    )


def dead_key() -> ConflictError:
    """Somebody deleted what was made with this key."""
    return ConflictError(
        "the event made with this key was deleted; a new one needs a new key",
        current=None,
        provider=PROVIDER,
        code=DEAD_KEY,
    )
