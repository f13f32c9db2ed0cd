"""Who may hint: every call to the webhook is judged before it is believed."""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from connectors.contract import Hint, PushAnswer, PushRequest

KEY, TOKEN = "an encrypt key", "a verification token"


class Caller:
    """Whoever calls the webhook: Feishu, or somebody who pretends."""

    def __init__(self, bench: Any, **delivery: Any) -> None:
        settings = {"mode": "webhook", "encrypt_key": KEY, "verification_token": TOKEN, **delivery}
        self.now = bench.sandbox.clock.time
        self.app_id = bench.sandbox.app.id
        self.provider = bench.provider(delivery=settings)

    def event(self, kind: str = "calendar.calendar.event.changed_v4", **event: Any) -> Any:
        header = {
            "event_id": "e" * 32,
            "event_type": kind,
            "create_time": str(int(self.now() * 1000)),
            "token": TOKEN,
            "app_id": self.app_id,
            "tenant_key": "t1",
        }
        return {"schema": "2.0", "header": header, "event": event or {"calendar_id": "cal_1"}}

    def send(self, body: bytes, **headers: str) -> PushAnswer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: PushAnswer = self.provider.receive(PushRequest(headers=named, body=body))
        return answer

    def sealed(
        self,
        payload: Any,
        *,
        key: str = KEY,
        sign_key: str = KEY,
        age: float = 0,
        sign: bool = True,
    ) -> PushAnswer:
        """Encrypted and signed as Feishu does it."""
        body = json.dumps({"encrypt": encrypted(json.dumps(payload).encode(), key)}).encode()
        if not sign:
            return self.send(body)
        stamp, nonce = str(int(self.now() - age)), "n1"
        digest = hashlib.sha256(f"{stamp}{nonce}{sign_key}".encode() + body).hexdigest()
        return self.send(
            body,
            x_lark_request_timestamp=stamp,
            x_lark_request_nonce=nonce,
            x_lark_signature=digest,
        )


def encrypted(plain: bytes, key: str) -> str:
    iv = os.urandom(16)
    padder = PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(hashlib.sha256(key.encode()).digest()), modes.CBC(iv))
    sealer = cipher.encryptor()
    padded = padder.update(plain) + padder.finalize()
    return b64encode(iv + sealer.update(padded) + sealer.finalize()).decode()


@pytest.fixture
def caller(bench: Any) -> Caller:
    return Caller(bench)


def test_a_genuine_event_is_a_hint_about_its_calendar(caller: Caller) -> None:
    answer = caller.sealed(caller.event())
    assert answer.status == 200
    assert answer.hints == (Hint(connector="feishu", calendar="cal_1", id="e" * 32),)


@pytest.mark.parametrize(
    "kind",
    [
        "calendar.calendar.changed_v4",
        "calendar.calendar.acl.created_v4",
        "calendar.calendar.acl.deleted_v4",
    ],
)
def test_a_change_of_somebodys_calendars_is_one_hint_per_person(caller: Caller, kind: str) -> None:
    users = [{"open_id": "ou_1", "union_id": "on_1"}, {"open_id": "ou_2"}, {"union_id": "on_3"}]
    answer = caller.sealed(caller.event(kind, user_id_list=users))
    assert [(hint.calendar, hint.account) for hint in answer.hints] == [
        (None, "ou_1"),
        (None, "ou_2"),
    ]
    assert len({hint.id for hint in answer.hints}) == 2


def test_a_type_that_we_do_not_use_is_acknowledged_without_hints(caller: Caller) -> None:
    answer = caller.sealed(caller.event("im.message.receive_v1"))
    assert (answer.status, answer.hints) == (200, ())
    assert "im.message.receive_v1" in answer.reason


@pytest.mark.parametrize("signed", [True, False])
def test_the_url_check_is_answered_encrypted_and_signed_or_not(
    caller: Caller, signed: bool
) -> None:
    check = {"type": "url_verification", "token": TOKEN, "challenge": "c-1"}
    answer = caller.sealed(check, sign=signed)
    assert (answer.status, answer.body, answer.hints) == (200, {"challenge": "c-1"}, ())


def test_without_encrypt_key_the_token_alone_decides(bench: Any) -> None:
    caller = Caller(bench, encrypt_key=None)
    assert caller.send(json.dumps(caller.event()).encode()).hints
    forged = caller.event()
    forged["header"]["token"] = "guessed"
    assert caller.send(json.dumps(forged).encode()).status == 401
    del forged["header"]["token"]
    assert caller.send(json.dumps(forged).encode()).status == 401
    check = {"type": "url_verification", "token": TOKEN, "challenge": "c"}
    assert caller.send(json.dumps(check).encode()).body == {"challenge": "c"}
    assert caller.send(json.dumps({**check, "token": ""}).encode()).status == 401


def test_a_wrong_signature_is_refused_whatever_the_content(caller: Caller) -> None:
    answer = caller.sealed(caller.event(), sign_key="another key")
    assert (answer.status, answer.hints) == (401, ())


def test_an_event_without_signature_is_refused(caller: Caller) -> None:
    assert caller.sealed(caller.event(), sign=False).status == 401


def test_an_event_that_is_not_encrypted_is_refused_where_a_key_is_set(caller: Caller) -> None:
    assert caller.send(json.dumps(caller.event()).encode()).status == 401


def test_an_event_encrypted_with_another_key_is_refused_like_any_rubbish(caller: Caller) -> None:
    other = caller.sealed(caller.event(), key="another key", sign=False)
    short = caller.send(json.dumps({"encrypt": b64encode(b"x" * 20).decode()}).encode())
    rubbish = caller.send(b'{"encrypt": "%%%"}')
    assert other == short == rubbish
    assert other.status == 401


def test_a_wrong_token_inside_a_genuine_envelope_is_refused(caller: Caller) -> None:
    forged = caller.event()
    forged["header"]["token"] = "guessed"
    assert caller.sealed(forged).status == 401


def test_an_event_of_another_app_is_refused(caller: Caller) -> None:
    foreign = caller.event()
    foreign["header"]["app_id"] = "cli_other"
    assert caller.sealed(foreign).status == 403


@pytest.mark.parametrize(
    ("age", "status"),
    [(0, 200), (6.2 * 3600, 200), (7.1 * 3600, 403), (-240, 200), (-400, 403)],
)
def test_late_redeliveries_are_taken_and_old_or_future_ones_are_not(
    caller: Caller, age: float, status: int
) -> None:
    assert caller.sealed(caller.event(), age=age).status == status


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[1]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b"{}",
     b'{"encrypt": 7}',
     b'{"schema": "2.0", "header": 5}', b'{"type": "url_verification"}'],
)  # fmt: skip
@pytest.mark.parametrize("key", [KEY, None])
def test_rubbish_is_answered_and_never_raises(bench: Any, body: bytes, key: str | None) -> None:
    answer = Caller(bench, encrypt_key=key).send(body)
    assert answer.status in (400, 401)
    assert answer.hints == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e.update(header=None),
        lambda e: e["header"].update(create_time="soon", event_type=None),
        lambda e: e.update(event=None),
        lambda e: e.update(event={"calendar_id": None}),
        lambda e: e.update(event={"user_id_list": 7}),
        lambda e: e["header"].update(event_type="calendar.calendar.changed_v4"),
        lambda e: e.pop("event"),
    ],
)
def test_a_genuine_but_broken_event_gives_no_hint_and_never_raises(
    caller: Caller, spoil: Any
) -> None:
    payload = caller.event()
    spoil(payload)
    answer = caller.sealed(payload)
    assert answer.status in (200, 400, 401)
    assert answer.hints == ()


def test_a_body_over_a_megabyte_is_not_looked_at(caller: Caller) -> None:
    assert caller.send(b"x" * (1024 * 1024 + 1)).status == 413


def test_a_repeated_event_keeps_its_id_so_that_it_is_recognised(caller: Caller) -> None:
    event = caller.event()
    assert caller.sealed(event).hints == caller.sealed(event, age=900).hints


def test_without_webhook_delivery_every_call_is_refused(bench: Any) -> None:
    caller = Caller(bench, mode="none")
    assert caller.sealed(caller.event()).status == 403


# -- over the wire -------------------------------------------------------------------------------


@pytest.fixture
def hooked(caller: Caller) -> Iterator[tuple[str, "Queue[PushAnswer]"]]:
    """The webhook behind a real HTTP server, and its answers."""
    answers: Queue[PushAnswer] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = caller.provider.receive(PushRequest(headers=headers, body=body))
            answers.put(answer)
            self.send_response(answer.status)
            self.end_headers()
            self.wfile.write(json.dumps(answer.body).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_sandbox_passes_the_challenge_and_its_pushes_become_hints(
    bench: Any, ann: Any, single: Any, hooked: tuple[str, "Queue[PushAnswer]"]
) -> None:
    url, answers = hooked
    bench.sandbox.delivery.use("webhook", url, KEY, TOKEN)
    assert "challenge" in (answers.get(timeout=10).body or {})
    connector = bench.connect(ann)
    connector.subscribe(ann.primary)
    connector.subscribe(None)
    bench.sandbox.as_user(ann).create(ann.primary, single)
    bench.sandbox.add_calendar(ann, "Another")
    bench.sandbox.clock.advance(4)
    hints = [hint for _ in range(2) for hint in answers.get(timeout=10).hints]
    assert {(hint.calendar, hint.account) for hint in hints} == {
        (ann.primary, None),
        (None, ann.open_id),
    }
