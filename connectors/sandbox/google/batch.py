"""Batches: many calls in one multipart request ("Send batch requests", Calendar API guides)."""

import uuid
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from urllib.parse import parse_qsl, urlsplit

from connectors.sandbox.google.errors import ApiError, bad_request
from connectors.sandbox.http import Request, Response

MAX_CALLS = 1000


def answer(request: Request, handle: Callable[[Request], Response]) -> Response:
    """Run every part through `handle`; the answers stand in the order of the parts."""
    kind = request.headers.get("Content-Type", "")
    outer = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    if not kind.startswith("multipart/mixed") or not outer.is_multipart():
        raise bad_request("Failed to parse batch request.")
    parts = [part for part in outer.get_payload() if isinstance(part, Message)]
    if not 1 <= len(parts) <= MAX_CALLS:
        raise ApiError(400, "batchTooLarge", f"A batch holds at most {MAX_CALLS} calls.")
    boundary = f"batch_{uuid.uuid4().hex}"
    pieces = []
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: application/http\r\n"
        if content_id := part.get("Content-ID"):
            head += f"Content-ID: <response-{content_id.strip().removeprefix('<')}\r\n"
        pieces.append(head.encode() + b"\r\n" + _rendered(handle(_inner(part, request))) + b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return Response(
        200, b"".join(pieces), {"Content-Type": f"multipart/mixed; boundary={boundary}"}
    )


def _inner(part: Message, outer: Request) -> Request:
    """The call inside a part: it inherits the outer headers and query, but its own win."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        raise bad_request("Failed to parse batch request.")
    line, _, rest = payload.lstrip(b"\r\n").partition(b"\n")
    words = line.decode().split()
    if len(words) < 2:
        raise bad_request("Failed to parse batch request.")
    headers = message_from_bytes(rest)
    body = rest.replace(b"\r\n", b"\n").partition(b"\n\n")[2].strip()
    for name, value in outer.headers.items():
        if name not in headers and not name.lower().startswith("content-"):
            headers[name] = value
    split = urlsplit(words[1])
    inner = tuple(parse_qsl(split.query, keep_blank_values=True))
    named = {key for key, _ in inner}
    query = inner + tuple(pair for pair in outer.query if pair[0] not in named)
    return Request(words[0], split.path, query, headers, body, outer.connection)


def _rendered(response: Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status} Sandbox"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append(f"Content-Length: {len(response.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + response.body
