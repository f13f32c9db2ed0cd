"""Copying a calendar for the first time: how fast, against what a quota permits, and against a bare
loop over the same SDK calls.

From Feishu, whose listing leaves out attendees (a read per event), to an empty calendar at Google
(an insert per event); both are sandboxes in another process. A round is another person.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from benchmarks.cloud import Cloud, bridge
from benchmarks.measuring import ROUNDS, Case, Row, row
from bridge.records import RunKind
from bridge.runtime import ReadyLink, Runtime

DELAYS = (0.0, 0.05, 0.2)
SIZE, LARGE = 1_000, (10_000, 100_000)
BARE = {0.0: 250, 0.05: 250, 0.2: 100}
"""Events of the bare loop."""
AT_ONCE = 8
QUOTA = 600
"""Calls that Google permits per minute and user, by default."""


def cases(full: bool) -> dict[str, Case]:
    found: dict[str, Case] = {}
    for delay in DELAYS:
        name = f"{round(delay * 1000)}ms"
        found[f"{SIZE}-{name}"] = partial(_unlimited, SIZE, delay)
        found |= {f"{size}-{name}": partial(_unlimited, size, delay) for size in LARGE if full}
    found["quota"] = partial(_limited, SIZE)
    found |= {f"quota-{size}": partial(_limited, size) for size in LARGE if full}
    return found


def _unlimited(size: int, delay: float) -> list[Row]:
    # Long waits are waited for together.
    together, rounds = delay >= 0.2, ROUNDS if size <= SIZE else 1
    names = {f"p{number}": {"to": "google"} for number in range(rounds)}
    with Cloud() as cloud:
        for name in names:
            cloud("add", name, size)
        cloud("add", "bare", BARE[delay])
        two_way = {**names, "bare": {"to": "google"}}
        with bridge(cloud, two_way, defaults={"direction": "two-way"}) as runtime:
            links = {item.link.user: item for item in runtime.ready(runtime.select())}
            cloud("latency", delay)
            bare = [_bare(runtime, links["bare"], number) for number in range(ROUNDS)]
            del links["bare"]
            used = time.process_time()
            seconds = _backfills(runtime, list(links.values()), together=together)
            used = time.process_time() - used
    fastest = min(bare)
    bar = "<= 10" if (size, delay) == (1_000, 0.05) else ""
    what = f"{size:,} events, {round(delay * 1000)} ms a call, two-way"
    note = f"{rounds} people at the same time" if together and rounds > 1 else ""
    return [
        row(what, seconds, "s", bar, note),
        row("... events a second", [size / each for each in seconds], "/s"),
        row("... CPU of the bridge and the SDKs for an event",
            [1000 * used / size / rounds], "ms"),
        row("... share of a bare loop's rate", [100 * size * fastest / each for each in seconds],
            "%", "", f"{AT_ONCE} reads and {AT_ONCE} inserts at once, nothing else: "
            f"{1 / fastest:.0f}/s at best of {ROUNDS}"),
    ]  # fmt: skip


def _limited(size: int) -> list[Row]:
    """Five people at once, each with a quota of their own at Google, which is kept to the second.
    Feishu's is shared by all and would bind sooner, so it is not asked for attendees here."""
    rounds = ROUNDS if size == SIZE else 1
    names = {f"p{number}": {"to": "google"} for number in range(rounds)}
    with Cloud(limits=True) as cloud:
        for name in names:
            cloud("add", name, size)
        connectors = cloud("connectors")
        connectors["feishu"]["attendees"] = "skip"
        with bridge(cloud, names, Runtime, connectors=connectors) as runtime:
            links = runtime.ready(runtime.select())
            cloud("latency", 0.05)
            cloud("calls")
            seconds = _backfills(runtime, links, together=True)
            refused = cloud("refusals")
    permitted = [_permitted(each, size) for each in seconds]
    return [
        row(f"{size:,} events, 50 ms a call, {QUOTA} calls a minute", seconds, "s", "",
            f"{rounds} people at the same time; {refused} calls were refused for their rate"),
        row("... share of what the quota permits", permitted, "%", ">= 90"),
    ]  # fmt: skip


def _permitted(seconds: float, size: int) -> float:
    """Percent: the time that a quota of so many calls in any minute leaves, as the first call goes
    out at once, against the time taken."""
    calls = size + 1
    waiting = 60.0 * ((calls - 1) // QUOTA)
    sending = ((calls - 1) % QUOTA + 1) * 0.05 / AT_ONCE
    return 100 * (waiting + sending) / seconds


def _backfills(runtime: Runtime, links: list[ReadyLink], *, together: bool) -> list[float]:
    def seconds(item: ReadyLink) -> float:
        started = time.perf_counter()
        outcome = runtime.link_pass(item, full=True).run(RunKind.BACKFILL)
        assert outcome.counts.created
        return time.perf_counter() - started

    if not together:
        return [seconds(item) for item in links]
    with ThreadPoolExecutor(len(links)) as pool:
        return list(pool.map(seconds, links))


def _bare(runtime: Runtime, item: ReadyLink, number: int) -> float:
    """Seconds per event of reading each event of a page and inserting it, by the connectors' own
    clients, without a bridge: nothing is decided, compared or remembered."""
    calendar = item.link.a.calendar
    feishu, google = (vars(each) for each in runtime.connectors(item.link).values())
    api, client = feishu["_api"], google["_client"]
    started = time.perf_counter()
    page = api.page(calendar, {"anchor_time": "1"}, 500)["items"]
    with ThreadPoolExecutor(AT_ONCE) as readers, ThreadPoolExecutor(AT_ONCE) as writers:
        read = readers.map(lambda each: api.event(calendar, each["event_id"], attendees=True), page)
        for done in [writers.submit(_insert, client, wire, number) for wire in read]:
            done.result()
    return (time.perf_counter() - started) / len(page)


def _insert(client: Any, wire: Any, number: int) -> None:
    body = {
        "id": f"bare{number}{wire['event_id'].replace('-', '').replace('_', '')}".lower(),
        "summary": wire["summary"],
        **{
            side: {"dateTime": _iso(wire[f"{side}_time"]), "timeZone": "Asia/Shanghai"}
            for side in ("start", "end")
        },
    }
    client.write("events.insert", calendarId="primary", body=body, sendUpdates="none")


def _iso(time_: dict[str, str]) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(time_["timestamp"])))
