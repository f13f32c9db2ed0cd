"""Attachments, and other things that a client of Exchange may not take for granted."""

import pytest
from exchangelib import FileAttachment
from exchangelib.errors import ErrorOccurrenceCrossingBoundary
from exchangelib.recurrence import NumberedPattern, Recurrence, WeeklyPattern

GUID = "5f0d9f6c-7b44-4f5a-9a52-0f3f7d9b6c11"


@pytest.fixture
def weekly(alice, event, at):
    pattern = WeeklyPattern(interval=1, weekdays=["Monday"])
    bound = NumberedPattern(start=at(2027, 3, 1).date(), number=6)
    return event(alice, recurrence=Recurrence(pattern=pattern, boundary=bound))


def names(item):
    item.refresh()
    return [file.name for file in item.attachments], item.has_attachments


def test_a_file_is_attached_read_and_taken_off(alice, event):
    made = event(alice)
    before = made.changekey
    made.attach(FileAttachment(name="agenda.txt", content=b"1. Welcome"))
    assert names(made) == (["agenda.txt"], True)
    assert made.changekey != before
    (file,) = made.attachments
    assert file.content == b"1. Welcome"
    made.detach(file)
    assert names(made) == ([], False)


def test_an_occurrence_has_the_files_of_its_series_and_its_own_until_the_pattern_changes(
    alice, weekly
):
    weekly.attach(FileAttachment(name="series.txt", content=b"all"))
    second = weekly.occurrence(index=2)
    second.refresh()
    second.attach(FileAttachment(name="second.txt", content=b"one"))
    assert names(weekly.occurrence(index=2))[0] == ["series.txt", "second.txt"]
    assert names(weekly) == (["series.txt"], True)
    master = alice.calendar.get(id=weekly.id)
    master.recurrence.pattern.interval = 2
    master.save(update_fields=["recurrence"])
    assert names(weekly.occurrence(index=2))[0] == ["series.txt"]


def test_a_server_may_want_a_day_between_occurrences(sandbox, weekly, at):
    sandbox.switches.turn(days_between=1)
    second = weekly.occurrence(index=2)
    second.refresh()
    second.start, second.end = at(2027, 3, 14, 9), at(2027, 3, 14, 10)
    with pytest.raises(ErrorOccurrenceCrossingBoundary):
        second.save(update_fields=["start", "end"])
    second.start, second.end = at(2027, 3, 13, 9), at(2027, 3, 13, 10)
    second.save(update_fields=["start", "end"])


def test_a_listing_shows_the_beginning_of_a_long_text(alice, event, post):
    made = event(alice, bridge_id="x" * 300)
    assert len(alice.calendar.get(id=made.id).bridge_id) == 300
    answer = post(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
        f'<t:AdditionalProperties><t:ExtendedFieldURI PropertySetId="{GUID}" '
        'PropertyName="bridge-id" PropertyType="String"/></t:AdditionalProperties></m:ItemShape>'
        '<m:IndexedPageItemView Offset="0" BasePoint="Beginning"/><m:ParentFolderIds>'
        '<t:DistinguishedFolderId Id="calendar"/></m:ParentFolderIds></m:FindItem>'
    )
    assert f"<t:Value>{'x' * 255}</t:Value>" in answer.text
