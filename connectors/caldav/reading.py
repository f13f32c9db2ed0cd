"""Reading calendar objects: one by one, or many at once."""

from collections.abc import Iterator, Sequence

from connectors.caldav import dav
from connectors.caldav.addresses import object_url, path_of, ref_in
from connectors.caldav.client import Client
from connectors.caldav.errors import PROVIDER, AbsentError
from connectors.caldav.recall import Object, Recall
from connectors.caldav.settings import Settings
from connectors.contract import Copy, Member
from connectors.errors import FatalError, RejectedError
from mappings import caldav as dialect
from mappings import zones
from mappings.errors import UnmappableError

ZONE = f"{dav.CAL}calendar-timezone"
ZONE_ID = f"{dav.CAL}calendar-timezone-id"
USER_ADDRESSES = f"{dav.CAL}calendar-user-address-set"
CALENDAR = f"{dav.CAL}calendar"


class Reader:
    """Reads the units of one account's calendars."""

    def __init__(
        self, client: Client, recall: Recall, settings: Settings, addresses: frozenset[str]
    ) -> None:
        self._client = client
        self._recall = recall
        self._settings = settings
        self.addresses = addresses

    def zone(self, calendar: str) -> str:
        """The calendar's own zone, in which floating times are read. At most one call."""
        return self._recall.zones.get(calendar) or self.require(calendar)

    def require(self, calendar: str) -> str:
        """As `zone`, by asking. Raises `FatalError` if the calendar itself is gone: a server says
        404 for an object whose calendar is gone, too, and taking that for the event's deletion
        would delete its copies."""
        try:
            found, _ = self._client.propfind(calendar, dav.KIND, ZONE, ZONE_ID)
        except AbsentError as error:
            raise gone_calendar(calendar, error) from error
        kind = next((each for each in found.answers if each.has(dav.KIND, CALENDAR)), None)
        if kind is None:
            raise gone_calendar(calendar, None)
        return self.note_zone(calendar, kind)

    def note_zone(self, calendar: str, answer: dav.Answer) -> str:
        """Remember the zone that a calendar's properties name."""
        zone = zone_of(answer) or self._settings.zone
        self._recall.zones.put(calendar, zone)
        return zone

    def get(self, calendar: str, ref: str) -> Object | None:
        """The object as it is now, None if there is none."""
        try:
            found = self._client.get(object_url(calendar, ref))
        except AbsentError:
            self._recall.forget(calendar, ref)
            self.require(calendar)
            return None
        if not found.text.strip() and self._settings.empty_is_deleted:
            return None
        self._recall.put(calendar, ref, found)
        return found

    def unit(self, calendar: str, ref: str) -> Copy | None:
        """The unit as it is now, None if it is gone. One call. Raises `RejectedError` for what
        cannot be understood."""
        found = self.get(calendar, ref)
        return None if found is None else self.copy(calendar, ref, found)

    def copy(self, calendar: str, ref: str, found: Object) -> Copy | None:
        """As `decoded`, with a connector's error."""
        try:
            return self.decoded(calendar, ref, found)
        except UnmappableError as error:
            raise RejectedError(
                f"The CalDAV server shows an object that cannot be understood: {error.detail}",
                provider=PROVIDER,
                operation="GET",
                code=error.code,
            ) from error

    def decoded(self, calendar: str, ref: str, found: Object) -> Copy | None:
        """The unit that an object shows; None if it was cancelled, or is no event. Raises
        `UnmappableError`."""
        shown = dialect.decode(found.text, self.zone(calendar), self.addresses)
        if shown is None or shown.event is None:
            return None
        return Copy(
            ref=ref,
            event=shown.event,
            members=(Member(part="main", id=ref, version=found.etag),),
            origin=shown.origin,
            organized=shown.organized,
            updated=shown.updated,
        )

    def many(self, calendar: str, refs: Sequence[str]) -> Iterator[tuple[str, Object | None]]:
        """Each of these objects, None if it is not there (any more). One call for every batch;
        what a server leaves out of its answer, or gives without content, is asked for singly."""
        size = self._settings.batch
        for at in range(0, len(refs), size):
            asked = refs[at : at + size]
            paths = [path_of(object_url(calendar, ref)) for ref in asked]
            found = self._client.report(calendar, dav.multiget(paths))
            answers = {ref_in(calendar, each.href): each for each in found.answers}
            for ref in asked:
                answer = answers.get(ref)
                if answer is not None and answer.status in (404, 410):
                    self._recall.forget(calendar, ref)
                    yield ref, None
                else:
                    here = self.given(calendar, ref, answer) if answer else None
                    yield ref, here or self.get(calendar, ref)

    def given(self, calendar: str, ref: str, answer: dav.Answer) -> Object | None:
        """The object that an answer holds, None if its content is not in it."""
        text = answer.text(dav.DATA)
        if not text.strip():
            return None
        found = Object(answer.text(dav.ETAG) or None, text)
        self._recall.put(calendar, ref, found)
        return found


def zone_of(answer: dav.Answer) -> str | None:
    """The zone that a calendar's properties name (RFC 4791 section 5.2.2, RFC 7809)."""
    named = answer.text(ZONE_ID) or dialect.zone_named(answer.text(ZONE))
    return zones.resolve(named) if named else None


def gone_calendar(calendar: str, error: AbsentError | None) -> FatalError:
    """The error for a calendar that no longer answers."""
    return FatalError(
        f"The calendar {calendar} is gone, or the account lost access to it. Nothing is deleted; "
        "share it again or change the link.",
        provider=PROVIDER,
        operation=error.operation if error else "PROPFIND",
        code="calendar-gone",
    )
