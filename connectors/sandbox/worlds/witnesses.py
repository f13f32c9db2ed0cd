"""Look at a target's calendar from behind, to see whether an edit has arrived there."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.google import GoogleSandbox

THURSDAY = 3


class Witness(Protocol):
    """What a target shows of one event, found by its title."""

    name: str

    def start(self, title: str) -> datetime | None:
        """When it (first) starts, None if there is no such event."""

    def lacks(self, title: str, at: datetime) -> bool:
        """True if the series is there, but not its occurrence at that instant."""

    def on_thursdays(self, title: str) -> bool:
        """True if the series takes place on Thursdays too."""


class GoogleWitness:
    """A calendar at Google."""

    name = "Google"

    def __init__(self, sandbox: GoogleSandbox, address: str) -> None:
        self._sandbox = sandbox
        self._address = address

    def start(self, title: str) -> datetime | None:
        """See `Witness`."""
        event = self._event(title)
        if event is None or "dateTime" not in event["start"]:
            return None
        return _instant(event["start"]["dateTime"])

    def lacks(self, title: str, at: datetime) -> bool:
        """See `Witness`: an EXDATE, or a cancelled instance."""
        event = self._event(title)
        if event is None:
            return False
        stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        if any(line.startswith("EXDATE") and stamp in line for line in event["recurrence"]):
            return True
        return any(
            item["status"] == "cancelled"
            for item in self._sandbox.events(self._address, deleted=True)
            if item.get("recurringEventId") == event["id"]
            and _instant(item["originalStartTime"].get("dateTime", "")) == at
        )

    def on_thursdays(self, title: str) -> bool:
        """See `Witness`."""
        event = self._event(title)
        return event is not None and any("TH" in line for line in event["recurrence"])

    def _event(self, title: str) -> dict[str, Any] | None:
        for item in self._sandbox.events(self._address):
            if item.get("summary") == title and "recurringEventId" not in item:
                return item
        return None


class ExchangeWitness:
    """A mailbox at Exchange, seen by its own expansion."""

    name = "Exchange"

    def __init__(self, sandbox: ExchangeSandbox, address: str, around: datetime) -> None:
        self._sandbox = sandbox
        self._address = address
        self._since, self._until = around - timedelta(days=1), around + timedelta(days=60)

    def start(self, title: str) -> datetime | None:
        """See `Witness`."""
        return min(self._starts(title), default=None)

    def lacks(self, title: str, at: datetime) -> bool:
        """See `Witness`."""
        starts = self._starts(title)
        return bool(starts) and at not in starts

    def on_thursdays(self, title: str) -> bool:
        """See `Witness`."""
        return any(start.weekday() == THURSDAY for start in self._starts(title))

    def _starts(self, title: str) -> list[datetime]:
        return [
            item.start
            for item in self._sandbox.occurrences(self._address, self._since, self._until)
            if item.subject == title
        ]


def _instant(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
