"""The account's own answer to an invitation (RFC 5545 PARTSTAT), apart from what the event says."""

from collections.abc import Callable
from dataclasses import replace

from connectors.contract import Copy
from mappings.model import Event, Response

ANSWERS = frozenset({Response.ACCEPTED, Response.TENTATIVE, Response.DECLINED})
"""What can be answered. No provider lets an answer be taken back."""


def updated(
    copy: Copy,
    event: Event,
    change: Callable[[Event], Copy],
    answer: Callable[[Copy, Response], Copy],
) -> Copy:
    """As `Connector.update`, by a provider for which an answer is a call of its own: everything
    else is changed first, because a declined meeting may leave the calendar."""
    response = _new_answer(copy, event)
    if response is None:
        return change(event)
    rest = with_answer(event, copy.event.details.response)
    return answer(change(rest) if rest != copy.event else copy, response)


def _new_answer(copy: Copy, event: Event) -> Response | None:
    """The answer that `event` wants given, None if there is none to give: the account organises
    the event itself, was not invited, or has answered so already."""
    wanted, given = event.details.response, copy.event.details.response
    if copy.organized or given is None or wanted == given or wanted not in ANSWERS:
        return None
    return wanted


def with_answer(event: Event, response: Response | None) -> Event:
    """The event with another answer, and everything else as it is."""
    return replace(event, details=replace(event.details, response=response))
