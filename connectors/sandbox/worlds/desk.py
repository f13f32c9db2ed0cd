"""One desk: Alice, her Feishu calendar with a few dozen events, and her empty one at Google."""

import random
from itertools import islice
from typing import Any

from connectors.sandbox.clock import Clock
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.worlds.calendar_past import Seed, seeds
from connectors.sandbox.worlds.office import app_section, mail, monday_of, plant, weekly
from connectors.sandbox.worlds.trial import Consent, Trial

EVENTS = 30


def desk(seed: int = 0) -> Trial:
    """The started world."""
    clock = Clock()
    feishu, alice = alice_at_feishu(clock, seed)
    google = GoogleSandbox(clock=clock, seed=seed)
    google.start()
    google.add_user(mail("alice"), zone="Asia/Shanghai")
    config = {
        "connectors": {
            "feishu": app_section(feishu, {"mode": "long-connection"}),
            "google": {
                "type": "google",
                "service_account": google.service_account(),
                "api_root": f"{google.url}/",
                "token_uri": f"{google.url}/token",
            },
        },
        "defaults": {"direction": "to-target"},
        "service": {"listen": "127.0.0.1:0", "poll": "2s"},
        "users": {
            "alice": {
                "feishu": {"account": mail("alice")},
                "links": [{"to": "google", "account": mail("alice")}],
            }
        },
    }
    return Trial(
        sandboxes={"feishu": feishu, "google": google},
        config=config,
        consents=(Consent("feishu", mail("alice"), lambda: feishu.sign_in(alice)),),
        listening=lambda: feishu.longconn.count() > 0,
    ).start()


def alice_at_feishu(clock: Clock, seed: int) -> tuple[FeishuSandbox, Any]:
    """Feishu, started, and the user there."""
    feishu = FeishuSandbox(clock=clock, seed=seed)
    feishu.start()
    alice = feishu.add_user("Alice", mail("alice"))
    feishu.add_room("omm_everest", "Everest 8F")
    monday = monday_of(clock)
    past = list(seeds(random.Random(seed), monday, [], "omm_everest"))
    for item in (*islice(past, EVENTS - 14), *past[-14:]):
        plant(feishu, alice.primary, item)
    plant(feishu, alice.primary, Seed(weekly(monday)))
    return feishu, alice
