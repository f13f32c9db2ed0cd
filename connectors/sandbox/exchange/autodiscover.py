"""Autodiscover in its plain form ("POX Autodiscover web service reference for Exchange")."""

from xml.sax.saxutils import escape

from lxml import etree  # type: ignore[import-untyped]

from connectors.sandbox.exchange.state import World
from connectors.sandbox.http import Request, Response

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
ANSWER = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


def discovered(world: World, url: str, request: Request) -> Response:
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
    ews = escape(f"{url}/EWS/Exchange.asmx")
    return _answer(
        f'<Response xmlns="{OUTLOOK}"><User><DisplayName>{escape(mailbox.name)}</DisplayName>'
        f"<AutoDiscoverSMTPAddress>{escape(mailbox.address)}</AutoDiscoverSMTPAddress></User>"
        "<Account><AccountType>email</AccountType><Action>settings</Action>"
        f"<Protocol><Type>EXPR</Type><EwsUrl>{ews}</EwsUrl></Protocol>"
        f"<Protocol><Type>EXCH</Type><EwsUrl>{ews}</EwsUrl></Protocol></Account></Response>"
    )


def _answer(inside: str) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{ANSWER}">{inside}'
    return Response(200, f"{body}</Autodiscover>".encode(), {"Content-Type": "text/xml"})
