"""A city of households: each has a calendar at Feishu, and at Google, at Exchange or at both."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import yaml

from bridge import config as config_file
from bridge.commands.trial import consent_all
from bridge.runtime import Runtime
from bridge.vault import Vault
from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.worlds.hands import AtExchange, AtFeishu, AtGoogle, Hands
from connectors.sandbox.worlds.office import app_section, mail
from connectors.sandbox.worlds.trial import Consent, Trial

if TYPE_CHECKING:
    from connectors.sandbox.http import Sandbox

ZONE = "Asia/Shanghai"
PLACES = (("google",), ("exchange",), ("google", "exchange"))
TOKENS = ("oauth.token", "auth.tenant_token", "oauth.authorize", "authen.user_info")
"""Operations that are not about calendars."""


@dataclass(frozen=True)
class Household:
    """One person at Feishu (the first of `hands`) and wherever else they have a calendar."""

    name: str
    hands: tuple[Hands, ...]


class City:
    """The three providers' servers, and `links` links. Stop it in the end."""

    def __init__(self, links: int, *, seed: int = 0, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.feishu = FeishuSandbox(clock=self.clock, seed=seed)
        self.google = GoogleSandbox(clock=self.clock, seed=seed)
        self.exchange = ExchangeSandbox(clock=self.clock, seed=seed, zone=ZONE)
        self.sandboxes: Mapping[str, Sandbox] = {
            "feishu": self.feishu,
            "google": self.google,
            "exchange": self.exchange,
        }
        for sandbox in self.sandboxes.values():
            sandbox.start()
        self.feishu.switch(aggregation_seconds=0.1)
        self.google.switches.allow_http_push = True
        self._app = self.exchange.add_app()
        self.households: list[Household] = []
        self._users: dict[str, Any] = {}
        self._consents: list[Consent] = []
        while (left := links - len(self._links())) > 0:
            places = PLACES[len(self.households) % len(PLACES)]
            self._move_in(f"p{len(self.households)}", places[:left])

    def _links(self) -> list[tuple[str, str]]:
        return [
            (home.name, hands.name.lower()) for home in self.households for hands in home.hands[1:]
        ]

    def _move_in(self, name: str, places: tuple[str, ...]) -> None:
        now, address = self.clock.now(), mail(name)
        person = self.feishu.add_user(name, address)
        self._consents.append(Consent("feishu", address, lambda: self.feishu.sign_in(person)))
        hands: list[Hands] = [AtFeishu("Feishu", self.feishu, person, now)]
        if "google" in places:
            self.google.add_user(address, zone=ZONE)
            hands.append(AtGoogle("Google", self.google, address, now))
        if "exchange" in places:
            self.exchange.add_mailbox(address)
            hands.append(AtExchange("Exchange", self.exchange, address, now, ZONE))
        self.households.append(Household(name, tuple(hands)))

    def stop(self) -> None:
        """End everything."""
        for sandbox in self.sandboxes.values():
            sandbox.stop()

    # -- the bridge's side -------------------------------------------------------------------------

    def config(self, database: str, **service: Any) -> dict[str, Any]:
        """The content of a config file; pushes of Google go to the listed address."""
        push_url = service.pop("push_url", None)
        google = {
            "type": "google",
            "service_account": self.google.service_account(),
            "api_root": f"{self.google.url}/",
            "token_uri": f"{self.google.url}/token",
        }
        users: dict[str, dict[str, Any]] = {}
        for name, place in self._links():
            user = users.setdefault(name, {"feishu": {"account": mail(name)}, "links": []})
            user["links"].append({"to": place, "account": mail(name)})
        return {
            "database": database,
            "secret_key": Vault.generate_key(),
            "connectors": {
                "feishu": app_section(self.feishu, {"mode": "long-connection"}),
                "google": google | ({"push_url": push_url} if push_url else {}),
                "exchange": {
                    "type": "exchange",
                    "endpoint": self.exchange.ews_url,
                    "auth": "oauth2",
                    "oauth": {
                        "client_id": self._app.id,
                        "client_secret": self._app.secret,
                        "tenant": self._app.tenant,
                        "token_url": self.exchange.token_url(),
                    },
                    "access": "impersonation",
                    "zone": ZONE,
                },
            },
            "service": {"listen": "127.0.0.1:0", **service},
            "users": users,
        }

    def write(self, path: Path, content: Mapping[str, Any]) -> Path:
        """The config as a file that only its owner reads."""
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
        return path

    def consent(self, path: Path) -> None:
        """Everybody agrees."""
        trial = Trial(sandboxes=self.sandboxes, config={}, consents=self._consents)
        with Runtime(config_file.load(path)) as runtime:
            consent_all(trial, runtime)

    # -- what the providers saw ------------------------------------------------------------------

    @property
    def calls(self) -> int:
        """How many calls about calendars the providers have answered."""
        return sum(
            call.status != 401 and call.operation not in TOKENS
            for sandbox in self.sandboxes.values()
            for call in sandbox.calls()
        )

    @property
    def refused(self) -> int:
        """How many calls the providers refused for coming too fast, fault scripts aside."""
        feishu, google, exchange = self.feishu, self.google, self.exchange
        return feishu.limits.refused + google.limits.refused + exchange.budgets.refused

    @property
    def mails(self) -> int:
        """How many mails and bot messages would have been sent."""
        return sum(len(sandbox.mails) for sandbox in self.sandboxes.values())

    def now(self) -> datetime:
        """The city's time."""
        return self.clock.now().astimezone(UTC)


@contextmanager
def city(links: int, *, seed: int = 0, clock: Clock | None = None) -> Iterator[City]:
    """A started city. Its tokens travel over http, which oauthlib has to be talked into."""
    with patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"):
        made = City(links, seed=seed, clock=clock)
        try:
            yield made
        finally:
            made.stop()
