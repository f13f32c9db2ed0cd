"""From a request to its method: authentication, scopes, rates, partial answers."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from connectors.sandbox.google import batch, calendars, events, freebusy
from connectors.sandbox.google.call import Action, Call, Service
from connectors.sandbox.google.errors import ApiError
from connectors.sandbox.google.fields import selected
from connectors.sandbox.google.scopes import check_scope
from connectors.sandbox.http import Request, Response

ROOT = ("calendar", "v3")
METHODS = calendars.METHODS + events.METHODS + freebusy.METHODS
UNITS = {"events.patch": 3, "calendarList.patch": 3, "calendars.patch": 3}
Found = tuple[str, Action, dict[str, str]]


def find(request: Request) -> Found | None:
    """The method that a request names, with the variables of its path.

    Literal segments win over variables, so `events/import` is no event id.
    """
    segments = [segment for segment in request.path.split("/") if segment]
    if tuple(segments[:2]) != ROOT:
        return None
    for method, template, operation, action in METHODS:
        wanted = template.split("/")
        if method != request.method or len(wanted) != len(segments) - 2:
            continue
        pairs = list(zip(wanted, segments[2:], strict=True))
        if all(name.startswith("{") or name == segment for name, segment in pairs):
            path = {name[1:-1]: unquote(text) for name, text in pairs if name.startswith("{")}
            return operation, action, path
    return None


def plain(request: Request) -> Request:
    """A GET that was sent as POST because it was too long for a URL."""
    if request.method == "POST" and request.headers.get("x-http-method-override") == "GET":
        form = tuple(parse_qsl(request.body.decode(), keep_blank_values=True))
        return replace(request, method="GET", query=request.query + form, body=b"")
    return request


def answer(service: Service, request: Request) -> Response:
    """Answer one call of the API, alone or as a part of a batch."""
    try:
        return _answer(service, plain(request))
    except ApiError as error:
        return error.response()


def answer_batch(service: Service, request: Request) -> Response:
    """Answer many calls in one."""
    try:
        return batch.answer(request, lambda inner: answer(service, inner))
    except ApiError as error:
        return error.response()


def _answer(service: Service, request: Request) -> Response:
    found = find(request)
    if found is None:
        return Response(404, b"Not Found", {"Content-Type": "text/html; charset=UTF-8"})
    operation, action, path = found
    caller = service.oauth.caller(request)
    check_scope(operation, caller.scopes)
    payer = request.param("quotaUser") or request.headers.get("x-goog-quota-user")
    service.limits.spend(payer or caller.account, UNITS.get(operation, 1))
    response = action(Call(service, request, caller, path))
    if (mask := request.param("fields")) and response.body:
        response.body = json.dumps(selected(json.loads(response.body), mask)).encode()
    response.headers.setdefault("Vary", "Origin, X-Origin")
    return response
