"""From a push to the write that it causes: our own part of the time.

The service, in this process, takes Feishu's webhooks for many people and writes to Google. What
passes from the arrival of a push until the write is handed to the socket is counted, without the
time in which a call for the same person was under way: that is the provider's. Budgets are kept,
but so wide that nothing waits for them. Feishu's bundling of pushes is off.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from benchmarks.cloud import ADDRESS, Cloud, Wide, bridge
from benchmarks.measuring import Case, Row, counted, percentile, row
from bridge.runtime import Runtime
from bridge.service import Service

PEOPLE = 20
RATES = {1: 10, 20: 300, 100: 600}
"""Changes a second, and how many."""
KEY, TOKEN = "bench-encrypt-key", "bench-verification-token"
WRITES = ("PUT", "POST", "PATCH")
PATIENCE = 120.0


def cases(_full: bool) -> dict[str, Case]:
    return {f"{rate}-a-second": partial(_at, rate, count) for rate, count in RATES.items()}


def _at(rate: int, count: int) -> list[Row]:
    names = {f"p{number}": {"to": "google"} for number in range(PEOPLE)}
    each = -(-count // PEOPLE)
    with Cloud() as cloud:
        for name in names:
            cloud("add", name, each)
        connectors = cloud("connectors")
        connectors["feishu"]["delivery"] = {
            "mode": "webhook", "encrypt_key": KEY, "verification_token": TOKEN,
        }  # fmt: skip
        with bridge(cloud, names, Wide, connectors=connectors) as runtime:
            service = Service(runtime)
            service.start()
            try:
                cloud("webhook", service.address, KEY, TOKEN)
                assert service.wait_idle(PATIENCE)
                with _watching(runtime) as watch:
                    used = time.process_time()
                    titles = cloud("stream", list(names), rate, count)
                    _until(lambda: watch.written.keys() >= set(titles))
                    used = time.process_time() - used
            finally:
                service.stop()
    own = [1000 * watch.own(name, title) for title, name in titles.items()]
    bars = ("<= 50", "<= 250") if rate == 20 else ("", "")
    return [
        row(f"{rate} changes/s: from the push to the write, without the provider", own, "ms",
            bars[0], f"{PEOPLE} people, {count} changes; the median is p50"),
        counted("... p99", percentile(own, 99), "ms", bars[1]),
        counted("... CPU of the bridge and the SDKs for a change", 1000 * used / count, "ms"),
    ]  # fmt: skip


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("changes did not arrive")
        time.sleep(0.02)


class _Watch:
    """When pushes came, when calls were under way and when titles were written. Appending to a
    list is all that the watched threads do."""

    def __init__(self) -> None:
        self.pushed: dict[str, list[float]] = defaultdict(list)
        self.calls: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.written: dict[str, float] = {}

    def own(self, name: str, title: str) -> float:
        """Seconds of ours between the push that told of a change and its write."""
        write = self.written[title]
        # Of pushes that several changes share, the first one after the write before counts.
        made = float(title.rpartition("@")[2])
        came = next((at for at in self.pushed[name] if at >= made), write)
        came = min(came, write)
        away = 0.0
        reached = came
        for begun, ended in sorted(self.calls[name]):
            since, until = max(begun, reached), min(ended, write)
            if until > since:
                away += until - since
                reached = until
        return write - came - away


@contextmanager
def _watching(runtime: Runtime) -> Iterator[_Watch]:
    import httplib2
    from requests.adapters import HTTPAdapter

    watch = _Watch()
    links = runtime.store.links()
    names = {link.a.calendar: link.user for link in links}
    names |= {ADDRESS.format(name=link.user): link.user for link in links}
    names |= {link.b.calendar: link.user for link in links}

    def whose(url: str) -> str:
        path = unquote(url)
        return next((name for calendar, name in names.items() if f"/{calendar}/" in path), "")

    provider: Any = runtime.provider("feishu")
    receive, send, request = provider.receive, HTTPAdapter.send, httplib2.Http.request

    def received(push: Any) -> Any:
        now = time.time()
        answer = receive(push)
        for hint in answer.hints:
            watch.pushed[names.get(hint.calendar or "", "")].append(now)
        return answer

    def sent(self: Any, prepared: Any, **options: Any) -> Any:
        begun = time.time()
        try:
            return send(self, prepared, **options)
        finally:
            watch.calls[whose(prepared.url)].append((begun, time.time()))

    def requested(
        self: Any, uri: str, method: str = "GET", body: Any = None, *rest: Any, **options: Any
    ) -> Any:
        begun = time.time()
        if method in WRITES and body is not None and '"summary": "' in str(body):
            title = str(body).partition('"summary": "')[2].partition('"')[0]
            watch.written.setdefault(title, begun)
        try:
            return request(self, uri, method, body, *rest, **options)
        finally:
            watch.calls[whose(uri)].append((begun, time.time()))

    with (
        patch.object(provider, "receive", received),
        patch.object(HTTPAdapter, "send", sent),
        patch.object(httplib2.Http, "request", requested),
    ):
        yield watch
