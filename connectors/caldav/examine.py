"""`check --online` for one account: what works, and what to do about the rest."""

from collections.abc import Sequence

from connectors.caldav import dav, homes
from connectors.caldav.client import Client
from connectors.contract import Finding, Role
from connectors.errors import ConnectorError

_WRITABLE = (Role.WRITER, Role.OWNER)


def examine(client: Client, account: str, addresses: Sequence[str]) -> Sequence[Finding]:
    """Look at address and login, the calendars, how changes are found, and who would be mailed.

    Four to eight calls. Never raises; the first failure ends it, because the rest would fail for
    the same reason.
    """
    findings: list[Finding] = []
    subject = "login"
    try:
        who = homes.principal(client)
        subject = "calendars"
        found = list(homes.calendars(client, who))
        calendars = [calendar for calendar, _ in found]
        writable = [calendar for calendar in calendars if calendar.role in _WRITABLE]
        findings += [
            Finding(ok=True, subject="login", detail=f"{account} is {who.url}"),
            Finding(
                ok=bool(writable),
                subject="write access",
                detail=f"{len(writable)} of {len(calendars)} calendars can be changed: "
                + ", ".join(f"{calendar.name} ({calendar.id})" for calendar in calendars[:10]),
                advice="" if writable else "Check `url`, or give the account a calendar.",
                code="" if writable else "read-only",
            ),
        ]
        subject = "changes"
        findings.append(_on_changes([answer for _, answer in found]))
        findings += _on_people(client, who, addresses)
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
    return tuple(findings)


def _on_changes(answers: Sequence[dav.Answer]) -> Finding:
    without = sum(not answer.text(dav.TOKEN).strip() for answer in answers)
    if not without:
        return Finding(ok=True, subject="changes", detail="the server tells what has changed")
    return Finding(
        ok=True,
        subject="changes",
        detail=f"{without} of {len(answers)} calendars have no sync tokens; every look lists all "
        "their ETags",
        code="no-sync-token",
    )


def _on_people(client: Client, who: homes.Principal, addresses: Sequence[str]) -> Sequence[Finding]:
    found = []
    told = ", ".join(sorted(who.addresses)) or "none"
    if not who.addresses <= {address.lower() for address in addresses} or not addresses:
        found.append(
            Finding(
                ok=True,
                subject="addresses",
                detail=f"mail addresses of the account: {', '.join(addresses) or 'none'} by the "
                f"config, {told} by the server; a meeting whose organiser is not among the "
                "config's is taken for somebody else's",
                advice="Write the account's `addresses`.",
                code="addresses",
            )
        )
    if "calendar-auto-schedule" in client.features(who.homes[0]):
        found.append(
            Finding(
                ok=True,
                subject="mail",
                detail="the server mails guests by itself; meetings with guests that people made "
                "there are not changed by the bridge, unless `mail_guests` permits it",
                code="auto-schedule",
            )
        )
    return found
