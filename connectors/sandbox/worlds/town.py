"""A town where the three providers' servers stay up, and one household after the other moves in.

Its clock begins anew with every household, some weeks before Europe's clocks change, and moves
only when it is told to, so that the same course of events happens in the same way again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.clients import Client, FeishuClient, GoogleClient, OutlookClient
from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.faults import Fault
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.http import Request, Response, Sandbox
from connectors.sandbox.worlds.office import PASSWORD, SERVICE, app_section, mail
from connectors.sandbox.worlds.trial import Consent

BEGINNING = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZONE = "Asia/Shanghai"
HUB = "feishu"
ANN, HOST = mail("ann"), mail("host")
LISTINGS = {
    "feishu": r"^GET .*/events\?",
    "google": r"^GET .*/events\?",
    "exchange": r"op=SyncFolderItems$",
}
WRITES = {
    "feishu": r"^(POST|PATCH|DELETE) .*/calendars/.*/events",
    "google": r"^(POST|PUT|PATCH|DELETE) /calendar/.*/events",
    "exchange": r"op=(Create|Update|Delete)Item$",
}
CALLS = {"feishu": r"/calendar/v4/", "google": r" /calendar/v3/", "exchange": r"op=\w+$"}
_EWS_BUSY = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
    "<faultcode>s:Client</faultcode><faultstring>busy</faultstring><detail>"
    '<e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">'
    'ErrorServerBusy</e:ResponseCode><t:MessageXml xmlns:t="http://schemas.microsoft.com/exchange/'
    'services/2006/types"><t:Value Name="BackOffMilliseconds">2000</t:Value></t:MessageXml>'
    "</detail></s:Fault></s:Body></s:Envelope>"
)
BUSY: Mapping[str, Mapping[str, Any]] = {
    "feishu": {
        "status": 429,
        "body": {"code": 99991400, "msg": "request trigger frequency limit"},
        "headers": {"x-ogw-ratelimit-limit": "50", "x-ogw-ratelimit-reset": "1"},
    },
    "google": {
        "status": 429,
        "body": {
            "error": {
                "code": 429,
                "message": "Rate Limit Exceeded",
                "errors": [{"domain": "usageLimits", "reason": "rateLimitExceeded"}],
            }
        },
    },
    "exchange": {
        "status": 500,
        "body": _EWS_BUSY,
        "headers": {"Content-Type": "text/xml; charset=utf-8"},
    },
}
WEATHER = (
    "request lost", "answer lost", "answer cut", "busy", "gateway", "reading lost", "slow",
    "tokens expired", "cursors expired", "short listing", "empty listing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Household:
    """One person with a calendar at each of `clients`, and the config that links them to the hub's.

    `config` is the content of a config file without `database` and `secret_key`.
    """

    clients: Mapping[str, Client]
    config: dict[str, Any]
    consents: Sequence[Consent]


class Town:
    """The servers. `start` before the first household, `stop` after the last."""

    def __init__(self) -> None:
        self._at = BEGINNING.timestamp()
        self._meanwhile: dict[str, Any] = {}
        self.clock = Clock(source=lambda: self._at)
        self.feishu = FeishuSandbox(clock=self.clock, limits=False)
        self.google = GoogleSandbox(clock=self.clock, limits=False)
        self.exchange = ExchangeSandbox(clock=self.clock, zone=ZONE, limits=False)
        self.sandboxes: dict[str, Sandbox] = {
            "feishu": self.feishu,
            "google": self.google,
            "exchange": self.exchange,
        }
        for name, sandbox in self.sandboxes.items():
            sandbox.rewrite = self._rewriting(name, sandbox.rewrite)  # type: ignore[method-assign]

    def start(self) -> "Town":
        """Serve."""
        for sandbox in self.sandboxes.values():
            sandbox.start()
        return self

    def stop(self) -> None:
        """End everything."""
        for sandbox in self.sandboxes.values():
            sandbox.stop()

    def now(self) -> datetime:
        """The town's time, aware UTC."""
        return self.clock.now()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._at += seconds

    @property
    def mails(self) -> list[dict[str, Any]]:
        """All that was mailed since the household moved in."""
        return [mail for sandbox in self.sandboxes.values() for mail in sandbox.mails]

    # -- a household ---------------------------------------------------------------------------

    def move_in(self, targets: Sequence[str], policy: Mapping[str, Any]) -> Household:
        """Empty calendars at the hub and at each target, linked under a policy."""
        self._at = BEGINNING.timestamp()
        self._meanwhile.clear()
        for sandbox in self.sandboxes.values():
            sandbox.act("reset", None)
        ann = self.feishu.add_user("Ann", ANN)
        host = self.feishu.add_user("Host", HOST)
        clients: dict[str, Client] = {HUB: FeishuClient(self.feishu, ann, host)}
        connectors = {HUB: app_section(self.feishu, {"mode": "none"})}
        consents = [Consent(HUB, ANN, lambda: self.feishu.sign_in(ann))]
        for target in targets:
            open_ = {"google": self._at_google, "exchange": self._at_exchange}[target]
            clients[target], connectors[target] = open_()
        if "google" in targets:
            consents.append(Consent("google", ANN, self._sign_in_at_google))
        config = {
            "connectors": connectors,
            "defaults": {"direction": "two-way", **policy},
            "users": {
                "ann": {
                    HUB: {"account": ANN},
                    "links": [{"to": target, "account": ANN} for target in targets],
                }
            },
        }
        return Household(clients, config, consents)

    def _at_google(self) -> tuple[Client, dict[str, Any]]:
        google = self.google
        for address in (ANN, HOST):
            google.add_user(address, zone=ZONE)
        attic = google.add_calendar(ANN, "Attic")
        client = google.oauth_client()["installed"]
        section = {
            "type": "google",
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "api_root": f"{google.url}/",
            "token_uri": f"{google.url}/token",
            "auth_uri": f"{google.url}/o/oauth2/auth",
        }
        return GoogleClient(google, ANN, HOST, attic), section

    def _sign_in_at_google(self) -> None:
        self.google.oauth.signed_in = ANN

    def _at_exchange(self) -> tuple[Client, dict[str, Any]]:
        exchange = self.exchange
        exchange.add_mailbox(SERVICE, password=PASSWORD, impersonates=True)
        exchange.add_mailbox(ANN)
        attic = exchange.add_calendar(ANN, "Attic")
        section = {
            "type": "exchange",
            "endpoint": exchange.ews_url,
            "auth": "basic",
            "username": SERVICE,
            "password": PASSWORD,
            "access": "impersonation",
            "zone": ZONE,
        }
        return OutlookClient(exchange, ANN, HOST, attic, ZONE), section

    # -- weather -------------------------------------------------------------------------------

    def storm(self, place: str, what: str, skip: int) -> None:
        """One of `WEATHER` at a provider, at the call after `skip` of its kind."""
        add = self.sandboxes[place].faults.add
        match what:
            case "request lost":
                add(Fault(WRITES[place], "drop_before", skip=skip))
            case "answer lost":
                add(Fault(WRITES[place], "drop_after", skip=skip))
            case "answer cut":
                add(Fault(CALLS[place], "truncate", skip=skip))
            case "busy":
                add(Fault(CALLS[place], "status", skip=skip, times=2, **BUSY[place]))
            case "gateway":
                add(Fault(CALLS[place], "html", skip=skip, status=502))
            case "reading lost":
                add(Fault(LISTINGS[place], "drop_before", times=9))
            case "slow":
                add(Fault(CALLS[place], "delay", skip=skip, seconds=0.01))
            case "tokens expired":
                self._expire_tokens(place)
            case "cursors expired":
                self._expire_cursors(place)
            case _:
                name = what.partition(" ")[0]
                add(Fault(LISTINGS[place], "rewrite", name=name))

    def meanwhile(self, place: str, skip: int, deed: Callable[[Request], None]) -> None:
        """`deed` is done right after a call to a provider, before its answer arrives; it is told
        which one."""
        name = f"meanwhile {len(self._meanwhile)}"
        self._meanwhile[name] = deed
        fault = Fault(CALLS[place], "rewrite", skip=skip, name=name)
        self.sandboxes[place].faults.add(fault)

    def clear(self) -> None:
        """Fair weather again."""
        for sandbox in self.sandboxes.values():
            sandbox.faults.clear()

    def _rewriting(self, place: str, usual: Any) -> Any:
        def rewrite(name: str, request: Request, response: Response) -> Response:
            deed = self._meanwhile.pop(name, None)
            if deed is not None:
                deed(request)
                return response
            if name.startswith("meanwhile"):
                return response
            changed: Response = usual(name, request, response)
            return changed

        return rewrite

    def _expire_tokens(self, place: str) -> None:
        match place:
            case "feishu":
                self.feishu.desk.access.clear()
            case "google":
                self.google.oauth.expire_access(ANN)
            case _:
                """A password does not expire."""

    def _expire_cursors(self, place: str) -> None:
        match place:
            case "feishu":
                self.feishu.expire_sync_tokens()
            case "google":
                self.google.expire(calendar=ANN)
            case _:
                self.exchange.void_sync_states(ANN)
