"""The exceptions that a series is still to get, noted on the series itself.

Exchange drops the exceptions of a series whose pattern or time changes (MS-OXOCAL 3.1.4.7.3.5).
Who changes it writes in the same moment what has to be written again, so that the series means
the same all the while, and whoever comes upon it can bring it to its end.
"""

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass

from mappings.errors import UnmappableError
from mappings.jsonform import override_from_json, override_to_json
from mappings.model import Key, Override

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Pending:
    """Occurrences to be removed, and those to be changed, in the order in which that can be
    done."""

    deletions: tuple[Key, ...] = ()
    overrides: tuple[Override, ...] = ()

    def all(self) -> dict[Key, Override]:
        """What the series shows when all is done, by occurrence."""
        gone = {key: Override(key=key, cancelled=True) for key in self.deletions}
        return gone | {item.key: item for item in self.overrides}

    def write(self) -> str:
        """As one line, ASCII only: exceptions repeat much of each other, so it is compressed."""
        found = {
            "v": _VERSION,
            "d": self.deletions,
            "o": [override_to_json(item) for item in self.overrides],
        }
        packed = zlib.compress(json.dumps(found, separators=(",", ":")).encode())
        return b64encode(packed).decode("ascii")

    @classmethod
    def read(cls, text: str) -> "Pending | None":
        """What was written, None if it is none of ours or damaged."""
        try:
            found = json.loads(zlib.decompress(b64decode(text, validate=True)))
            if found["v"] != _VERSION:
                return None
            return cls(
                deletions=tuple(Key(str(key)) for key in found["d"]),
                overrides=tuple(override_from_json(each) for each in found["o"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, zlib.error, UnmappableError):
            return None
