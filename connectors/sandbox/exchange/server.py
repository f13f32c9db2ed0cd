"""The sandbox itself: the server, its API for seeding, and its control interface."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import autodiscover, occurrences, operations, soap
from connectors.sandbox.exchange.auth import App, Logins
from connectors.sandbox.exchange.call import Call
from connectors.sandbox.exchange.control import Control
from connectors.sandbox.exchange.errors import EwsFaultError, HttpRefusalError
from connectors.sandbox.exchange.impersonation import call_of
from connectors.sandbox.exchange.person import Person
from connectors.sandbox.exchange.rewrites import rewritten
from connectors.sandbox.exchange.state import CALENDAR, Mailbox, Status, World
from connectors.sandbox.exchange.streaming import Streams
from connectors.sandbox.exchange.subscriptions import Subscriptions
from connectors.sandbox.exchange.switches import ExchangeSwitches
from connectors.sandbox.exchange.throttling import Budgets, too_many_connections
from connectors.sandbox.exchange.zones import windows_name
from connectors.sandbox.faults import Fault
from connectors.sandbox.http import Request, Response, Sandbox

ENDPOINT = "/ews/exchange.asmx"


@dataclass(frozen=True)
class Occurrence:
    """One event as it takes place: a single one or an occurrence, instants in UTC.

    `item` is the id of the stored item, `original` the start that the pattern gave it.
    """

    item: str
    id: str
    subject: str
    start: datetime
    end: datetime
    all_day: bool
    zone: str
    original: datetime | None


class ExchangeSandbox(Sandbox):
    """Exchange Web Services, OAuth tokens and Autodiscover on loopback.

    `limits` False switches budgets off. In the request log and in fault scripts every SOAP
    request bears its operation as `?op=GetItem`.
    """

    name = "exchange"

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        port: int = 0,
        switches: ExchangeSwitches | None = None,
        limits: bool = True,
        zone: str = "UTC",
    ) -> None:
        super().__init__(clock=clock, seed=seed, port=port)
        self.switches = switches or ExchangeSwitches()
        self.switches.limits = self.switches.limits and limits
        self._zone = zone
        self._open_service()

    def reset(self) -> None:
        """An empty organization: no mailboxes, apps, tokens or subscriptions. Switches stay."""
        self.subscriptions.clear()
        self._open_service()

    def _open_service(self) -> None:
        self.world = World(self.clock, self.switches, self.seed)
        self.world.mail = self.mail
        self.logins = Logins(self.world)
        self.directory = autodiscover.Directory()
        self.budgets = Budgets(self.world)
        self.subscriptions = Subscriptions(self.world)
        self.world.tell = self.subscriptions.tell
        self.streams = Streams(self.subscriptions, self.lock, self.stopping)

    # -- the wire ------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response | None:
        """As every sandbox, with the operation's name in the query and a limit per caller."""
        if request.path.lower() != ENDPOINT:
            return super().answer(request)
        found = re.search(rb"<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)", request.body)
        if found:
            request = replace(request, query=(*request.query, ("op", found[1].decode())))
        known = request.connection.get("ntlm user")
        caller = known.address if known else request.headers.get("Authorization") or ""
        with self.budgets.under_way(caller) as admitted:
            if not admitted:
                return too_many_connections().response()
            return super().answer(request)

    def handle(self, request: Request) -> Response:
        """Answer one request: SOAP, a token, or Autodiscover."""
        path = request.path.lower()
        try:
            if path == ENDPOINT:
                return self._soap(request)
            if path.endswith("/oauth2/v2.0/token") and request.method == "POST":
                self.operation("oauth.token")
                return self.logins.token(request)
            if path in (autodiscover.SERVICE, autodiscover.PLAIN):
                self.operation("Autodiscover")
                self.logins.caller(request)
                soap_wanted = path == autodiscover.SERVICE
                answer = autodiscover.user_settings if soap_wanted else autodiscover.plain
                return answer(self.world, self.directory, self.url, request)
        except HttpRefusalError as refusal:
            return refusal.response
        return Response(404, b"<html><body>404</body></html>", {"Content-Type": "text/html"})

    def _soap(self, request: Request) -> Response:
        self.operation(request.param("op") or "unknown")
        caller = self.logins.caller(request)
        if request.method != "POST":
            page = b"<html><body>You have created a service.</body></html>"
            return Response(200, page, {"Content-Type": "text/html"})
        try:
            header, body = soap.parse(request.body)
        except soap.MalformedError as error:
            return EwsFaultError("ErrorSchemaValidation", str(error)).response()
        try:
            call = call_of(self.world, caller, header, body)
            self.budgets.check(call.actor.address)
            if call.name == "GetStreamingEvents":
                return self.streams.open(call, self._routed_to(request, call))
            answer = soap.envelope(self._run(call))
        except EwsFaultError as fault:
            return fault.response()
        cookie = self._cookie(request, self._routed_to(request, call))
        return Response(200, answer, {"Content-Type": soap.CONTENT_TYPE, **cookie})

    def _run(self, call: Call) -> soap.Element:
        if call.name in self.subscriptions.operations:
            return self.subscriptions.run(call)
        return operations.run(call)

    def _routed_to(self, request: Request, call: Call) -> str:
        """The Mailbox server that a request is routed to: by the cookie, else by the mailbox it is
        anchored to ("How to maintain affinity between a group of subscriptions")."""
        found = re.search(r"X-BackEndOverrideCookie=(\w+)~", request.headers.get("Cookie") or "")
        if found:
            return found[1]
        anchor = (request.headers.get("X-AnchorMailbox") or "").lower()
        return self.world.mailboxes.get(anchor, call.mailbox).server

    @staticmethod
    def _cookie(request: Request, server: str) -> dict[str, str]:
        if (request.headers.get("X-PreferServerAffinity") or "").lower() != "true":
            return {}
        cookie = f"X-BackEndOverrideCookie={server}~1942062522; path=/; HttpOnly"
        return {"Set-Cookie": cookie}

    def rewrite(self, name: str, request: Request, response: Response) -> Response:
        """Spoil an answer (see `rewrites`)."""
        return rewritten(name, response)

    # -- seeding -------------------------------------------------------------------------------

    def add_mailbox(
        self,
        address: str,
        *,
        name: str = "",
        zone: str | None = None,
        password: str = "secret",
        impersonates: bool = False,
    ) -> Mailbox:
        """A user with a mailbox; `zone` (IANA or Windows) is what Outlook uses, `impersonates`
        the right to act for everybody. Known already = the same one."""
        with self.lock:
            address, zone = address.lower(), zone or self._zone
            windows_name(zone)
            if address not in self.world.mailboxes:
                self.world.mailboxes[address] = Mailbox(
                    address, name or address.partition("@")[0].title(), zone, password,
                    self.world, impersonates,
                )  # fmt: skip
            return self.world.mailboxes[address]

    def add_calendar(self, address: str, name: str) -> str:
        """A further calendar of a mailbox; its folder id."""
        with self.lock:
            mailbox = self.world.mailbox(address)
            above = mailbox.folder_of_role("calendar")
            return mailbox.add_folder(name, CALENDAR, above).id

    def add_app(
        self, name: str = "bridge", *, tenant: str = "office", mailboxes: list[str] | None = None
    ) -> App:
        """An application with client credentials; `mailboxes` limits for whom it may act."""
        with self.lock:
            covered = None if mailboxes is None else frozenset(m.lower() for m in mailboxes)
            app = App(f"{name}-id", f"{name}-secret", tenant, covered)
            self.logins.apps[app.id] = app
            return app

    def token_url(self, tenant: str = "office") -> str:
        """Where an app gets its tokens."""
        return f"{self.url}/{tenant}/oauth2/v2.0/token"

    @property
    def ews_url(self) -> str:
        """The endpoint of the service."""
        return f"{self.url}/EWS/Exchange.asmx"

    def delegate(self, address: str, to: str) -> None:
        """Let another user open the mailbox."""
        with self.lock:
            self.world.mailbox(to)
            self.world.mailbox(address).delegates.add(to.lower())

    def set_status(self, address: str, status: Status) -> None:
        """What has become of a mailbox."""
        with self.lock:
            self.world.mailbox(address).status = status

    def drop_mailbox(self, address: str) -> None:
        """The mailbox is gone."""
        with self.lock:
            del self.world.mailboxes[address.lower()]

    def patch_zone(self, windows: str, iana: str) -> None:
        """The server follows other rules for a zone than the rest of the world."""
        with self.lock:
            self.world.zones.patch(windows, iana)

    # -- people and faults -----------------------------------------------------------------------

    def person(self, address: str) -> Person:
        """A user in Outlook. Calls must hold `lock`; `edit` does."""
        return Person(self.world, self.world.mailbox(address))

    def edit(self, address: str, action: str, *values: Any, **options: Any) -> Any:
        """A person acts: a method of `Person` by name."""
        if action.startswith("_") or not hasattr(Person, action):
            raise KeyError(action)
        with self.lock:
            return getattr(self.person(address), action)(*values, **options)

    def occurrences(
        self, address: str, since: datetime, until: datetime, *, folder: str = "calendar"
    ) -> list[Occurrence]:
        """Everything that takes place in a folder and overlaps [since, until), by start."""
        with self.lock:
            mailbox = self.world.mailbox(address)
            found = [
                Occurrence(
                    view.item.id,
                    view.id,
                    str(view.value("item:Subject") or ""),
                    view.start,
                    view.end,
                    bool(view.value("calendar:IsAllDayEvent")),
                    str(view.value("calendar:StartTimeZone")),
                    view.original_start,
                )
                for place in mailbox.folders.values()
                if folder in (place.id, place.role)
                for item in place.items.values()
                for view in occurrences.overlapping(self.world, item, since, until)
            ]
        return sorted(found, key=lambda event: (event.start, event.id))

    def fail(
        self,
        operation: str,
        code: str,
        *,
        times: int = 1,
        skip: int = 0,
        backoff: int | None = None,
    ) -> None:
        """The next requests of an operation meet a SOAP fault and are not processed."""
        values = {} if backoff is None else {"BackOffMilliseconds": str(backoff)}
        body = soap.fault(code, EwsFaultError(code).message, values).decode()
        self.faults.add(
            Fault(f"op={operation}$", "status", skip=skip, times=times, status=500, body=body,
                  headers={"Content-Type": soap.CONTENT_TYPE})
        )  # fmt: skip

    def void_sync_states(self, address: str) -> None:
        """All states of SyncFolderItems of a mailbox become invalid."""
        with self.lock:
            for folder in self.world.mailbox(address).folders.values():
                folder.epoch += 1

    # -- the control interface -------------------------------------------------------------------

    def state(self) -> Any:
        """Mailboxes with their calendars and the items in them."""
        return {
            address: {
                "status": mailbox.status,
                "folders": {
                    folder.name: self.person(address).events(folder.id)
                    for folder in mailbox.folders.values()
                    if folder.kind == CALENDAR or folder.role == "deleteditems"
                },
            }
            for address, mailbox in self.world.mailboxes.items()
        }

    def control(self, action: str, body: Any) -> Any:
        """Actions of `control.Control`."""
        return Control(self).run(action, body or {})
