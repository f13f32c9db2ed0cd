"""Who wants to hear about what: per app, user and calendar; user tokens only.

Source: "Subscribe to calendar/event/ACL changes" pages. Repeating a subscription is taken as
harmless, which no source settles.
"""

from collections.abc import Callable

from connectors.sandbox.feishu.calendars import require, resolve
from connectors.sandbox.feishu.calls import READ, Call, Handler, Route
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.listing import eventful

LISTS, ACLS, EVENTS = "calendars", "acls", "events"


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
        root = "calendar/v4/calendars"
        paths = {
            LISTS: root,
            EVENTS: f"{root}/{{calendar_id}}/events",
            ACLS: f"{root}/{{calendar_id}}/acls",
        }
        changes = {"subscription": self.add, "unsubscription": self.remove}
        return tuple(
            Route(
                method="POST",
                path=f"{path}/{verb}",
                operation=f"{kind}.{verb}",
                handler=self._handler(kind, change),
                scopes=READ,
                tokens=("user",),
            )
            for kind, path in paths.items()
            for verb, change in changes.items()
        )

    @staticmethod
    def _handler(kind: str, change: Callable[[str, str, str, str], None]) -> Handler:
        def handler(call: Call) -> Json:
            change(call.caller.app.id, kind, _subject(call, kind), call.user.open_id)
            return {}

        return handler


def _subject(call: Call, kind: str) -> str:
    if kind == LISTS:
        return call.user.open_id
    if kind == EVENTS:
        return eventful(call, "reader").id
    return require(call, resolve(call), "owner").id
