"""Drives the Feishu sandbox with lark-oapi alone, over real sockets."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.sandbox.feishu import FeishuSandbox, FeishuSwitches


@pytest.fixture(scope="session")
def lark() -> Any:
    """The real SDK; its import takes seconds."""
    import lark_oapi

    return lark_oapi


@dataclass(frozen=True)
class Reply:
    status: int
    code: int
    data: dict[str, Any]
    body: dict[str, Any]
    headers: dict[str, str]


class Account:
    """One identity behind a real SDK client; `user` None = the app's bot."""

    def __init__(self, lark: Any, sandbox: FeishuSandbox, user: Any = None) -> None:
        self.lark = lark
        self.sandbox = sandbox
        self.user = user
        builder = lark.Client.builder().domain(sandbox.url).log_level(lark.LogLevel.CRITICAL)
        if user is None:
            builder = builder.app_id(sandbox.app.id).app_secret(sandbox.app.secret)
        else:
            builder = builder.enable_set_token(True)
            self.grant = sandbox.grant(user)
        self.client = builder.build()

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """One call; `:name` in the path comes from `paths`, everything else is the query."""
        lark = self.lark
        kind = lark.AccessTokenType.USER if self.user else lark.AccessTokenType.TENANT
        request = (
            lark.BaseRequest.builder()
            .http_method(lark.HttpMethod[method])
            .uri("/open-apis/" + path)
            .paths(options.pop("paths", {}))
            .queries(list(options.items()))
            .token_types({kind})
        )
        if body is not None:
            request = request.body(body).headers({"Content-Type": "application/json"})
        option = lark.RequestOption.builder()
        if self.user:
            option = option.user_access_token(self.grant.access)
        raw = self.client.request(request.build(), option.build()).raw
        parsed = json.loads(raw.content)
        return Reply(
            raw.status_code, parsed["code"], parsed.get("data", {}), parsed, dict(raw.headers)
        )

    def on(self, method: str, tail: str = "", body: Any = None, **options: Any) -> Reply:
        """A call below `/calendars/{calendar}/events`; `event` names the event."""
        calendar = options.pop("calendar", self.user.primary if self.user else "primary")
        paths = {"calendar_id": calendar, "event_id": options.pop("event", "")}
        path = "calendar/v4/calendars/:calendar_id/events" + tail
        return self.call(method, path, body, paths=paths, **options)

    def create(self, body: dict[str, Any], **options: Any) -> Reply:
        return self.on("POST", "", {"need_notification": False, **body}, **options)

    def made(self, body: dict[str, Any], **options: Any) -> dict[str, Any]:
        reply = self.create(body, **options)
        assert reply.code == 0, reply.body
        return reply.data["event"]

    def get(self, event: str, **options: Any) -> Reply:
        return self.on("GET", "/:event_id", event=event, **options)

    def patch(self, event: str, body: dict[str, Any], **options: Any) -> Reply:
        quiet = {"need_notification": False, **body}
        return self.on("PATCH", "/:event_id", quiet, event=event, **options)

    def delete(self, event: str, **options: Any) -> Reply:
        options.setdefault("need_notification", "false")
        return self.on("DELETE", "/:event_id", event=event, **options)

    def listing(self, **options: Any) -> Reply:
        return self.on("GET", "", **options)

    def whole(self, **options: Any) -> tuple[list[dict[str, Any]], str]:
        """A full listing: items and sync token."""
        items, query = [], {"anchor_time": "1", **options}
        while True:
            reply = self.listing(**query)
            assert reply.code == 0, reply.body
            items += reply.data["items"]
            if not reply.data["has_more"]:
                return items, reply.data["sync_token"]
            query["page_token"] = reply.data["page_token"]

    def invite(self, event: str, *lines: dict[str, Any], **options: Any) -> Reply:
        body = {"attendees": list(lines), "need_notification": options.pop("notify", False)}
        return self.on("POST", "/:event_id/attendees", body, event=event, **options)


@pytest.fixture
def sandbox() -> Iterator[FeishuSandbox]:
    switches = FeishuSwitches(aggregation_seconds=0.05)
    with FeishuSandbox(limits=False, switches=switches) as running:
        yield running


@pytest.fixture
def join(lark: Any, sandbox: FeishuSandbox) -> Callable[..., Account]:
    """Adds a user and hands out his SDK client."""
    return lambda name="Ann", **extra: Account(lark, sandbox, sandbox.add_user(name, **extra))


@pytest.fixture
def ann(join: Callable[..., Account]) -> Account:
    return join("Ann", email="ann@example.com")


@pytest.fixture
def ben(join: Callable[..., Account]) -> Account:
    return join("Ben", email="ben@example.com")


@pytest.fixture
def bot(lark: Any, sandbox: FeishuSandbox) -> Account:
    return Account(lark, sandbox)


def eventually(check: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first truthy answer of `check`."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)
    return found


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A web server whose POST answers come from `receiver.answer(headers, body)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = self.server.answer(dict(self.headers.items()), body)  # type: ignore[attr-defined]
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # the sender gave up waiting
                self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{server.server_address[1]}/feishu"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
