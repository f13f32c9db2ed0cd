"""Answering an invitation.

A guest may change his own line among the attendees and no other. With `attendeesOmitted`, the
other lines need not be sent and cannot be touched (reference of the Events resource). Google
carries the answer to the organiser's calendar by itself; with `sendUpdates=none` nobody is mailed.
"""

from connectors.contract import Copy
from connectors.errors import ConflictError, RejectedError
from connectors.google.client import Client
from connectors.google.errors import PROVIDER, AbsentError
from connectors.google.reading import Reader
from mappings import google as dialect
from mappings.model import Response

_OPERATION = "events.patch"


def answer(client: Client, reader: Reader, calendar: str, copy: Copy, response: Response) -> Copy:
    """Give this answer. Two calls, and one more for a series.

    Raises `ConflictError` if the invitation is gone or was answered otherwise meanwhile.
    """
    wire = reader.get(calendar, copy.ref)
    if wire is None or dialect.is_cancelled(wire):
        raise _conflict(copy.ref, None)
    own = next((line for line in wire.get("attendees") or () if line.get("self")), None)
    if own is None:
        raise RejectedError(
            f"The account is no guest of the event {copy.ref} (any more).",
            provider=PROVIDER,
            operation=_OPERATION,
            code="no-guest",
        )
    shown = reader.copy(wire, reader.zone(calendar)).event.details.response
    if shown not in (response, copy.event.details.response):
        raise _conflict(copy.ref, reader.of_wire(calendar, wire))
    if shown != response:
        line = {"email": own["email"], "responseStatus": dialect.response_word(response)}
        try:
            wire = client.write(
                _OPERATION,
                version=wire["etag"],
                calendarId=calendar,
                eventId=copy.ref,
                body={"attendees": [line], "attendeesOmitted": True},
                sendUpdates="none",
            )
        except AbsentError as error:
            raise _conflict(copy.ref, None) from error
        except ConflictError as error:
            raise _conflict(copy.ref, reader.unit(calendar, copy.ref)) from error
    answered = reader.of_wire(calendar, wire)
    if answered is None:
        raise _conflict(copy.ref, None)
    return answered


def _conflict(ref: str, current: Copy | None) -> ConflictError:
    return ConflictError(
        f"The invitation {ref} was {'changed' if current else 'withdrawn'} meanwhile.",
        current=current,
        provider=PROVIDER,
        operation=_OPERATION,
        code="conditionNotMet",
    )
