"""`calbridge run`: intake, workers, polling and webhook server in one process."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

from bridge import logs
from bridge.backoff import backoff
from bridge.breaker import Breaker, blaming
from bridge.circuit import rest_after
from bridge.housekeeping import Housekeeping
from bridge.intake import Intake, recheck_setting
from bridge.jobs import Done, Ending, Failed, Snooze
from bridge.listening import Listeners
from bridge.nightly import latest_night
from bridge.polling import Habits, next_poll
from bridge.records import Link, LinkState, RunKind, Side
from bridge.runtime import Absent, ReadyLink, Runtime
from bridge.store import Tx
from bridge.store.jobs import Claim
from bridge.subscriptions import EVERY, Subscriptions, heard, suspect
from bridge.sync import Surroundings
from bridge.turn import Turn
from bridge.web.dashboard import routes
from bridge.webhooks import Webhooks, WebServer
from connectors.contract import Connector
from connectors.errors import (
    ConnectorError,
    FatalError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
)
from mappings import zones

ROLES = ("intake", "workers", "schedule", "web")
LOOK_AGAIN = timedelta(hours=24)
"""How often an account's list of calendars is looked at without a push."""
RECONSIDER = timedelta(minutes=15)
"""How often a link that waits for a person is tried again by itself."""
NEWCOMERS = 60.0
"""Seconds between attempts to start links that could not start."""
NEWS_OF_CONSENT = 2.0
"""Seconds between looks whether somebody has connected an account that such a link waits for."""
ECHO = timedelta(seconds=30)
"""So soon after a run that made something it is looked at once more. What was made and deleted
between two looks is not told everywhere (EWS SyncFolderItems)."""
STRANGER = timedelta(minutes=1)
"""When a link that this process does not know is due again; another process may know it."""
STOP_WITHIN = 7.5
"""Seconds that a stop may take; the rest of ten is for letting go of sockets and files."""
BACKOFF_BASE = timedelta(seconds=2)
BACKOFF_CAP = timedelta(hours=1)
NEWS_GRAIN = timedelta(minutes=15)


def _full_setting(link: Link) -> str:
    return f"full:{link.id}"


def _news_setting(link: Link) -> str:
    return f"news:{link.id}"


class Service:
    """One running process. `start`, then `stop`."""

    def __init__(self, runtime: Runtime, only: Collection[str] = ROLES) -> None:
        self._runtime = runtime
        self._store = runtime.store
        self._now = runtime.system.now
        self._only = frozenset(only)
        self._log = logging.getLogger("calbridge.service")
        self._ready: dict[int, ReadyLink] = {}
        self._looked: dict[tuple[int, Side], datetime] = {}
        self._workers = runtime.engine.workers(
            self._handle,
            now=self._now,
            threads=runtime.config.service.workers,
            # So that one account alone never keeps all workers busy.
            per_account=max(1, runtime.config.service.workers // 2),
        )
        self._subscriptions = Subscriptions(runtime, self._workers.wake)
        self._intake = Intake(runtime, self._workers.wake, self._subscriptions.reads)
        self._breaker = Breaker(self._store, now=self._now, random=runtime.system.random)
        self._housekeeping = Housekeeping(runtime)
        self._absent: Absent = []
        self._consented: list[tuple[str, str]] = []
        self._newcomers: threading.Thread | None = None
        self._stopping = threading.Event()
        self._listeners = Listeners(runtime, self._intake.take)
        self._web: WebServer | None = None

    @property
    def address(self) -> str:
        """Where the webhook server listens, `http://host:port`; known once started."""
        assert self._web is not None
        return self._web.address

    def start(self) -> None:
        """Begin. Raises `ConfigError` if a link cannot be used as configured.

        A new link whose account has given no consent yet, or whose provider does not answer, keeps
        nobody waiting: it is tried again every minute.
        """
        self._consented = self._store.tokens.accounts()
        links = self._runtime.ready(self._runtime.select(), absent=self._absent)
        self._ready = {item.link.id: item for item in links}
        for config, error in self._absent:
            self._log.warning("link %s cannot start yet: %s", config.name, error.message)
        if self._hears:
            self._subscriptions.learn(links)
            self._intake.learn(item.link for item in links)
        if "web" in self._only:
            webhooks = Webhooks(self._runtime, self._intake.take)
            beside = routes(self._runtime, lambda: self.address, self._workers.wake)
            self._web = WebServer(self._runtime.config.service.listen, webhooks, beside)
            self._web.start()
        if "intake" in self._only:
            self._listeners.start()
        if "schedule" in self._only:
            with self._store.begin() as tx:
                tx.hint(list(self._ready), self._now())
            self._housekeeping.start()
        if "workers" in self._only:
            self._workers.start()
        if self._hears:
            self._subscriptions.start(EVERY if "workers" in self._only else 0)
        if self._absent:
            self._newcomers = threading.Thread(target=self._await, name="newcomers", daemon=True)
            self._newcomers.start()
        self._log.info("working on links: %s", len(links))

    @property
    def _hears(self) -> bool:
        """Whether pushes reach this process."""
        return not self._only.isdisjoint(("intake", "web"))

    def _await(self) -> None:
        while self._absent and not self._stopping.wait(NEWS_OF_CONSENT):
            try:
                self._wait_for_consents()
                if not self._stopping.is_set():
                    self.take_in()
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("new links could not be looked at; trying again")

    def _wait_for_consents(self) -> None:
        """Until an account was connected since the last attempt began, a minute at most."""
        for _look in range(int(NEWCOMERS / NEWS_OF_CONSENT)):
            known, self._consented = self._consented, self._store.tokens.accounts()
            if self._consented != known or self._stopping.wait(NEWS_OF_CONSENT):
                return

    def take_in(self) -> None:
        """Try the links that could not start; those that can now begin to run."""
        still: Absent = []
        found = self._runtime.ready([config for config, _error in self._absent], absent=still)
        self._absent = still
        if not found:
            return
        self._ready |= {item.link.id: item for item in found}
        if self._hears:
            self._subscriptions.learn(found)
            self._intake.learn(item.link for item in found)
        with self._store.begin() as tx:
            tx.hint([item.link.id for item in found], self._now())
        self._workers.wake()
        self._log.info("links that could start now: %s", len(found))

    def stop(self) -> None:
        """End within ten seconds; what was being done is taken up by the next start."""
        monotonic = self._runtime.system.monotonic
        deadline = monotonic() + STOP_WITHIN

        def left() -> float:
            return max(0.0, deadline - monotonic())

        self._stopping.set()
        self._listeners.stop()
        self._intake.stop()
        if self._web is not None:
            self._web.stop()
        self._subscriptions.stop(0)
        self._housekeeping.stop(0)
        self._workers.stop(left())
        self._listeners.join(left)
        self._subscriptions.stop(left())
        self._housekeeping.stop(left())
        if self._newcomers is not None:
            self._newcomers.join(left())
        if self._web is not None:
            self._web.join(left())

    def wait_idle(self, patience: float) -> bool:
        """Until no link runs or is due; False if that took longer than `patience` seconds."""
        deadline = self._runtime.system.monotonic() + patience
        while self._runtime.system.monotonic() < deadline:
            jobs = self._store.job_stats(self._now())
            if not (jobs.due or jobs.running or self._workers.busy):
                return True
            self._runtime.system.sleep(0.05)
        return False

    # -- one run of one link -----------------------------------------------------------------------

    def _handle(self, claim: Claim, fence: Callable[[Tx], None]) -> Ending:
        ready = self._ready.get(claim.link_id)
        link = self._store.link_by_id(claim.link_id)
        if link is None:
            return Done(None)
        if ready is None:
            return Done(self._now() + STRANGER)
        if link.state in (LinkState.HELD, LinkState.PAUSED, LinkState.ENDED):
            return Done(None)
        with logs.about(link=link.name):
            return self._run(replace(ready, link=link), claim, fence)

    def _run(self, ready: ReadyLink, claim: Claim, fence: Callable[[Tx], None]) -> Ending:
        link = ready.link
        rest = self._breaker.admit(link)
        if rest is not None:
            return Snooze(rest)
        full = self._full_due(link)
        try:
            self._prepare(ready, fence)
            with self._store.lock("link", link.uid):
                outcome = self._runtime.link_pass(
                    ready,
                    around=Surroundings(
                        store=self._store,
                        now=self._now,
                        log=self._runtime.log,
                        fence=fence,
                        random=self._runtime.system.random,
                        turn=Turn(self._others_wait, self._runtime.system.monotonic),
                    ),
                    full=full,
                ).run(RunKind.SYNC)
        except ConnectorError as error:
            return self._stopped(link, claim, error, fence)
        self._breaker.worked(link)
        for side in outcome.news:
            suspect(self._store, link, side, self._now())
        if link.state is not LinkState.ACTIVE and not outcome.held:
            self._set_state(link, LinkState.ACTIVE, "", fence)
        if outcome.unfinished:
            return Snooze(self._now())
        if full and not outcome.held:
            with self._store.begin() as tx:
                fence(tx)
                tx.put_setting(_full_setting(link), self._now().isoformat())
        if outcome.held:
            return Done(None)
        poll = self._next_poll(ready, news=bool(outcome.news))
        return Done(min(poll, self._now() + ECHO) if outcome.counts.created else poll)

    def _stopped(
        self, link: Link, claim: Claim, error: ConnectorError, fence: Callable[[Tx], None]
    ) -> Ending:
        """What becomes of a link whose run a provider has stopped."""
        if isinstance(error, RateLimitedError):
            self._breaker.slowed(link)
            return Snooze(self._now() + timedelta(seconds=max(1.0, error.after)))
        if isinstance(error, ReauthorizeError):
            self._breaker.answered(link, error)
            return self._wait(link, LinkState.WAITING, error, fence)
        if isinstance(error, (FatalError, RejectedError)):
            self._breaker.answered(link, error)
            return self._wait(link, LinkState.SUSPENDED, error, fence)
        retry_at = self._breaker.failed(link, error) or self._later(link, claim)
        return Failed(f"{type(error).__name__}: {error.message}", retry_at)

    def _later(self, link: Link, claim: Claim) -> datetime:
        """When a run that failed is tried again: no wait is long against the time since the last
        good one."""
        now = self._now()
        cap = min(BACKOFF_CAP, rest_after(now - (self._store.silent_since(link.id) or now)))
        random = self._runtime.system.random
        return now + backoff(claim.attempts + 1, base=BACKOFF_BASE, cap=cap, random=random)

    def _others_wait(self) -> bool:
        due = self._store.next_due()
        return due is not None and due <= self._now()

    def _full_due(self, link: Link) -> bool:
        """Whether everything is to be listed again: what a delta never mentioned, and what time
        has brought into the link's window."""
        last = self._store.setting(_full_setting(link))
        if last is None:
            return True
        night = latest_night(
            self._now(),
            self._runtime.config.service.nightly,
            self._zone(link),
            link.uid,
        )
        return datetime.fromisoformat(last) < night

    def _zone(self, link: Link) -> tzinfo:
        """Where the link's calendars are, as far as a provider tells."""
        for end in (link.a, link.b):
            for calendar in self._store.calendars(end.connector, end.account):
                if calendar.id == end.calendar and zones.is_known(calendar.zone or ""):
                    return zones.info(calendar.zone or "")
        return UTC

    def _prepare(self, ready: ReadyLink, fence: Callable[[Tx], None]) -> None:
        """Subscribe before anything is read, and look at the calendar list now and then, or if a
        push said that it changed."""
        link = ready.link
        setting = recheck_setting(link)
        recheck = self._store.setting(setting)
        self._subscriptions.ensure(link, again=recheck is not None)
        for side, connector in self._runtime.connectors(link).items():
            due = self._looked.get((link.id, side))
            if due is None or due <= self._now() or recheck:
                self._observe_calendars(link, side, connector, fence)
                self._looked[link.id, side] = self._now() + LOOK_AGAIN
        if recheck:
            with self._store.begin() as tx:
                fence(tx)
                tx.drop_setting(setting, recheck)

    def _observe_calendars(
        self, link: Link, side: Side, connector: Connector, fence: Callable[[Tx], None]
    ) -> None:
        """Notice calendars that came, went, were renamed, or whose rights changed."""
        end = link.endpoint(side)
        with blaming(end):
            calendars = connector.calendars()
        with self._store.begin() as tx:
            fence(tx)
            changes = tx.put_calendars(end.connector, end.account, calendars)
        if changes:
            told = {"connector": end.connector, "account": end.account, **changes.counts()}
            self._runtime.log("calendars changed", **told)
        if all(calendar.id != end.calendar for calendar in calendars):
            raise FatalError(
                f"calendar {end.calendar} is no longer in the list of {end.account}; nothing was "
                "deleted on the other side. Restore or share it again, or remove the link",
                provider=end.connector,
                operation="calendars",
            )

    def _wait(
        self, link: Link, state: LinkState, error: ConnectorError, fence: Callable[[Tx], None]
    ) -> Ending:
        self._log.warning("link %s is %s: %s", link.name, state.value, error.message)
        self._set_state(link, state, error.message, fence)
        return Done(self._now() + RECONSIDER)

    def _set_state(
        self, link: Link, state: LinkState, reason: str, fence: Callable[[Tx], None]
    ) -> None:
        with self._store.begin() as tx:
            fence(tx)
            tx.set_link_state(link.id, state, reason)

    def _next_poll(self, ready: ReadyLink, *, news: bool) -> datetime:
        link, now = ready.link, self._now()
        wait = next_poll(
            self._runtime.config.service.poll,
            Habits(
                calm=now - self._last_news(link, now, news=news),
                pushed=self._pushed(ready),
                cursor_lifetime=min(
                    (
                        life
                        for connector in self._runtime.connectors(link).values()
                        if (life := connector.capabilities.cursor_lifetime)
                    ),
                    default=None,
                ),
            ),
            self._runtime.system.random,
        )
        retry = self._store.next_retry(link.id)
        return min(now + wait, retry) if retry else now + wait

    def _last_news(self, link: Link, now: datetime, *, news: bool) -> datetime:
        """When a run of the link last found changes, within a quarter of an hour; a link that
        never ran is taken for busy."""
        setting = _news_setting(link)
        known = self._store.setting(setting)
        last = datetime.fromisoformat(known) if known else None
        if last is None or (news and last < now - NEWS_GRAIN):
            with self._store.begin() as tx:
                tx.put_setting(setting, now.isoformat())
            return now
        return last

    def _pushed(self, ready: ReadyLink) -> bool:
        """Whether everything that the link reads pushes, and has been heard to."""
        rules = self._runtime.rules(ready.config, ready.link)
        ends = [ready.link.endpoint(side) for side in Side if rules.writes(side.other)]
        return all(heard(self._store, end) for end in ends)
