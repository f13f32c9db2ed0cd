"""The server: routes, envelopes, the control interface and the Python interface for tests."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from connectors.sandbox.clock import Clock
from connectors.sandbox.feishu import attendees, calendars, directory, events, freebusy, listing
from connectors.sandbox.feishu.calls import Call, Route, body_of
from connectors.sandbox.feishu.clients import Person
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.control import Control
from connectors.sandbox.feishu.delivery import Delivery
from connectors.sandbox.feishu.errors import OAuthRefusalError, RefusalError
from connectors.sandbox.feishu.limits import RateLimits
from connectors.sandbox.feishu.longconn import LongConnections
from connectors.sandbox.feishu.oauth import Grant, TokenDesk
from connectors.sandbox.feishu.pushes import Pushes
from connectors.sandbox.feishu.rewrites import rewritten
from connectors.sandbox.feishu.schedule import Schedule
from connectors.sandbox.feishu.state import (
    ALL_SCOPES,
    App,
    Calendar,
    CalendarType,
    Chat,
    Room,
    User,
    World,
)
from connectors.sandbox.feishu.subscriptions import Subscriptions
from connectors.sandbox.feishu.switches import FeishuSwitches
from connectors.sandbox.http import Request, Response, Sandbox


class FeishuSandbox(Sandbox):
    """Feishu on loopback. `app` is the one self-built app; its id is unique per sandbox because
    SDKs cache tokens by app id."""

    name = "feishu"

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        port: int = 0,
        limits: bool = True,
        switches: FeishuSwitches | None = None,
        app_id: str | None = None,
        app_secret: str | None = None,
    ) -> None:
        super().__init__(clock=clock, seed=seed, port=port)
        self._app_id = app_id or f"cli_{uuid.uuid4().hex[:16]}"
        self._app_secret = app_secret or uuid.uuid4().hex
        self._first_switches = switches or FeishuSwitches()
        self.limits = RateLimits(enabled=limits)
        self.schedule = Schedule(self.clock, self.stopping)
        self.longconn = LongConnections(self)
        self.delivery = Delivery(self)
        self._begin()

    def _begin(self) -> None:
        self.limits.clear()
        self.schedule.clear()
        self.world = World(self.clock, self._first_switches, self.seed)
        self.world.on_mail = self.mail
        self.world.later = self._later
        self.desk = TokenDesk(self.world)
        self.subscriptions = Subscriptions()
        self.pushes = Pushes(self)
        bot = self.world.add_user("Bot", "", None, bot=True)
        self.app = App(self._app_id, self._app_secret, bot)
        self.world.apps[self.app.id] = self.app
        self._routes = [
            (route, route.path.split("/"))
            for route in (
                *directory.ROUTES,
                *self.subscriptions.routes(),
                *calendars.ROUTES,
                *listing.ROUTES,
                *events.ROUTES,
                *attendees.ROUTES,
                *freebusy.ROUTES,
            )
        ]

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> "FeishuSandbox":
        """Serve HTTP and WebSocket, deliver pushes."""
        super().start()
        self.schedule.start()
        self.longconn.start()
        return self

    def __enter__(self) -> "FeishuSandbox":
        return self.start()

    def stop(self) -> None:
        """End everything that `start` began."""
        super().stop()
        self.longconn.stop()
        self.schedule.stop()
        self.delivery.stop()

    def reset(self) -> None:
        """An empty tenant with the same app; open long connections are closed."""
        self.longconn.close_all()
        self.delivery.attempts.clear()
        self._begin()

    def _later(self, seconds: float, job: Any) -> None:
        def locked() -> None:
            with self.lock:
                job()

        self.schedule.at(self.clock.time() + seconds, locked)

    # -- requests --------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one API call; `X-Tt-Logid` stands on every answer."""
        log_id = f"{int(self.clock.time()):014d}{self.world.serial():018X}"
        try:
            response = self._outside(request) or self._api(request)
        except OAuthRefusalError as refusal:
            response = Response.of_json(refusal.body, refusal.status)
        except RefusalError as refusal:
            response = Response.of_json(refusal.envelope(log_id), refusal.status)
            response.headers |= refusal.headers
        response.headers["X-Tt-Logid"] = log_id
        return response

    def _outside(self, request: Request) -> Response | None:
        """The calls without a bearer token and without the envelope."""
        match request.method, request.path:
            case "GET", "/open-apis/authen/v1/authorize":
                self.operation("oauth.authorize")
                return self.desk.authorize(request)
            case "POST", "/open-apis/authen/v2/oauth/token" | "/oauth/v3/token":
                self.operation("oauth.token")
                return Response.of_json(self.desk.token(request))
            case (
                "POST",
                "/open-apis/auth/v3/tenant_access_token/internal"
                | "/open-apis/auth/v3/app_access_token/internal",
            ):
                self.operation("auth.tenant_token")
                return Response.of_json(self.desk.tenant_token(body_of(request)))
            case "POST", "/callback/ws/endpoint":
                self.operation("ws.endpoint")
                return Response.of_json(self.longconn.endpoint(body_of(request)))
            case _:
                return None

    def _api(self, request: Request) -> Response:
        found = self._route(request.method, request.parts)
        if found is None:
            return Response(404, b"404 page not found", {"Content-Type": "text/plain"})
        route, args = found
        self.operation(route.operation)
        caller = self.desk.caller(request.headers.get("Authorization"), route.tokens)
        self.limits.take(caller.app.id, route.operation)
        if route.scopes and not caller.scopes.intersection(route.scopes):
            lacking = [
                {"type": "action_scope_required", "subject": scope, "description": scope}
                for scope in route.scopes
            ]
            code = 99991679 if caller.kind == "user" else 99991672
            raise RefusalError(code, permission_violations=lacking)
        call = Call(self.world, caller, args, body_of(request), dict(request.query))
        return Response.of_json({"code": 0, "msg": "success", "data": route.handler(call)})

    def _route(self, method: str, parts: list[str]) -> tuple[Route, dict[str, str]] | None:
        """Literal segments win over parameters; routes stand in that order."""
        if parts[:1] != ["open-apis"]:
            return None
        best: tuple[int, Route, dict[str, str]] | None = None
        for route, pattern in self._routes:
            if route.method != method or len(pattern) != len(parts) - 1:
                continue
            args = _match(pattern, parts[1:])
            if args is not None and (best is None or len(args) < best[0]):
                best = (len(args), route, args)
        return best and (best[1], best[2])

    def rewrite(self, name: str, request: Request, response: Response) -> Response:
        """Spoil an answer: see `rewrites`."""
        return rewritten(name, response)

    # -- the world, from Python ------------------------------------------------------------------

    @property
    def switches(self) -> FeishuSwitches:
        """The switches in force."""
        return self.world.switches

    def switch(self, **values: Any) -> None:
        """Turn switches from now on."""
        with self.lock:
            self.world.switches = self.world.switches.changed(values)

    def add_user(self, name: str = "", email: str = "", open_id: str | None = None) -> User:
        """A person with an empty primary calendar (`user.primary`)."""
        with self.lock:
            number = len(self.world.users)
            return self.world.add_user(
                name or f"User {number}", email or f"user{number}@example.com", open_id
            )

    def grant(self, user: User, scopes: frozenset[str] = ALL_SCOPES) -> Grant:
        """Tokens as if the user had just consented."""
        with self.lock:
            return self.desk.grant(self.app, user, scopes)

    def sign_in(self, user: User) -> None:
        """The consent page is answered by this user from now on."""
        self.desk.signed_in = user.open_id

    def add_calendar(self, owner: User, summary: str, type: CalendarType = "shared") -> Calendar:
        """A further calendar of a person."""
        with self.lock:
            return self.world.add_calendar(owner, summary, type)

    def share(self, calendar: Calendar, user: User, role: str) -> None:
        """Give a person a role on a calendar and put it into his list."""
        with self.lock:
            calendar.acl[user.open_id] = role
            if calendar.id not in user.listed:
                self.world.list_touch(user, calendar.id)

    def add_room(self, room_id: str, name: str) -> Room:
        """A meeting room that accepts what does not collide."""
        with self.lock:
            calendar = self.world.add_calendar(self.app.bot, name, "resource")
            room = self.world.rooms[room_id] = Room(room_id, name, calendar.id)
            return room

    def add_chat(self, chat_id: str, name: str, members: Sequence[User]) -> Chat:
        """A group chat."""
        with self.lock:
            chat = self.world.chats[chat_id] = Chat(chat_id, name, list(members))
            return chat

    def as_user(self, user: User) -> Person:
        """That person in front of the Feishu client: edits push and count like any other."""
        return Person(self, user)

    def seed_event(
        self, calendar_id: str, body: Json, attendees: Sequence[Json] | None = None
    ) -> str:
        """An event that was there before: same validation as the wire, no push, no mail."""
        with self.lock, self.world.quietly():
            person = self.as_user(self.world.calendars[calendar_id].owner)
            return str(person.create(calendar_id, body, list(attendees or ()))["event_id"])

    def seed_patch(self, calendar_id: str, event_id: str, body: Json | None) -> None:
        """Change (or with None: delete) an event or occurrence without push and mail."""
        with self.lock, self.world.quietly():
            person = self.as_user(self.world.calendars[calendar_id].owner)
            if body is None:
                person.delete(calendar_id, event_id)
            else:
                person.patch(calendar_id, event_id, body)

    def expire_sync_tokens(self) -> None:
        """Every page and sync token handed out so far answers 190008."""
        with self.lock:
            self.world.epoch += 1

    def control(self, action: str, body: Any) -> Any:
        """Further `POST /_sandbox/...` actions: see `control`."""
        return Control(self).act(action, body or {})

    def state(self) -> Any:
        """Users, calendars with their events' number, subscriptions, connections, switches."""
        return {
            "app_id": self.app.id,
            "users": [
                {"open_id": u.open_id, "name": u.name, "email": u.email, "primary": u.primary}
                for u in self.world.users.values()
            ],
            "calendars": [
                {
                    "calendar_id": c.id,
                    "summary": c.summary,
                    "type": c.type,
                    "owner": c.owner.open_id,
                    "events": sum(not entry.gone for entry in c.entries),
                }
                for c in self.world.calendars.values()
            ],
            "subscriptions": self.subscriptions.as_json(),
            "connections": self.longconn.count(),
            "switches": asdict(self.world.switches),
        }


def _match(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    args: dict[str, str] = {}
    for expected, part in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            args[expected[1:-1]] = part
        elif expected != part:
            return None
    return args
