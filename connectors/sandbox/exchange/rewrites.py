"""Answers that lie: what a reader must survive without deleting or inventing anything."""

from connectors.sandbox.exchange import soap
from connectors.sandbox.exchange.call import failure
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.soap import local, t
from connectors.sandbox.http import Response


def rewritten(name: str, response: Response) -> Response:
    """A spoilt copy of an answer; the request itself was carried out.

    `short` halves listings, `empty` empties them, both still claiming to be whole; `cut` halves
    them and admits that there is more; `unknown_zone` names zones that nobody knows;
    `error:CODE` turns every message into that error; `inner_busy` into ErrorInternalServerError
    with inner code ErrorServerBusy. Raises KeyError for another name.
    """
    if name not in _SPOIL and not name.startswith("error:"):
        raise KeyError(name)
    if response.status != 200 or response.stream is not None:
        return response
    _header, operation = soap.parse(response.body)
    if name.startswith("error:"):
        _fail(operation, EwsError(name.removeprefix("error:")))
    else:
        _SPOIL[name](operation)
    response.body = soap.envelope(operation)
    return response


def _fail(operation: soap.Element, error: EwsError) -> None:
    messages = operation[0]
    kind = local(operation).removesuffix("Response")
    payload = []
    if kind.startswith("Sync"):
        payload = [soap.m("SyncState"), soap.m("IncludesLastItemInRange", "true")]
    for message in list(messages):
        messages.replace(message, failure(kind, error, *payload))


def _listings(operation: soap.Element) -> list[soap.Element]:
    paths = (".//m:Changes", ".//m:RootFolder/t:Items")
    return [found for path in paths for found in operation.iterfind(path, soap.PREFIXES)]


def _halve(operation: soap.Element) -> None:
    for listing in _listings(operation):
        for entry in list(listing)[len(listing) // 2 :]:
            listing.remove(entry)


def _empty(operation: soap.Element) -> None:
    for listing in _listings(operation):
        for entry in list(listing):
            listing.remove(entry)


def _cut(operation: soap.Element) -> None:
    _halve(operation)
    for flag in operation.iterfind(".//m:IncludesLastItemInRange", soap.PREFIXES):
        flag.text = "false"
    for root in operation.iterfind(".//m:RootFolder", soap.PREFIXES):
        root.set("IncludesLastItemInRange", "false")


def _unknown_zone(operation: soap.Element) -> None:
    for name in ("StartTimeZone", "EndTimeZone"):
        for zone in operation.iterfind(f".//t:{name}", soap.PREFIXES):
            made = t(name, Id="Kamchatka Standard Time", Name="Kamchatka Standard Time")
            zone.getparent().replace(zone, made)


def _inner_busy(operation: soap.Element) -> None:
    _fail(operation, EwsError("ErrorInternalServerError", "An internal server error occurred.",
                              InnerErrorResponseCode="ErrorServerBusy"))  # fmt: skip


_SPOIL = {
    "short": _halve,
    "empty": _empty,
    "cut": _cut,
    "unknown_zone": _unknown_zone,
    "inner_busy": _inner_busy,
}
