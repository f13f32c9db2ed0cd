import json
import queue
import subprocess
import sys
import threading

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from connectors.sandbox.feishu.frames import CONTROL, DATA, Frame, decode, encode

START = 1764554400

CHILD = """
import sys
import lark_oapi as lark

app, secret, domain = sys.argv[1:]
calls = []

def seen(push):
    calls.append(push)
    print("event", push.header.event_id, push.event.calendar_id, flush=True)
    if len(calls) == 1:
        raise RuntimeError("the first one fails")

handler = (
    lark.EventDispatcherHandler.builder("", "")
    .register_p2_calendar_calendar_event_changed_v4(seen)
    .build()
)
client = lark.ws.Client(
    app, secret, event_handler=handler, domain=domain, log_level=lark.LogLevel.CRITICAL
)
client.on_reconnected = lambda: print("reconnected", flush=True)
client.start()
"""


def timed(**extra):
    return {
        "start_time": {"timestamp": str(START), "timezone": "UTC"},
        "end_time": {"timestamp": str(START + 3600), "timezone": "UTC"},
        **extra,
    }


@pytest.fixture
def child(sandbox):
    """The SDK's own client in a process of its own; yields the queue of what it prints."""
    sandbox.switch(longconn_reconnect_nonce=0, longconn_reconnect_interval=1)
    arguments = [sandbox.app.id, sandbox.app.secret, sandbox.url]
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True
    )
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line.split())

    reader = threading.Thread(target=read)
    reader.start()
    yield lines
    process.kill()
    process.wait()
    reader.join()
    process.stdout.close()


def discover(sandbox, **changes):
    body = {"AppID": sandbox.app.id, "AppSecret": sandbox.app.secret} | changes
    return requests.post(sandbox.url + "/callback/ws/endpoint", json=body, timeout=5).json()


@pytest.fixture
def dial(sandbox):
    """Opens bare connections and closes them in the end."""
    opened = []

    def one():
        opened.append(connect(discover(sandbox)["data"]["URL"], proxy=None))
        return opened[-1]

    yield one
    for connection in opened:
        connection.close()


def watch(account):
    assert account.on("POST", "/subscription").code == 0


def acknowledge(connection, frame, code=200):
    reply = Frame(
        frame.method, frame.service, frame.headers | {"biz_rt": "1"},
        json.dumps({"code": code}).encode(), frame.seq_id, frame.log_id,
    )  # fmt: skip
    connection.send(encode(reply))


def test_frames_are_what_the_sdks_protobuf_says(lark):
    from lark_oapi.ws.pb.pbbp2_pb2 import Frame as Theirs

    ours = Frame(DATA, 33554678, {"type": "event", "序": "值"}, b"\x00" * 300, 2**40, 2**63)
    theirs = Theirs()
    theirs.ParseFromString(encode(ours))
    assert (theirs.SeqID, theirs.LogID, theirs.service, theirs.method) == (
        2**40,
        2**63,
        33554678,
        1,
    )
    assert {h.key: h.value for h in theirs.headers} == ours.headers
    theirs.payload_encoding, theirs.payload_type, theirs.LogIDNew = "gzip", "json", "log"
    assert decode(theirs.SerializeToString()) == ours


@pytest.mark.parametrize("data", [b"", b"\x08", b"\x42\x05ab", b"\x0b", b"\xff" * 12])
def test_rubbish_is_no_frame(data):
    with pytest.raises(ValueError):
        decode(data)


def test_the_sdks_client_gets_pushes_whole_again_and_after_a_cut(sandbox, ann, child, eventually):
    sandbox.switch(longconn_chunk_bytes=50)
    watch(ann)
    eventually(lambda: sandbox.longconn.count() == 1, 60)
    ann.made(timed())
    first = child.get(timeout=20)
    assert first[2] == ann.user.primary
    # its handler raised, so it is delivered again under the same id
    eventually(lambda: sandbox.delivery.attempts)
    sandbox.clock.advance(16)
    assert child.get(timeout=20) == first
    eventually(lambda: [a.acknowledged for a in sandbox.delivery.attempts] == [False, True])
    sandbox.longconn.close_all()
    assert child.get(timeout=20) == ["reconnected"]
    ann.made(timed())
    assert child.get(timeout=20)[1] != first[1]


def test_a_ping_is_answered_with_the_settings_in_force(sandbox, dial):
    connection = dial()
    sandbox.switch(longconn_ping_interval=7)
    connection.send(encode(Frame(CONTROL, 1, {"type": "ping"})))
    pong = decode(connection.recv(timeout=10))
    assert pong.headers == {"type": "pong"}
    assert json.loads(pong.payload)["PingInterval"] == 7


def test_without_acknowledgement_in_three_seconds_it_comes_again(sandbox, ann, dial, eventually):
    sandbox.clock.freeze()
    connection = dial()
    watch(ann)
    ann.made(timed())
    sandbox.clock.advance(0.1)
    first = decode(connection.recv(timeout=10))
    sandbox.clock.advance(3.1)
    eventually(lambda: sandbox.delivery.attempts)
    sandbox.clock.advance(15.1)
    second = decode(connection.recv(timeout=10))
    assert second.payload == first.payload
    assert second.headers["message_id"] != first.headers["message_id"]
    acknowledge(connection, second)
    eventually(lambda: [a.acknowledged for a in sandbox.delivery.attempts] == [False, True])


def test_each_push_goes_to_one_client_chosen_at_random(sandbox, ann, dial, eventually):
    clients = [dial() for _ in range(2)]
    counts = [0, 0]

    def drain(number):
        try:
            for message in clients[number]:
                counts[number] += 1
                acknowledge(clients[number], decode(message))
        except ConnectionClosed:
            pass

    threads = [threading.Thread(target=drain, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    watch(ann)
    for _ in range(20):
        ann.made(timed())
    eventually(lambda: len(sandbox.delivery.attempts) == 20)
    sandbox.longconn.close_all()
    for thread in threads:
        thread.join()
    assert sum(counts) == 20
    assert min(counts) > 0


def test_a_stalled_connection_pongs_but_carries_nothing(sandbox, ann, dial, eventually):
    sandbox.clock.freeze()
    sandbox.switch(longconn_stall="data")
    connection = dial()
    watch(ann)
    ann.made(timed())
    sandbox.clock.advance(0.1)
    eventually(lambda: sandbox.longconn._waiting)
    connection.send(encode(Frame(CONTROL, 1, {"type": "ping"})))
    assert decode(connection.recv(timeout=10)).headers["type"] == "pong"
    sandbox.clock.advance(4)
    eventually(lambda: sandbox.delivery.attempts)
    assert not sandbox.delivery.attempts[0].acknowledged


def refusal(sandbox):
    with pytest.raises(InvalidStatus) as caught:
        connect(discover(sandbox)["data"]["URL"], proxy=None)
    response = caught.value.response
    return response.status_code, response.headers.get("handshake-autherrcode")


def test_the_fifty_first_connection_is_refused(sandbox, dial, eventually):
    for _ in range(50):
        dial()
    assert refusal(sandbox) == (514, "1000040350")


def test_handshakes_and_discovery_can_be_refused(sandbox):
    sandbox.switch(longconn_handshake="forbidden")
    assert refusal(sandbox) == (403, None)
    sandbox.switch(longconn_handshake="open", longconn_endpoint_code=1000040343)
    assert discover(sandbox)["code"] == 1000040343
    sandbox.switch(longconn_endpoint_code=0, longconn_enabled=False)
    assert discover(sandbox)["code"] == 1000040344
    assert discover(sandbox, AppSecret="wrong")["code"] == 10014


def test_a_ticket_opens_one_connection(sandbox, dial):
    url = discover(sandbox)["data"]["URL"]
    with connect(url, proxy=None), pytest.raises(InvalidStatus):
        connect(url, proxy=None)
