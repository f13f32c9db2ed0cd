"""A person's word in a browser: what will happen is shown first, and done on a second click."""

from collections.abc import Sequence

from starlette.responses import Response

from bridge import orders
from bridge.decision import Action
from bridge.plan import LinkPlan
from bridge.records import Link, LinkState, Op, Run
from bridge.web.links import link_of, ready_of, title_of, unit_of
from bridge.web.site import NotHere, Visit

SHOWN = 100


def _confirm(
    visit: Visit,
    *,
    title: str,
    text: str,
    button: str,
    back: str,
    risky: bool = False,
    lines: Sequence[str] = (),
    left: Sequence[str] = (),
    ask: bool = False,
    possible: bool = True,
) -> Response:
    return visit.page(
        "confirm.html",
        title=title,
        text=text,
        button=button,
        back=back,
        risky=risky,
        lines=lines[:SHOWN],
        rest=max(0, len(lines) - SHOWN),
        left=left[:SHOWN],
        ask=ask,
        possible=possible,
    )


# -- links -----------------------------------------------------------------------------------------


def ask_pause(visit: Visit) -> Response:
    """Before a pause."""
    link = link_of(visit)
    return _confirm(
        visit,
        title=visit._("Pause {link}?", link=link.name),
        text=visit._("Nothing is carried over until somebody resumes it. No event is touched."),
        button=visit._("Pause"),
        back=f"/links/{link.id}",
        ask=True,
    )


def pause(visit: Visit) -> Response:
    """Stop a link."""
    link = ready_of(visit).link
    orders.pause(visit.runtime, link, visit.form.get("reason", "").strip()[:200])
    return visit.go(f"/links/{link.id}", visit._("{link} is paused.", link=link.name))


def ask_resume(visit: Visit) -> Response:
    """Before a link goes on."""
    link = link_of(visit)
    return _confirm(
        visit,
        title=visit._("Let {link} run again?", link=link.name),
        text=visit._("What has changed on both sides meanwhile is carried over at once."),
        button=visit._("Resume"),
        back=f"/links/{link.id}",
    )


def resume(visit: Visit) -> Response:
    """Let a link run again."""
    link = ready_of(visit).link
    orders.resume(visit.runtime, link)
    visit.site.wake()
    return visit.go(f"/links/{link.id}", visit._("{link} runs again.", link=link.name))


def ask_approve(visit: Visit) -> Response:
    """Show what a held link was held for, as both sides stand now."""
    ready = ready_of(visit)
    if ready.link.state is not LinkState.HELD:
        return visit.go(f"/links/{ready.link.id}", visit._("It is no longer held."))
    told = visit.runtime.link_pass(ready, approved=True).plan()
    deleted, others = _planned(visit, ready.link, told)
    return _confirm(
        visit,
        title=visit._("Approve what {link} is held for?", link=ready.link.name),
        text=visit._(
            "{count} events would be deleted, and {others} other changes made. Approve only if "
            "people meant this.",
            count=len(deleted),
            others=others,
        ),
        button=visit._("Approve"),
        back=f"/links/{ready.link.id}",
        risky=True,
        lines=deleted,
    )


def _planned(visit: Visit, link: Link, told: LinkPlan) -> tuple[list[str], int]:
    deletions = [action for action in told.actions if action.op is Op.DELETE]
    lines = [_line(visit, link, action) for action in deletions]
    return sorted(lines), len(told.actions) - len(deletions)


def approve(visit: Visit) -> Response:
    """Let a held link go on with what it was held for."""
    ready = ready_of(visit)
    if ready.link.state is not LinkState.HELD:
        return visit.go(f"/links/{ready.link.id}", visit._("It is no longer held."))

    def work() -> str:
        outcome = orders.approve(visit.runtime, ready)
        visit.site.wake()
        if outcome.held:
            return visit._("Held again: {reason}", reason=outcome.held)
        return visit._("Approved; {count} events deleted.", count=outcome.counts.deleted)

    said = visit.site.chores.do(ready.link.id, work)
    return visit.go(f"/links/{ready.link.id}", said or visit._("It is being done."))


# -- events ----------------------------------------------------------------------------------------


def ask_retry(visit: Visit) -> Response:
    """Before a parked or dropped event is tried again."""
    link = link_of(visit)
    unit = unit_of(visit, link)
    return _confirm(
        visit,
        title=visit._("Try “{title}” again?", title=title_of(visit, unit)),
        text=visit._("The next pass looks at both sides and carries over what differs."),
        button=visit._("Try again"),
        back=f"/links/{link.id}/events/{unit.id}",
    )


def retry(visit: Visit) -> Response:
    """Make it due."""
    link = ready_of(visit).link
    unit = unit_of(visit, link)
    orders.retry(visit.runtime, link, [unit])
    visit.site.wake()
    return visit.go(f"/links/{link.id}", visit._("It is tried again."))


def ask_drop(visit: Visit) -> Response:
    """Before an event is left alone."""
    link = link_of(visit)
    unit = unit_of(visit, link)
    return _confirm(
        visit,
        title=visit._("Leave “{title}” alone?", title=title_of(visit, unit)),
        text=visit._("Neither side is touched any more. “Try again” takes it back."),
        button=visit._("Leave it alone"),
        back=f"/links/{link.id}/events/{unit.id}",
    )


def drop(visit: Visit) -> Response:
    """Leave it alone for good."""
    link = ready_of(visit).link
    orders.drop(visit.runtime, link, unit_of(visit, link))
    return visit.go(f"/links/{link.id}", visit._("It is left alone from now on."))


# -- runs ------------------------------------------------------------------------------------------


def _run_of(visit: Visit) -> Run:
    run = visit.runtime.store.run(visit.number("run"))
    if run is None:
        raise NotHere
    return run


def ask_undo(visit: Visit) -> Response:
    """Show what an undo would do, as both sides stand now."""
    run = _run_of(visit)
    ready = orders.writable(visit.runtime, run)
    told = orders.undo_of(visit.runtime, ready, run).preview()
    lines = [_line(visit, ready.link, action) for action in told.actions]
    left = [f"{item.title}: {visit.told(item.why)}" for item in told.left]
    return _confirm(
        visit,
        title=visit._("Undo run {run} of {link}?", run=run.id, link=ready.link.name),
        text=visit._(
            "What this run did is taken back on the side where it did it, without mail to anybody. "
            "What somebody has changed since stays."
        )
        if lines
        else visit._("There is nothing left of this run to be undone."),
        button=visit._("Undo"),
        back=f"/links/{ready.link.id}",
        risky=True,
        lines=lines,
        left=left,
        possible=bool(lines),
    )


def undo(visit: Visit) -> Response:
    """Take back what a run did."""
    run = _run_of(visit)
    ready = orders.writable(visit.runtime, run)

    def work() -> str:
        with visit.runtime.store.lock("link", ready.link.uid):
            done = orders.undo_of(visit.runtime, ready, run).run()
        visit.site.wake()
        return visit._(
            "Undone: {created} restored, {updated} put back, {deleted} taken away, {left} left as "
            "they are.",
            created=done.counts.created,
            updated=done.counts.updated,
            deleted=done.counts.deleted,
            left=len(done.left) + done.failed,
        )

    said = visit.site.chores.do(ready.link.id, work)
    return visit.go(f"/links/{ready.link.id}", said or visit._("It is being done."))


def _line(visit: Visit, link: Link, action: Action) -> str:
    facts = {"title": action.title, "side": link.endpoint(action.side).connector}
    match action.op:
        case Op.CREATE:
            return visit._("create “{title}” at {side}", **facts)
        case Op.UPDATE:
            return visit._("change “{title}” at {side}", **facts)
        case Op.DELETE:
            return visit._("delete “{title}” at {side}", **facts)
        case _:
            return action.title
