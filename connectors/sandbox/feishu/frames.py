"""The long connection's frame: one protobuf (proto2) message, coded by hand.

Fields: 1 SeqID, 2 LogID (uint64), 3 service, 4 method (int32), 5 headers {1 key, 2 value},
6 payload_encoding, 7 payload_type (string), 8 payload (bytes), 9 LogIDNew (string).
Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from dataclasses import dataclass, field

CONTROL, DATA = 0, 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Frame:
    """One frame. `method` is `CONTROL` or `DATA`."""

    method: int
    service: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    payload: bytes = b""
    seq_id: int = 0
    log_id: int = 0


def encode(frame: Frame) -> bytes:
    """The frame as bytes; the four required numbers are always written."""
    out = bytearray()
    for number, value in enumerate((frame.seq_id, frame.log_id, frame.service, frame.method), 1):
        out += _key(number, _VARINT) + _varint(value)
    for name, text in frame.headers.items():
        pair = _chunk(1, name.encode()) + _chunk(2, text.encode())
        out += _chunk(5, pair)
    if frame.payload:
        out += _chunk(8, frame.payload)
    return bytes(out)


def decode(data: bytes) -> Frame:
    """The frame in these bytes. Raises ValueError if they are none."""
    numbers: dict[int, int] = {}
    headers: dict[str, str] = {}
    payload = b""
    for number, value in _fields(data):
        if isinstance(value, int):
            numbers[number] = value
        elif number == 5:
            pair = {key: text for key, text in _fields(value) if isinstance(text, bytes)}
            headers[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
        elif number == 8:
            payload = value
    if not {1, 2, 3, 4} <= set(numbers):
        raise ValueError("a required field is missing")
    return Frame(numbers[4], numbers[3], headers, payload, numbers[1], numbers[2])


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _chunk(number: int, data: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number is cut off")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            found.append((number, value))
            continue
        if kind == _BYTES:
            size, at = _read_varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} is not supported")
        if at + size > len(data):
            raise ValueError("a field is cut off")
        found.append((number, data[at : at + size]))
        at += size
    return found
