"""One hour in which every token, channel, subscription and cursor ends at least once."""

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.proofs.city import City, city
from benchmarks.proofs.crowd import Crowd
from benchmarks.proofs.judging import unrest
from benchmarks.proofs.living import living
from benchmarks.proofs.report import Report
from bridge.runtime import System
from connectors.sandbox.worlds.office import mail

CHANNEL = 1200.0
"""Seconds that Google's channels live."""


def prove(folder: Path, *, links: int = 50, edits: int = 10, minutes: int = 60) -> Report:
    """`edits` are made in each minute."""
    report = Report(f"an hour of endings: {links} links, {edits * minutes} edits")
    with city(links) as town:
        town.google.switches.watch_seconds = CHANNEL
        town.exchange.switches.token_seconds = 900.0
        town.feishu.switch(longconn_reconnect_interval=1, longconn_reconnect_nonce=1)
        push_url = "http://127.0.0.1:9/hooks/google"  # nobody is there: channels live all the same
        config = town.config(f"sqlite:///{folder}/calbridge.db", poll="2m", push_url=push_url)
        path = town.write(folder / "judge.yaml", config)
        town.consent(path)
        crowd, ended = Crowd(town, seed=5), dict.fromkeys(_endings(town), 0)
        with living(town, path) as bridge:
            before = _renewals(town)
            for minute in range(minutes):
                for _edit in range(edits):
                    crowd.edit()
                for number, (what, end) in enumerate(_endings(town).items()):
                    if minute % 20 == 2 * number + 1:
                        end()
                        ended[what] += 1
                report.expect(bridge.pass_time(60), f"no rest in minute {minute}")
            for _minute in range(15):
                if not crowd.settled():
                    bridge.pass_time(60)
            report.complaints += crowd.complaints()
            after = _renewals(town)
        report.complaints += unrest(path, System(now=town.now))
        report.expect(not town.mails, f"{town.mails} mails were sent")
    for what, count in ended.items():
        report.tell(f"{what} ended", count, "times")
        report.expect(count, f"{what} never ended")
    for what in after:
        report.tell(what, after[what] - before[what])
        report.expect(after[what] > before[what], f"there were no {what}")
    report.tell("calls per edit", town.calls / crowd.edits)
    report.tell("differences, doubles, overlapping runs, mails", len(report.complaints))
    return report


def _endings(town: City) -> Mapping[str, Callable[[], object]]:
    """What can end, and how. Google's channels and Exchange's tokens end by themselves."""

    def for_each(act: Callable[[str], object]) -> Callable[[], None]:
        def end() -> None:
            for home in town.households:
                if any(hands.name == "Exchange" for hands in home.hands):
                    act(mail(home.name))

        return end

    return {
        "tokens at Feishu": town.feishu.desk.access.clear,
        "cursors at Feishu": town.feishu.expire_sync_tokens,
        "subscriptions at Feishu": town.feishu.subscriptions.clear,
        "long connections": town.feishu.longconn.close_all,
        "tokens at Google": town.google.oauth.expire_access,
        "cursors at Google": town.google.expire,
        "cursors at Exchange": for_each(town.exchange.void_sync_states),
        "subscriptions at Exchange": town.exchange.subscriptions.clear,
        "streams": town.exchange.streams.close_all,
    }


def _renewals(town: City) -> dict[str, int]:
    google, exchange = town.google, town.exchange
    return {
        "tokens renewed at Feishu": len(town.feishu.calls("oauth.token")),
        "tokens renewed at Google": len(google.calls("oauth.token")),
        "tokens renewed at Exchange": len(exchange.calls("oauth.token")),
        "channels opened": len(google.calls("events.watch")),
        "cursors refused by Google": sum(call.status == 410 for call in google.calls()),
        "subscriptions at Exchange begun": len(exchange.calls("Subscribe")),
    }
