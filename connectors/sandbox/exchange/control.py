"""What `POST /_sandbox/<action>` can do beyond what every sandbox can."""

from typing import TYPE_CHECKING, Any

from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.zones import CUSTOM

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.sandbox.exchange.server import ExchangeSandbox

Json = dict[str, Any]


class Control:
    """Each action takes a JSON object with the arguments of the sandbox's method."""

    def __init__(self, sandbox: "ExchangeSandbox") -> None:
        self._sandbox = sandbox

    def run(self, action: str, body: Json) -> Any:
        """Carry out an action. KeyError = unknown; refusals of the service are ValueErrors."""
        actions: dict[str, Callable[..., Any]] = {
            "mailboxes": self._mailbox,
            "calendars": lambda **b: {"folder": self._sandbox.add_calendar(**b)},
            "apps": self._app,
            "delegate": self._sandbox.delegate,
            "status": self._sandbox.set_status,
            "drop_mailbox": self._sandbox.drop_mailbox,
            "publish": self._sandbox.directory.publish,
            "redirect": self._sandbox.directory.redirect,
            "patch_zone": self._sandbox.patch_zone,
            "custom_zone": self._custom_zone,
            "switches": self._sandbox.switches.turn,
            "edit": self._edit,
            "fail": self._sandbox.fail,
            "slow_down": self._sandbox.budgets.slow_down,
            "void_sync_states": self._sandbox.void_sync_states,
            "expire_tokens": lambda: {"expired": self._sandbox.logins.expire_tokens()},
            "drop_subscriptions": self._sandbox.subscriptions.clear,
            "close_streams": self._sandbox.streams.close_all,
        }
        try:
            done = actions[action](**body)
        except EwsError as error:
            raise ValueError(f"{error.code}: {error.message}") from error
        return done if isinstance(done, dict) else {"ok": True, "result": done}

    def _mailbox(self, **body: Any) -> Json:
        mailbox = self._sandbox.add_mailbox(**body)
        return {"address": mailbox.address, "calendar": mailbox.folder_of_role("calendar").id}

    def _app(self, **body: Any) -> Json:
        app = self._sandbox.add_app(**body)
        return {"client_id": app.id, "client_secret": app.secret, "tenant": app.tenant}

    def _edit(
        self, address: str, action: str, values: list[Any], options: Json | None = None
    ) -> Any:
        return self._sandbox.edit(address, action, *values, **(options or {}))

    def _custom_zone(self, address: str, event: str) -> Any:
        """The item's zone turns out to be one without a name, as imports leave it."""
        mailbox = self._sandbox.world.mailbox(address)
        draft = mailbox.item(event).draft()
        draft.values |= {"calendar:StartTimeZone": CUSTOM, "calendar:EndTimeZone": CUSTOM}
        return self._sandbox.person(address).show(mailbox.put(draft).id)
