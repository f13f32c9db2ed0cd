"""Series are one item; their occurrences follow from the pattern."""

import struct
from datetime import UTC, date, datetime, timedelta

import pytest
from exchangelib import CalendarItem, EWSDate, ExtendedProperty
from exchangelib.errors import (
    ErrorCalendarCannotMoveOrCopyOccurrence,
    ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange,
    ErrorCalendarOccurrenceIsDeletedFromRecurrence,
    ErrorInvalidPropertySet,
    ErrorOccurrenceCrossingBoundary,
    ErrorOccurrenceTimeSpanTooBig,
    ErrorRecurrenceEndDateTooBig,
    ErrorRecurrenceHasNoOccurrence,
)
from exchangelib.recurrence import (
    AbsoluteMonthlyPattern,
    AbsoluteYearlyPattern,
    DailyPattern,
    EndDatePattern,
    NoEndPattern,
    NumberedPattern,
    Recurrence,
    RelativeMonthlyPattern,
    RelativeYearlyPattern,
    WeeklyPattern,
)

ALICE = "alice@office.example"
FIRST = EWSDate(2027, 3, 1)


def rule(pattern, boundary=None):
    return Recurrence(pattern=pattern, boundary=boundary or NumberedPattern(start=FIRST, number=6))


@pytest.fixture
def weekly(alice, event):
    """Six Mondays from 2027-03-01, 09:00 in Berlin."""
    made = event(alice, recurrence=rule(WeeklyPattern(interval=1, weekdays=["Monday"])))
    return alice.calendar.get(id=made.id)


@pytest.fixture
def dates(sandbox):
    """The local dates on which things take place."""

    def _dates(since=date(2027, 1, 1), until=date(2031, 1, 1)):
        start, end = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (since, until))
        found = sandbox.occurrences(ALICE, start, end)
        return [(seen.start + timedelta(hours=2)).date().isoformat() for seen in found]

    return _dates


PATTERNS = [
    (DailyPattern(interval=3), ["2027-03-01", "2027-03-04", "2027-03-07", "2027-03-10"]),
    (
        WeeklyPattern(interval=2, weekdays=["Monday", "Sunday"], first_day_of_week="Monday"),
        ["2027-03-01", "2027-03-07", "2027-03-15", "2027-03-21"],
    ),
    (
        WeeklyPattern(interval=2, weekdays=["Monday", "Sunday"], first_day_of_week="Sunday"),
        ["2027-03-01", "2027-03-14", "2027-03-15", "2027-03-28"],
    ),
    (
        AbsoluteMonthlyPattern(interval=1, day_of_month=31),
        ["2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30"],
    ),
    (
        RelativeMonthlyPattern(interval=1, weekday="Friday", week_number="Last"),
        ["2027-03-26", "2027-04-30", "2027-05-28", "2027-06-25"],
    ),
    (
        RelativeMonthlyPattern(interval=1, weekday="Weekday", week_number="First"),
        ["2027-03-01", "2027-04-01", "2027-05-03", "2027-06-01"],
    ),
    (
        RelativeMonthlyPattern(interval=2, weekday="WeekendDay", week_number="Second"),
        ["2027-03-07", "2027-05-02", "2027-07-04", "2027-09-05"],
    ),
    (
        AbsoluteYearlyPattern(month="February", day_of_month=29),
        ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28"],
    ),
    (
        RelativeYearlyPattern(weekday="Day", week_number="Last", month="September"),
        ["2027-09-30", "2028-09-30", "2029-09-30", "2030-09-30"],
    ),
]


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS, ids=lambda value: str(value)[:30])
def test_patterns_yield_what_their_definition_says(alice, event, dates, pattern, expected):
    made = event(alice, recurrence=rule(pattern, NumberedPattern(start=FIRST, number=4)))
    assert dates(until=date(2032, 1, 1)) == expected
    got = alice.calendar.get(id=made.id)
    assert got.recurrence.pattern == pattern
    assert got.type == "RecurringMaster"


def test_the_end_date_is_inclusive_and_local(alice, event, at, dates):
    until = EndDatePattern(start=FIRST, end=EWSDate(2027, 3, 3))
    late = event(
        alice, start=at(2027, 3, 1, 23, 30), end=at(2027, 3, 1, 23, 45),
        recurrence=rule(DailyPattern(interval=1), until),
    )  # fmt: skip
    assert len(dates()) == 3
    assert alice.calendar.get(id=late.id).recurrence.boundary.end == EWSDate(2027, 3, 3)


def test_wall_time_stays_over_a_change_of_the_offset(alice, event, sandbox):
    event(alice, recurrence=rule(WeeklyPattern(interval=1, weekdays=["Monday"])))
    seen = sandbox.occurrences(
        ALICE, datetime(2027, 3, 20, tzinfo=UTC), datetime(2027, 4, 3, tzinfo=UTC)
    )
    assert [f"{one.start:%m-%dT%H}" for one in seen] == ["03-22T08", "03-29T07"]


def test_a_server_with_older_zone_rules_shifts_its_series(alice, event, sandbox):
    event(alice, recurrence=rule(WeeklyPattern(interval=1, weekdays=["Monday"])))
    sandbox.patch_zone("W. Europe Standard Time", "Etc/GMT-1")
    seen = sandbox.occurrences(
        ALICE, datetime(2027, 3, 20, tzinfo=UTC), datetime(2027, 4, 3, tzinfo=UTC)
    )
    assert [f"{one.start:%m-%dT%H}" for one in seen] == ["03-22T08", "03-29T08"]


def test_a_fresh_series_lists_no_exceptions_at_all(weekly):
    assert weekly.modified_occurrences is None
    assert weekly.deleted_occurrences is None
    assert weekly.first_occurrence.start.date() == FIRST
    assert weekly.last_occurrence.start.date() == EWSDate(2027, 4, 5)


def test_an_endless_series_has_no_last_occurrence(alice, event):
    made = event(alice, recurrence=rule(DailyPattern(interval=1), NoEndPattern(start=FIRST)))
    assert alice.calendar.get(id=made.id).last_occurrence is None


def test_changing_an_occurrence_changes_the_master(alice, weekly):
    second = weekly.occurrence(2)
    second.refresh()
    assert (second.type, second.uid, second.changekey) == (
        "Occurrence",
        weekly.uid,
        weekly.changekey,
    )
    second.subject = "Other"
    second.start += timedelta(hours=3)
    second.end += timedelta(hours=3)
    second.save(update_fields=["subject", "start", "end"])
    now = alice.calendar.get(id=weekly.id)
    assert now.changekey not in (weekly.changekey, None)
    assert now.changekey == second.changekey
    [changed] = now.modified_occurrences
    assert changed.original_start.hour == 8
    assert changed.start.hour == 11
    exception = alice.calendar.get(id=changed.id)
    assert (exception.type, exception.subject) == ("Exception", "Other")
    assert exception.original_start == changed.original_start
    assert exception.id == second.id


def test_a_deleted_occurrence_does_not_come_back(alice, weekly):
    weekly.occurrence(3).delete()
    now = alice.calendar.get(id=weekly.id)
    assert [gone.start.date() for gone in now.deleted_occurrences] == [EWSDate(2027, 3, 15)]
    with pytest.raises(ErrorCalendarOccurrenceIsDeletedFromRecurrence):
        weekly.occurrence(3).refresh()
    fourth = weekly.occurrence(4)
    fourth.refresh()
    assert fourth.start.date() == EWSDate(2027, 3, 22)
    with pytest.raises(ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange):
        weekly.occurrence(7).refresh()


def test_a_moved_then_deleted_occurrence_leaves_its_original_start(alice, weekly):
    second = weekly.occurrence(2)
    second.refresh()
    second.start += timedelta(days=1)
    second.end += timedelta(days=1)
    second.save(update_fields=["start", "end"])
    second.delete()
    now = alice.calendar.get(id=weekly.id)
    assert now.modified_occurrences is None
    assert [gone.start.date() for gone in now.deleted_occurrences] == [EWSDate(2027, 3, 8)]


def test_the_last_occurrence_left_cannot_be_deleted(alice, event, sandbox):
    bound = NumberedPattern(start=FIRST, number=2)
    made = event(alice, recurrence=rule(DailyPattern(interval=1), bound))
    made.occurrence(1).delete()
    with pytest.raises(ErrorRecurrenceHasNoOccurrence):
        made.occurrence(2).delete()
    sandbox.switches.turn(last_occurrence="delete_series")
    made.occurrence(2).delete()
    assert alice.calendar.all().count() == 0


@pytest.mark.parametrize(
    ("shift", "length", "error"),
    [
        (timedelta(days=7), timedelta(hours=1), ErrorOccurrenceCrossingBoundary),
        (timedelta(days=7, hours=-8), timedelta(hours=1), ErrorOccurrenceCrossingBoundary),
        (timedelta(days=-7, hours=2), timedelta(hours=1), ErrorOccurrenceCrossingBoundary),
        (timedelta(0), timedelta(days=7, hours=1), ErrorOccurrenceTimeSpanTooBig),
    ],
    ids=["onto the next", "onto its date", "onto the date before", "into the next"],
)
def test_an_occurrence_stays_between_its_neighbours(alice, weekly, shift, length, error):
    third = weekly.occurrence(3)
    third.refresh()
    third.start += shift
    third.end = third.start + length
    with pytest.raises(error):
        third.save(update_fields=["start", "end"])
    assert alice.calendar.get(id=weekly.id).modified_occurrences is None


def test_occurrences_may_not_last_into_each_other(alice, event, at):
    with pytest.raises(ErrorOccurrenceTimeSpanTooBig):
        event(alice, end=at(2027, 3, 3, 10), recurrence=rule(DailyPattern(interval=2)))
    event(alice, end=at(2027, 3, 3, 9), recurrence=rule(DailyPattern(interval=2)))


def test_impossible_rules_are_refused(alice, event):
    def made(pattern, boundary=None):
        return event(alice, recurrence=rule(pattern, boundary))

    too_late = EndDatePattern(start=FIRST, end=EWSDate(4500, 9, 2))
    too_soon = EndDatePattern(start=FIRST, end=EWSDate(2027, 3, 2))
    with pytest.raises(ErrorRecurrenceEndDateTooBig):
        made(DailyPattern(interval=1), too_late)
    with pytest.raises(ErrorRecurrenceHasNoOccurrence):
        made(WeeklyPattern(interval=1, weekdays=["Friday"]), too_soon)
    assert alice.calendar.all().count() == 0


@pytest.mark.parametrize(
    ("pattern", "bound", "code"),
    [
        ("<t:DailyRecurrence><t:Interval>1000</t:Interval></t:DailyRecurrence>", 1, "Recurrence"),
        ("<t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>", 1000, "Recurrence"),
        (
            "<t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Weekday</t:DaysOfWeek>"
            "</t:WeeklyRecurrence>", 5, "DayForWeeklyRecurrence",
        ),
    ],
    ids=["interval", "number", "weekday"],
)  # fmt: skip
def test_what_exchangelib_would_not_send_is_refused_too(alice, post, pattern, bound, code):
    answer = post(
        '<m:CreateItem SendMeetingInvitations="SendToNone"><m:Items><t:CalendarItem>'
        "<t:Start>2027-03-01T09:00:00Z</t:Start><t:End>2027-03-01T10:00:00Z</t:End>"
        f"<t:Recurrence>{pattern}<t:NumberedRecurrence><t:StartDate>2027-03-01</t:StartDate>"
        f"<t:NumberOfOccurrences>{bound}</t:NumberOfOccurrences></t:NumberedRecurrence>"
        "</t:Recurrence></t:CalendarItem></m:Items></m:CreateItem>"
    )
    assert f"<m:ResponseCode>ErrorCalendarInvalid{code}</m:ResponseCode>" in answer.text
    assert alice.calendar.all().count() == 0


def test_a_start_outside_the_pattern_moves_to_the_first_occurrence(alice, event):
    made = event(alice, recurrence=rule(WeeklyPattern(interval=1, weekdays=["Wednesday"])))
    assert alice.calendar.get(id=made.id).start.date() == EWSDate(2027, 3, 3)


def broken(alice, weekly):
    """One exception and one deletion."""
    second = weekly.occurrence(2)
    second.refresh()
    second.subject = "Other"
    second.save(update_fields=["subject"])
    weekly.occurrence(3).delete()
    return alice.calendar.get(id=weekly.id)


def shorter(master):
    master.recurrence.boundary = NumberedPattern(start=FIRST, number=5)
    master.save(update_fields=["recurrence"])


def test_a_new_pattern_drops_the_exceptions(alice, weekly, dates):
    master = broken(alice, weekly)
    master.recurrence.pattern = WeeklyPattern(interval=1, weekdays=["Monday", "Tuesday"])
    master.save(update_fields=["recurrence"])
    now = alice.calendar.get(id=weekly.id)
    assert (now.modified_occurrences, now.deleted_occurrences) == (None, None)
    assert "2027-03-15" in dates()


def test_a_new_end_drops_the_exceptions_unless_the_server_keeps_them(alice, weekly, sandbox):
    shorter(broken(alice, weekly))
    assert alice.calendar.get(id=weekly.id).modified_occurrences is None
    sandbox.switches.turn(end_change_keeps_exceptions=True)
    master = broken(alice, alice.calendar.get(id=weekly.id))
    master.recurrence.boundary = NumberedPattern(start=FIRST, number=4)
    master.save(update_fields=["recurrence"])
    now = alice.calendar.get(id=weekly.id)
    assert len(now.modified_occurrences) == len(now.deleted_occurrences) == 1


def test_a_new_subject_keeps_the_exceptions(alice, weekly):
    master = broken(alice, weekly)
    master.subject = "Renamed"
    master.save(update_fields=["subject"])
    now = alice.calendar.get(id=weekly.id)
    assert alice.calendar.get(id=now.modified_occurrences[0].id).subject == "Other"
    fourth = now.occurrence(4)
    fourth.refresh()
    assert fourth.subject == "Renamed"


def test_an_occurrence_takes_no_recurrence(alice, weekly):
    second = weekly.occurrence(2)
    second.refresh()
    second.recurrence = rule(DailyPattern(interval=1))
    with pytest.raises(ErrorInvalidPropertySet):
        second.save(update_fields=["recurrence"])


def test_an_occurrence_cannot_leave_the_folder(alice, weekly):
    second = weekly.occurrence(2)
    second.refresh()
    with pytest.raises(ErrorCalendarCannotMoveOrCopyOccurrence):
        second.move(alice.trash)


def test_an_occurrence_leads_back_to_its_master(alice, weekly):
    second = weekly.occurrence(2)
    second.refresh()
    master = second.recurring_master()
    master.refresh()
    assert master.id == weekly.id


def test_occurrences_shorten_over_the_gap_in_wall_time(alice, event, at, sandbox):
    three = NumberedPattern(start=EWSDate(2027, 3, 26), number=3)
    event(
        alice, start=at(2027, 3, 26, 22), end=at(2027, 3, 27, 6),
        recurrence=rule(DailyPattern(interval=1), three),
    )  # fmt: skip
    window = datetime(2027, 3, 25, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC)
    hours = [
        (seen.end - seen.start) / timedelta(hours=1) for seen in sandbox.occurrences(ALICE, *window)
    ]
    assert hours == [8, 7, 8]
    sandbox.switches.turn(occurrence_end="exact")
    hours = [
        (seen.end - seen.start) / timedelta(hours=1) for seen in sandbox.occurrences(ALICE, *window)
    ]
    assert hours == [8, 8, 8]


def test_exceptions_show_the_masters_extended_properties(alice, event, sandbox):
    made = event(alice, bridge_id="series", recurrence=rule(DailyPattern(interval=1)))
    second = made.occurrence(2)
    second.refresh()
    assert second.bridge_id == "series"
    second.subject = "x"
    second.save(update_fields=["subject"])
    assert alice.calendar.get(id=second.id).bridge_id == "series"
    sandbox.switches.turn(exceptions_inherit_extended=False)
    assert alice.calendar.get(id=second.id).bridge_id is None
    assert [found.id for found in alice.calendar.filter(bridge_id="series")] == [made.id]


def test_a_person_splits_a_series(alice, weekly, sandbox, dates):
    new = sandbox.edit(ALICE, "split", weekly.id, "2027-03-22", {"subject": "After"})
    assert alice.calendar.get(id=weekly.id).recurrence.boundary.end == EWSDate(2027, 3, 15)
    after = alice.calendar.get(id=new["id"])
    assert (after.subject, after.recurrence.boundary.number) == ("After", 3)
    assert len(dates()) == 6


def test_a_single_event_becomes_a_series_and_back(alice, event):
    made = alice.calendar.get(id=event(alice).id)
    made.recurrence = rule(DailyPattern(interval=1))
    made.save(update_fields=["recurrence"])
    assert alice.calendar.get(id=made.id).type == "RecurringMaster"
    made.recurrence = None
    made.save(update_fields=["recurrence"])
    assert alice.calendar.get(id=made.id).type == "Single"
    assert isinstance(made, CalendarItem)


def test_every_second_year_is_in_the_stored_form_only(alice, event, sandbox, dates):
    pattern = AbsoluteYearlyPattern(month="March", day_of_month=1)
    made = event(alice, recurrence=rule(pattern, NumberedPattern(start=FIRST, number=3)))
    sandbox.edit(ALICE, "every_years", made.id, 2)
    assert dates(until=date(2035, 1, 1)) == ["2027-03-01", "2029-03-01", "2031-03-01"]
    assert alice.calendar.get(id=made.id).recurrence.pattern == pattern

    class RecurBlob(ExtendedProperty):
        distinguished_property_set_id = "Appointment"
        property_id = 0x8216
        property_type = "Binary"

    CalendarItem.register("recur_blob", RecurBlob)
    try:
        blob = alice.calendar.get(id=made.id).recur_blob
    finally:
        CalendarItem.deregister("recur_blob")
    frequency, kind, period, day = struct.unpack_from("<4xHH6xI4xI", blob)
    assert (frequency, kind, period, day) == (0x200D, 2, 24, 1)
    end, count = struct.unpack_from("<26xII", blob)
    assert (end, count) == (0x2022, 3)


def test_a_moved_occurrence_may_share_a_date_where_the_server_allows_it(alice, weekly, sandbox):
    sandbox.switches.turn(same_date="allow")
    third = weekly.occurrence(3)
    third.refresh()
    third.start += timedelta(days=7, hours=-3)
    third.end = third.start + timedelta(hours=1)
    third.save(update_fields=["start", "end"])
    assert len(alice.calendar.get(id=weekly.id).modified_occurrences) == 1


def test_the_hour_that_comes_twice_is_a_switch(event, alice, at, sandbox):
    three = NumberedPattern(start=EWSDate(2027, 10, 30), number=3)
    event(
        alice, start=at(2027, 10, 30, 2, 30), end=at(2027, 10, 30, 2, 45),
        recurrence=rule(DailyPattern(interval=1), three),
    )  # fmt: skip
    window = datetime(2027, 10, 29, tzinfo=UTC), datetime(2027, 11, 3, tzinfo=UTC)
    hours = [seen.start.hour for seen in sandbox.occurrences(ALICE, *window)]
    assert hours == [0, 0, 1]
    sandbox.switches.turn(fold="second")
    hours = [seen.start.hour for seen in sandbox.occurrences(ALICE, *window)]
    assert hours == [0, 1, 1]


def test_the_hour_that_never_comes_moves_forward(event, alice, at, sandbox):
    three = NumberedPattern(start=EWSDate(2027, 3, 27), number=3)
    event(
        alice, start=at(2027, 3, 27, 2, 30), end=at(2027, 3, 27, 3),
        recurrence=rule(DailyPattern(interval=1), three),
    )  # fmt: skip
    window = datetime(2027, 3, 26, tzinfo=UTC), datetime(2027, 4, 3, tzinfo=UTC)
    starts = [f"{seen.start:%H:%M}" for seen in sandbox.occurrences(ALICE, *window)]
    assert starts == ["01:30", "01:30", "00:30"]


def test_months_of_whole_years_may_read_back_as_a_bare_year(alice, event, sandbox, dates):
    pattern = AbsoluteMonthlyPattern(interval=24, day_of_month=1)
    made = event(alice, recurrence=rule(pattern, NumberedPattern(start=FIRST, number=2)))
    assert alice.calendar.get(id=made.id).recurrence.pattern == pattern
    sandbox.switches.turn(twelve_months="yearly")
    shown = alice.calendar.get(id=made.id).recurrence.pattern
    assert str(shown) == str(AbsoluteYearlyPattern(month="March", day_of_month=1))
    assert dates() == ["2027-03-01", "2029-03-01"]
