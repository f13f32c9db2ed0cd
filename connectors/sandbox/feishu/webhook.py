"""The webhook sender: encryption, signature, challenge ("Encrypt Key", "Configure request URL").

Signature = SHA-256(timestamp + nonce + encrypt key + body), hex. Encryption = AES-256-CBC with
PKCS#7 padding under SHA-256(encrypt key), a random IV in front, base64.
"""

import base64
import hashlib
import http.client
import json
import os
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

POST_TIMEOUT, CHALLENGE_TIMEOUT = 3.0, 1.0


@dataclass(frozen=True)
class Webhook:
    """A request URL as it is configured in the app's console."""

    url: str
    encrypt_key: str = ""
    verification_token: str = ""

    def challenge(self) -> bool:
        """Whether the URL answers the verification call as it must."""
        text = uuid.uuid4().hex
        call = {
            "type": "url_verification", "token": self.verification_token, "challenge": text,
        }  # fmt: skip
        status, body = self._post(call, 0.0, CHALLENGE_TIMEOUT)
        try:
            return status == 200 and json.loads(body).get("challenge") == text
        except ValueError:
            return False

    def post(self, payload: dict[str, Any], now: float) -> bool:
        """Send an event; True if it was acknowledged (HTTP 200 within three seconds)."""
        return self._post(payload, now, POST_TIMEOUT)[0] == 200

    def _post(self, payload: dict[str, Any], now: float, timeout: float) -> tuple[int, bytes]:
        body = json.dumps(payload, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if self.encrypt_key:
            body = json.dumps({"encrypt": encrypted(body, self.encrypt_key)}).encode()
            stamp, nonce = str(int(now)), uuid.uuid4().hex[:10]
            signed = f"{stamp}{nonce}{self.encrypt_key}".encode() + body
            headers |= {
                "X-Lark-Request-Timestamp": stamp,
                "X-Lark-Request-Nonce": nonce,
                "X-Lark-Signature": hashlib.sha256(signed).hexdigest(),
            }
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


def encrypted(body: bytes, key: str) -> str:
    """What stands in the `encrypt` field."""
    padder = PKCS7(128).padder()
    padded = padder.update(body) + padder.finalize()
    iv = os.urandom(16)
    cipher = Cipher(algorithms.AES(hashlib.sha256(key.encode()).digest()), modes.CBC(iv))
    encryptor = cipher.encryptor()
    return base64.b64encode(iv + encryptor.update(padded) + encryptor.finalize()).decode()
