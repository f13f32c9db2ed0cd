"""Opaque identifiers: base64, case sensitive ("EWS identifiers in Exchange").

The id of an occurrence is that of its master with the original date encoded.
"""

import base64
import binascii
import hashlib
import random
from datetime import date

from connectors.sandbox.exchange.errors import EwsError

_OWNER, _NUMBER, _DATE = 32, 24, 4
_ITEM, _FOLDER = b"\x00I\x00", b"\x00F\x00"


def owner_mark(address: str) -> bytes:
    """What all ids of a mailbox begin with, after their kind."""
    return hashlib.sha256(address.encode()).digest()


def new_item(owner: bytes, dice: random.Random) -> str:
    """An id for an item."""
    return base64.b64encode(_ITEM + owner + dice.randbytes(_NUMBER)).decode()


def new_folder(owner: bytes, dice: random.Random) -> str:
    """An id for a folder."""
    return base64.b64encode(_FOLDER + owner + dice.randbytes(_NUMBER)).decode()


def new_change_key(number: int, dice: random.Random) -> str:
    """A change key; never the same twice."""
    return base64.b64encode(b"\x12" + number.to_bytes(8, "big") + dice.randbytes(9)).decode()


def of_occurrence(master: str, original: date) -> str:
    """The id of the occurrence of a series on that original local date."""
    raw = base64.b64decode(master) + original.toordinal().to_bytes(_DATE, "big")
    return base64.b64encode(raw).decode()


def split(text: str) -> tuple[str, date | None]:
    """The stored item's id and, for an occurrence, its original date. Raises EwsError."""
    raw = _decoded(text)
    length = len(_ITEM) + _OWNER + _NUMBER
    if raw.startswith(_FOLDER):
        raise EwsError("ErrorCannotUseFolderIdForItemId", "Id is a folder's, not an item's.")
    if not raw.startswith(_ITEM) or len(raw) not in (length, length + _DATE):
        raise EwsError("ErrorInvalidIdMalformed")
    original = None
    if len(raw) > length:
        try:
            original = date.fromordinal(int.from_bytes(raw[length:], "big"))
        except (ValueError, OverflowError):
            raise EwsError("ErrorInvalidIdMalformed") from None
    return base64.b64encode(raw[:length]).decode(), original


def check_folder(text: str) -> str:
    """The same id, if it can be a folder's. Raises EwsError."""
    raw = _decoded(text)
    if raw.startswith(_ITEM):
        raise EwsError("ErrorCannotUseItemIdForFolderId", "Id is an item's, not a folder's.")
    if not raw.startswith(_FOLDER):
        raise EwsError("ErrorInvalidIdMalformed")
    return text


def owner_of(text: str) -> bytes:
    """The mark of the mailbox that the id belongs to. Raises EwsError."""
    return _decoded(text)[len(_ITEM) :][:_OWNER]


def check_change_key(text: str) -> None:
    """Raises EwsError if it cannot be a change key."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EwsError("ErrorInvalidChangeKey") from None
    if not raw.startswith(b"\x12"):
        raise EwsError("ErrorInvalidChangeKey")


def _decoded(text: str) -> bytes:
    if not text:
        raise EwsError("ErrorInvalidIdEmpty", "Id must be non-empty.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EwsError("ErrorInvalidIdMalformed") from None
