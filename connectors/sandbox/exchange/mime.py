"""An item as iCalendar text, for those who ask for item:MimeContent."""

from datetime import datetime

from connectors.sandbox.exchange.occurrences import View
from connectors.sandbox.exchange.state import Mailbox


def calendar_text(view: View, mailbox: Mailbox, uid: str) -> str:
    """One VEVENT in UTC; the rule of a series is not in it."""
    subject = str(view.value("item:Subject") or "")
    for sign in ("\\", ";", ","):
        subject = subject.replace(sign, f"\\{sign}")
    lines = (
        "BEGIN:VCALENDAR",
        "METHOD:PUBLISH",
        "PRODID:Microsoft Exchange Server 2010",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"SUMMARY:{subject}",
        f"ORGANIZER;CN={mailbox.name}:mailto:{mailbox.address}",
        f"DTSTART:{_utc(view.start)}",
        f"DTEND:{_utc(view.end)}",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "\r\n".join(lines) + "\r\n"


def _utc(value: datetime) -> str:
    return f"{value:%Y%m%dT%H%M%SZ}"
