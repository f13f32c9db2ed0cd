"""The one error that a translation can end in.

A partial translation is not an error: it returns the event and a list of `Loss`.
"""


class UnmappableError(ValueError):
    """The wire object cannot be understood at all; the unit it belongs to is to be parked.

    `code` is one of a small fixed set (`RULE_INVALID`, `ZONE_UNKNOWN`, `NO_END`, `MALFORMED`,
    `OUT_OF_RANGE`) for programs, `detail` is one sentence for people.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
