"""Who wants to hear about what: per app, user and calendar; user tokens only.

Source: "Subscribe to calendar/event/ACL changes" pages. Repeating a subscription is taken as
harmless, which no source settles.
"""

from connectors.sandbox.feishu.calendars import require, resolve
from connectors.sandbox.feishu.calls import READ, Call, Route
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.listing import eventful

LISTS, ACLS, EVENTS = "lists", "acls", "events"


class Subscriptions:
    """The subscriptions in force: (app id, kind, subject) -> open ids, in order of asking.

    `subject` is a calendar id, or the open id of the user whose list is watched.
    """

    def __init__(self) -> None:
        self._who: dict[tuple[str, str, str], dict[str, None]] = {}

    def add(self, app_id: str, kind: str, subject: str, open_id: str) -> None:
        """From now on."""
        self._who.setdefault((app_id, kind, subject), {})[open_id] = None

    def remove(self, app_id: str, kind: str, subject: str, open_id: str) -> None:
        """No longer; never asked is fine."""
        self._who.get((app_id, kind, subject), {}).pop(open_id, None)

    def who(self, app_id: str, kind: str, subject: str) -> list[str]:
        """The subscribed users."""
        return list(self._who.get((app_id, kind, subject), ()))

    def clear(self) -> None:
        """Lose them all, as happens without notice."""
        self._who.clear()

    def as_json(self) -> list[dict[str, object]]:
        """For the state view."""
        return [
            {"app_id": app_id, "kind": kind, "subject": subject, "users": list(users)}
            for (app_id, kind, subject), users in self._who.items()
            if users
        ]

    def routes(self) -> tuple[Route, ...]:
        """The six calls."""
        root, only_user = "calendar/v4/calendars", ("user",)
        routes = []
        for path, operation, kind in (
            (root, "calendars", LISTS),
            (f"{root}/{{calendar_id}}/events", "events", EVENTS),
            (f"{root}/{{calendar_id}}/acls", "acls", ACLS),
        ):
            for verb, change in (("subscription", self.add), ("unsubscription", self.remove)):

                def handler(call: Call, kind: str = kind, change: object = change) -> Json:
                    assert callable(change)
                    change(call.caller.app.id, kind, _subject(call, kind), call.user.open_id)
                    return {}

                name = f"{operation}.{verb}"
                routes.append(Route("POST", f"{path}/{verb}", name, handler, READ, only_user))
        return tuple(routes)


def _subject(call: Call, kind: str) -> str:
    if kind == LISTS:
        return call.user.open_id
    if kind == EVENTS:
        return eventful(call, "reader").id
    return require(call, resolve(call), "owner").id
