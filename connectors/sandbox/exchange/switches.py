"""Behaviour that no public source settles, and what a script may turn on."""

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass
class ExchangeSwitches:
    """Each field is one open question about real servers; the default is our assumption.

    end_change_keeps_exceptions: a new range with the same pattern keeps the exceptions and
        deletions that it still covers; otherwise they go, as with every change of a pattern.
    time_change_keeps_exceptions: the same for a change of the series' time of day or length.
    start_disagrees: Start of a new series that is no occurrence moves to the first one, or is
        refused.
    first_day_of_week: what a weekly pattern without FirstDayOfWeek gets.
    zero_length: an event that ends when it starts is refused, or kept.
    default_reminder: a new item whose reminder nobody sets has one, 15 minutes before.
    last_occurrence: deleting the last occurrence left is refused, or deletes the series.
    same_date: a moved occurrence may not share the local date of a neighbour, or may.
    days_between: whole days that a moved occurrence must leave free between itself and a neighbour.
    fold: which of two equal wall times counts in the hour that comes twice.
    twelve_months: a monthly pattern of 12, 24... months reads back as written, or as a yearly one
        (which has no interval in EWS).
    occurrence_end: occurrences end at the series' wall time (the storage format holds minutes
        after midnight) or after its exact duration.
    exceptions_inherit_extended: an exception shows the extended properties of its master.
    foreign_uid: a UID set by a client reads back as it was, or as the hex text of the binary
        that wraps it.
    html_body: HTML is rewritten into a whole document, or kept.
    text_line_ends: plain text bodies come back with CRLF, or as sent.
    sync_state_bytes: the length to which states of SyncFolderItems are padded.
    sync_page_limit: no page of SyncFolderItems holds more entries than this.
    sync_duplicates: the last Create of a page is repeated on the next one.
    touch_on_noop: an update that changes nothing still makes a new ChangeKey.
    max_body: bytes of a body beyond which an item is refused.
    quota_items: items that a mailbox may hold, None = any number.
    max_subscriptions: per mailbox.
    hanging_connections: streaming connections of one caller (HangingConnectionLimit).
    subscription_seconds: life of a streaming subscription after its last connection.
    keep_alive_seconds: between two status messages on a streaming connection, in real time.
    streaming_close: a streaming connection ends with `Closed`, or just ends.
    requests_per_minute: per user, None = any number; beyond it ErrorServerBusy.
    max_concurrency: requests that one user may have under way.
    token_seconds: life of an access token.
    limits: `max_concurrency` and `requests_per_minute` are enforced.
    """

    end_change_keeps_exceptions: bool = False
    time_change_keeps_exceptions: bool = False
    start_disagrees: Literal["move", "refuse"] = "move"
    first_day_of_week: str = "Sunday"
    zero_length: Literal["refuse", "keep"] = "refuse"
    default_reminder: bool = True
    last_occurrence: Literal["refuse", "delete_series"] = "refuse"
    same_date: Literal["refuse", "allow"] = "refuse"
    days_between: int = 0
    fold: Literal["first", "second"] = "first"
    twelve_months: Literal["keep", "yearly"] = "keep"
    occurrence_end: Literal["wall", "exact"] = "wall"
    exceptions_inherit_extended: bool = True
    foreign_uid: Literal["keep", "wrap"] = "keep"
    html_body: Literal["rewrite", "keep"] = "rewrite"
    text_line_ends: Literal["crlf", "keep"] = "crlf"
    sync_state_bytes: int = 2048
    sync_page_limit: int = 512
    sync_duplicates: bool = False
    touch_on_noop: bool = True
    max_body: int = 25 * 1024 * 1024
    quota_items: int | None = None
    max_subscriptions: int = 5000
    hanging_connections: int = 3
    subscription_seconds: float = 1800.0
    keep_alive_seconds: float = 45.0
    streaming_close: bool = True
    requests_per_minute: int | None = None
    max_concurrency: int = 27
    token_seconds: float = 3600.0
    limits: bool = True

    def turn(self, **values: Any) -> None:
        """Turn some switches. Raises ValueError for one that does not exist."""
        known = {item.name for item in fields(self)}
        if unknown := set(values) - known:
            raise ValueError(f"no such switches: {sorted(unknown)}; known: {sorted(known)}")
        for name, value in values.items():
            setattr(self, name, value)
