"""What changed in a calendar: by sync tokens (RFC 6578) or, where there are none, by ETags.

A full listing names every object with its ETag in one answer, together with the token from which
the next listing goes on, and then reads their content in batches. A cursor is the token, or all
names and ETags.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence

from connectors.caldav import dav
from connectors.caldav.addresses import canonical, ref_in
from connectors.caldav.client import Client
from connectors.caldav.errors import PROVIDER, AbsentError, UnsupportedError
from connectors.caldav.reading import CALENDAR, ZONE, ZONE_ID, Reader, gone_calendar
from connectors.caldav.recall import Object
from connectors.contract import Change, Gone, Listing, Page, Unreadable, Whole
from connectors.errors import RejectedError, ResyncError
from mappings.errors import UnmappableError

_BY_TOKEN = "token:"  # noqa: S105 - the kind of a cursor
_BY_ETAGS = "etags:"
_TYPE = f"{dav.DAV}getcontenttype"
_PAGE = 200
Etags = Mapping[str, str]


def changes(client: Client, reader: Reader, calendar: str, cursor: str | None) -> Iterator[Page]:
    """The pages of one listing; `Connector.changes` says what they promise."""
    one = _Pass(client, reader, calendar)
    if cursor is None:
        return one.everything()
    if cursor.startswith(_BY_TOKEN):
        return one.since_token(cursor.removeprefix(_BY_TOKEN))
    return one.since_etags(_unpacked(cursor))


class _Pass:
    """One listing of one calendar."""

    def __init__(self, client: Client, reader: Reader, calendar: str) -> None:
        self._client = client
        self._reader = reader
        self._calendar = calendar

    def everything(self) -> Iterator[Page]:
        """All there is."""
        etags, token = self._names()
        refs = list(etags)
        cursor = _BY_TOKEN + token if token else _packed(etags)
        yield from self._read(refs, [], Listing.COMPLETE, cursor)

    def since_etags(self, known: Etags) -> Iterator[Page]:
        """What bears another ETag than it did."""
        etags, _ = self._names()
        changed = [ref for ref, etag in etags.items() if known.get(ref) != etag]
        gone: list[Change] = [Gone(ref=ref) for ref in known if ref not in etags]
        yield from self._read(changed, gone, Listing.DELTA, _packed(etags))

    def since_token(self, token: str) -> Iterator[Page]:
        """What the server says has changed. Raises `ResyncError` for a void token."""
        while True:
            found, more = self._changed(token), False
            refs: list[str] = []
            told: list[Change] = []
            for answer in found.answers:
                ref = ref_in(self._calendar, answer.href)
                if ref is None:
                    # The collection itself: there is more than fits an answer (section 3.6).
                    more = more or answer.status == 507
                elif answer.status in (404, 410):
                    told.append(Gone(ref=ref))
                elif here := self._reader.given(self._calendar, ref, answer):
                    told += self._shown(ref, here, Listing.DELTA)
                else:
                    refs.append(ref)
            cursor = _BY_TOKEN + (found.token or token)
            more = more and bool(found.token) and found.token != token
            yield from self._read(refs, told, Listing.DELTA, None if more else cursor)
            if not more:
                return
            token = found.token

    def _changed(self, token: str) -> dav.Multistatus:
        try:
            return self._client.report(self._calendar, dav.sync_collection(token), depth=0)
        except AbsentError as error:
            raise gone_calendar(self._calendar, error) from error
        except UnsupportedError as error:
            raise _void("the server no longer offers them") from error
        except RejectedError as error:
            raise _void("the server refuses it") from error

    def _names(self) -> tuple[Etags, str]:
        """Every object's ETag, and the token as of before the listing (empty if there are none).

        Raises `FatalError` for what is no calendar.
        """
        wanted = (dav.TOKEN, dav.ETAG, dav.KIND, _TYPE, ZONE, ZONE_ID)
        try:
            found, _ = self._client.propfind(self._calendar, *wanted, depth=1)
        except AbsentError as error:
            raise gone_calendar(self._calendar, error) from error
        token, is_calendar = "", False
        etags: dict[str, str] = {}
        for answer in found.answers:
            ref = ref_in(self._calendar, answer.href)
            if ref is not None and not answer.has(dav.KIND, f"{dav.DAV}collection"):
                if answer.status is None and _may_be_event(answer.text(_TYPE)):
                    etags[ref] = answer.text(dav.ETAG)
            elif canonical(self._calendar, answer.href).rstrip("/") == self._calendar.rstrip("/"):
                is_calendar = answer.has(dav.KIND, CALENDAR)
                token = answer.text(dav.TOKEN).strip()
                self._reader.note_zone(self._calendar, answer)
        if not is_calendar:
            raise gone_calendar(self._calendar, None)
        return etags, token

    def _read(
        self, refs: Sequence[str], told: list[Change], listing: Listing, cursor: str | None
    ) -> Iterator[Page]:
        """Pages of what these objects show, after what is known already."""
        for ref, found in self._reader.many(self._calendar, refs):
            if found is not None:
                told += self._shown(ref, found, listing)
            elif listing is Listing.DELTA:
                told.append(Gone(ref=ref))
            if len(told) >= _PAGE:
                yield Page(changes=tuple(told), listing=listing)
                told = []
        if told or cursor is not None:
            yield Page(changes=tuple(told), listing=listing, cursor=cursor)

    def _shown(self, ref: str, found: Object, listing: Listing) -> list[Change]:
        """What an object says; of one that is cancelled, or no event, that there is no event."""
        try:
            copy = self._reader.decoded(self._calendar, ref, found)
        except UnmappableError as error:
            return [Unreadable(ref=ref, code=error.code, detail=error.detail)]
        if copy is not None:
            return [Whole(copy=copy)]
        return [Gone(ref=ref)] if listing is Listing.DELTA else []


def _may_be_event(content_type: str) -> bool:
    """Servers may say what kind of component an object holds; tasks need not be read."""
    kind = content_type.lower().replace(" ", "")
    return not ("component=" in kind and "vevent" not in kind)


def _packed(etags: Etags) -> str:
    content = zlib.compress(json.dumps(etags, sort_keys=True).encode())
    return _BY_ETAGS + base64.b64encode(content).decode()


def _unpacked(cursor: str) -> Etags:
    if not cursor.startswith(_BY_ETAGS):
        raise _void("it was made by something else")
    try:
        content = zlib.decompress(base64.b64decode(cursor.removeprefix(_BY_ETAGS), validate=True))
        etags: Etags = json.loads(content)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise _void("it is broken") from error
    return etags


def _void(why: str) -> ResyncError:
    return ResyncError(
        f"The sync token is void ({why}). Everything is listed again.",
        provider=PROVIDER,
        operation="REPORT",
        code="valid-sync-token",
    )
