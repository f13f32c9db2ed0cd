"""What machines ask: whether this process can work (`/readyz`), and how all fares (`/metrics`)."""

from collections.abc import Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bridge.records import LinkState
from bridge.runtime import Runtime
from bridge.store import StoreError
from bridge.store.activity import outcomes, spent
from bridge.store.calls import BOUNDS, Tally, called
from bridge.store.figures import figures
from bridge.web.access import Access
from bridge.web.accounts import accounts

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
RECENT = timedelta(hours=1)


def health_routes(runtime: Runtime) -> list[BaseRoute]:
    """Both."""
    access = Access(runtime.config.web, runtime.system.now)
    registry = CollectorRegistry()
    registry.register(Gauges(runtime))

    async def ready(_request: Request) -> Response:
        good = await run_in_threadpool(_answers, runtime)
        return JSONResponse({"ready": good}, 200 if good else 503)

    async def metrics(request: Request) -> Response:
        if not access.may_measure(request):
            return Response("set web.metrics_token in the config, and send it\n", 403)
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, media_type=FORMAT)

    return [Route("/readyz", ready), Route("/metrics", metrics)]


def _answers(runtime: Runtime) -> bool:
    try:
        runtime.store.setting("instance")
    except StoreError:
        return False
    return True


class Gauges(Collector):
    """Everything as the database knows it at the moment, the same from every process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._store = runtime.store

    def describe(self) -> list[Metric]:
        """Nothing beforehand, so that registering asks no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One look."""
        yield from self._links()
        yield from self._queue()
        yield from self._calls()
        yield from self._accounts()

    def _links(self) -> Iterator[Metric]:
        now = self._runtime.system.now()
        behind = _gauge("link_behind_seconds", "How old a change that is not on the other side "
                        "may at most be; 0 = none is known of", "link")  # fmt: skip
        good = _gauge("link_last_good_timestamp_seconds", "Start of the last complete run", "link")
        state = _gauge("link_state", "1 for the state that a link is in", "link", "state")
        events = _gauge("link_events", "Events by how they fare", "link", "state")
        failures = _gauge("link_failures", "Runs that failed since the last good one", "link")
        for item in figures(self._store):
            name = item.link.name
            if item.link.state is LinkState.ENDED:
                continue
            behind.add_metric([name], (now - item.behind).total_seconds() if item.behind else 0)
            if item.good:
                good.add_metric([name], item.good.timestamp())
            for each in LinkState:
                state.add_metric([name, each.value], each is item.link.state)
            counts = {"live": item.live, "parked": item.parked, "dropped": item.dropped}
            for word, count in counts.items():
                events.add_metric([name, word], count)
            failures.add_metric([name], item.job.attempts if item.job else 0)
        yield from (behind, good, state, events, failures)

    def _queue(self) -> Iterator[Metric]:
        now = self._runtime.system.now()
        stats = self._store.job_stats(now)
        queue = _gauge("queue_links", "Links by what they wait for", "state")
        for name in ("due", "running", "snoozed", "parked"):
            queue.add_metric([name], getattr(stats, name))
        waiting = _gauge("queue_oldest_seconds", "How long the longest waiting link has been due")
        oldest = (now - stats.oldest_due).total_seconds() if stats.oldest_due else 0
        waiting.add_metric([], max(0.0, oldest))
        runs = _gauge("recent_runs", "Runs of the last hour by outcome or class of error",
                      "outcome")  # fmt: skip
        for outcome, count in outcomes(self._store, now - RECENT).items():
            runs.add_metric([outcome], count)
        calls = _gauge("recent_calls", "Calls under a rate budget within its longest window",
                       "budget", "operation")  # fmt: skip
        barred = _gauge("barred_seconds", "For how long a provider still wants no calls", "budget",
                        "operation")  # fmt: skip
        used = _gauge("quota_used_ratio", "The part of our share of a rate budget that is used "
                      "within its longest window", "budget", "operation")  # fmt: skip
        for each in spent(self._store, now):
            names = [each.budget, each.operation]
            calls.add_metric(names, each.calls)
            rest = (each.barred - now).total_seconds() if each.barred else 0
            barred.add_metric(names, rest)
            if each.used is not None:
                used.add_metric(names, each.used)
        yield from (queue, waiting, runs, calls, barred, used)

    def _calls(self) -> Iterator[Metric]:
        """Since the database was made; what all processes stored, and this one counted."""
        self._runtime.calls.store()
        ended = CounterMetricFamily(
            "calbridge_calls", "Calls to a provider by how they ended, ok or the class of an error",
            labels=("connector", "kind", "outcome"),
        )  # fmt: skip
        took = HistogramMetricFamily(
            "calbridge_call_seconds", "How long calls took, without waiting for a budget",
            labels=("connector", "kind"),
        )  # fmt: skip
        sums: dict[tuple[str, str], Tally] = {}
        for what, tally in sorted(called(self._store).items()):
            ended.add_metric([what.connector, what.kind, what.outcome], tally.calls)
            whose = (what.connector, what.kind)
            sums[whose] = sums.get(whose, Tally()).plus(tally)
        for whose, tally in sums.items():
            within = [(str(bound), n) for bound, n in zip(BOUNDS, tally.within, strict=True)]
            buckets = [*within, ("+Inf", tally.calls)]
            took.add_metric(whose, buckets, sum_value=tally.time.total_seconds())
        yield from (ended, took)

    def _accounts(self) -> Iterator[Metric]:
        now = self._runtime.system.now()
        whose = ("connector", "account")
        consent = _gauge("consent_good", "1 if a user's consent works", *whose)
        ends = _gauge("consent_ends_timestamp_seconds", "When it ends unless renewed", *whose)
        for each in accounts(self._runtime):
            if each.state:
                names = [each.connector, each.account]
                consent.add_metric(names, each.state in ("connected", "expiring"))
                if each.ends:
                    ends.add_metric(names, each.ends.timestamp())
        silent = _gauge("account_silent_seconds", "How long a provider has not answered", *whose)
        for (connector, account), circuit in self._store.circuits().items():
            silent.add_metric([connector, account], (now - circuit.since).total_seconds())
        yield from (consent, ends, silent)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"calbridge_{name}", text, labels=labels)
