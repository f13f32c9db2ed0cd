"""Calendars, the caller's list of them, and their access control lists."""

from typing import Any

from connectors.sandbox.feishu.calls import READ, WRITE, Call, Route
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.errors import RefusalError, violation, wrong_type
from connectors.sandbox.feishu.state import ROLES, Calendar, User

MAX_LISTED = 1000


def resolve(call: Call, calendar_id: str | None = None) -> Calendar:
    """The calendar that the path names, `primary` included. Raises 191001, 191000 or 191003."""
    name = calendar_id or call.args["calendar_id"]
    if name == "primary":
        name = call.user.primary
    if "@" not in name:
        raise RefusalError(191001)
    calendar = call.world.calendars.get(name)
    if calendar is None:
        raise RefusalError(191000)
    if calendar.deleted:
        raise RefusalError(191003)
    return calendar


def require(call: Call, calendar: Calendar, role: str) -> Calendar:
    """The caller has at least that role. Raises 191002."""
    if ROLES.index(calendar.role(call.user)) < ROLES.index(role):
        raise RefusalError(191002)
    return calendar


def show_calendar(call: Call, calendar: Calendar) -> Json:
    """The calendar object."""
    return {
        "calendar_id": calendar.id,
        "summary": calendar.summary,
        "description": calendar.description,
        "permissions": calendar.permissions,
        "color": calendar.color,
        "type": calendar.type,
        "summary_alias": "",
        "is_deleted": calendar.deleted or calendar.id not in call.user.listed,
        "is_third_party": calendar.type in ("google", "exchange"),
        "role": calendar.role(call.user),
    }


def list_calendars(call: Call) -> Json:
    """The caller's list, whole or since a sync token, as `calendar_list`."""
    world, user = call.world, call.user
    size = call.size(50, 1000, 500)
    base = {"u": user.open_id, "e": world.epoch, "t": world.clock.time()}
    if text := call.query.get("sync_token"):
        token = _token(call, "ListCalendarsSyncToken", text)
        numbers, reached = user.list_log.since(token["v"], user.list_log.head(1e12), size)
        more = reached < user.list_log.head(1e12)
        names = [user.list_entries[number] for number in numbers]
        listed = [_listed(call, name) for name in names]
        sync = world.cursors.mint("ListCalendarsSyncToken", base | {"v": reached})
        return {"has_more": more, "page_token": "", "sync_token": sync, "calendar_list": listed}
    offset, version = 0, user.list_log.head(1e12)
    if text := call.query.get("page_token"):
        token = _token(call, "ListCalendarsPageToken", text)
        offset, version = token["n"], token["v"]
    page = list(enumerate(user.list_entries))[offset : offset + size]
    alive = [name for number, name in page if user.listed.get(name) == number]
    listed = [_listed(call, name) for name in alive if not world.calendars[name].deleted]
    if offset + size < len(user.list_entries):
        following = base | {"n": offset + size, "v": version}
        token_text = world.cursors.mint("ListCalendarsPageToken", following)
        return {"has_more": True, "page_token": token_text, "calendar_list": listed}
    sync = world.cursors.mint("ListCalendarsSyncToken", base | {"v": version})
    return {"has_more": False, "page_token": "", "sync_token": sync, "calendar_list": listed}


def _listed(call: Call, name: str) -> Json:
    return show_calendar(call, call.world.calendars[name])


def _token(call: Call, kind: str, text: str) -> Json:
    token = call.world.cursors.read(kind, text)
    if token is None:
        raise violation("token", text, "malformed")
    age = call.world.clock.time() - token["t"]
    stale = age > call.world.switches.sync_token_days * 86_400
    if token["u"] != call.user.open_id or token["e"] != call.world.epoch or stale:
        raise RefusalError(190008)
    return token


def get_calendar(call: Call) -> Json:
    """One calendar, its fields flat in `data`."""
    return show_calendar(call, require(call, resolve(call), "free_busy_reader"))


def primary(call: Call) -> Json:
    """The caller's own primary calendar."""
    return {"calendars": [_primary_of(call, call.user)]}


def primarys(call: Call) -> Json:
    """Other people's primary calendars."""
    users = call.body.get("user_ids")
    if not isinstance(users, list) or not 1 <= len(users) <= 10:
        raise violation("user_ids", users, "1 to 10")
    found = [call.world.user_of_id(call.id_kind, value) for value in users]
    return {"calendars": [_primary_of(call, user) for user in found]}


def _primary_of(call: Call, user: User) -> Json:
    calendar = call.world.calendars[user.primary]
    return {"calendar": show_calendar(call, calendar), **call.visible_id(user)}


def mget(call: Call) -> Json:
    """Up to ten calendars; unknown ones are left out."""
    names = call.body.get("calendar_ids")
    if not isinstance(names, list) or not 1 <= len(names) <= 10:
        raise violation("calendar_ids", names, "1 to 10")
    known = [call.world.calendars[name] for name in names if name in call.world.calendars]
    return {"calendars": [show_calendar(call, calendar) for calendar in known]}


def create_calendar(call: Call) -> Json:
    """A shared calendar of the caller."""
    _room_in_list(call.user)
    calendar = call.world.add_calendar(call.user, "", "shared")
    _write_fields(calendar, call.body)
    return {"calendar": show_calendar(call, calendar)}


def patch_calendar(call: Call) -> Json:
    """Rename or recolour."""
    calendar = require(call, resolve(call), "owner")
    _write_fields(calendar, call.body)
    _touch_lists(call, calendar)
    return {"calendar": show_calendar(call, calendar)}


def delete_calendar(call: Call) -> Json:
    """Delete a shared calendar for everybody."""
    calendar = require(call, resolve(call), "owner")
    if calendar.type != "shared":
        raise RefusalError(191004)
    calendar.deleted = True
    _touch_lists(call, calendar)
    return {}


def _write_fields(calendar: Calendar, body: Json) -> None:
    for name, limit in (("summary", 255), ("description", 255)):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise wrong_type(name, value, "a string is expected")
        if len(value) > limit:
            raise violation(name, len(value), f"at most {limit} characters")
        setattr(calendar, name, value)
    permissions = body.get("permissions")
    if permissions is not None:
        if permissions not in ("private", "show_only_free_busy", "public"):
            raise violation("permissions", permissions, "private, show_only_free_busy or public")
        calendar.permissions = permissions
    if isinstance(body.get("color"), int):
        calendar.color = body["color"]


def _touch_lists(call: Call, calendar: Calendar) -> None:
    for user in call.world.users.values():
        if calendar.id in user.listed:
            call.world.list_touch(user, calendar.id)


def _room_in_list(user: User) -> None:
    if len(user.listed) >= MAX_LISTED:
        raise RefusalError(191005)


def subscribe(call: Call) -> Json:
    """Add a calendar to the caller's list."""
    calendar = resolve(call)
    if calendar.type not in ("primary", "shared") or calendar.role(call.user) == "unknown":
        raise RefusalError(191006)
    if calendar.id not in call.user.listed:
        _room_in_list(call.user)
        call.world.list_touch(call.user, calendar.id)
    return {"calendar": show_calendar(call, calendar)}


def unsubscribe(call: Call) -> Json:
    """Take a calendar off the caller's list."""
    calendar = resolve(call)
    if calendar.id == call.user.primary:
        raise RefusalError(191008)
    if calendar.id not in call.user.listed:
        raise RefusalError(191007)
    call.world.list_touch(call.user, calendar.id)
    del call.user.listed[calendar.id]
    return {}


# -- access control ----------------------------------------------------------------------------


def list_acls(call: Call) -> Json:
    """Who else may do what."""
    calendar = require(call, resolve(call), "owner")
    acls = [_show_acl(call, calendar, user_id) for user_id in calendar.acl]
    return {"acls": acls, "has_more": False, "page_token": ""}


def create_acl(call: Call) -> Json:
    """Give a person a role."""
    calendar = require(call, resolve(call), "owner")
    role, scope = call.body.get("role"), call.body.get("scope") or {}
    if role not in ROLES[1:] or scope.get("type") != "user":
        raise violation("role", role, "a role and a scope of type user")
    user = call.world.user_of_id(call.id_kind, scope.get("user_id"))
    calendar.acl[user.open_id] = role
    call.world.on_acl_change(calendar, "created", user, role)
    return _show_acl(call, calendar, user.open_id)


def delete_acl(call: Call) -> Json:
    """Take a role away."""
    calendar = require(call, resolve(call), "owner")
    open_id = call.args["acl_id"].removeprefix("user_")
    if open_id not in calendar.acl:
        raise RefusalError(192000)
    role = calendar.acl.pop(open_id)
    call.world.on_acl_change(calendar, "deleted", call.world.users[open_id], role)
    return {}


def _show_acl(call: Call, calendar: Calendar, open_id: str) -> dict[str, Any]:
    scope = {"type": "user", **call.visible_id(call.world.users[open_id])}
    return {"acl_id": f"user_{open_id}", "role": calendar.acl[open_id], "scope": scope}


_C = "calendar/v4/calendars"
ROUTES = (
    Route("GET", _C, "calendars.list", list_calendars, READ),
    Route("POST", _C, "calendars.create", create_calendar, WRITE),
    Route("POST", f"{_C}/primary", "calendars.primary", primary, READ),
    Route("POST", f"{_C}/primarys", "calendars.primarys", primarys, READ),
    Route("POST", f"{_C}/mget", "calendars.mget", mget, READ),
    Route("GET", f"{_C}/{{calendar_id}}", "calendars.get", get_calendar, READ),
    Route("PATCH", f"{_C}/{{calendar_id}}", "calendars.patch", patch_calendar, WRITE),
    Route("DELETE", f"{_C}/{{calendar_id}}", "calendars.delete", delete_calendar, WRITE),
    Route("POST", f"{_C}/{{calendar_id}}/subscribe", "calendars.subscribe", subscribe, READ),
    Route("POST", f"{_C}/{{calendar_id}}/unsubscribe", "calendars.unsubscribe", unsubscribe, READ),
    Route("GET", f"{_C}/{{calendar_id}}/acls", "acls.list", list_acls, READ),
    Route("POST", f"{_C}/{{calendar_id}}/acls", "acls.create", create_acl, WRITE),
    Route("DELETE", f"{_C}/{{calendar_id}}/acls/{{acl_id}}", "acls.delete", delete_acl, WRITE),
)
