"""`check --online` for one account: what works, and what to do about the rest."""

from collections.abc import Sequence

from connectors.contract import Finding, Role
from connectors.errors import ConnectorError
from connectors.exchange import folders
from connectors.exchange.client import Client
from connectors.exchange.settings import Settings

_WRITABLE = (Role.WRITER, Role.OWNER)


def examine(client: Client, settings: Settings) -> Sequence[Finding]:
    """Look at endpoint and login, the mailbox and its calendars, and whether events can be read.

    Three calls, and what Autodiscover takes. Never raises; the first failure ends it, because the
    rest would fail for the same reason.
    """
    findings: list[Finding] = []
    subject = "autodiscover"
    try:
        if found := client.found():
            before = f" (before that: {'; '.join(map(str, found.tried))})" if found.tried else ""
            findings.append(
                Finding(
                    ok=True,
                    subject=subject,
                    detail=f"{found.service} says that {found.endpoint} has the mailbox of "
                    f"{client.account}{before}",
                )
            )
        subject = "login"
        calendars = folders.calendars(client, settings.zone_of(client.account))
        writable = [calendar for calendar in calendars if calendar.role in _WRITABLE]
        findings.append(
            Finding(
                ok=True,
                subject="login",
                detail=f"Exchange lets the bridge open the mailbox of {client.account} "
                f"({settings.auth}, {settings.access})",
            )
        )
        findings.append(
            Finding(
                ok=bool(writable),
                subject="write access",
                detail=f"{len(writable)} of {len(calendars)} calendars can be changed",
                advice="" if writable else "Give the login the right to change a calendar.",
                code="" if writable else "read-only",
            )
        )
        subject = "events"
        content = {
            "ItemShape": {"BaseShape": "IdOnly"},
            "SyncFolderId": {"FolderId": {"@Id": calendars[0].id}},
            "MaxChangesReturned": "1",
        }
        client.one("SyncFolderItems", content)
        detail = f"the events of {client.account} can be read"
        findings.append(Finding(ok=True, subject="events", detail=detail))
    except ConnectorError as error:
        what, _, advice = error.message.partition(". ")
        findings.append(
            Finding(
                ok=False,
                subject=subject,
                detail=what,
                advice=advice or "Try again later.",
                code=error.code,
            )
        )
    if settings.zone == "UTC" and client.account not in {n.lower() for n in settings.zones}:
        findings.append(
            Finding(
                ok=True,
                subject="time zone",
                detail="all-day events are taken for days in UTC",
                advice="Write `zone`, the time zone of the mailboxes, unless that is right.",
                code="zone-utc",
            )
        )
    return tuple(findings)
