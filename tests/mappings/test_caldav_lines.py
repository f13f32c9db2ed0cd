"""Reading and writing objects quickly changes nothing of what icalendar reads and writes."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from mappings import caldav_lines

LINES = (
    "SUMMARY:Lunch\\, at \\\"noon\\\"\\; \\\\ \\n \\N \\: \\x",
    "SUMMARY;LANGUAGE=de:Mittag",
    "summary:lower case",
    "DESCRIPTION:",
    "DESCRIPTION:" + "Größe ^n \\\\\\n😀 " * 12,
    'LOCATION;ALTREP="http://x.example/:;":Room: 1',
    "UID:1@example.com",
    "X-ODD:a\\,b;c",
    "X-ODD;P=1:second",
    "X-ODD:third",
    "X-CALBRIDGE-KEY:" + "ab" * 32,
    "DTSTART:20260302T090000Z",
    "DTSTART:20260302T090000",
    "DTSTART;VALUE=DATE:20260302",
    "DTSTART;VALUE=DATE-TIME:20260302T090000Z",
    "DTSTART;TZID=Europe/London:20260302T090000",
    "DTSTART;TZID=Etc/UTC:20260302T090000",
    "DTSTART;TZID=UTC:20260302T090000",
    "DTSTART;TZID=America/New_York:20260302T090000Z",
    'DTSTART;TZID="Eastern; Time":20260302T090000',
    "DTSTART;TZID=Nowhere/Land:20260302T090000",
    "DTSTART;VALUE=DATE;X-A=1:20260302",
    "DTSTART:20260302",
    "DTSTART:20260230T090000",
    "DTSTART:20260302T250000Z",
    "DTSTART:20260302T0900",
    "DTSTART:00010302T090000",
    "DTEND;TZID=Asia/Shanghai:20260302T100000",
    "RECURRENCE-ID;VALUE=DATE:20260302",
    "DTSTAMP:20260101T000000Z",
    "DTSTAMP:20260101T000000",
    "LAST-MODIFIED;TZID=Europe/Berlin:20260101T000000",
    "SEQUENCE:4",
    "SEQUENCE:+4",
    "SEQUENCE:many",
    "RRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO,-1SU",
    "RRULE:FREQ=NEVER",
    "EXDATE;TZID=Europe/Berlin:20260309T090000,20260316T090000",
    "RDATE;VALUE=PERIOD:20260302T090000Z/PT1H",
    "DURATION:PT1H30M",
    "GEO:52.5;13.4",
    "CATEGORIES:Blue,Work\\, hard",
    "ATTENDEE;CN=\"Bob; B\";PARTSTAT=ACCEPTED:mailto:bob@example.com",
    "ATTENDEE:mailto:ann@example.com",
    "ORGANIZER;CN=Ann:MAILTO:ann@example.com",
    "PRIORITY:5",
    "TRIGGER:-PT15M",
    "STATUS : CONFIRMED",
)  # fmt: skip
ALARMS = (
    "TRIGGER:-PT15M", "TRIGGER:-P1W", "TRIGGER;RELATED=END:PT0S", "TRIGGER:P1DT2H3M4S",
    "TRIGGER;VALUE=DATE-TIME:20260302T080000Z", "ACTION:DISPLAY", "ACTION:AUDIO", "REPEAT:2",
    "DURATION:PT5M", "DESCRIPTION:Wake up", "X-MINE:1",
)  # fmt: skip


def calendar(event: list[str], alarm: list[str], end: str = "\r\n") -> str:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", "X-WR-CALNAME:Mine"]
    body = ["BEGIN:VEVENT", *event, "BEGIN:VALARM", *alarm, "END:VALARM", "END:VEVENT"]
    return end.join([*head, *body, "END:VCALENDAR", ""])


def rewritten(source: str) -> str:
    return "\r\n".join([*caldav_lines.written(caldav_lines.read(source)), ""])


def agrees(source: str) -> None:
    try:
        wanted = Calendar.from_ical(source).to_ical().decode()
    except (ValueError, KeyError, IndexError) as error:
        with pytest.raises(type(error)):
            caldav_lines.read(source)
        return
    assert rewritten(source) == wanted
    assert rewritten(wanted) == wanted  # folded, now


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read_and_written_as_by_icalendar(line: str) -> None:
    agrees(calendar([line], ["TRIGGER:-PT15M"]))


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(LINES), max_size=8),
    st.lists(st.sampled_from(ALARMS), max_size=5),
    st.sampled_from(["\r\n", "\n"]),
)
@example(["X-ODD;P=1:second", "X-ODD:third", "X-ODD:a"], [], "\n")
@example(["SUMMARY;LANGUAGE=de:Mittag", "SUMMARY:Lunch"], [], "\r\n")
def test_lines_are_read_and_written_as_by_icalendar(
    event: list[str], alarm: list[str], end: str
) -> None:
    agrees(calendar(event, alarm, end))


@settings(max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300))
def test_any_text_is_folded_as_by_icalendar(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    agrees(calendar([f"SUMMARY:{escaped}"], []))


@pytest.mark.parametrize(
    "source",
    [
        "BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:1\r\nEND:VTODO\r\nEND:VCALENDAR\r\n",
        "BEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\n",
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VCALENDAR\r\n",
        "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        "BEGIN:VCALENDAR\r\nno line\r\nEND:VCALENDAR\r\n",
        "BEGIN:VCALENDAR\r\n\r\nVERSION:2.0\r\n\r\n END:VCALENDAR\r\nEND:VCALENDAR\r\n",
        "begin:vcalendar\r\nversion:2.0\r\nend:vcalendar\r\n",
        "UID:1\r\n",
        "<html>\r\n",
        "\r\n",
    ],
)
def test_an_unusual_object_is_icalendars(source: str) -> None:
    agrees(source)


def test_an_answer_never_names_a_file_to_be_read() -> None:
    with pytest.raises(ValueError, match="no lines"):
        caldav_lines.read(__file__)
