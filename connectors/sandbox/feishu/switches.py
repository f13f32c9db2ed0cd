"""Behaviour that no public source settles, by name, and the knobs that a test may turn.

Every field of the first group is a guess with a documented default: when a live tenant shows
otherwise, the default is flipped here and nowhere else.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class FeishuSwitches:
    """How this Feishu behaves where the documentation is silent, and how it misbehaves on demand.

    Undocumented behaviour:
    `write_end`, `read_end`: whether the end date of an all-day event names its last day or the
    day after, on create/patch and on read. `all_day_timestamp`: reads of all-day events carry a
    timestamp beside the date. `recurring_id_suffix`: `recurring_event_id` ends in `_0`.
    `cancelled_in_full_listing`: what a listing without sync token shows of deleted things.
    `tombstones`: how many fields a deleted event keeps. `cascade`: deleting a master deletes its
    exceptions. `master_move_drops_exceptions`: so does moving it. `get_unmaterialised`: GET of an
    occurrence that never became an exception. `get_deleted`: GET of a deleted event.
    `empty_string_clears`: PATCH with "" clears a text. `location_clear`: what `"location": {}`
    does in PATCH. `empty_recurrence`: what `"recurrence": ""` does in PATCH of a series.
    `zero_length`: events without duration are taken. `sub_daily`: FREQ below DAILY is taken.
    `until_date`: what a date-only UNTIL means on a timed series. `rrule_prefix`: reads spell
    `RRULE:`. `page_size`: what a size outside the documented range gets. `delta_pages_by`: which
    token continues a delta that has more. `foreign_token_code`: a sync token of somebody else.
    `token_error_status`: HTTP status of an invalid or expired access token.
    `key_of_deleted_event`: what an idempotency key answers after its event was deleted.
    `third_party_mail_always`: adding an outside address mails even without notification.
    `sync_token_days`, `page_token_seconds`: how long cursors live.

    Weather: `lag_seconds` until a write shows in listings; `short_pages` caps the items of a page
    whatever was asked; `empty_pages` lets every listing begin with an empty page; `grey_fields`
    adds the fields that only some tenants get to pushes; `long_tokens` makes access tokens 1.5 KB;
    `trim_description` normalises text as it is stored; `room_reply_seconds`; `authorize` answers
    the consent page.

    Pushes: `aggregation_seconds`, `ack_seconds`; the chances are per push, from 0 to 1.
    """

    write_end: Literal["inclusive", "exclusive"] = "inclusive"
    read_end: Literal["inclusive", "exclusive"] = "exclusive"
    all_day_timestamp: bool = False
    recurring_id_suffix: bool = True
    cancelled_in_full_listing: Literal["none", "exceptions", "all"] = "exceptions"
    tombstones: Literal["few", "all"] = "few"
    cascade: bool = False
    master_move_drops_exceptions: bool = False
    get_unmaterialised: Literal["not_found", "mirror"] = "not_found"
    get_deleted: Literal["refused", "shown"] = "refused"
    empty_string_clears: bool = True
    location_clear: Literal["cleared", "ignored", "refused"] = "cleared"
    empty_recurrence: Literal["ignored", "single"] = "ignored"
    zero_length: bool = True
    sub_daily: bool = False
    until_date: Literal["whole_day", "midnight"] = "whole_day"
    rrule_prefix: bool = False
    page_size: Literal["refused", "clamped"] = "refused"
    delta_pages_by: Literal["sync_token", "page_token"] = "sync_token"
    foreign_token_code: int = 190008
    token_error_status: int = 401
    key_of_deleted_event: Literal["dead", "new"] = "dead"
    third_party_mail_always: bool = True
    sync_token_days: float = 90.0
    page_token_seconds: float = 86_400.0

    lag_seconds: float = 0.0
    short_pages: int = 0
    empty_pages: bool = False
    grey_fields: bool = False
    long_tokens: bool = False
    trim_description: bool = False
    room_reply_seconds: float = 1.0
    authorize: Literal["approve", "deny"] = "approve"

    aggregation_seconds: float = 3.0
    ack_seconds: float = 3.0
    push_drop_chance: float = 0.0
    push_duplicate_chance: float = 0.0
    push_reorder_chance: float = 0.0
    longconn_enabled: bool = True
    longconn_endpoint_code: int = 0
    longconn_handshake: Literal["open", "forbidden", "limit", "busy"] = "open"
    longconn_stall: Literal["none", "data", "all"] = "none"
    longconn_chunk_bytes: int = 0
    longconn_chunk_loss_chance: float = 0.0
    longconn_ping_interval: int = 120
    longconn_reconnect_interval: int = 120
    longconn_reconnect_nonce: int = 30
    longconn_reconnect_count: int = -1

    def changed(self, values: dict[str, Any]) -> "FeishuSwitches":
        """A copy with some switches turned. Raises ValueError for one that does not exist."""
        unknown = set(values) - {item.name for item in fields(self)}
        if unknown:
            raise ValueError(f"no such switch: {', '.join(sorted(unknown))}")
        return replace(self, **values)
