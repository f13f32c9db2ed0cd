"""events.list and events.instances: full listings, windows, diffs and their tokens."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from connectors.sandbox.google.errors import ApiError, bad_request, full_sync_required, invalid
from connectors.sandbox.google.instances import instances, overlaps, touches_window
from connectors.sandbox.google.rendering import Rendering
from connectors.sandbox.google.state import Calendar, Caller, Row, World
from connectors.sandbox.google.times import millis_text, parse_bound, zone_named
from connectors.sandbox.google.tokens import Mark, decode, digest, encode
from connectors.sandbox.http import Request

FORBIDDEN_WITH_TOKEN = (
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin",
    "timeMax", "updatedMin",
)  # fmt: skip
BOUND_TO_TOKEN = ("singleEvents", "showDeleted", "eventTypes", "maxAttendees", "timeZone")
UPDATED_MIN_REACH = 30 * 86400


@dataclass(frozen=True)
class Query:
    """The parameters of one events.list call, checked."""

    low: datetime | None
    high: datetime | None
    single: bool
    show_deleted: bool
    order: str | None
    limit: int
    types: frozenset[str]
    uid: str | None
    text: str | None
    updated_min: int | None
    private: tuple[tuple[str, str], ...]
    shared: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, request: Request, world: World) -> "Query":
        """From the query string. Raises 400, or 410 for an `updatedMin` too long ago."""
        order = request.param("orderBy")
        single = flag(request, "singleEvents")
        low = parse_bound(request.param("timeMin"), "timeMin")
        high = parse_bound(request.param("timeMax"), "timeMax")
        if order not in (None, "startTime", "updated"):
            raise invalid("Invalid value for: orderBy", "orderBy")
        if order == "startTime" and not single:
            raise bad_request("The requested ordering is not available for the particular query.")
        if low and high and high <= low:
            raise ApiError(
                400, "timeRangeEmpty", "The specified time range is empty.",
                domain="calendar", location=("parameter", "timeMax"),
            )  # fmt: skip
        return cls(
            low=low,
            high=high,
            single=single,
            show_deleted=flag(request, "showDeleted"),
            order=order,
            limit=min(limit_of(request), world.switches.page_limit),
            types=frozenset(request.params("eventTypes")),
            uid=request.param("iCalUID"),
            text=(request.param("q") or "").lower() or None,
            updated_min=_updated_min(request, world),
            private=_constraints(request, "privateExtendedProperty"),
            shared=_constraints(request, "sharedExtendedProperty"),
        )


def flag(request: Request, name: str) -> bool:
    """A boolean parameter, false if absent. Raises 400."""
    value = request.param(name, "false")
    if value not in ("true", "false"):
        raise bad_request(f"Invalid boolean value for {name}.")
    return value == "true"


def limit_of(request: Request, *, default: int = 250, most: int = 2500) -> int:
    """`maxResults`, at most what one page may hold. Raises 400."""
    text = request.param("maxResults", str(default)) or ""
    if not text.isdigit() or int(text) < 1:
        raise invalid("Invalid value for: maxResults", "maxResults")
    return min(int(text), most)


class EventListing:
    """One call of events.list on one calendar."""

    def __init__(self, world: World, caller: Caller, calendar: Calendar, request: Request) -> None:
        self._world = world
        self._caller = caller
        self._calendar = calendar
        self._request = request
        zone = request.param("timeZone")
        if zone and zone_named(zone) is None:
            raise invalid(f"Invalid time zone: {zone}", "timeZone")
        attendees = request.param("maxAttendees")
        self._zone = zone or calendar.zone
        self._rendering = Rendering(
            world, caller, calendar, zone=zone, max_attendees=int(attendees) if attendees else None
        )
        self._bound = digest(
            [caller.email, [sorted(request.params(name)) for name in BOUND_TO_TOKEN]]
        )
        self._all = digest(
            sorted(pair for pair in request.query if pair[0] not in ("pageToken", "maxResults"))
        )

    def answer(self) -> dict[str, Any]:
        """The page. Raises the API's 400s and 410s."""
        token = self._request.param("syncToken")
        since = self._sync_mark(token) if token is not None else None
        if since is not None:
            self._refuse_filters()
        query = Query.of(self._request, self._world)
        if since is not None and self._world.switches.diff_respects_window:
            query = replace(
                query,
                low=parse_bound(since.window[0], "timeMin"),
                high=parse_bound(since.window[1], "timeMax"),
            )
        mark = self._start(since)
        if self._world.switches.empty_first_page and self._request.param("pageToken") is None:
            return self._page([], query, mark, done=False)
        found = self._found(query, mark, diff=since is not None)
        items: list[Row] = []
        for position, skip, row in islice(found, query.limit):
            items.append(row)
            mark = replace(mark, position=position, skip=skip)
        done = next(found, None) is None
        return self._page(items, query, mark, done=done)

    # -- tokens ----------------------------------------------------------------------------

    def _start(self, since: Mark | None) -> Mark:
        """Where this page begins."""
        token = self._request.param("pageToken")
        calendar = self._calendar
        if token is None:
            return Mark(
                kind="page",
                scope=calendar.id,
                params=self._all,
                position=since.position if since else 0,
                until=calendar.log.head,
                epoch=calendar.epoch,
                issued=int(self._world.clock.time()),
                window=since.window if since else self._window(),
            )
        mark = decode(token, "page", calendar.id)
        if mark is None or mark.params != self._all or mark.epoch != calendar.epoch:
            raise invalid("Invalid page token value.", "pageToken")
        return mark

    def _window(self) -> tuple[str | None, str | None]:
        return self._request.param("timeMin"), self._request.param("timeMax")

    def _sync_mark(self, token: str) -> Mark:
        mark = decode(token, "sync", self._calendar.id)
        if mark is None:
            raise invalid("Invalid sync token value.", "syncToken")
        if mark.params != self._bound and self._world.switches.param_mismatch == "refuse":
            raise invalid("Invalid sync token value.", "syncToken")
        life = self._world.switches.sync_token_seconds
        aged = life is not None and self._world.clock.time() - mark.issued >= life
        if aged or mark.epoch != self._calendar.epoch:
            raise full_sync_required()
        return mark

    def _refuse_filters(self) -> None:
        for name in FORBIDDEN_WITH_TOKEN:
            if self._request.param(name) is not None:
                raise bad_request(f"Sync token cannot be used with parameter {name}.")
        if self._request.param("showDeleted") == "false":
            raise bad_request("Sync token cannot be used with parameter showDeleted=false.")

    # -- what is listed -----------------------------------------------------------------------

    def _found(self, query: Query, mark: Mark, *, diff: bool) -> Iterator[tuple[int, int, Row]]:
        """The entries after the mark, each with the mark that comes after it."""
        if query.order:
            entries = [row for _, _, row in self._walk(query, 0, 0, diff=False)]
            if query.order == "startTime":
                entries.sort(key=lambda row: row.start.within(self._calendar.zone))
            else:
                entries.sort(key=lambda row: row.updated)
            for at, row in enumerate(entries[mark.position :], mark.position + 1):
                yield at, 0, row
            return
        yield from self._walk(query, mark.position, mark.skip, diff=diff)

    def _walk(
        self, query: Query, position: int, skip: int, *, diff: bool
    ) -> Iterator[tuple[int, int, Row]]:
        """Along the change log. `skip` entries of the row after `position` were shown before."""
        before = position
        for number, name in self._calendar.log.since(position):
            shown = [
                row
                for row in self._shown(self._calendar.rows[name], query, diff=diff)
                if self._matches(row, query)
            ]
            for at, row in enumerate(shown[skip:], skip + 1):
                yield (number, 0, row) if at == len(shown) else (before, at, row)
            before, skip = number, 0

    def _shown(self, row: Row, query: Query, *, diff: bool) -> Iterator[Row]:
        """What one stored row contributes: itself, its occurrences, or nothing."""
        calendar, deleted = self._calendar, self._calendar.is_deleted(row)
        with_deleted = diff or query.show_deleted
        if query.single:
            if row.recurrence and not row.cancelled:
                for found in instances(self._world, calendar, row, query.low, query.high):
                    if not found.stored:
                        yield found
                return
            if row.recurrence and not diff:
                return
            visible = with_deleted or not (row.cancelled or deleted)
            if visible and overlaps(row, calendar.zone, query.low, query.high):
                yield row
            return
        if deleted and not with_deleted:
            return
        if touches_window(self._world, calendar, row, query.low, query.high) or (
            row.cancelled and row.recurrence
        ):
            yield row

    def _matches(self, row: Row, query: Query) -> bool:
        fields = row.fields
        if query.types and fields.get("eventType", "default") not in query.types:
            return False
        if query.uid is not None and row.uid != query.uid:
            return False
        if query.updated_min is not None and row.updated < query.updated_min:
            return False
        if query.text and not any(
            query.text in fields.get(name, "").lower()
            for name in ("summary", "description", "location")
        ):
            return False
        return self._has(fields, "private", query.private) and self._has(
            fields, "shared", query.shared
        )

    def _has(self, fields: dict[str, Any], kind: str, wanted: tuple[tuple[str, str], ...]) -> bool:
        held = fields.get("extendedProperties", {}).get(kind, {})
        tests = [held.get(key) == value for key, value in wanted]
        if not tests:
            return True
        return all(tests) if self._world.switches.extended_properties_all else any(tests)

    # -- the answer --------------------------------------------------------------------------------

    def _page(self, rows: list[Row], query: Query, mark: Mark, *, done: bool) -> dict[str, Any]:
        details = query.show_deleted
        calendar = self._calendar
        answer: dict[str, Any] = {
            "kind": "calendar#events",
            "etag": f'"p{calendar.updated:x}"',
            "summary": calendar.summary,
            "updated": millis_text(calendar.updated),
            "timeZone": self._zone,
            "accessRole": calendar.roles[self._caller.email],
            "defaultReminders": self._default_reminders(),
        }
        if calendar.description:
            answer["description"] = calendar.description
        if not done:
            answer["nextPageToken"] = encode(mark)
        elif query.order is None or self._world.switches.order_by_gives_sync_token:
            answer["nextSyncToken"] = encode(
                replace(
                    mark,
                    kind="sync",
                    params=self._bound,
                    position=mark.until,
                    skip=0,
                    until=0,
                    issued=int(self._world.clock.time()),
                )
            )
        answer["items"] = [self._rendering.event(row, details=details) for row in rows]
        return answer

    def _default_reminders(self) -> list[Any]:
        user = self._world.users[self._caller.email]
        entry = user.entries.get(self._calendar.id)
        return list(entry.shown.get("defaultReminders", [])) if entry else []


def _updated_min(request: Request, world: World) -> int | None:
    bound = parse_bound(request.param("updatedMin"), "updatedMin")
    if bound is None:
        return None
    if world.clock.time() - bound.timestamp() > UPDATED_MIN_REACH:
        raise ApiError(
            410, "updatedMinTooLongAgo",
            "The requested minimum modification time lies too far in the past.",
            domain="calendar", location=("parameter", "updatedMin"),
        )  # fmt: skip
    return int(bound.timestamp() * 1000)


def _constraints(request: Request, name: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in request.params(name):
        key, found, value = text.partition("=")
        if not found:
            raise invalid(f"Invalid value for: {name}", name)
        pairs.append((key, value))
    return tuple(pairs)
