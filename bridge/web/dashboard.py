"""The map of the site: which page stands where, and who may see it."""

from collections.abc import Callable

from starlette.routing import BaseRoute, Mount

from bridge.runtime import Runtime
from bridge.web import accounts, actions, activity, consent, events, links, login, overview, week
from bridge.web.health import health_routes
from bridge.web.sessions import Role
from bridge.web.site import Entry, Page, Site


def _acting(path: str, ask: Page, act: Page) -> list[Entry]:
    """A page that shows what will happen, and the form on it that makes it happen."""
    return [
        Entry(path, ask, Role.ADMINISTRATOR),
        Entry(path, act, Role.ADMINISTRATOR, posts=True),
    ]


ENTRIES = [
    Entry("/login", login.login_form, None),
    Entry("/login", login.log_in, None, posts=True),
    Entry("/logout", login.log_out, posts=True),
    Entry("/", overview.overview),
    Entry("/links/{link:int}", links.link_page),
    *_acting("/links/{link:int}/pause", actions.ask_pause, actions.pause),
    *_acting("/links/{link:int}/resume", actions.ask_resume, actions.resume),
    *_acting("/links/{link:int}/approve", actions.ask_approve, actions.approve),
    Entry("/links/{link:int}/week", week.week_page),
    Entry("/events", events.search),
    Entry("/links/{link:int}/events/{unit}", events.event_page),
    *_acting("/links/{link:int}/events/{unit}/retry", actions.ask_retry, actions.retry),
    *_acting("/links/{link:int}/events/{unit}/drop", actions.ask_drop, actions.drop),
    *_acting("/runs/{run:int}/undo", actions.ask_undo, actions.undo),
    Entry("/accounts", accounts.accounts_page),
    Entry("/accounts/invite", accounts.invite, Role.ADMINISTRATOR, posts=True),
    Entry("/connect/{secret}", consent.invitation_page, None),
    Entry("/connect/{secret}", consent.depart, None, posts=True),
    Entry("/consent/callback", consent.arrive, None),
    Entry("/activity", activity.activity_page),
]


def routes(
    runtime: Runtime, address: Callable[[], str], wake: Callable[[], None]
) -> list[BaseRoute]:
    """What is served beside the webhooks; nothing but health where nobody could log in."""
    found = health_routes(runtime)
    if runtime.config.web.served:
        found.append(Mount("/", Site(runtime, address, wake).app(ENTRIES)))
    return found
