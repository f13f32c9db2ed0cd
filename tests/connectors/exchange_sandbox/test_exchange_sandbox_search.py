"""FindItem: paged listings, restrictions and calendar views."""

from datetime import timedelta

import pytest
from exchangelib.errors import (
    ErrorCalendarViewRangeTooBig,
    ErrorExceededFindCountLimit,
    ErrorInvalidPropertyRequest,
    ErrorUnsupportedPathForQuery,
)
from exchangelib.recurrence import DailyPattern, NoEndPattern, NumberedPattern, Recurrence

ALICE = "alice@office.example"


@pytest.fixture
def daily(alice, event, at):
    bound = NoEndPattern(start=at(2027, 3, 1).date())
    return event(alice, recurrence=Recurrence(pattern=DailyPattern(interval=1), boundary=bound))


def test_an_own_key_finds_its_event_among_hundreds(alice, sandbox):
    for number in range(500):
        fields = {"subject": "x", "start": "2027-03-01T09:00:00", "end": "2027-03-01T10:00:00"}
        key = {"5f0d9f6c-7b44-4f5a-9a52-0f3f7d9b6c11/bridge-id": f"key-{number}"}
        sandbox.edit(ALICE, "create", fields | {"extended": key})
    [found] = alice.calendar.filter(bridge_id="key-123").only("subject", "changekey")
    assert sandbox.edit(ALICE, "show", found.id)["extended"] == {"bridge-id": ["key-123"]}
    assert list(alice.calendar.filter(bridge_id="key-9999")) == []
    everything = alice.calendar.all().only("subject")
    assert len({item.id for item in everything}) == 500


def test_restrictions_combine(alice, event, at):
    for number in range(5):
        event(alice, subject=f"Meeting {number}", start=at(2027, 3, 1 + number, 9),
              end=at(2027, 3, 1 + number, 10), location="A" if number % 2 else "B")  # fmt: skip

    def subjects(*args, **kwargs):
        return sorted(item.subject for item in alice.calendar.filter(*args, **kwargs))

    assert subjects(start__gte=at(2027, 3, 3), location="A") == ["Meeting 3"]
    assert subjects(subject__contains="ting 2") == ["Meeting 2"]
    assert subjects(subject__istartswith="MEETING") == [f"Meeting {n}" for n in range(5)]
    assert subjects(start__range=(at(2027, 3, 2), at(2027, 3, 3))) == ["Meeting 1"]
    assert [item.subject for item in alice.calendar.exclude(location="A").order_by("-start")] == [
        "Meeting 4", "Meeting 2", "Meeting 0",
    ]  # fmt: skip


def test_a_listing_holds_masters_and_a_view_holds_occurrences(alice, event, daily, at):
    event(alice)
    assert {item.type for item in alice.calendar.all()} == {"Single", "RecurringMaster"}
    seen = list(alice.calendar.view(start=at(2027, 3, 1), end=at(2027, 3, 4), max_items=100))
    assert [item.type for item in seen].count("Occurrence") == 3
    assert {item.type for item in seen} == {"Single", "Occurrence"}
    assert [item.start for item in seen] == sorted(item.start for item in seen)


def test_a_view_shows_moved_occurrences_where_they_are(alice, daily, at):
    second = daily.occurrence(2)
    second.refresh()
    second.start += timedelta(hours=5)
    second.end += timedelta(hours=5)
    second.save(update_fields=["start", "end"])
    [only] = alice.calendar.view(start=at(2027, 3, 2, 13), end=at(2027, 3, 3), max_items=9)
    assert (only.type, only.start) == ("Exception", at(2027, 3, 2, 14))
    morning = alice.calendar.view(start=at(2027, 3, 2), end=at(2027, 3, 2, 12), max_items=9)
    assert list(morning) == []


def test_a_view_is_limited_in_length_and_number(alice, event, daily, at):
    with pytest.raises(ErrorCalendarViewRangeTooBig):
        list(alice.calendar.view(start=at(2027, 1, 1), end=at(2029, 2, 1), max_items=10))
    bound = NumberedPattern(start=at(2027, 3, 1).date(), number=999)
    rule = Recurrence(pattern=DailyPattern(interval=1), boundary=bound)
    event(alice, start=at(2027, 3, 1, 12), end=at(2027, 3, 1, 13), recurrence=rule)
    with pytest.raises(ErrorExceededFindCountLimit):
        list(alice.calendar.view(start=at(2027, 3, 1), end=at(2029, 2, 1)))


def test_a_view_admits_what_it_leaves_out(post, daily):
    answer = post(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
        '</m:ItemShape><m:CalendarView MaxEntriesReturned="5" StartDate="2027-03-01T00:00:00Z" '
        'EndDate="2027-04-01T00:00:00Z"/><m:ParentFolderIds><t:DistinguishedFolderId '
        'Id="calendar"/></m:ParentFolderIds></m:FindItem>'
    ).text
    assert 'IncludesLastItemInRange="false"' in answer
    assert answer.count("<t:CalendarItem") == 5
    assert "IndexedPagingOffset" not in answer


def test_what_cannot_be_searched_or_listed_is_refused(alice, event, post):
    event(alice)
    shape = "<t:AdditionalProperties><t:FieldURI FieldURI='{0}'/></t:AdditionalProperties>"
    find = (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{0}'
        "</m:ItemShape>{1}<m:ParentFolderIds><t:DistinguishedFolderId Id='calendar'/>"
        "</m:ParentFolderIds></m:FindItem>"
    )
    for uri in ("item:Body", "calendar:Recurrence", "calendar:RequiredAttendees"):
        assert ErrorInvalidPropertyRequest.__name__ in post(find.format(shape.format(uri), "")).text
    by_uid = (
        "<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI='calendar:UID'/><t:FieldURIOrConstant>"
        "<t:Constant Value='x'/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>"
    )
    assert ErrorUnsupportedPathForQuery.__name__ in post(find.format("", by_uid)).text


def test_a_listing_names_the_organizer_without_address(alice, event, post):
    event(alice)
    answer = post(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape>'
        "</m:ItemShape><m:ParentFolderIds><t:DistinguishedFolderId Id='calendar'/>"
        "</m:ParentFolderIds></m:FindItem>"
    ).text
    assert "<t:Name>Alice</t:Name>" in answer
    assert "EmailAddress" not in answer
