"""One desk with Outlook: Alice, her Feishu calendar, and her empty mailbox at Exchange."""

from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.worlds.desk import alice_at_feishu
from connectors.sandbox.worlds.office import PASSWORD, SERVICE, app_section, mail
from connectors.sandbox.worlds.trial import Consent, Trial

ZONE = "Asia/Shanghai"


def mailbox(seed: int = 0) -> Trial:
    """The started world."""
    clock = Clock()
    feishu, alice = alice_at_feishu(clock, seed)
    exchange = ExchangeSandbox(clock=clock, seed=seed, zone=ZONE)
    exchange.start()
    exchange.add_mailbox(SERVICE, password=PASSWORD, impersonates=True)
    exchange.add_mailbox(mail("alice"))
    config = {
        "connectors": {
            "feishu": app_section(feishu, {"mode": "long-connection"}),
            "exchange": {
                "type": "exchange",
                "endpoint": exchange.ews_url,
                "auth": "ntlm",
                "username": SERVICE,
                "password": PASSWORD,
                "access": "impersonation",
                "zone": ZONE,
            },
        },
        "defaults": {"direction": "to-target"},
        "service": {"listen": "127.0.0.1:0", "poll": "2s"},
        "users": {
            "alice": {
                "feishu": {"account": mail("alice")},
                "links": [{"to": "exchange", "account": mail("alice")}],
            }
        },
    }
    return Trial(
        sandboxes={"feishu": feishu, "exchange": exchange},
        config=config,
        consents=(Consent("feishu", mail("alice"), lambda: feishu.sign_in(alice)),),
        listening=lambda: feishu.longconn.count() > 0,
    ).start()
