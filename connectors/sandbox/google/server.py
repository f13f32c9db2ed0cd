"""The sandbox itself: the server, its control interface and its API for seeding."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import Any, Literal

from connectors.sandbox.clock import Clock
from connectors.sandbox.google import routes
from connectors.sandbox.google.call import Service
from connectors.sandbox.google.errors import ApiError
from connectors.sandbox.google.instances import instances, overlaps
from connectors.sandbox.google.limits import Limits
from connectors.sandbox.google.oauth import CALENDAR, OAuth
from connectors.sandbox.google.person import Person
from connectors.sandbox.google.rendering import Rendering
from connectors.sandbox.google.state import ROLES, Caller, Row, World
from connectors.sandbox.google.switches import GoogleSwitches
from connectors.sandbox.google.watch import Channels
from connectors.sandbox.http import Request, Response, Sandbox


class GoogleSandbox(Sandbox):
    """Google Calendar API v3 and its OAuth endpoints on loopback.

    `limits` False switches request rates off. Everything a test does through Python can be done
    with `POST /_sandbox/...` as well (see `control`).
    """

    name = "google"

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        port: int = 0,
        switches: GoogleSwitches | None = None,
        limits: bool = True,
        zone: str = "UTC",
    ) -> None:
        super().__init__(clock=clock, seed=seed, port=port)
        self.switches = switches or GoogleSwitches()
        self.switches.limits = self.switches.limits and limits
        self._zone = zone
        self._open_service()

    def reset(self) -> None:
        """An empty service: no users, no credentials, no channels. Switches stay."""
        self.channels.close_all()
        self._open_service()

    def _open_service(self) -> None:
        self.world = World(self.clock, self.switches, self.seed)
        self.world.mail = self.mail
        self.oauth = OAuth(self.world, self.url)
        self.channels = Channels(self.world, self.clock, self.stopping, self.url)
        self.world.on_change = self.channels.changed
        self.limits = Limits(self.world)
        self.service = Service(self.world, self.oauth, self.channels, self.limits, self.url)

    def stop(self) -> None:
        """End the server and its sender of pushes."""
        super().stop()
        self.channels.join()

    # -- the wire ------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one request: OAuth, batch, or a method of the API."""
        request = routes.plain(request)
        match request.method, request.path:
            case "POST", "/token" | "/oauth2/token":
                self.operation("oauth.token")
                return self.oauth.token(request)
            case "GET", "/o/oauth2/auth" | "/o/oauth2/v2/auth":
                self.operation("oauth.auth")
                return self.oauth.consent(request)
            case "POST", "/revoke":
                self.operation("oauth.revoke")
                return self.oauth.revocation(request)
            case "POST", "/batch/calendar/v3":
                self.operation("batch")
                return routes.answer_batch(self.service, request)
            case _:
                found = routes.find(request)
                self.operation(found[0] if found else "unknown")
                return routes.answer(self.service, request)

    def rewrite(self, name: str, request: Request, response: Response) -> Response:
        """Spoil a listing: `short` drops the last half of the items, `empty` all of them (both
        keep the tokens), `malformed` cuts entries to nonsense, `unknown_fields` adds some."""
        if response.status != 200:
            return response
        body = json.loads(response.body)
        items = body.get("items", [])
        match name:
            case "short":
                body["items"] = items[: len(items) // 2]
            case "empty":
                body["items"] = []
            case "malformed":
                body["items"] = [{**item, "start": {"dateTime": "soon"}} for item in items]
            case "unknown_fields":
                body["items"] = [{**item, "novelty": {"since": 2030}} for item in items]
            case _:
                raise KeyError(name)
        response.body = json.dumps(body).encode()
        return response

    # -- seeding and people ------------------------------------------------------------------------

    def add_user(self, email: str, *, zone: str | None = None, name: str = "") -> str:
        """A user with a primary calendar; its id, which is the address."""
        with self.lock:
            return self.world.add_user(email, zone or self._zone, name).email

    def add_calendar(self, owner: str, summary: str, *, zone: str | None = None) -> str:
        """A secondary calendar of a user; its id."""
        with self.lock:
            user = self.world.users[owner.lower()]
            return self.world.add_calendar(user.email, summary, zone or user.zone).id

    def share(self, calendar: str, email: str, role: str | None) -> None:
        """Give a user a role on a calendar (and put it into his list), or none any more.

        Sync tokens of the calendar are void afterwards.
        """
        with self.lock:
            found = self.world.calendars[calendar]
            found.epoch += 1
            if role is None:
                found.roles.pop(email.lower(), None)
                self.world.touch_entry(email.lower(), calendar)
                return
            found.roles[email.lower()] = ROLES[ROLES.index(role)]
            self.world.enlist(email.lower(), calendar)

    def service_account(self, name: str = "bridge", *, dwd: bool = True) -> dict[str, Any]:
        """Register a service account; its key file. `dwd`: it may act for every user."""
        with self.lock:
            return self.oauth.service_account(name, dwd=dwd, zone=self._zone)

    def oauth_client(self, name: str = "desktop") -> dict[str, Any]:
        """Register an installed app; its client file."""
        with self.lock:
            return self.oauth.client(name)

    def grant(
        self, email: str, *, client_id: str | None = None, scopes: tuple[str, ...] = (CALENDAR,)
    ) -> str:
        """The user's consent for a client (the first one); a refresh token."""
        with self.lock:
            client = client_id or next(iter(self.oauth.clients), "")
            if not client:
                client = self.oauth.client("desktop")["installed"]["client_id"]
            return self.oauth.grant(email, client, frozenset(scopes))

    def revoke(self, email: str) -> None:
        """The user withdraws his consent: `invalid_grant` from now on."""
        with self.lock:
            self.oauth.revoke(email)

    def seed_event(self, calendar: str, body: dict[str, Any]) -> dict[str, Any]:
        """An event that its calendar's owner made; as the API shows it."""
        with self.lock:
            return self.person(self.world.calendars[calendar].owner).create(calendar, body)

    def person(self, email: str) -> Person:
        """A user at the web interface. Calls must hold `lock`; `edit` does."""
        return Person(self.world, email)

    def edit(self, email: str, action: str, *values: Any, **options: Any) -> Any:
        """A person acts: `create`, `change`, `remove`, `get`, `respond` or `split` of `Person`."""
        if action not in ("create", "change", "remove", "get", "respond", "split"):
            raise KeyError(action)
        with self.lock:
            return getattr(self.person(email), action)(*values, **options)

    def events(self, calendar: str, *, deleted: bool = False) -> list[dict[str, Any]]:
        """All stored events of a calendar, as its owner sees them."""
        with self.lock:
            found = self.world.calendars[calendar]
            rendering = Rendering(self.world, Caller(email=found.owner), found)
            return [
                rendering.event(row)
                for row in found.rows.values()
                if deleted or not found.is_deleted(row)
            ]

    def instances(self, calendar: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """What takes place between two aware instants, series expanded, as its owner sees it."""
        with self.lock:
            found = self.world.calendars[calendar]
            rendering = Rendering(self.world, Caller(email=found.owner), found)
            rows: list[Row] = []
            for row in list(found.rows.values()):
                if found.is_deleted(row) or row.cancelled or row.master is not None:
                    continue
                if row.recurrence:
                    rows += instances(self.world, found, row, since, until)
                elif overlaps(row, found.zone, since, until):
                    rows.append(row)
            return [rendering.event(row) for row in rows if not row.cancelled]

    def expire(self, *, calendar: str | None = None, user: str | None = None) -> int:
        """Void sync tokens of a calendar and of a user's calendar list, and the user's access
        tokens; without names, all of all. How many access tokens went."""
        with self.lock:
            for name, found in self.world.calendars.items():
                found.epoch += 1 if calendar == name or not (calendar or user) else 0
            for email, account in self.world.users.items():
                account.epoch += 1 if user == email or not (calendar or user) else 0
            return self.oauth.expire_access(user) if user or not calendar else 0

    # -- the control interface -------------------------------------------------------------------

    def state(self) -> Any:
        """Users and calendars with all their events, deleted ones included."""
        return {
            "users": sorted(self.world.users),
            "calendars": {
                name: {
                    "summary": calendar.summary,
                    "owner": calendar.owner,
                    "zone": calendar.zone,
                    "roles": calendar.roles,
                    "deleted": calendar.deleted,
                    "events": self.events(name, deleted=True),
                }
                for name, calendar in self.world.calendars.items()
            },
            "channels": [channel.described() for channel in self.channels.open.values()],
        }

    def control(self, action: str, body: Any) -> Any:
        """`users`, `calendars`, `share`, `service_account`, `client`, `grant`, `revoke`, `seed`,
        `edit`, `expire`, `switches`, `pushes`: a JSON object with the arguments of the method of
        the same name (`seed`: calendar, events; `edit`: user, action, values, options)."""
        actions: dict[str, Callable[..., Any]] = {
            "users": self.add_user,
            "calendars": self.add_calendar,
            "share": self.share,
            "service_account": self.service_account,
            "client": self.oauth_client,
            "grant": self.grant,
            "revoke": self.revoke,
            "seed": self._seed,
            "edit": self._edit,
            "expire": self.expire,
            "switches": self._switch,
            "pushes": self._script_pushes,
        }
        try:
            done = actions[action](**(body or {}))
        except ApiError as error:
            raise ValueError(f"{error.status} {error.reason}: {error.message}") from error
        return done if isinstance(done, dict) else {"ok": True, "result": done}

    def _seed(self, calendar: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        return {"events": [self.seed_event(calendar, event) for event in events]}

    def _edit(
        self, user: str, action: str, values: Sequence[Any], options: dict[str, Any] | None = None
    ) -> Any:
        return self.edit(user, action, *values, **(options or {}))

    def _script_pushes(self, script: list[Literal["send", "drop", "duplicate"]]) -> None:
        self.channels.script.extend(script)

    def _switch(self, **body: Any) -> None:
        known = {item.name for item in dataclass_fields(self.switches)}
        if unknown := set(body) - known:
            raise ValueError(f"no such switches: {sorted(unknown)}; known: {sorted(known)}")
        for name, value in body.items():
            setattr(self.switches, name, value)
