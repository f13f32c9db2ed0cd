"""The complaint: "two servers renewed the same login, and both were thrown out"."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bridge.store import open_store
from bridge.vault import Vault
from connectors.sandbox.faults import Fault
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.feishu.state import User
from connectors.tokens import Token

PROCESSES = 2
ROUNDS = 4

READER = """
import sys, time, warnings
from datetime import UTC, datetime
warnings.simplefilter("ignore")
from bridge.store import open_store
from bridge.vault import Vault
from connectors.capabilities import Capabilities
from connectors.contract import Context
from connectors.feishu import PLUGIN
from connectors.pacing import FreePacer

database, key, url, app_id, secret, account = sys.argv[1:]
now = lambda: datetime.now(UTC)
store = open_store(database, vault=Vault([key]), now=now)
context = Context(now=now, sleep=time.sleep, random=lambda: 0.5, tokens=store.tokens,
                  pacer=lambda *_: FreePacer())
settings = PLUGIN.settings(app_id=app_id, app_secret=secret, domain=url)
connector = PLUGIN.open("feishu", settings, context).connect(account)
for line in sys.stdin:
    print(len(connector.calendars()), flush=True)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'bridge.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@contextmanager
def readers(arguments: list[str]) -> Iterator[list["subprocess.Popen[str]"]]:
    command = [sys.executable, "-c", READER, *arguments]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
                )
            )
            for _ in range(PROCESSES)
        ]
        try:
            yield started
        finally:
            for process in started:
                process.kill()


def ask_all(processes: list["subprocess.Popen[str]"]) -> list[str]:
    """Everybody reads the calendars, all at the same moment."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    return [process.stdout.readline() for process in processes if process.stdout is not None]


def consented(sandbox: FeishuSandbox, user: User) -> Token:
    grant = sandbox.grant(user)
    later = datetime.now(UTC) + timedelta(hours=1)
    return Token(
        access=grant.access,
        access_expires=later,
        refresh=grant.refresh,
        refresh_expires=later + timedelta(days=6),
        scope=grant.scope,
        owner=user.open_id,
    )


def test_processes_that_share_a_database_renew_a_login_once_between_them(
    database_url: str,
) -> None:
    """Also when one of them is killed before the answer came."""
    key = Vault.generate_key()
    with (
        FeishuSandbox(limits=False) as sandbox,
        open_store(database_url, vault=Vault([key]), now=lambda: datetime.now(UTC)) as store,
    ):
        ann, app = sandbox.add_user(), sandbox.app
        store.tokens.save("feishu", ann.open_id, consented(sandbox, ann))
        arguments = [database_url, key, sandbox.url, app.id, app.secret, ann.open_id]
        with readers(arguments) as (first, *others):
            assert ask_all([first, *others]) == ["1\n"] * PROCESSES
            for _round in range(ROUNDS):
                sandbox.desk.expire(ann)
                assert ask_all([first, *others]) == ["1\n"] * PROCESSES
            assert [call.status for call in sandbox.calls("oauth.token")] == [200] * ROUNDS

            sandbox.desk.expire(ann)
            fault = Fault("/oauth/token", "status", status=503, times=0)
            sandbox.faults.add(fault)
            assert first.stdin is not None
            first.stdin.write("now\n")
            first.stdin.flush()
            while not fault.struck:
                time.sleep(0.01)
            first.kill()
            first.wait()
            sandbox.faults.clear()
            assert ask_all(others) == ["1\n"] * len(others)
        used = [token.used for token in sandbox.desk.refresh.values()]
        assert used == [True] * (ROUNDS + 1) + [False]
