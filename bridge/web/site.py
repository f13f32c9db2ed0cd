"""The frame around every page: who asks, may he, is the form ours; then the page itself.

A page is a plain function of a `Visit`; it runs in a thread and may block.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from secrets import compare_digest
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bridge.errors import ConfigError, UsageError
from bridge.runtime import Runtime
from bridge.store import StoreError
from bridge.vault import Vault, VaultError
from bridge.web.access import Access, Visitor
from bridge.web.chores import Chores
from bridge.web.language import LANGUAGES, choose
from bridge.web.rendering import Renderer
from bridge.web.sayings import retold
from bridge.web.sessions import LIFE, Invitations, Role, Session, Sessions
from connectors.errors import ConnectorError

MAX_FORM = 16 * 1024
STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'{forms}; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # With no-referrer browsers would send the forms of our own pages with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class NotHere(Exception):  # noqa: N818 an answer, not a fault
    """There is no such page, link, run or event."""


class Refused(Exception):  # noqa: N818 an answer, not a fault
    """This visitor may not do that. The message is for people."""


@dataclass(slots=True)
class Visit:
    """One request. A page may replace `session`; `forms_to` is where else a form may lead."""

    site: "Site"
    request: Request
    session: Session
    visitor: Visitor | None
    language: str
    form: Mapping[str, str]
    forms_to: str = ""

    @property
    def runtime(self) -> Runtime:
        """The config at work."""
        return self.site.runtime

    def _(self, text: str, **values: object) -> str:
        """`text` in the visitor's language."""
        return self.site.renderer.say(self.language, text, **values)

    def told(self, text: str) -> str:
        """A sentence of the bridge in the visitor's language, as far as it is known."""
        return retold(self.language, text)

    def page(self, template: str, *, status: int = 200, **facts: Any) -> Response:
        """A rendered page. What was to be said is said with it."""
        said, self.session = self.session.said, replace(self.session, said="")
        html = self.site.renderer.render(template, self, said=said, **facts)
        return HTMLResponse(html, status)

    def go(self, path: str, said: str = "") -> Response:
        """On to another page of ours, where `said` is shown once."""
        self.session = replace(self.session, said=said)
        return RedirectResponse(path, 303)

    def query(self, name: str, default: str = "") -> str:
        """A parameter of the address."""
        return self.request.query_params.get(name, default)

    def number(self, name: str) -> int:
        """A number in the path."""
        return int(self.request.path_params[name])


Page = Callable[[Visit], Response]


@dataclass(frozen=True, slots=True)
class Entry:
    """A page's place. `role` None = strangers too. With `posts` it takes forms only."""

    path: str
    page: Page
    role: Role | None = Role.VIEWER
    posts: bool = False


class Site:
    """Everything that the pages share."""

    def __init__(
        self, runtime: Runtime, address: Callable[[], str], wake: Callable[[], None]
    ) -> None:
        self.runtime = runtime
        self.wake = wake
        self.access = Access(runtime.config.web, runtime.system.now)
        vault = Vault(runtime.config.secret_keys)
        self.sessions = Sessions(vault, runtime.store, runtime.system.now)
        self.invitations = Invitations(vault, runtime.system.now)
        self.renderer = Renderer(runtime.system.now)
        self.chores = Chores()
        self._address = address
        self._log = logging.getLogger("calbridge.web")
        self._cookie = "__Host-calbridge" if self.access.secure else "calbridge"

    @property
    def address(self) -> str:
        """Where browsers reach us, without a slash at the end."""
        return self.runtime.config.web.public_url or self._address()

    def app(self, entries: Sequence[Entry]) -> Starlette:
        """The application that serves these pages."""
        routes: list[BaseRoute] = [Mount("/static", _Static(directory=STATIC))]
        for entry in entries:
            methods = ["POST"] if entry.posts else ["GET"]
            routes.append(Route(entry.path, self._endpoint(entry), methods=methods))
        nowhere = Entry("/{rest:path}", _nowhere, None)
        routes.append(Route(nowhere.path, self._endpoint(nowhere), methods=["GET", "POST"]))
        return Starlette(routes=routes)

    def _endpoint(self, entry: Entry) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not self.access.knows_host(request):
                return Response("unknown host; set web.public_url in the config\n", 421)
            body = await _body(request)
            if body is None:
                return Response("the form is too large\n", 413)
            return await run_in_threadpool(self._answer, entry, request, body)

        return endpoint

    def _answer(self, entry: Entry, request: Request, body: bytes) -> Response:
        known = self.sessions.read(request.cookies.get(self._cookie))
        session = known or self.sessions.fresh()
        language = choose(request)
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        visitor = self.access.visitor(request, session)
        visit = Visit(self, request, session, visitor, language, form)
        answer = self._guarded(entry, visit)
        answer.headers.update(_HEADERS)
        answer.headers["Content-Security-Policy"] = _POLICY.format(
            forms=f" {visit.forms_to}" if visit.forms_to else ""
        )
        if self.access.secure:
            answer.headers["Strict-Transport-Security"] = "max-age=31536000"
        if visit.session != known:
            self._set_cookie(answer, self._cookie, self.sessions.write(visit.session), LIFE)
        if request.query_params.get("lang") in LANGUAGES:
            self._set_cookie(answer, "lang", language, timedelta(days=365))
        return answer

    def _set_cookie(self, answer: Response, name: str, value: str, life: timedelta) -> None:
        answer.set_cookie(
            name, value, max_age=int(life.total_seconds()), path="/", httponly=True,
            samesite="lax", secure=self.access.secure,
        )  # fmt: skip

    def _guarded(self, entry: Entry, visit: Visit) -> Response:
        """The page, or why there is none."""
        try:
            if visit.request.method == "POST":
                self._check_form(visit)
            if entry.role is not None and visit.visitor is None:
                return _to_login(visit)
            if entry.role is Role.ADMINISTRATOR and visit.visitor and not visit.visitor.acts:
                raise Refused(visit._("You may look, but not change anything."))
            return entry.page(visit)
        except NotHere:
            return _problem(visit, 404, visit._("There is nothing here."))
        except Refused as error:
            return _problem(visit, 403, str(error))
        except UsageError as error:
            return _problem(visit, 409, str(error))
        except ConfigError as error:
            return _problem(visit, 409, "; ".join(item.message for item in error.problems))
        except ConnectorError as error:
            return _problem(visit, 502, error.message)
        except (StoreError, VaultError) as error:
            self._log.warning("a page could not be made: %s", error)
            return _problem(visit, 503, visit._("The database does not answer."))
        except Exception:  # noqa: BLE001 told to the log, not to the visitor
            self._log.exception("a page could not be made")
            return _problem(visit, 500, visit._("Something went wrong; the log says what."))

    def _check_form(self, visit: Visit) -> None:
        given = visit.form.get("csrf", "")
        ours = compare_digest(given.encode(), visit.session.csrf.encode())
        if not ours or not self.access.same_origin(visit.request):
            raise Refused(visit._("This form is no longer valid. Go back, reload, and try again."))


class _Static(StaticFiles):
    def file_response(self, *args: Any, **options: Any) -> Response:
        answer = super().file_response(*args, **options)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Cache-Control"] = "no-cache"  # asked for again, answered with 304
        return answer


def _to_login(visit: Visit) -> Response:
    if visit.request.method == "POST" or not visit.site.access.by_password:
        raise Refused(visit._("You are not logged in, or not allowed to see this."))
    path = visit.request.url.path
    if visit.request.url.query:
        path = f"{path}?{visit.request.url.query}"
    return visit.go(f"/login?{urlencode({'next': path})}" if path != "/" else "/login")


def _problem(visit: Visit, status: int, text: str) -> Response:
    return visit.page("problem.html", status=status, text=text, code=status)


def _nowhere(_visit: Visit) -> Response:
    raise NotHere


async def _body(request: Request) -> bytes | None:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            return None
    return body


def local(path: str) -> str:
    """`path` if it leads to a page of ours, else the first page."""
    parts = urlsplit(path)
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path
    return path if ours and not parts.scheme and not parts.netloc and path.isprintable() else "/"
