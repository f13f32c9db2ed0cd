"""People: contact v3 look-ups and authen v1 user_info."""

from typing import Any

from connectors.sandbox.feishu.calls import Call, Route
from connectors.sandbox.feishu.errors import RefusalError, wrong_type
from connectors.sandbox.feishu.state import User


def batch_get_id(call: Call) -> dict[str, Any]:
    """User ids by e-mail address (tenant token only); unknown addresses come without `user_id`."""
    emails = call.body.get("emails") or []
    if not isinstance(emails, list) or len(emails) > 50:
        raise wrong_type("emails", emails, "a list of at most 50")
    by_email = {user.email: user for user in call.world.users.values() if user.email}
    found = []
    for email in emails:
        user = by_email.get(str(email).lower())
        known = call.visible_id(user) if user and user.active else {}
        found.append({"email": email} | known)
    return {"user_list": found}


def get_user(call: Call) -> dict[str, Any]:
    """One person."""
    return {"user": _shown(call, call.world.user_of_id(call.id_kind, call.args["user_id"]))}


def batch_users(call: Call) -> dict[str, Any]:
    """Up to 50 persons; unknown ids are left out."""
    wanted = call.query.get("user_ids", "").split(",")
    if len(wanted) > 50:
        raise wrong_type("user_ids", wanted, "at most 50")
    people = {user.id(call.id_kind): user for user in call.world.users.values()}
    return {"items": [_shown(call, people[key]) for key in wanted if key in people]}


def user_info(call: Call) -> dict[str, Any]:
    """Whose user token this is."""
    if not call.user.active:
        raise RefusalError(20005)
    return _shown(call, call.user) | {"tenant_key": call.caller.app.tenant_key}


def _shown(call: Call, user: User) -> dict[str, Any]:
    scopes = call.caller.scopes
    shown = {"open_id": user.open_id, "union_id": user.union_id, "name": user.name}
    if "contact:user.employee_id:readonly" in scopes:
        shown["user_id"] = user.user_id
    if "contact:user.email:readonly" in scopes and user.email:
        shown["email"] = user.email
    return shown


CONTACT = ("contact:user.id:readonly",)
ROUTES = (
    Route("POST", "contact/v3/users/batch_get_id", "contact.batch_get_id", batch_get_id,
          CONTACT, ("tenant",)),
    Route("GET", "contact/v3/users/batch", "contact.users.batch", batch_users),
    Route("GET", "contact/v3/users/{user_id}", "contact.users.get", get_user),
    Route("GET", "authen/v1/user_info", "authen.user_info", user_info, (), ("user",)),
)  # fmt: skip
