"""For whom a request is made ("Impersonation and EWS in Exchange")."""

from connectors.sandbox.exchange.auth import App
from connectors.sandbox.exchange.call import Call, check_status, fault_of
from connectors.sandbox.exchange.errors import EwsError, EwsFaultError, HttpRefusalError
from connectors.sandbox.exchange.soap import Element, child, text
from connectors.sandbox.exchange.state import Mailbox, World
from connectors.sandbox.http import Response


def call_of(world: World, caller: Mailbox | App, header: Element | None, body: Element) -> Call:
    """The call with the rights that hold for it. Raises EwsFaultError or HttpRefusalError."""
    zone = ""
    if header is not None:
        definition = child(header, "t:TimeZoneContext/t:TimeZoneDefinition")
        zone = definition.get("Id") if definition is not None else ""
    target = _impersonated(world, header)
    mailbox = target or caller
    if isinstance(mailbox, App):
        raise EwsFaultError(
            "ErrorImpersonationRequired",
            "ExchangeImpersonation SOAP header must be present for this type of OAuth token.",
        )
    if target is not None:
        may = caller.may_act_for(target.address) if isinstance(caller, App) else (
            caller is target or caller.impersonates
        )  # fmt: skip
        if not may:
            raise EwsFaultError("ErrorImpersonateUserDenied")
    if mailbox.status == "password_expired":
        raise EwsFaultError("ErrorPasswordExpired")
    if mailbox.status == "ews_disabled":
        raise HttpRefusalError(Response(403, b"", {"X-CasErrorCode": "EwsDisabled"}))
    try:
        check_status(mailbox)
        if zone:
            world.zones.rules(zone)
    except EwsError as error:
        raise fault_of(error) from None
    return Call(world, mailbox, mailbox, body, zone or "")


def _impersonated(world: World, header: Element | None) -> Mailbox | None:
    if header is None or child(header, "t:ExchangeImpersonation") is None:
        return None
    sid = "t:ExchangeImpersonation/t:ConnectingSID/t:"
    names = ("PrimarySmtpAddress", "SmtpAddress", "PrincipalName")
    address = next((found for name in names if (found := text(header, sid + name))), "")
    if not address:
        raise EwsFaultError("ErrorInvalidExchangeImpersonationHeaderData")
    try:
        return world.mailbox(address)
    except EwsError as error:
        raise fault_of(error) from None
