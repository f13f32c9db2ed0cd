"""A running web application over calendars in memory, and somebody who uses it by requests."""

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from bridge import config
from bridge.records import Link, RunKind
from bridge.runtime import ReadyLink, Runtime, System
from bridge.service import Service
from bridge.sync import Outcome
from bridge.vault import Vault
from bridge.web import passwords
from connectors.memory import named_world
from connectors.testing.builders import event

PASSWORD = "correct horse battery staple"
LOOKING = "only looking, thank you"
_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """The cost stands in the hash, so that a cheap one is checked cheaply."""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "LOG2_N", 10)
    yield
    patch.undo()


class Browser:
    """One person's browser: keeps cookies, and fills in the form of the page it looks at."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.session = requests.Session()
        self.session.headers["Accept-Language"] = "en"
        self.page = requests.Response()

    def get(self, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith("http") else self.address + path
        self.page = self.session.get(url, timeout=20, **options)
        return self.page

    def post(self, path: str, *, csrf: str | None = None, **form: str) -> requests.Response:
        """Send a form of the page in view, or one with another token."""
        token = self.token() if csrf is None else csrf
        self.page = self.session.post(
            self.address + path, data={"csrf": token, **form}, timeout=20, headers=self._origin
        )
        return self.page

    @property
    def _origin(self) -> dict[str, str]:
        return {"Origin": self.address, "Sec-Fetch-Site": "same-origin"}

    def token(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page.text)
        return found[1] if found else ""

    def log_in(self, password: str = PASSWORD) -> requests.Response:
        self.get("/login")
        return self.post("/login", password=password)

    def does(self, path: str, **form: str) -> requests.Response:
        """Open a page that asks, and agree."""
        assert self.get(path).status_code == 200, self.page.text
        return self.post(path, **form)

    @property
    def text(self) -> str:
        """What a person reads of the page."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.page.text)).split())

    @property
    def cookie(self) -> str:
        (found,) = [c for c in self.session.cookies if c.name.endswith("calbridge")]
        return str(found.value)


class Office:
    """The bridge between two worlds, whose passes are made by hand."""

    def __init__(self, folder: Path, **web: Any) -> None:
        self.number = next(_numbers)
        self.path = folder / f"config{self.number}.yaml"
        self.content: dict[str, Any] = {
            "database": f"sqlite:///web{self.number}.db",
            "secret_key": Vault.generate_key(),
            "connectors": {
                "hub": {"type": "memory", "world": f"web-hub-{self.number}"},
                "other": {"type": "memory", "world": f"web-other-{self.number}"},
            },
            "service": {"listen": "127.0.0.1:0"},
            "web": web,
            "users": {"ann": {"hub": "ann", "links": [{"to": "other", "account": "ann"}]}},
        }
        self.a, self.b = (
            named_world(f"web-{name}-{self.number}").add_calendar("ann", "main")
            for name in ("hub", "other")
        )
        self._ahead = timedelta(0)
        self.open()

    def open(self) -> None:
        self.path.write_text(yaml.safe_dump(self.content))
        self.runtime = Runtime(config.load(self.path, {}), System(now=self.now))
        self.store = self.runtime.store
        self.service = Service(self.runtime, only=["web"])
        self.service.start()

    def close(self) -> None:
        self.service.stop()
        self.runtime.close()

    def again(self, **web: Any) -> None:
        """Restart with another `web` section, at another port."""
        self.close()
        self.content["web"] = web
        self.open()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def later(self, time: timedelta) -> None:
        self._ahead += time

    def browser(self) -> Browser:
        return Browser(self.service.address)

    @property
    def link(self) -> Link:
        found = self.store.link("ann/other")
        assert found is not None
        return found

    def ready(self) -> ReadyLink:
        (found,) = self.runtime.ready(self.runtime.select())
        return found

    def sync(self) -> Outcome:
        return self.runtime.link_pass(self.ready()).run(RunKind.SYNC)

    def put(self, title: str, start: str = "2027-03-03T12:00", **facts: Any) -> str:
        return self.a.person_puts(event(title, start, **facts))

    def titles(self) -> list[str]:
        return sorted(self.b.event(ref).details.title for ref in self.b.refs())

    def unit(self, title: str) -> str:
        (found,) = self.store.find_units(title)
        return found.id


@pytest.fixture
def browse() -> type[Browser]:
    """Opens somebody's browser for an address."""
    return Browser


@pytest.fixture
def open_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """Makes offices with a `web` section."""
    made: list[Office] = []

    def make(**web: Any) -> Office:
        made.append(Office(tmp_path, **web))
        return made[-1]

    yield make
    for office in made:
        office.close()


@pytest.fixture
def guarded(open_office: Callable[..., Office]) -> Office:
    """One with passwords."""
    return open_office(
        password_hash=passwords.hash_password(PASSWORD),
        viewer_password_hash=passwords.hash_password(LOOKING),
    )


@pytest.fixture
def office(open_office: Callable[..., Office]) -> Office:
    """One without, for this machine alone."""
    return open_office(open_on_loopback=True)


@pytest.fixture
def ann(office: Office) -> Browser:
    """The administrator's browser there."""
    return office.browser()
