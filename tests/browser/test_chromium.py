"""The pages in a real browser: Debian's Chromium, headless, driven by Playwright."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bridge import orders
from bridge.budget import Window
from bridge.records import LinkState
from connectors.metering import Called
from connectors.sandbox.clock import Clock
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox

PASSWORD = "correct horse battery staple"
PHONE = {"width": 360, "height": 740}
ANN = "ann@office.example"
LIMIT = (Window(60_100_000, 95),)
Visit = Callable[..., Page]
Office = Any


def chromium() -> str:
    """The program. A machine without one skips these tests; CI may not."""
    named = os.environ.get("CALBRIDGE_CHROMIUM")
    for name in (named, "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    message = "NO CHROMIUM: the pages were not tested in a browser (apt-get install chromium)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    with sync_playwright() as playwright:
        # Run as root, as in a container, it has no sandbox of its own.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        yield playwright.chromium.launch(executable_path=program, args=arguments)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens fresh browsers, which may neither complain nor run anybody's script."""
    contexts, complaints = [], []

    def make(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", "base_url": address, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message) or dialog.dismiss())
        return page

    yield make
    for context in contexts:
        context.close()
    refused = re.compile(r"the server responded with a status of 4\d\d")
    assert [text for text in complaints if not refused.search(text)] == []


def log_in(page: Page, password: str = PASSWORD) -> None:
    page.goto("/login")
    page.get_by_label(re.compile("Password|密码")).fill(password)
    page.get_by_role("button", name=re.compile("Log in|登录")).click()


def busy(office: Office) -> Office:
    """Something of everything: kept the same, parked, dropped, changed since, on now."""
    now = office.now()
    for number in range(4):
        office.put(f"Lunch {number}", now.strftime(f"%Y-%m-%dT{8 + 2 * number:02}:00"))
    office.put("<script>alert(1)</script> 会议", now.strftime("%Y-%m-%dT10:30"))
    office.put("Standup", now.strftime("%Y-%m-%dT09:00"), rule="FREQ=DAILY")
    office.sync()
    first, second, third, *_ = office.store.units(office.link.id)
    with office.store.begin() as tx:
        tx.put_units([second.with_copy(second.home.other, None)])
    office.a.person_edits(first.ref_a, title="Moved by hand")
    orders.drop(office.runtime, office.link, third)
    for outcome in ("ok", "RateLimitedError"):
        call = Called(connector="hub", kind="write", outcome=outcome, seconds=0.2)
        office.runtime.calls.count(call)
    with office.store.begin() as tx:
        for number in range(10):
            operation = f"GET /calendars/:calendar_id/events/:event_id/part{number}"
            tx.take_slice(f"hub/{ANN}", operation, LIMIT, 10 * number, 250_000, None, now)
    return office


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")


PAGES = ("/", "/links/1?all=1", "/links/1/week", "/links/1/pause", "/events", "/events?q=lunch",
         "/accounts", "/activity", "/nowhere")  # fmt: skip


def every_page(office: Office) -> list[str]:
    unit = next(office.store.units(office.link.id))
    run = office.store.runs(office.link.id)[0].id
    return [*PAGES, f"/links/1/events/{unit.id}", f"/runs/{run}/undo"]


def test_an_administrator_logs_in_looks_around_and_leaves(guarded: Office, visit: Visit) -> None:
    busy(guarded)
    page = visit(guarded.service.address)
    log_in(page, "a wrong password")
    expect(page.get_by_role("alert")).to_have_text("That is not the password.")
    log_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Links")
    page.get_by_role("link", name="ann/other").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("ann/other")
    expect(page.get_by_role("heading", name="What was done")).to_be_visible()
    page.get_by_role("link", name="Week", exact=True).click()
    expect(page.get_by_text("occurrences differ")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.goto("/")
    expect(page.get_by_label("Password")).to_be_visible()


def test_an_event_is_found_and_explained(office: Office, visit: Visit) -> None:
    busy(office)
    page = visit(office.service.address)
    page.goto("/events")
    page.get_by_role("searchbox").fill("lunch")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Lunch").first.click()
    expect(page.get_by_role("heading", name="What happens next")).to_be_visible()
    office.a.person_edits(next(office.store.units(office.link.id)).ref_a, title="Changed <b>again")
    page.goto(f"/links/1/events/{next(office.store.units(office.link.id)).id}")
    row = page.get_by_role("row").filter(has_text="differs")
    expect(row).to_contain_text("Changed <b>again")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_held_link_is_approved_and_the_run_undone(
    office: Office, visit: Visit, *, scripts: bool
) -> None:
    refs = [office.put(f"Event {n}", f"2027-03-{n + 1:02}T12:00") for n in range(12)]
    office.sync()
    for ref in refs:
        office.a.person_deletes(ref)
    assert office.sync().held
    page = visit(office.service.address, java_script_enabled=scripts)
    page.goto("/")
    expect(page.get_by_role("row").filter(has_text="ann/other")).to_contain_text("held")
    page.get_by_role("link", name="ann/other").click()
    page.get_by_role("link", name="Approve…").click()
    expect(page.get_by_role("listitem").filter(has_text="delete “Event 3”")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").first).to_have_text("Approved; 12 events deleted.")
    assert (office.titles(), office.link.state) == ([], LinkState.ACTIVE)
    page.get_by_role("link", name="Undo…").first.click()
    expect(page.get_by_role("listitem").filter(has_text="create “Event 3”")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").first).to_contain_text("Undone: 12 restored")
    assert len(office.titles()) == 12


def test_a_page_follows_what_happens(office: Office, visit: Visit) -> None:
    office.put("Lunch")
    office.sync()
    with office.store.begin() as tx:
        tx.hint([office.link.id], office.now())
    page = visit(office.service.address)
    page.goto("/links/1")
    expect(page.get_by_role("heading", level=1)).to_contain_text("catching up")
    page.evaluate("window.untouched = true")
    office.put("Dinner", "2027-03-03T19:00")
    office.sync()
    expect(page.get_by_role("link", name="Dinner")).to_be_visible()
    assert page.evaluate("window.untouched")


@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_every_page_is_accessible(guarded: Office, visit: Visit, scheme: str, locale: str) -> None:
    busy(guarded)
    page = visit(guarded.service.address, color_scheme=scheme, locale=locale)
    page.goto("/login")
    page.evaluate("document.querySelector('label').remove()")
    assert [rule["id"] for rule in Axe().run(page).response["violations"]] == ["label"]
    page.goto("/login")
    found = {"/login": Axe().run(page).response["violations"]}
    log_in(page)
    for path in every_page(guarded):
        page.goto(path)
        unfold(page)
        found[path] = Axe().run(page).response["violations"]
    told = {
        f"{path}: {rule['id']}: {node['html'][:200]}"
        for path, rules in found.items()
        for rule in rules
        for node in rule["nodes"]
    }
    assert told == set()


def test_every_page_fits_on_a_phone(guarded: Office, visit: Visit) -> None:
    busy(guarded)
    page = visit(guarded.service.address, viewport=PHONE, is_mobile=True, has_touch=True)
    log_in(page)
    for path in every_page(guarded):
        page.goto(path)
        unfold(page)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"], path


def test_chinese_is_chinese_on_every_page(guarded: Office, visit: Visit) -> None:
    busy(guarded)
    page = visit(guarded.service.address, locale="zh-CN")
    log_in(page)
    for path in every_page(guarded):
        page.goto(path)
        assert page.locator("html").get_attribute("lang") == "zh-Hans"
        heading = page.get_by_role("heading", level=1).inner_text()
        assert (
            path == "/links/1?all=1"
            or re.search(r"[\u4e00-\u9fff]", heading)
            or "Lunch" in (heading)
        ), path
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("navigation")).to_contain_text("Accounts")


def test_the_keyboard_reaches_the_content_first(office: Office, visit: Visit) -> None:
    office.sync()
    page = visit(office.service.address)
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_nobodys_script_runs(office: Office, visit: Visit) -> None:
    title = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    office.put(title, office.now().strftime("%Y-%m-%dT12:00"))
    office.sync()
    page = visit(office.service.address)
    for path in (*every_page(office), "/events?q=<script>alert(3)</script>"):
        page.goto(path)
    page.goto("/links/1/week")
    expect(page.get_by_text(title)).to_be_visible()


@pytest.fixture
def clouds() -> Iterator[tuple[FeishuSandbox, GoogleSandbox]]:
    clock = Clock()
    feishu, google = FeishuSandbox(clock=clock).start(), GoogleSandbox(clock=clock)
    google.start()
    feishu.sign_in(feishu.add_user("Ann", ANN))
    google.add_user(ANN, zone="Asia/Shanghai")
    google.oauth.signed_in = ANN
    yield feishu, google
    feishu.stop()
    google.stop()


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_a_user_connects_both_calendars_by_invitation(
    open_office: Callable[..., Office],
    clouds: tuple[FeishuSandbox, GoogleSandbox],
    visit: Visit,
    locale: str,
) -> None:
    feishu, google = clouds
    client = google.oauth_client()["installed"]
    office = open_office(open_on_loopback=True)
    office.content["connectors"] = {
        "feishu": {
            "type": "feishu", "domain": feishu.url, "accounts_domain": feishu.url,
            "app_id": feishu.app.id, "app_secret": feishu.app.secret, "delivery": {"mode": "none"},
        },
        "google": {
            "type": "google", "client_id": client["client_id"],
            "client_secret": client["client_secret"], "api_root": f"{google.url}/",
            "token_uri": f"{google.url}/token", "auth_uri": f"{google.url}/o/oauth2/auth",
        },
    }  # fmt: skip
    office.content["users"] = {
        "ann": {"feishu": {"account": ANN}, "links": [{"to": "google", "account": ANN}]}
    }
    office.again(open_on_loopback=True)
    admin = visit(office.service.address, locale=locale)
    for connector in ("feishu", "google"):
        admin.goto("/accounts")
        admin.get_by_role("button", name=re.compile(f"(at|邀请) {connector}")).click()
        invitation = admin.locator("#link").input_value()
        user = visit(office.service.address, locale=locale)
        user.goto(invitation)
        assert Axe().run(user).response["violations"] == []
        user.get_by_role("button", name=re.compile(f"(Go on to|前往) {connector}")).click()
        expect(user.get_by_role("heading", level=1)).to_have_text(
            re.compile("^(Connected|授权成功)$")
        )
        assert "consent/callback" in user.url
    assert office.store.tokens.accounts() == [("feishu", ANN), ("google", ANN)]
    admin.goto("/accounts")
    expect(admin.locator(".chip.connected")).to_have_count(2)
