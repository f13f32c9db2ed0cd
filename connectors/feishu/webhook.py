"""Feishu's webhook: who called is settled before a word is believed.

Source: docs "Configure the request URL", "Encryption strategy", "Event overview".
"""

import hmac
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from connectors.contract import PushAnswer, PushRequest
from connectors.feishu.events import hints_of
from connectors.feishu.settings import Settings

MAX_BODY = 1024 * 1024
_AHEAD = timedelta(minutes=5)
_BLOCK = 16


class _Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = PushAnswer(status=status, body={"msg": reason}, reason=reason)


class Webhook:
    """Checks calls for one app. Thread safe, no I/O.

    Answers 400 to what is malformed, 401 to what is not proven to come from Feishu, 403 to what
    is genuine but stale or meant for another app, 413 to what is too large, 200 to all else,
    also to event types that we do not use: anything but 200 makes Feishu redeliver.
    """

    def __init__(self, name: str, settings: Settings, now: Callable[[], datetime]) -> None:
        delivery = settings.delivery
        self._name = name
        self._app_id = settings.app_id
        self._key = delivery.encrypt_key.get_secret_value() if delivery.encrypt_key else ""
        token = delivery.verification_token
        self._token = token.get_secret_value() if token else ""
        self._max_age = delivery.max_age
        self._now = now

    def receive(self, request: PushRequest) -> PushAnswer:
        """What to answer, and the hints to keep first. Never raises."""
        try:
            return self._receive(request)
        except _Refused as refused:
            return refused.answer
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            return _Refused(400, "malformed event").answer

    def _receive(self, request: PushRequest) -> PushAnswer:
        if len(request.body) > MAX_BODY:
            raise _Refused(413, "body larger than 1 MiB")
        signed = self._check_signature(request)
        payload = self._open(_json_object(request.body))
        self._check_token(payload)
        if payload.get("type") == "url_verification":
            return PushAnswer(status=200, body={"challenge": str(payload["challenge"])})
        if self._key and not signed:
            raise _Refused(401, "signature missing")
        header = payload["header"]
        if header.get("app_id") not in (None, self._app_id):
            raise _Refused(403, "event of another app")
        self._check_age(request, header)
        hints = hints_of(self._name, payload)
        reason = "" if hints else f"nothing to do for {str(header.get('event_type'))[:80]}"
        return PushAnswer(status=200, body={"msg": "success"}, hints=hints, reason=reason)

    def _check_signature(self, request: PushRequest) -> bool:
        """True if the call is signed; a URL check may come without a signature."""
        given = request.headers.get("x-lark-signature")
        if not self._key or given is None:
            return False
        timestamp = request.headers.get("x-lark-request-timestamp", "")
        nonce = request.headers.get("x-lark-request-nonce", "")
        prefix = f"{timestamp}{nonce}{self._key}".encode()
        expected = sha256(prefix + request.body).hexdigest()
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise _Refused(401, "signature does not match")
        return True

    def _open(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self._key:
            if "encrypt" in body:
                raise _Refused(400, "the event is encrypted but no encrypt_key is configured")
            return body
        if "encrypt" not in body:
            raise _Refused(401, "the event is not encrypted")
        try:
            return _json_object(_decrypt(self._key, b64decode(body["encrypt"], validate=True)))
        except (_Refused, ValueError):
            # One answer for every kind of failure: a caller learns nothing about the padding.
            raise _Refused(401, "the event cannot be decrypted") from None

    def _check_token(self, payload: Mapping[str, Any]) -> None:
        if not self._token:
            return
        header = payload.get("header")
        given = header.get("token") if isinstance(header, Mapping) else payload.get("token")
        if not hmac.compare_digest(str(given).encode(), self._token.encode()):
            raise _Refused(401, "verification token does not match")

    def _check_age(self, request: PushRequest, header: Mapping[str, Any]) -> None:
        stamp = request.headers.get("x-lark-request-timestamp")
        seconds = float(stamp) if stamp else int(header["create_time"]) / 1000
        age = self._now() - datetime.fromtimestamp(seconds, UTC)
        if age > self._max_age or age < -_AHEAD:
            raise _Refused(403, "stale: the event's time is too far from ours")


def _json_object(text: bytes) -> Mapping[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise _Refused(400, "not a JSON object")
    return value


def _decrypt(key: str, sealed: bytes) -> bytes:
    """AES-256-CBC, PKCS #7, the IV in front, the key hashed. Raises ValueError."""
    cipher = Cipher(algorithms.AES(sha256(key.encode()).digest()), modes.CBC(sealed[:_BLOCK]))
    reader = cipher.decryptor()
    padded = reader.update(sealed[_BLOCK:]) + reader.finalize()
    unpadder = PKCS7(_BLOCK * 8).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
