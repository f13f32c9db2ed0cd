"""Behaviour that no public source settles, and what a script may turn on."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class GoogleSwitches:
    """Each field is one open question about the real service; the default is our assumption.

    exceptions_on_time_change: what becomes of exceptions when the master's time or rule changes:
        `keep_on_rule` keeps those whose original start the new rule still produces.
    master_delete_lists_exceptions: a deleted series also shows its exceptions as changed.
    revive_after_ui_delete: a PUT may bring back what a person deleted; otherwise 403.
    order_by_gives_sync_token: a listing with `orderBy` ends with a sync token.
    diff_respects_window: diffs hold only what overlaps the window of the first listing.
    param_mismatch: a sync token used with other parameters: refuse (400) or go on.
    extended_properties_all: several constraints must all match, rather than any of them.
    several_rules: several RRULE lines: their union, only the first, or refuse.
    include_unmatched_start: DTSTART is an occurrence even if its rule does not produce it.
    until_date: an UNTIL without time on a timed series ends at the day's midnight or its end.
    date_exdate_removes_day: EXDATE;VALUE=DATE on a timed series removes that day's occurrence.
    import_revives: importing the UID of a deleted event brings it back; otherwise 409.
    noop_write_touches: a write that changes nothing still makes a new version.
    none_still_mails: `sendUpdates=none` mails all the same.
    offset_of: the offset of a rendered dateTime is that of the calendar (as documented) or of the
        event's own zone.
    endless_instances: how many occurrences of an endless series `singleEvents` shows when the
        caller sets no `timeMax`.
    sync_token_seconds: life of a sync token, None = until told to expire.
    watch_seconds: the longest life of a channel.
    allow_http_push: channels may name an http address (the real service never allows it).
    page_limit: no page holds more entries than this, whatever `maxResults` says.
    empty_first_page: a listing starts with an empty page that has a nextPageToken.
    write_spacing: seconds that must lie between two writes to one calendar, 0 = off.
    consent: what the person on the consent page does.
    limits: per-user and per-project request rates are enforced.
    """

    exceptions_on_time_change: Literal["keep_on_rule", "keep_all", "drop_all"] = "keep_on_rule"
    master_delete_lists_exceptions: bool = False
    revive_after_ui_delete: bool = False
    order_by_gives_sync_token: bool = False
    diff_respects_window: bool = False
    param_mismatch: Literal["refuse", "ignore"] = "refuse"
    extended_properties_all: bool = True
    several_rules: Literal["union", "first", "refuse"] = "union"
    include_unmatched_start: bool = True
    until_date: Literal["midnight", "whole_day"] = "midnight"
    date_exdate_removes_day: bool = True
    import_revives: bool = True
    noop_write_touches: bool = True
    none_still_mails: bool = False
    offset_of: Literal["calendar", "event"] = "calendar"
    endless_instances: int = 730
    sync_token_seconds: float | None = None
    watch_seconds: float = 7 * 86400
    allow_http_push: bool = False
    page_limit: int = 2500
    empty_first_page: bool = False
    write_spacing: float = 0.0
    consent: Literal["approve", "deny"] = "approve"
    limits: bool = field(default=True)
