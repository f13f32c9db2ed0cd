"""Delivering pushes: at least once, four redeliveries, then never ("Event overview" page)."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from connectors.sandbox.feishu.pushes import Push
from connectors.sandbox.feishu.webhook import Webhook

if TYPE_CHECKING:
    from connectors.sandbox.feishu.server import FeishuSandbox

REDELIVERIES = (15.0, 300.0, 3600.0, 21_600.0)
REORDER_SECONDS = 1.0

Mode = Literal["longconn", "webhook", "none"]


@dataclass(frozen=True)
class Attempt:
    """One try to deliver a push, for assertions."""

    at: float
    push: Push
    number: int
    acknowledged: bool


class Delivery:
    """Sends pushes by the mode that the app has chosen and repeats what was not acknowledged."""

    def __init__(self, sandbox: "FeishuSandbox") -> None:
        self._sandbox = sandbox
        self._workers = ThreadPoolExecutor(8, "feishu-push")
        self.mode: Mode = "longconn"
        self.webhook = Webhook("")
        self.attempts: list[Attempt] = []

    def use(
        self, mode: Mode, url: str = "", encrypt_key: str = "", verification_token: str = ""
    ) -> None:
        """Choose the mode. Raises ValueError if a webhook does not pass the challenge."""
        webhook = Webhook(url, encrypt_key, verification_token)
        if mode == "webhook" and not webhook.challenge():
            raise ValueError(f"the request URL did not answer the challenge: {url}")
        self.mode, self.webhook = mode, webhook

    def stop(self) -> None:
        """Let running deliveries end, start no more."""
        self._workers.shutdown(cancel_futures=True)

    def send(self, push: Push) -> None:
        """Deliver soon; with bad luck (see the switches) never, twice, or after later ones."""
        world = self._sandbox.world
        luck, switches = world.random.random, world.switches
        if luck() < switches.push_drop_chance:
            return
        self._try(push, 0, REORDER_SECONDS if luck() < switches.push_reorder_chance else 0.0)
        if luck() < switches.push_duplicate_chance:
            self._try(push, 0, 0.0)

    def _try(self, push: Push, number: int, delay: float) -> None:
        when = self._sandbox.clock.time() + delay
        if delay:
            self._sandbox.schedule.at(when, lambda: self._submit(push, number))
        else:
            self._submit(push, number)

    def _submit(self, push: Push, number: int) -> None:
        with suppress(RuntimeError):  # shut down already
            self._workers.submit(self._attempt, push, number)

    def _attempt(self, push: Push, number: int) -> None:
        payload = push.payload(self.webhook.verification_token)
        now = self._sandbox.clock.time()
        if self.mode == "webhook":
            self._answered(push, number, self.webhook.post(payload, now))
        elif self.mode == "longconn":
            raw = json.dumps(payload, ensure_ascii=False).encode()
            self._sandbox.longconn.deliver(
                push.app_id, raw, lambda good: self._answered(push, number, good)
            )

    def _answered(self, push: Push, number: int, acknowledged: bool) -> None:
        self.attempts.append(Attempt(self._sandbox.clock.time(), push, number, acknowledged))
        if not acknowledged and number < len(REDELIVERIES):
            self._try(push, number + 1, REDELIVERIES[number])
