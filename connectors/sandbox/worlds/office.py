"""An office in two clouds: three people at Feishu, one at Lark, all of them at Google too, and
two of them at Exchange. Some of their meetings stand in several calendars already, and some in
only one.

Alice and Bob gave consent at Feishu, whose pushes come by long connection; Carol's calendar is
read with the app's own identity and found by polling; Dana works at Lark, whose pushes come by
webhook, and gave consent at Google as well.
"""

import random
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.worlds.calendar_past import Json, Seed, seeds, timed
from connectors.sandbox.worlds.hands import AtExchange, AtFeishu, AtGoogle, Hands
from connectors.sandbox.worlds.live_edits import SERIES, Desk, live_edits, weekly_start
from connectors.sandbox.worlds.scenes import prepare, scenes
from connectors.sandbox.worlds.trial import Consent, Trial

ENCRYPT_KEY = "sandbox-encrypt-key"
VERIFICATION_TOKEN = "sandbox-verification-token"
SERVICE = "bridge@office.example"
PASSWORD = "sandbox-password"
ADDRESS = "{name}@office.example"
ZONE = "Asia/Shanghai"
PIANO, CLINIC = "Piano 🎹", "Clinic hours 🩺"
TWINS = ("Board meeting", "Tax adviser", "Fire drill 🔥")
"""Entered by hand in several calendars."""


def office(seed: int = 0) -> Trial:
    """The started world."""
    clock = Clock()
    feishu = FeishuSandbox(clock=clock, seed=seed)
    lark = FeishuSandbox(clock=clock, seed=seed + 1)
    google = GoogleSandbox(clock=clock, seed=seed)
    exchange = ExchangeSandbox(clock=clock, seed=seed, zone="Asia/Shanghai")
    for sandbox in (feishu, lark, google, exchange):
        sandbox.start()
    monday = monday_of(clock)
    people = {name: feishu.add_user(name.title(), mail(name)) for name in ("alice", "bob", "carol")}
    dana = lark.add_user("Dana", mail("dana"))
    colleague = lark.add_user("Emil", mail("emil"))
    for name in (*people, "dana"):
        google.add_user(mail(name), zone="Asia/Shanghai" if name != "dana" else "Europe/Berlin")
    exchange.add_mailbox(SERVICE, password=PASSWORD, impersonates=True)
    for name in ("alice", "bob"):
        exchange.add_mailbox(mail(name))
    feishu.add_room("omm_everest", "Everest 8F")
    lark.add_room("omm_alps", "Alps 2F")
    for number, (name, user) in enumerate(people.items()):
        others = [{"type": "user", "user_id": p.open_id} for n, p in people.items() if n != name]
        dice = random.Random(seed * 1000 + number)
        for item in seeds(dice, monday, others, "omm_everest"):
            plant(feishu, user.primary, item)
    others = [{"type": "user", "user_id": colleague.open_id}]
    for item in seeds(random.Random(seed * 1000 + 9), monday, others, "omm_alps"):
        plant(lark, dana.primary, item)
    for sandbox, user in ((feishu, people["alice"]), (lark, dana)):
        plant(sandbox, user.primary, Seed(weekly(monday)))
    feishu.share(feishu.world.calendars[people["carol"].primary], feishu.app.bot, "reader")
    config = _config(feishu, lark, google, exchange, people["carol"].primary)
    now = datetime.fromtimestamp(clock.time(), UTC)
    hands: dict[str, dict[str, Hands]] = {
        name: {
            "Feishu": AtFeishu("Feishu", feishu, people[name], now),
            "Google": AtGoogle("Google", google, mail(name), now),
            "Exchange": AtExchange("Exchange", exchange, mail(name), now, ZONE),
        }
        for name in ("alice", "bob")
    }
    danas = AtFeishu("Lark", lark, dana, now), AtGoogle("Google", google, mail("dana"), now)
    for name, series in (("Google", PIANO), ("Exchange", CLINIC)):
        _occupy(hands["bob"], name, series, monday)
    prepare(danas[0], now)
    desks = (
        _desk("alice", "long connection", hands["alice"], "Feishu", SERIES),
        Desk("dana", "webhook", danas[0], [danas[1]]),
        _desk("bob", "watch channel", hands["bob"], "Google", PIANO),
        _desk("bob", "stream", hands["bob"], "Exchange", CLINIC),
    )
    google.switches.allow_http_push = True
    return Trial(
        sandboxes={"feishu": feishu, "lark": lark, "google": google, "exchange": exchange},
        config=config,
        consents=_consents(feishu, people, lark, dana, google),
        edits=lambda: live_edits(desks, monday),
        scenes=scenes("dana/google-oauth", *danas),
        webhook=_webhook(lark),
        listening=lambda: feishu.longconn.count() > 0,
        title="An office at Feishu and Lark, and its calendars at Google and Exchange",
        note="pushes are bundled for 3 s at Feishu",
    ).start()


def _desk(who: str, by: str, hands: Mapping[str, Hands], name: str, series: str) -> Desk:
    others = [there for other, there in hands.items() if other != name]
    return Desk(who, by, hands[name], others, series)


def _occupy(hands: Mapping[str, Hands], name: str, series: str, monday: date) -> None:
    """What stands in a calendar before the bridge comes: a series and an event of its own, and
    some that were entered at Feishu too."""
    here = hands[name]
    here.put(series, weekly_start(monday, 0), 30, weekly=True)
    here.put(f"Only at {name}", weekly_start(monday, 1) + timedelta(hours=3), 45)
    for number, title in enumerate(TWINS):
        start = weekly_start(monday, 1) + timedelta(days=number, hours=5)
        here.put(title, start, 60)
        if title not in hands["Feishu"].titles():
            hands["Feishu"].put(title, start, 60)


def mail(name: str) -> str:
    """Somebody's address, the same everywhere."""
    return ADDRESS.format(name=name)


def monday_of(clock: Clock) -> date:
    """The Monday of the current week."""
    today = datetime.fromtimestamp(clock.time(), UTC).date()
    return today - timedelta(days=today.weekday())


def weekly(monday: date) -> Json:
    """The series that the live edits work on."""
    return timed(
        SERIES, monday - timedelta(weeks=2), 10, 0, 30, "Europe/Berlin",
        recurrence="FREQ=WEEKLY;BYDAY=MO",
    )  # fmt: skip


def plant(sandbox: FeishuSandbox, calendar: str, seed: Seed) -> None:
    """Put an event with its exceptions into a calendar, without push and mail."""
    event_id = sandbox.seed_event(calendar, seed.body, seed.attendees)
    touched = {*seed.moves, *seed.renames, *seed.cancels}
    if not touched:
        return
    starts = _starts(seed.body, max(touched) + 1)
    uid = event_id.rpartition("_")[0]
    for number, start in enumerate(starts):
        occurrence = f"{uid}_{start}"
        if number in seed.cancels:
            sandbox.seed_patch(calendar, occurrence, None)
        elif number in seed.moves:
            shift = int(seed.moves[number].total_seconds())
            sandbox.seed_patch(calendar, occurrence, _at(seed.body, start + shift))
        elif number in seed.renames:
            sandbox.seed_patch(calendar, occurrence, {"summary": seed.renames[number]})


def _at(body: Json, start: int) -> Json:
    zone = body["start_time"]["timezone"]
    length = int(body["end_time"]["timestamp"]) - int(body["start_time"]["timestamp"])
    return {
        "start_time": {"timestamp": str(start), "timezone": zone},
        "end_time": {"timestamp": str(start + length), "timezone": zone},
    }


def _starts(body: Json, count: int) -> list[int]:
    """The first occurrences' starts in Unix seconds."""
    zone = ZoneInfo(body["start_time"]["timezone"])
    first = datetime.fromtimestamp(int(body["start_time"]["timestamp"]), zone)
    rule = rrulestr(body["recurrence"], dtstart=first.replace(tzinfo=None))
    return [int(wall.replace(tzinfo=zone).timestamp()) for wall in islice(rule, count)]


def _config(
    feishu: FeishuSandbox,
    lark: FeishuSandbox,
    google: GoogleSandbox,
    exchange: ExchangeSandbox,
    carol: str,
) -> dict[str, Any]:
    client, port = google.oauth_client()["installed"], _free_port()
    api = {"api_root": f"{google.url}/", "token_uri": f"{google.url}/token",
           "auth_uri": f"{google.url}/o/oauth2/auth"}  # fmt: skip
    return {
        "connectors": {
            "feishu": app_section(feishu, {"mode": "long-connection"}),
            "feishu-bot": {**app_section(feishu, {"mode": "none"}), "identity": "tenant"},
            "lark": app_section(
                lark,
                {"mode": "webhook", "encrypt_key": ENCRYPT_KEY,
                 "verification_token": VERIFICATION_TOKEN},
            ),
            "google": {"type": "google", "service_account": google.service_account(),
                       "push_url": f"http://127.0.0.1:{port}/hooks/google", **api},
            "google-oauth": {
                "type": "google", "client_id": client["client_id"],
                "client_secret": client["client_secret"],
                "push_url": f"http://127.0.0.1:{port}/hooks/google-oauth", **api,
            },
            "exchange": {
                "type": "exchange", "endpoint": exchange.ews_url, "auth": "ntlm",
                "username": SERVICE, "password": PASSWORD, "access": "impersonation",
                "zone": "Asia/Shanghai",
            },
        },
        "defaults": {"direction": "two-way"},
        "service": {"listen": f"127.0.0.1:{port}", "poll": "15s"},
        "users": {
            "alice": _user("feishu", "alice", "google", "exchange"),
            "bob": _user("feishu", "bob", "google", "exchange"),
            "carol": {
                "feishu-bot": {"account": mail("carol"), "calendar": carol},
                "links": [{"to": "google", "account": mail("carol"), "content": "title",
                           "direction": "to-target"}],
            },
            "dana": _user("lark", "dana", "google-oauth"),
        },
    }  # fmt: skip


def _free_port() -> int:
    """For the bridge, whose address Google has to know beforehand."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def app_section(sandbox: FeishuSandbox, delivery: dict[str, str]) -> dict[str, Any]:
    """The config of a connector for a sandbox's app."""
    return {
        "type": "feishu",
        "domain": sandbox.url,
        "accounts_domain": sandbox.url,
        "app_id": sandbox.app.id,
        "app_secret": sandbox.app.secret,
        "delivery": delivery,
    }


def _user(hub: str, name: str, *targets: str) -> dict[str, Any]:
    return {
        hub: {"account": mail(name)},
        "links": [{"to": target, "account": mail(name)} for target in targets],
    }


def _consents(
    feishu: FeishuSandbox, people: Any, lark: FeishuSandbox, dana: Any, google: GoogleSandbox
) -> Sequence[Consent]:
    def at_feishu(sandbox: FeishuSandbox, user: Any) -> Callable[[], None]:
        return lambda: sandbox.sign_in(user)

    def at_google() -> None:
        google.oauth.signed_in = mail("dana")

    return (
        Consent("feishu", mail("alice"), at_feishu(feishu, people["alice"])),
        Consent("feishu", mail("bob"), at_feishu(feishu, people["bob"])),
        Consent("lark", mail("dana"), at_feishu(lark, dana)),
        Consent("google-oauth", mail("dana"), at_google),
    )


def _webhook(lark: FeishuSandbox) -> Callable[[str], None]:
    def use(address: str) -> None:
        lark.delivery.use(
            mode="webhook",
            url=f"{address}/hooks/lark",
            encrypt_key=ENCRYPT_KEY,
            verification_token=VERIFICATION_TOKEN,
        )

    return use
