"""Logging in and out."""

from datetime import timedelta

from starlette.responses import Response

from bridge.web.rendering import span
from bridge.web.site import Visit, local


def login_form(visit: Visit) -> Response:
    """Ask for the password."""
    if visit.visitor is not None:
        return visit.go(local(visit.query("next", "/")))
    return _form(visit, visit.query("next", "/"))


def log_in(visit: Visit) -> Response:
    """Let in who knows the password, with a session that nobody has seen before."""
    then = visit.form.get("next", "/")
    found = visit.site.access.log_in(visit.request, visit.form.get("password", ""))
    if isinstance(found, timedelta):
        if found:
            wait = visit._(
                "Too many attempts. Wait {time}, then try again.", time=span(found, visit.language)
            )
            return _form(visit, then, wait, 429)
        return _form(visit, then, visit._("That is not the password."), 403)
    role, proof = found
    visit.session = visit.site.sessions.fresh(role=role, name=role.value, proof=proof)
    return visit.go(local(then))


def _form(visit: Visit, then: str, problem: str = "", status: int = 200) -> Response:
    return visit.page("login.html", status=status, then=local(then), problem=problem)


def log_out(visit: Visit) -> Response:
    """End the session, everywhere."""
    visit.session = visit.site.sessions.end(visit.session)
    return visit.go("/login", visit._("You are logged out."))
