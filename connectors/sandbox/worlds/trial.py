"""A started world: what runs, how to reach it, and what people do in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.http import Sandbox
from connectors.sandbox.worlds.scenes import Scene


@dataclass(frozen=True, slots=True)
class Consent:
    """One user who has to agree before the bridge may act for them.

    `sign_in` puts them in front of the provider's consent page.
    """

    connector: str
    account: str
    sign_in: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that somebody does, and how to see that it has reached the other side.

    `by` is how the word of it gets out, `arrivals` tells for each target whether it is there.
    """

    what: str
    who: str
    by: str
    act: Callable[[], None]
    arrivals: Mapping[str, Callable[[], bool]]


@dataclass(slots=True)
class Trial:
    """Running sandboxes with a complete config for them. People make the `edits` while the
    service runs, the `scenes` between two passes.

    `config` is the content of a config file without `database` and `secret_key`. `webhook` is
    told where the bridge listens, once that is known; `listening` says whether every connection
    that carries pushes is open. `title` and `note` tell a reader what is to be seen.
    """

    sandboxes: Mapping[str, Sandbox]
    config: dict[str, Any]
    consents: Sequence[Consent] = ()
    edits: Callable[[], Sequence[Edit]] = lambda: ()
    scenes: Sequence[Scene] = ()
    webhook: Callable[[str], None] = lambda _address: None
    listening: Callable[[], bool] = lambda: True
    title: str = ""
    note: str = ""
    control: "ControlHub | None" = field(default=None)

    def start(self) -> "Trial":
        """One control address for all of them."""
        self.control = ControlHub(self.sandboxes)
        self.control.start()
        return self

    def urls(self) -> dict[str, str]:
        """Name of each sandbox -> its address; `control` -> that of the hub."""
        found = {name: sandbox.url for name, sandbox in self.sandboxes.items()}
        return found | ({"control": self.control.url} if self.control else {})

    def mails(self) -> int:
        """How many mails and bot messages all of them would have sent."""
        return sum(len(sandbox.mails) for sandbox in self.sandboxes.values())

    def stop(self) -> None:
        """End everything."""
        if self.control is not None:
            self.control.stop()
        for sandbox in self.sandboxes.values():
            sandbox.stop()


class ControlHub(Sandbox):
    """The control interface of several sandboxes at one address.

    Reads answer an object with one member per sandbox; `mails` adds the total. A POST whose
    body is an object keyed by sandbox names goes to those only, any other goes to all.
    """

    name = "control"

    def __init__(self, sandboxes: Mapping[str, Sandbox]) -> None:
        super().__init__()
        self._sandboxes = sandboxes

    def look(self, what: str) -> Any:
        """What each sandbox answers."""
        found = {name: sandbox.look(what) for name, sandbox in self._sandboxes.items()}
        if what in ("mails", "requests"):
            return {"count": sum(answer["count"] for answer in found.values()), **found}
        return found

    def act(self, action: str, body: Any) -> Any:
        """Pass it on."""
        named = isinstance(body, dict) and body and body.keys() <= self._sandboxes.keys()
        if named:
            return {name: self._sandboxes[name].act(action, part) for name, part in body.items()}
        return {name: sandbox.act(action, body) for name, sandbox in self._sandboxes.items()}
