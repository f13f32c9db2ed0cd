"""Rules as we write them, read by somebody else's reader of RFC 5545."""

from datetime import datetime, timedelta

import pytest
from icalendar.prop import vRecur

from mappings.model import When
from mappings.recurrence import format_rule, parse_rule

FIRST = When(
    start=datetime.fromisoformat("2026-11-23T09:00"),
    duration=timedelta(hours=1),
    zone="Europe/Berlin",
)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY;INTERVAL=2",
        "FREQ=WEEKLY;BYDAY=MO,WE,FR",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=MONTHLY;BYMONTHDAY=31,-1",
        "FREQ=YEARLY;BYMONTH=10;BYDAY=1SU",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        "FREQ=YEARLY;BYYEARDAY=100,-1",
        "FREQ=DAILY;COUNT=5",
        "FREQ=WEEKLY;BYDAY=MO;UNTIL=20270301T090000Z",
    ],
)
def test_what_we_write_means_the_same_to_another_reader(text):
    rule = parse_rule(text, FIRST)
    assert rule is not None
    written = format_rule(rule, FIRST)
    theirs = vRecur.from_ical(written)
    assert {str(part) for part in theirs} == {part.split("=")[0] for part in written.split(";")}
    assert parse_rule(theirs.to_ical().decode(), FIRST) == rule
