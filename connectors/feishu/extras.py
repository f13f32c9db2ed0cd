"""The events that stand for dates beside a series: which they are, and what they say."""

from connectors.changes import occurrence_part
from connectors.contract import Member
from connectors.feishu.api import Wire
from connectors.recent import Recent
from mappings import feishu
from mappings.errors import UnmappableError
from mappings.feishu_extras import Extra, unmarked
from mappings.model import Event, Override

_REMEMBERED = 20_000


class Extras:
    """Which events were seen to stand for a date of a series. A deleted one no longer says so
    itself. Thread safe."""

    def __init__(self) -> None:
        self._known: Recent[tuple[str, str], Extra] = Recent(_REMEMBERED)
        self._holders: Recent[tuple[str, Extra], str] = Recent(_REMEMBERED)

    def holder(self, calendar: str, extra: Extra) -> str | None:
        """The event that was last found to stand for the date. Whoever copies it in Feishu copies
        its line, too, so that others may say the same."""
        return self._holders.get((calendar, extra))

    def hold(self, calendar: str, extra: Extra, event_id: str) -> None:
        """This event stands for the date."""
        self._holders.put((calendar, extra), event_id)

    def remember(self, calendar: str, event_id: str, extra: Extra) -> None:
        """The event stands for this date."""
        self._known.put((calendar, event_id), extra)

    def of(self, calendar: str, wire: Wire) -> Extra | None:
        """The date for which an event stands, None if it is an event for itself."""
        event_id = str(wire["event_id"])
        if feishu.is_exception(wire):
            return None
        if feishu.is_cancelled(wire):
            return self._known.get((calendar, event_id))
        if "Extra date" not in (wire.get("description") or ""):
            return None
        _details, extra = unmarked(feishu.decode_details(wire))
        if extra is None or extra.main == event_id:
            return None
        self.remember(calendar, event_id, extra)
        return extra


def is_extra(event_id: str, main: str) -> bool:
    """Whether a member of the unit `main` is an event of its own, and no occurrence."""
    return feishu.uid_of(event_id) != feishu.uid_of(main)


def override_of(event: Event, event_id: str, extra: Extra) -> tuple[Override, Member]:
    """The date as an exception of its series. Raises `UnmappableError` if a person has made a
    series of it."""
    if event.recurring:
        raise UnmappableError(
            "EXTRA_REPEATS",
            f"the extra date {extra.key} of the series was made a series of its own; take the line "
            '"Extra date of a series" out of its description, or its repetition away',
        )
    override = Override(key=extra.key, details=event.details, when=event.when)
    return override, Member(part=occurrence_part(extra.key), id=event_id)
