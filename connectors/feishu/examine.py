"""Tries an account out, one thing after the other, for `calbridge check --online`."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from connectors.contract import Calendar, Connector, Finding, Provider, Role
from connectors.errors import ConnectorError, RateLimitedError, ReauthorizeError, RetryableError

_ADVICE: tuple[tuple[type[ConnectorError], str], ...] = (
    (ReauthorizeError, "run `calbridge connect`, or let the app's administrator check its scopes"),
    (RateLimitedError, "wait, or poll less often"),
    (RetryableError, "try again; if it stays, check the network and `domain`"),
)


def examine(provider: Provider, account: str, identity: str) -> list[Finding]:
    """What works for this account and what does not; never raises. Reads only."""
    findings: list[Finding] = []

    def tried(subject: str, attempt: Callable[[], Any]) -> Any:
        try:
            value = attempt()
        except ConnectorError as error:
            findings.append(_failed(subject, error))
            return None
        findings.append(Finding(ok=True, subject=subject))
        return value

    people = tried("app credentials", lambda: provider.resolve([account]))
    if people is not None and account not in people:
        findings.append(_unknown(account))
    connector = provider.connect(account)
    calendars = tried(f"{identity} token", connector.calendars) or ()
    for calendar in calendars:
        findings.extend(_about(calendar))
        if calendar.primary and not calendar.foreign:
            subject = f"events of {calendar.name or calendar.id}"
            tried(subject, partial(_peek, connector, calendar.id))
    with suppress(ConnectorError):
        connector.close()
    return findings


def _peek(connector: Connector, calendar: str) -> None:
    """Read a window with hardly anything in it, which needs the same rights as any other."""
    start = datetime(2001, 1, 1, tzinfo=UTC)
    for _ in connector.occurrences(calendar, start, start.replace(hour=1)):
        return


def _about(calendar: Calendar) -> Iterator[Finding]:
    subject = f"calendar {calendar.name or calendar.id}"
    if calendar.foreign:
        yield Finding(
            ok=False,
            subject=subject,
            detail=f"Feishu itself keeps it in step with {calendar.foreign}",
            advice="end that binding in Feishu, or leave this account out of the config: two "
            "synchronisers on one pair make duplicates",
            code="FOREIGN",
        )
    elif calendar.role not in (Role.WRITER, Role.OWNER):
        yield Finding(ok=True, subject=subject, detail=f"readable only ({calendar.role.value})")


def _unknown(account: str) -> Finding:
    return Finding(
        ok=False,
        subject=account,
        detail="Feishu does not know this person",
        advice="use the address of the Feishu account itself, and let an administrator widen the "
        "app's contact range",
        code="UNKNOWN_ACCOUNT",
    )


def _failed(subject: str, error: ConnectorError) -> Finding:
    advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), "")
    return Finding(ok=False, subject=subject, detail=error.message, advice=advice, code=error.code)
