"""The process that holds one long connection, run as `python -m connectors.feishu.longconn_child`.

The SDK's client cannot be stopped, shares one event loop per module, waits without limit for its
discovery call and swallows the end of its own reconnecting; a process of its own can be watched
and killed. It speaks JSON lines:

stdin    first `{"app_id", "app_secret", "domain", "timeout", "patience"}`, then one line per
         event that became durable: its number. End of file = the parent is gone: exit.
stdout   `{"alive": <ping interval>}` for every frame seen, `{"event": n, "payload": {...}}`,
         and before an exit that the SDK forces `{"ended": <why>}`.

An event is acknowledged to Feishu only after its number came back; after `patience` seconds
without it Feishu is told that we failed, and delivers again later.
"""

import json
import os
import sys
import threading
from queue import Empty, Queue
from typing import Any

from connectors.feishu import sdk


def main() -> None:
    """Serve until killed, until the parent is gone, or until the SDK gives up."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever the SDK prints must not end up among our lines
    config = json.loads(sys.stdin.readline())

    def say(line: dict[str, Any]) -> None:
        pipe.write(json.dumps(line) + "\n")

    durable: Queue[int] = Queue()
    threading.Thread(target=_read_numbers, args=(durable,), daemon=True).start()
    try:
        _client(config, say, durable).start()
    except Exception as error:  # noqa: BLE001 - the parent is told, and decides
        _end(say, error)


def _read_numbers(durable: "Queue[int]") -> None:
    for line in sys.stdin:
        durable.put(int(line))
    os._exit(0)


def _end(say: Any, error: BaseException) -> None:
    say({"ended": f"{type(error).__name__}: {error}"[:300]})
    os._exit(1)


def _client(config: dict[str, Any], say: Any, durable: "Queue[int]") -> Any:
    class Relay:
        """Passes every event on, whatever its type: a refusal would only bring it back."""

        number = 0

        def _do_without_validation(self, payload: bytes) -> None:
            self.number += 1
            say({"event": self.number, "payload": json.loads(payload)})
            try:
                while durable.get(timeout=config["patience"]) != self.number:
                    pass
            except Empty:
                raise TimeoutError("the event was not stored in time") from None

        do_without_validation = _do_without_validation  # its name before lark-oapi 1.6

    sdk.slim()
    sdk.replace_handler(Relay)
    with sdk.quiet():
        from lark_oapi.core.enum import LogLevel
        from lark_oapi.ws import client as ws

    class Watched(ws.Client):  # type: ignore[misc]
        """Tells of every frame, and ends the process where the SDK would go silent."""

        async def _connect(self) -> None:
            await super()._connect()
            say({"alive": self._ping_interval})

        async def _handle_message(self, msg: bytes) -> None:
            say({"alive": self._ping_interval})
            await super()._handle_message(msg)

        async def _reconnect(self) -> None:
            try:
                await super()._reconnect()
            except Exception as error:  # noqa: BLE001 - nobody awaits this task
                _end(say, error)

    ws.requests = _Impatient(ws.requests, config["timeout"])
    return Watched(
        config["app_id"],
        config["app_secret"],
        event_handler=Relay(),
        domain=config["domain"],
        log_level=LogLevel.CRITICAL,
    )


class _Impatient:
    """`requests` as the SDK uses it, but never waiting for ever."""

    def __init__(self, requests: Any, timeout: float) -> None:
        self._requests = requests
        self._timeout = timeout

    def post(self, *args: Any, **options: Any) -> Any:
        """The same, with a timeout."""
        return self._requests.post(*args, timeout=self._timeout, **options)


if __name__ == "__main__":
    main()
