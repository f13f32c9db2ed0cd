"""The other party of the contract suite: a person with his own client at the same calendar."""

from enum import StrEnum
from typing import Protocol

from mappings.model import Event, Key


class Breakage(StrEnum):
    """What can become of the connector's next write."""

    REQUEST_LOST = "request-lost"
    ANSWER_LOST = "answer-lost"
    UNAVAILABLE = "unavailable"


class OtherParty(Protocol):
    """Edits the calendar behind the connector's back, and knows what the service has done.

    It must reach the service by another way than the connector under test: a mistake that both
    share would not be seen. Starts are wall clocks in the event's own zone, `YYYY-MM-DDTHH:MM`
    (timed) or `YYYY-MM-DD` (all-day); durations stay as they are.
    """

    def put_event(self, event: Event) -> str:
        """Create it and give its ref as the connector would. Only `title`, `when` and `rule`
        need to be carried over."""

    def edit(self, ref: str, *, title: str | None = None, start: str | None = None) -> None:
        """Change the event, or the series with all occurrences that are no exceptions."""

    def delete(self, ref: str) -> None:
        """Delete the event, or the series with everything that belongs to it."""

    def edit_occurrence(
        self, ref: str, key: Key, *, title: str | None = None, start: str | None = None
    ) -> None:
        """Change one occurrence."""

    def cancel_occurrence(self, ref: str, key: Key) -> None:
        """Remove one occurrence."""

    def put_invitation(self, event: Event) -> tuple[str, str] | None:
        """Invite the account to somebody else's event, and give the calendar in which that
        arrives and its ref there; None if nobody can. Mails are not counted."""

    def put_unreadable(self) -> str | None:
        """Create something the connector cannot translate, and give its ref; None if the service
        would not take anything of that kind."""

    def void_cursors(self) -> None:
        """Make the service refuse every cursor it has given out."""

    def break_next_write(self, how: Breakage) -> None:
        """Let the connector's next create, update or delete meet this fault, once."""

    def sent_mails(self) -> int:
        """How many mails and messages the service has sent to anybody so far."""
