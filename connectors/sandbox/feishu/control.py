"""`POST /_sandbox/<action>`: the Python interface for tests in other processes."""

from typing import TYPE_CHECKING, Any

from connectors.sandbox.feishu.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.sandbox.feishu.server import FeishuSandbox

Json = dict[str, Any]


class Control:
    """Translates JSON into calls. Raises KeyError for an unknown action, ValueError for bad input.

    Users are named by open_id or e-mail address, calendars by id or `primary`.
    """

    def __init__(self, sandbox: "FeishuSandbox") -> None:
        self._sandbox = sandbox
        self._actions: dict[str, Callable[[Json], Any]] = {
            "users": self._users,
            "calendars": self._calendars,
            "share": self._share,
            "seed": self._seed,
            "edit": self._edit,
            "grant": self._grant,
            "sign_in": self._sign_in,
            "switches": self._switches,
            "expire": self._expire,
            "revoke": self._revoke,
            "deactivate": self._deactivate,
            "subscriptions/drop": self._drop_subscriptions,
            "connections/close": self._close_connections,
            "delivery": self._delivery,
        }

    def act(self, action: str, body: Json) -> Any:
        """Do it."""
        try:
            return self._actions[action](body)
        except RefusalError as refusal:
            raise ValueError(str(refusal)) from None

    def _users(self, body: Json) -> Json:
        """`{"name", "email", "open_id"}`, all optional."""
        user = self._sandbox.add_user(**body)
        return {"open_id": user.open_id, "email": user.email, "primary": user.primary}

    def _calendars(self, body: Json) -> Json:
        """`{"owner", "summary", "type"}`."""
        owner = self._sandbox.world.user_by(body["owner"])
        kind = body.get("type", "shared")
        return {"calendar_id": self._sandbox.add_calendar(owner, body["summary"], kind).id}

    def _share(self, body: Json) -> Json:
        """`{"calendar_id", "user", "role"}`."""
        calendar = self._sandbox.world.calendars[body["calendar_id"]]
        self._sandbox.share(calendar, self._sandbox.world.user_by(body["user"]), body["role"])
        return {"ok": True}

    def _seed(self, body: Json) -> Json:
        """`{"events": [{"calendar_id" or "user", "body", "attendees"}]}`, or one such object."""
        return {"event_ids": [self._seed_one(item) for item in body.get("events", [body])]}

    def _seed_one(self, item: Json) -> str:
        calendar_id = item.get("calendar_id")
        if calendar_id is None:
            calendar_id = self._sandbox.world.user_by(item["user"]).primary
        return self._sandbox.seed_event(calendar_id, item["body"], item.get("attendees"))

    def _edit(self, body: Json) -> Any:
        """`{"user", "op", "calendar_id", "event_id", "body", "attendees"}`, where op is create,
        patch, delete, reply, invite, get or list; answers the event as the wire shows it."""
        person = self._sandbox.as_user(self._sandbox.world.user_by(body["user"]))
        calendar, content = body.get("calendar_id", "primary"), body.get("body") or {}
        match body["op"]:
            case "create":
                return person.create(calendar, content, body.get("attendees"))
            case "patch":
                return person.patch(calendar, body["event_id"], content)
            case "delete":
                person.delete(calendar, body["event_id"])
                return {"ok": True}
            case "reply":
                person.reply(calendar, body["event_id"], content["rsvp_status"])
                return {"ok": True}
            case "invite":
                return person.invite(calendar, body["event_id"], body["attendees"])
            case "get":
                return person.get(calendar, body["event_id"])
            case "list":
                return person.events(calendar)
            case other:
                raise ValueError(f"no such op: {other}")

    def _grant(self, body: Json) -> Json:
        """`{"user"}` -> tokens."""
        grant = self._sandbox.grant(self._sandbox.world.user_by(body["user"]))
        return {"access": grant.access, "refresh": grant.refresh, "scope": grant.scope}

    def _sign_in(self, body: Json) -> Json:
        """`{"user"}` answers the consent page."""
        self._sandbox.sign_in(self._sandbox.world.user_by(body["user"]))
        return {"ok": True}

    def _switches(self, body: Json) -> Json:
        """Any field of `FeishuSwitches`."""
        self._sandbox.switch(**body)
        return {"ok": True}

    def _expire(self, body: Json) -> Json:
        """`{"what": "access" | "refresh" | "sync", "user"}`."""
        world, desk = self._sandbox.world, self._sandbox.desk
        match body["what"]:
            case "access":
                desk.expire(world.user_by(body["user"]) if "user" in body else None)
            case "refresh":
                desk.expire_refresh(world.user_by(body["user"]))
            case "sync":
                self._sandbox.expire_sync_tokens()
            case other:
                raise ValueError(f"nothing called {other} expires")
        return {"ok": True}

    def _revoke(self, body: Json) -> Json:
        """`{"user"}` withdraws consent; subscribers of that event hear of it."""
        user = self._sandbox.world.user_by(body["user"])
        self._sandbox.desk.revoke(user)
        self._sandbox.pushes.revoked(user)
        return {"ok": True}

    def _deactivate(self, body: Json) -> Json:
        """`{"user"}` left the company."""
        self._sandbox.world.user_by(body["user"]).active = False
        return {"ok": True}

    def _drop_subscriptions(self, _body: Json) -> Json:
        self._sandbox.subscriptions.clear()
        return {"ok": True}

    def _close_connections(self, _body: Json) -> Json:
        self._sandbox.longconn.close_all()
        return {"ok": True}

    def _delivery(self, body: Json) -> Json:
        """`{"mode": "longconn" | "webhook" | "none", "url", "encrypt_key",
        "verification_token"}`."""
        self._sandbox.delivery.use(**body)
        return {"ok": True}
