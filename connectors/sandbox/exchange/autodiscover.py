"""Autodiscover, as a SOAP service and in its plain form ("GetUserSettings operation (SOAP)", "POX
Autodiscover web service reference for Exchange")."""

import re
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

from lxml import etree  # type: ignore[import-untyped]

from connectors.sandbox.exchange import schema, soap
from connectors.sandbox.exchange.errors import EwsFaultError
from connectors.sandbox.exchange.soap import AUTODISCOVER, Element, text
from connectors.sandbox.exchange.state import World
from connectors.sandbox.http import Request, Response

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
ANSWER = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
ACTION = f"{AUTODISCOVER}/Autodiscover/GetUserSettings"
SERVICE, PLAIN = "/autodiscover/autodiscover.svc", "/autodiscover/autodiscover.xml"
Redirect = Literal["RedirectAddress", "RedirectUrl"]


@dataclass
class Directory:
    """What Autodiscover says of addresses where that is not the sandbox's own address.

    `published` holds an external and an internal address of Exchange Web Services, "" for none;
    `redirects` where to ask instead.
    """

    published: dict[str, tuple[str, str]] = field(default_factory=dict)
    redirects: dict[str, tuple[Redirect, str]] = field(default_factory=dict)

    def publish(self, address: str, external: str = "", internal: str = "") -> None:
        """From now on these are the addresses for a mailbox."""
        self.published[address.lower()] = (external, internal)

    def redirect(self, address: str, kind: Redirect, target: str) -> None:
        """From now on the question about an address is to be asked elsewhere, or otherwise."""
        self.redirects[address.lower()] = (kind, target)


def user_settings(world: World, directory: Directory, url: str, request: Request) -> Response:
    """GetUserSettings, with one UserResponse for each user that is asked for."""
    try:
        header, body = soap.parse(request.body)
    except soap.MalformedError as error:
        return _soap(_failed("InvalidRequest", str(error)))
    if wrong := _wrong_header(header):
        return _soap(_failed("InvalidRequest", wrong))
    try:
        schema.check(body)
    except EwsFaultError as fault:
        return _soap(_failed("InvalidRequest", fault.message))
    asked = body.findall(f".//{{{AUTODISCOVER}}}Setting")
    wanted = [setting.text or "" for setting in asked]
    users = [
        _user(world, directory, url, user.text or "", wanted)
        for user in body.iterfind(f".//{{{AUTODISCOVER}}}Mailbox")
    ]
    return _soap(*_said("NoError", ""), _a("UserResponses", *users))


def _wrong_header(header: Element | None) -> str:
    """What is wrong with the headers, "" if nothing is ("GetUserSettings operation (SOAP)")."""
    if header is None:
        return "The SOAP header is missing."
    version = text(header, "a:RequestedServerVersion")
    if not re.fullmatch(r"Exchange20\d\d(_SP\d)?", version):
        return f"The RequestedServerVersion header is missing or not known: '{version}'."
    if (action := header.findtext(f"{{{ADDRESSING}}}Action")) != ACTION:
        return f"The Action header does not name the operation: '{action}'."
    if not (header.findtext(f"{{{ADDRESSING}}}To") or "").lower().endswith(SERVICE):
        return "The To header does not name the service."
    return ""


def _user(world: World, directory: Directory, url: str, address: str, wanted: list[str]) -> Element:
    """ "UserResponse (SOAP)", "ErrorCode (SOAP)"."""
    address = address.lower()
    if address in directory.redirects:
        kind, target = directory.redirects[address]
        return _a("UserResponse", *_said(kind, f"{kind} to {target}"), _a("RedirectTarget", target),
                  _a("UserSettingErrors"), _a("UserSettings"))  # fmt: skip
    mailbox = world.mailboxes.get(address)
    known = address in directory.published
    if mailbox is None and not known:
        said = f"The user '{address}' was not found."
        return _a("UserResponse", *_said("InvalidUser", said), _a("RedirectTarget"),
                  _a("UserSettingErrors"), _a("UserSettings"))  # fmt: skip
    own = f"{url}/EWS/Exchange.asmx"
    external, internal = directory.published.get(address, (own, own))
    values = {
        "ExternalEwsUrl": external,
        "InternalEwsUrl": internal,
        "AutoDiscoverSMTPAddress": address,
        "EwsSupportedSchemas": "Exchange2007, Exchange2010, Exchange2013, Exchange2016",
    }
    found = [
        _a("UserSetting", _a("Name", name), _a("Value", values[name]), kind="StringSetting")
        for name in wanted
        if values.get(name)
    ]
    missing = [
        _a("UserSettingError", *_said("SettingIsNotAvailable", f"{name} is not available."),
           _a("SettingName", name))
        for name in wanted
        if not values.get(name)
    ]  # fmt: skip
    return _a("UserResponse", *_said("NoError", "No error."), _a("RedirectTarget"),
              _a("UserSettingErrors", *missing), _a("UserSettings", *found))  # fmt: skip


def _failed(code: str, message: str) -> Element:
    return _a("Response", *_said(code, message), _a("UserResponses"))


def _said(code: str, message: str) -> tuple[Element, Element]:
    return _a("ErrorCode", code), _a("ErrorMessage", message)


def _a(name: str, *children: Element | str, kind: str = "") -> Element:
    made = etree.Element(f"{{{AUTODISCOVER}}}{name}", nsmap={None: AUTODISCOVER, "i": INSTANCE})
    if kind:
        made.set(f"{{{INSTANCE}}}type", kind)
    for each in children:
        if isinstance(each, str):
            made.text = each
        else:
            made.append(each)
    return made


def _soap(*content: Element) -> Response:
    inside = content[0] if len(content) == 1 else _a("Response", *content)
    message = _a("GetUserSettingsResponseMessage", inside)
    return Response(200, soap.envelope(message, fault=True), {"Content-Type": soap.CONTENT_TYPE})


def plain(world: World, directory: Directory, url: str, request: Request) -> Response:
    """Where the mailbox that is asked for has its Exchange Web Services."""
    try:
        root = etree.fromstring(request.body)
    except etree.XMLSyntaxError:
        return _answer(f'<Response xmlns="{ANSWER}"><Error><ErrorCode>600</ErrorCode>'
                       "<Message>Invalid Request</Message></Error></Response>")  # fmt: skip
    address = root.findtext(f".//{{{REQUEST}}}EMailAddress") or ""
    mailbox = world.mailboxes.get(address.lower())
    if mailbox is None:
        return _answer(f'<Response xmlns="{ANSWER}"><Error><ErrorCode>500</ErrorCode>'
                       "<Message>The email address can't be found.</Message>"
                       "</Error></Response>")  # fmt: skip
    own = f"{url}/EWS/Exchange.asmx"
    external, internal = map(escape, directory.published.get(mailbox.address, (own, own)))
    return _answer(
        f'<Response xmlns="{OUTLOOK}"><User><DisplayName>{escape(mailbox.name)}</DisplayName>'
        f"<AutoDiscoverSMTPAddress>{escape(mailbox.address)}</AutoDiscoverSMTPAddress></User>"
        "<Account><AccountType>email</AccountType><Action>settings</Action>"
        f"<Protocol><Type>EXPR</Type><EwsUrl>{external}</EwsUrl></Protocol>"
        f"<Protocol><Type>EXCH</Type><EwsUrl>{internal}</EwsUrl></Protocol></Account></Response>"
    )


def _answer(inside: str) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{ANSWER}">{inside}'
    return Response(200, f"{body}</Autodiscover>".encode(), {"Content-Type": "text/xml"})
