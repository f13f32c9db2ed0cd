"""`check --online` for one account: what works, and what to do about the rest."""

from collections.abc import Callable, Sequence

from connectors.contract import Finding, Role
from connectors.errors import ConnectorError
from connectors.google.client import Client
from connectors.google.connector import calendar_entries, calendar_of

_WRITABLE = (Role.WRITER, Role.OWNER)


def examine(client: Client, account: str) -> Sequence[Finding]:
    """Look at credentials, the account's identity, its calendars and the scope for events.

    Two calls. Never raises; the first failure ends it, because the rest would fail for the same
    reason.
    """
    findings: list[Finding] = []
    for look in (_calendars, _events):
        try:
            findings += look(client, account)
        except ConnectorError as error:
            return (*findings, _failure(look, error, account))
    return tuple(findings)


def _calendars(client: Client, account: str) -> list[Finding]:
    calendars = [calendar_of(entry) for entry in calendar_entries(client)]
    primary = next((calendar.id for calendar in calendars if calendar.primary), "")
    writable = [calendar.name for calendar in calendars if calendar.role in _WRITABLE]
    return [
        Finding(ok=True, subject="credentials", detail=f"Google lets the bridge act as {account}"),
        Finding(
            ok=primary.lower() == account.lower(),
            subject="account",
            detail=f"the primary calendar is {primary or 'missing'}",
            advice=""
            if primary.lower() == account.lower()
            else f"Write `account: {primary}`, or connect again as {account}.",
            code="" if primary.lower() == account.lower() else "other-account",
        ),
        Finding(
            ok=bool(writable),
            subject="write access",
            detail=f"{len(writable)} of {len(calendars)} calendars can be changed",
            advice="" if writable else "Give the account the right to change events somewhere.",
            code="" if writable else "read-only",
        ),
    ]


def _events(client: Client, account: str) -> list[Finding]:
    client.read("events.list", calendarId="primary", maxResults=1, fields="timeZone")
    return [Finding(ok=True, subject="events", detail=f"the events of {account} can be read")]


def _failure(look: Callable[..., list[Finding]], error: ConnectorError, account: str) -> Finding:
    what, _, advice = error.message.partition(". ")
    return Finding(
        ok=False,
        subject="credentials" if look is _calendars else "events",
        detail=what,
        advice=advice or f"Try again later, or connect {account} again.",
        code=error.code,
    )
