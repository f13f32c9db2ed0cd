"""The name of a link's rules is the same in every process, or every start would write all anew."""

import os
import subprocess
import sys

PROGRAM = """
from datetime import UTC, datetime
from bridge.config import EndpointConfig, LinkConfig
from bridge.records import Side
from bridge.runtime import rules
from mappings import exchange, feishu
from mappings.policy import Policy

end = EndpointConfig(connector="x", account="y", calendar="z")
link = LinkConfig(name="l", user="u", a=end, b=end, policy=Policy(), place="", line=None)
limits = {Side.A: feishu.LIMITS, Side.B: exchange.LIMITS}
print(rules(link, limits, datetime(2026, 3, 1, tzinfo=UTC)).digest)
"""


def test_the_digest_of_the_rules_does_not_depend_on_the_order_of_sets() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONTZPATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
