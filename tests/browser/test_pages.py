"""What people read on the pages, and what comes of what they do there."""

import re
import threading
from datetime import timedelta
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from bridge.budget import Window
from bridge.records import LinkState, RunKind, UnitState
from connectors.errors import ReauthorizeError, RejectedError
from connectors.memory import Call
from connectors.metering import Called

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>' {{ 7*7 }} 会议"
PAGES = ("/", "/links/1", "/links/1?all=1", "/links/1/week", "/events", "/accounts", "/activity")


def test_the_dashboard_shows_every_link_with_its_numbers(office, ann):
    assert "Never ran" in ann.get("/").text
    office.put("Lunch")
    office.put("Dinner", "2027-03-03T19:00")
    office.sync()
    ann.get("/")
    assert re.search(r"ann/other .*hub ann other ann 2 0 just now", ann.text)


def test_the_filter_finds_by_name_and_by_state(office, ann):
    office.sync()
    assert "ann/other" in ann.get("/?q=OTHER").text
    assert "No link like that" in ann.get("/?q=nobody").text
    assert "No link like that" in ann.get("/?state=held").text
    with office.store.begin() as tx:
        tx.set_link_state(office.link.id, LinkState.HELD, "look at it")
    for state in ("held", "attention"):
        assert "look at it" in ann.get(f"/?state={state}").text
    assert "No link like that" in ann.get("/?state=current").text


def test_a_link_is_up_to_date_until_something_is_hinted(office, ann):
    office.put("Lunch")
    office.sync()
    with office.store.begin() as tx:
        tx.hint([office.link.id], office.now())
    office.later(timedelta(minutes=3))
    assert "catching up" in ann.get("/").text
    assert "at most 3 min" in ann.text


def test_a_person_pauses_a_link_with_a_reason_and_lets_it_run_again(office, ann):
    office.sync()
    ann.does("/links/1/pause", reason="moving house")
    assert "ann/other is paused." in ann.text
    assert (office.link.state, office.link.reason) == (LinkState.PAUSED, "moving house")
    assert "moving house" in ann.get("/").text
    assert "is paused." not in ann.text
    ann.does("/links/1/resume")
    assert office.link.state is LinkState.ACTIVE
    job = office.store.job(office.link.id)
    assert job is not None
    assert job.pending


def test_a_backfill_shows_how_far_it_is_while_it_runs(office, ann):
    shown, turn = [], threading.Lock()

    def look(call: Call) -> None:
        with turn:
            if call.operation.startswith("create"):
                ann.get("/links/1")
                shown.append(ann.text)

    for number in range(40):
        office.put(f"Event {number}", f"2027-04-{number % 28 + 1:02}T{8 + number // 28:02}:00")
    office.runtime.provider("other").world.before = look
    office.runtime.link_pass(office.ready(), full=True).run(RunKind.BACKFILL)
    assert "ann/other running" in shown[0]
    assert "data-live" in ann.page.text
    done = [int(re.search(r"(\d+) done so far", text)[1]) for text in shown]
    assert done == sorted(done)
    assert done[0] == 0 < done[-1] < 40
    ann.get("/links/1")
    assert "40 created" in ann.text
    assert "done so far" not in ann.text


def test_a_held_link_shows_what_it_would_delete_and_does_it_after_approval(office, ann):
    refs = [office.put(f"Event {number}", f"2027-03-{number + 1:02}T12:00") for number in range(15)]
    office.sync()
    for ref in refs:
        office.a.person_deletes(ref)
    assert office.sync().held
    ann.get("/links/1")
    assert "15 of 15 events would be deleted" in ann.text
    ann.get("/links/1/approve")
    assert "15 events would be deleted, and 0 other changes made" in ann.text
    assert "delete “Event 3” at other" in ann.text
    assert len(office.titles()) == 15
    ann.post("/links/1/approve")
    assert "Approved; 15 events deleted." in ann.text
    assert (office.titles(), office.link.state) == ([], LinkState.ACTIVE)
    assert ann.get("/links/1/approve").url.endswith("/links/1")


def test_an_undo_tells_what_it_will_do_and_does_it(office, ann):
    office.put("Lunch")
    ref = office.put("Dinner", "2027-03-03T19:00")
    office.sync()
    run = office.store.runs(office.link.id)[0].id
    office.b.person_edits(office.b.refs()[0], title="Late lunch")
    office.a.person_edits(ref, location=None)
    assert "Undo" in ann.get("/links/1").text
    ann.get(f"/runs/{run}/undo")
    assert "delete “Dinner” at other" in ann.text
    assert len(office.titles()) == 2
    ann.post(f"/runs/{run}/undo")
    assert "taken away" in ann.text
    assert office.store.runs(office.link.id)[0].kind is RunKind.UNDO
    assert len(office.titles()) < 2


def test_an_event_is_explained_with_what_differs(office, ann):
    office.put("Lunch")
    office.sync()
    ann.get("/events?q=lunch")
    assert urlsplit(ann.page.url).path == f"/links/1/events/{office.unit('Lunch')}"
    assert "nothing: there is nothing to carry over" in ann.text
    office.a.person_edits(office.a.refs()[0], title="Brunch")
    ann.get(f"/links/1/events/{office.unit('Lunch')}")
    assert "changed since: title" in ann.text
    assert "update at other: title (changed at hub)" in ann.text
    assert re.search(r'<tr class="differs"><th scope="row">title', ann.page.text)
    assert "title differs Brunch Lunch" in ann.text
    assert "not asked" in ann.get(f"/links/1/events/{office.unit('Lunch')}?offline=1").text


def test_a_description_is_shown_as_people_read_it_unless_its_markup_differs(office, ann):
    ref = office.put("Lunch", description="first<br><b>second</b> &amp; last")
    office.sync()
    page = f"/links/1/events/{office.unit('Lunch')}"
    assert ">first\nsecond &amp; last<" in ann.get(page).text
    office.a.person_edits(ref, description="first<br>second &amp; last")
    assert "&lt;b&gt;second" in ann.get(page).text


def test_a_search_lists_all_that_may_be_meant(office, ann):
    office.put("Lunch one")
    office.put("Lunch two", "2027-03-04T12:00")
    office.sync()
    ann.get("/events?q=lunch")
    assert "Lunch one ann/other · 2027-03-03 12:00" in ann.text
    assert "Lunch two ann/other · 2027-03-04 12:00" in ann.text
    assert "No event like that" in ann.get("/events?q=supper").text


def test_what_is_parked_is_tried_again_or_left_alone(office, ann):
    world = office.runtime.provider("other").world

    def fault(call: Call) -> None:
        if call.operation.startswith("create"):
            raise RejectedError("the calendar is full of <b>lunches</b>", code="FULL")

    world.before = fault
    office.put("Lunch")
    office.sync()
    ann.get("/links/1")
    assert "FULL: the calendar is full of <b>lunches</b>" in ann.text
    assert "<b>lunches" not in ann.page.text
    (unit,) = [each.id for each in office.store.units(office.link.id)]
    assert "Lunch parked" in ann.text
    ann.get(f"/links/1/events/{unit}")
    assert "Lunch parked" in ann.text
    assert "`calbridge" not in ann.text
    world.before = lambda call: None
    ann.does(f"/links/1/events/{unit}/drop")
    assert "left alone from now on" in ann.text
    office.sync()
    assert office.titles() == []
    ann.does(f"/links/1/events/{unit}/retry")
    office.sync()
    assert office.titles() == ["Lunch"]
    assert office.store.count_units(office.link.id)[UnitState.LIVE] == 1


def test_the_week_shows_that_both_sides_agree_and_where_they_do_not(office, ann):
    office.put("Lunch", "2027-03-03T12:00")
    office.put("Standup", "2027-03-01T09:00", rule="FREQ=DAILY")
    office.sync()
    ann.get("/links/1/week?day=2027-03-05")
    assert "Week of 2027-03-01" in ann.text
    assert "Both calendars show the same 8 occurrences." in ann.text
    unit = next(u for u in office.store.units(office.link.id) if "Lunch" in str(u.b))
    with office.store.begin() as tx:
        tx.put_units([unit.with_copy(unit.home.other, None)])
    ann.get("/links/1/week?day=2027-03-05")
    assert "1 of 8 occurrences differ." in ann.text
    assert "only at hub" in ann.text
    assert "1 of" not in ann.get("/links/1/week?day=2027-03-12").text
    assert ann.get("/links/1/week?day=nonsense&zone=Nowhere/At_All").status_code == 200


def test_a_provider_that_does_not_answer_is_told_in_words(office, ann):
    office.put("Lunch")
    office.sync()

    def fault(call: Call) -> None:
        raise ReauthorizeError("consent was <withdrawn>")

    office.runtime.provider("hub").world.before = fault
    ann.get(f"/links/1/events/{office.unit('Lunch')}")
    assert "cannot be read: consent was <withdrawn>" in ann.text
    run = office.store.runs(office.link.id)[0].id
    assert ann.get(f"/runs/{run}/undo").status_code in (200, 502)


@pytest.mark.parametrize(
    "path",
    ["/links/99", "/links/99/week", "/links/1/events/none", "/runs/99/undo", "/nowhere",
     "/links/x", "/static/nothing.css", "/static/../site.py", "/static/%2e%2e/site.py"],
)  # fmt: skip
def test_what_is_not_there_is_not_there(office, ann, path):
    office.sync()
    assert ann.get(path).status_code == 404


def test_a_script_in_a_title_stays_text_on_every_page(office, ann):
    office.put(EVIL, office.now().strftime("%Y-%m-%dT%H:00"))
    office.sync()
    office.a.person_edits(office.a.refs()[0], location=None, title=EVIL + "2")
    office.sync()
    unit = office.unit("会议")
    run = office.store.runs(office.link.id)[-1].id
    shown = 0
    event = f"/links/1/events/{unit}"
    more = (event, f"{event}/drop", f"/runs/{run}/undo", "/events?q=script", f"/?q={EVIL}")
    for path in (*PAGES, *more, f"/events?q={EVIL}zzz"):
        text = ann.get(path).text
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        shown += escape("<script>alert(1)</script>") in text
    assert shown >= 6


def test_no_page_has_a_script_or_a_style_of_its_own(office, ann):
    office.put("Lunch")
    office.sync()
    for path in PAGES:
        answer = ann.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|\sstyle=|<script(?! src=)|\son\w+=|javascript:", answer.text)
        assert answer.headers["cache-control"] == "no-store"


def test_no_link_on_any_page_leads_into_the_void(office, ann):
    office.put("Lunch")
    office.sync()
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        answer = ann.get(path)
        assert answer.status_code == 200, path
        here = urlsplit(answer.url)
        for found in re.findall(r'(?:href|src|action)="([^"#]+)"', answer.text):
            link = found.replace("&amp;", "&")
            link = here.path + link if link.startswith("?") else link
            if link not in seen and "day=" not in link and "lang=" not in link:
                seen.add(link)
                if link not in ("/logout", "/accounts/invite"):
                    waiting.append(link)
    assert {"/links/1/week", "/links/1/pause", "/static/app.css"} <= seen


def test_no_page_holds_a_secret(guarded):
    guarded.put("Lunch")
    guarded.sync()
    browser = guarded.browser()
    browser.log_in()
    web = guarded.content["web"]
    secrets = [guarded.content["secret_key"], web["password_hash"], web["viewer_password_hash"]]
    for path in (*PAGES, "/metrics", "/readyz", "/healthz", "/nowhere", "/static/app.js"):
        answer = browser.get(path)
        told = f"{answer.text}{answer.headers}"
        assert not [secret for secret in secrets if secret in told or secret[-20:] in told], path


def test_activity_is_drawn_and_told_for_those_who_do_not_see_it(office, ann):
    office.put("Lunch")
    office.sync()
    for seconds, outcome in ((0.3, "ok"), (0.1, "RateLimitedError")):
        call = Called(connector="hub", kind="write", outcome=outcome, seconds=seconds)
        office.runtime.calls.count(call)
    office.later(timedelta(minutes=3))
    with office.store.begin() as tx:
        tx.take_slice("hub/ann", "", (Window(60_100_000, 40),), 10, 250_000, None, office.now())
    page = ann.get("/activity").text
    plots = re.findall(r'<svg[^>]*role="img".*?</svg>', page, re.DOTALL)
    assert len(plots) == 6
    for plot in plots:
        title, about = re.search(r'aria-labelledby="(\S+) (\S+)"', plot).groups()
        assert re.search(rf'<title id="{title}">[^<]+</title>', plot)
        assert re.search(rf'<desc id="{about}">Bars for 24 hours, the highest [^<]+</desc>', plot)
        assert plot.count('class="bar-of"') >= 1
    assert "Calls to providers an hour failed ones in red" in ann.text
    rows = re.findall(r'<tr><th scope="row">[^<]*</th>(.*?)</tr>', page.split("As a table")[1])
    told = [re.findall(r">([^<]*)</td>", row) for row in rows]
    assert sum(int(row[0]) for row in told) == 1, "one write"
    assert ["2", "1", "200 ms"] in [row[-3:] for row in told]
    assert "hub/ann all 25 % 10 / 40 within 1 min" in ann.text
    assert "每小时对平台的调用" in ann.get("/activity?lang=zh").text


def test_monitoring_reads_how_all_fares(office, ann):
    office.put("Lunch")
    office.sync()
    text = ann.get("/metrics").text
    assert 'calbridge_link_state{link="ann/other",state="active"} 1.0' in text
    assert 'calbridge_link_events{link="ann/other",state="live"} 1.0' in text
    assert 'calbridge_recent_runs{outcome="ok"} 1.0' in text
    with office.store.begin() as tx:
        tx.hint([office.link.id], office.now())
    office.later(timedelta(minutes=5))
    found = re.search(r'link_behind_seconds\{link="ann/other"\} (\S+)', ann.get("/metrics").text)
    assert found is not None
    assert 300 <= float(found[1]) < 400


def test_monitoring_reads_how_providers_answer_and_how_much_of_a_budget_is_used(office, ann):
    for seconds, outcome in ((0.3, "ok"), (7, "ok"), (0.01, "RateLimitedError")):
        call = Called(connector="hub", kind="write", outcome=outcome, seconds=seconds)
        office.runtime.calls.count(call)
    with office.store.begin() as tx:
        tx.take_slice("hub/ann", "", (Window(60_100_000, 40),), 10, 250_000, None, office.now())
    lines = ann.get("/metrics").text.splitlines()
    labels = 'connector="hub",kind="write"'
    assert f'calbridge_calls_total{{{labels},outcome="ok"}} 2.0' in lines
    assert f'calbridge_calls_total{{{labels},outcome="RateLimitedError"}} 1.0' in lines
    assert f'calbridge_call_seconds_bucket{{{labels},le="0.2"}} 1.0' in lines
    assert f'calbridge_call_seconds_bucket{{{labels},le="+Inf"}} 3.0' in lines
    assert f"calbridge_call_seconds_sum{{{labels}}} 7.31" in lines
    assert 'calbridge_quota_used_ratio{budget="hub/ann",operation=""} 0.25' in lines


def test_metrics_are_not_for_strangers(open_office):
    office = open_office()
    url = f"{office.service.address}/metrics"
    assert requests.get(url, timeout=20).status_code == 200
    through = {"X-Forwarded-For": "203.0.113.9"}
    assert requests.get(url, headers=through, timeout=20).status_code == 403
    office.again(metrics_token="a-token-for-monitoring")
    url = f"{office.service.address}/metrics"
    assert requests.get(url, timeout=20).status_code == 403
    wrong, right = ({"Authorization": f"Bearer {x}"} for x in ("x", "a-token-for-monitoring"))
    assert requests.get(url, headers=wrong, timeout=20).status_code == 403
    assert requests.get(url, headers=right | through, timeout=20).status_code == 200


def test_the_example_alerts_name_metrics_that_there_are(office, ann):
    office.sync()
    rules = (Path(__file__).parents[2] / "docs" / "alerts.yaml").read_text(encoding="utf-8")
    lines = ann.get("/metrics").text.splitlines()
    told = {line.split()[2] for line in lines if line.startswith("# HELP")}
    told |= {f"{name}_bucket" for line in lines if line.startswith("# TYPE")
             for _, _, name, kind in [line.split()] if kind == "histogram"}  # fmt: skip
    groups = yaml.safe_load(rules)["groups"]
    named = {
        name
        for group in groups
        for rule in group["rules"]
        for name in re.findall(r"calbridge_\w+", rule["expr"])
    }
    assert len(named) >= 6
    assert named <= told
    guide = (Path(__file__).parents[2] / "docs" / "dashboard.md").read_text(encoding="utf-8")
    assert {name.removesuffix("_bucket") for name in named} <= set(
        re.findall(r"calbridge_\w+", guide)
    )
    ours = {name for name in told if name.startswith("calbridge_") and not name.endswith("_bucket")}
    assert ours <= set(re.findall(r"calbridge_\w+", guide)), "every metric is explained"
