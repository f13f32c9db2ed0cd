import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from mappings import feishu, footer, google, recurrence
from mappings.jsonform import event_to_json
from mappings.limits import TargetLimits
from mappings.model import (
    Attachment,
    Attendee,
    Busy,
    Details,
    Event,
    Key,
    Location,
    Override,
    Person,
    Response,
    Status,
    Visibility,
    When,
)
from mappings.policy import AttendeePolicy, Content, Filters, Policy
from mappings.projection import LISTED_ATTENDEES, project

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ROOMY = TargetLimits(meeting_url=True, attachments=True, responses=True, busy=frozenset(Busy))
ALICE = Person(email="alice@example.com", name="Alice")
BOB = Person(email="bob@example.com")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


WHEN = When(start=at("2027-02-01T09:00"), duration=HOUR, zone="Asia/Shanghai")
FULL = Details(
    title="Planning",
    description="Agenda: <b>budget</b>",
    location=Location(name="Room 1", address="1 Road", latitude=31.2, longitude=121.4),
    visibility=Visibility.PRIVATE,
    busy=Busy.AWAY,
    color="#ff0000",
    reminders=(-5, 10, 30),
    attendees=(
        Attendee(person=BOB, optional=True, response=Response.TENTATIVE),
        Attendee(person=ALICE, organizer=True, response=Response.ACCEPTED),
    ),
    organizer=ALICE,
    meeting_url="https://meet.example.com/1",
    attachments=(Attachment(name="plan.pdf", url="https://files.example.com/1"),),
    status=Status.TENTATIVE,
    response=Response.ACCEPTED,
)


def shown(
    details: Details, limits: TargetLimits = ROOMY, when: When = WHEN, **policy: Any
) -> tuple[Details, set[str]]:
    """The projected details and the names of the lost fields."""
    projection = project(Event(details=details, when=when), Policy(**policy), limits)
    assert projection.event is not None
    return projection.event.details, {loss.field for loss in projection.losses}


def fitted(when: When, limits: TargetLimits) -> tuple[When, set[str]]:
    """The projected time and the names of the lost fields."""
    projection = project(Event(details=Details(), when=when), Policy(), limits)
    assert projection.event is not None
    return projection.event.when, {loss.field for loss in projection.losses}


def test_a_target_that_holds_everything_loses_nothing() -> None:
    details, lost = shown(FULL, attendees=AttendeePolicy.INVITE)
    assert details == replace(FULL, response=None)  # one's own answer is no part of the event
    assert lost == set()


@pytest.mark.parametrize(
    ("changes", "limits", "expected", "lost"),
    [
        ({"title": "a" * 11}, {"title_length": 10}, {"title": "a" * 9 + "…"}, "title"),
        ({"description": "b" * 99}, {"description_length": 50},
         {"description": "b" * 49 + "…"}, "description"),
        ({"description": "<b>x</b><br>y"}, {"html": False}, {"description": "x\ny"}, "description"),
        ({"location": Location(name="c" * 9)}, {"location_length": 5},
         {"location": Location(name="cccc…")}, "location"),
        ({"location": Location(name="R", latitude=1.5, longitude=2.5)}, {"coordinates": False},
         {"location": Location(name="R")}, "location"),
        ({"location": Location(latitude=1.5, longitude=2.5)}, {"coordinates": False},
         {"location": Location(name="1.5, 2.5")}, "location"),
        ({"location": Location(name="R", address="1 Road")}, {"address": False},
         {"location": Location(name="R, 1 Road")}, None),
        ({"location": Location(name="R, 1 Road", address="1 Road")}, {"address": False},
         {"location": Location(name="R, 1 Road")}, None),
        ({"color": "#ff0000"}, {"colors": False}, {"color": None}, "color"),
        ({"color": "#ff0000"}, {"palette": google.PALETTE}, {"color": "#dc2127"}, "color"),
        ({"color": "#DC2127"}, {"palette": google.PALETTE}, {"color": "#dc2127"}, None),
        ({"reminders": (5, 10, 30)}, {"reminders": 2}, {"reminders": (5, 10)}, "reminders"),
        ({"reminders": (-5, 10)}, {"reminder_range": (0, 60)}, {"reminders": (10,)}, "reminders"),
        ({"reminders": None}, {"default_reminders": False}, {"reminders": ()}, "reminders"),
        ({"reminders": ()}, {"default_reminders": False}, {"reminders": ()}, None),
        ({"visibility": Visibility.PUBLIC}, {"visibilities": frozenset({Visibility.DEFAULT})},
         {"visibility": Visibility.DEFAULT}, "visibility"),
        ({"busy": Busy.AWAY}, {"busy": frozenset({Busy.BUSY, Busy.FREE})},
         {"busy": Busy.BUSY}, "busy"),
        ({"busy": Busy.ELSEWHERE}, {"busy": frozenset({Busy.BUSY, Busy.FREE})},
         {"busy": Busy.FREE}, "busy"),
        ({"busy": Busy.FREE}, {"busy": frozenset({Busy.BUSY})}, {"busy": Busy.BUSY}, "busy"),
        ({"status": Status.TENTATIVE}, {"statuses": False},
         {"status": Status.CONFIRMED}, "status"),
    ],
)  # fmt: skip
def test_what_a_target_cannot_hold_is_fitted_and_recorded(
    changes: dict[str, Any], limits: dict[str, Any], expected: dict[str, Any], lost: str | None
) -> None:
    details, losses = shown(replace(Details(), **changes), replace(ROOMY, **limits))
    assert details == replace(Details(), **expected)
    assert losses == ({lost} if lost else set())


@pytest.mark.parametrize(
    ("when", "limits", "expected", "lost"),
    [
        (replace(WHEN, duration=timedelta(0)), ROOMY, replace(WHEN, duration=HOUR / 60), True),
        (replace(WHEN, duration=timedelta(0)), replace(ROOMY, zero_duration=True),
         replace(WHEN, duration=timedelta(0)), False),
        (When(start=date(2027, 2, 1), duration=timedelta(0)), replace(ROOMY, zero_duration=True),
         When(start=date(2027, 2, 1), duration=DAY), True),
        (replace(WHEN, duration=3 * DAY), replace(ROOMY, max_duration=DAY),
         replace(WHEN, duration=DAY), True),
        (replace(WHEN, end_zone="Asia/Tokyo"), replace(ROOMY, end_zone=False), WHEN, True),
        (replace(WHEN, end_zone="Asia/Tokyo"), ROOMY, replace(WHEN, end_zone="Asia/Tokyo"), False),
    ],
)  # fmt: skip
def test_times_are_fitted_and_recorded(
    when: When, limits: TargetLimits, expected: When, lost: bool
) -> None:
    assert fitted(when, limits) == (expected, {"when"} if lost else set())


@pytest.mark.parametrize(
    ("start", "reason"), [("1965-03-04T09:00", "earlier"), ("2600-01-01T09:00", "later")]
)
def test_years_that_the_target_does_not_know_are_skipped_aloud(start: str, reason: str) -> None:
    event = Event(details=FULL, when=replace(WHEN, start=at(start)))
    projection = project(event, Policy(), feishu.LIMITS)
    assert projection.event is None
    assert reason in projection.skipped
    assert [loss.field for loss in projection.losses] == ["when"]


def test_a_series_from_before_the_targets_first_year_begins_there() -> None:
    when = When(start=date(1965, 3, 4), duration=DAY)
    event = Event(
        details=Details(title="Birthday", reminders=()),
        when=when,
        rule=recurrence.parse_rule("FREQ=YEARLY", when),
        overrides=(
            Override(key=Key("1966-03-04"), cancelled=True),
            Override(key=Key("2027-03-04"), cancelled=True),
        ),
    )
    projection = project(event, Policy(), feishu.LIMITS)
    assert projection.event is not None
    assert projection.event.when.start == date(1970, 3, 4)
    assert [override.key for override in projection.event.overrides] == ["2027-03-04"]
    assert [loss.field for loss in projection.losses] == ["when"]
    assert project(projection.event, Policy(), feishu.LIMITS).event == projection.event


# What people decide


@pytest.mark.parametrize(
    ("filters", "details", "skipped"),
    [
        ({}, {"response": Response.DECLINED}, "declined"),
        ({"skip_declined": False}, {"response": Response.DECLINED}, ""),
        ({"only_busy": True}, {"busy": Busy.FREE}, "free"),
        ({"only_busy": True}, {"busy": Busy.TENTATIVE}, ""),
        ({"skip_titles": ("^lunch",)}, {"title": "Lunch with Bob"}, "title"),
        ({"skip_titles": ("^lunch",)}, {"title": "After lunch"}, ""),
    ],
)
def test_filters_keep_units_away(
    filters: dict[str, Any], details: dict[str, Any], skipped: str
) -> None:
    event = Event(details=replace(Details(), **details), when=WHEN)
    projection = project(event, Policy(filters=Filters(**filters)), ROOMY)
    assert projection.skipped.startswith(skipped)
    assert bool(projection.skipped) == bool(skipped) == (projection.event is None)


def test_all_day_events_can_be_filtered() -> None:
    event = Event(details=FULL, when=When(start=date(2027, 2, 1), duration=DAY))
    assert project(event, Policy(filters=Filters(skip_all_day=True)), ROOMY).skipped == "all-day"


def series(*overrides: Override, **details: Any) -> Event:
    return Event(
        details=replace(FULL, **details),
        when=WHEN,
        rule=recurrence.parse_rule("FREQ=WEEKLY;BYDAY=MO", WHEN),
        overrides=overrides,
    )


def override(day: str, **details: Any) -> Override:
    when = replace(WHEN, start=at(f"{day}T09:00"))
    return Override(key=when.key, details=replace(FULL, **details), when=when)


def test_a_declined_occurrence_is_not_there() -> None:
    event = series(override("2027-02-08", response=Response.DECLINED))
    projection = project(event, Policy(), ROOMY)
    assert projection.event is not None
    assert projection.event.overrides == (Override(key=Key("2027-02-08T09:00:00"), cancelled=True),)


def test_occurrences_are_fitted_like_the_series() -> None:
    event = series(override("2027-02-08", title="x" * 2000, color="#00ff00"))
    projection = project(event, Policy(), google.LIMITS)
    assert projection.event is not None
    (changed,) = projection.event.overrides
    assert changed.details is not None
    assert len(changed.details.title) == 1024
    assert changed.details.attendees == ()
    assert {loss.field for loss in projection.losses} >= {"title", "color", "location", "busy"}


def test_an_occurrence_that_differs_only_in_what_is_hidden_follows_the_rule() -> None:
    event = series(override("2027-02-08", description="secret"))
    projection = project(event, Policy(content=Content.TITLE), ROOMY)
    assert projection.event is not None
    assert projection.event.overrides == ()


SECRET = "s3cret"
SECRETIVE = Details(
    title=SECRET,
    description=f"{SECRET} <b>{SECRET}</b>",
    footer=(SECRET,),
    location=Location(name=SECRET, address=SECRET, latitude=12.34567, longitude=12.34567),
    color="#123456",
    reminders=(7,),
    attendees=(Attendee(person=Person(email=f"{SECRET}@example.com", name=SECRET)),),
    organizer=Person(email=f"{SECRET}@example.com", name=SECRET),
    meeting_url=f"https://example.com/{SECRET}",
    attachments=(Attachment(name=SECRET, url=f"https://example.com/{SECRET}"),),
    visibility=Visibility.PRIVATE,
)


@pytest.mark.parametrize("attendees", list(AttendeePolicy))
@pytest.mark.parametrize("limits", [ROOMY, google.LIMITS, feishu.LIMITS])
@pytest.mark.parametrize("redacted", [False, True])
def test_a_mask_hides_everything_but_the_time(
    attendees: AttendeePolicy, limits: TargetLimits, redacted: bool
) -> None:
    moved = replace(WHEN, start=at("2027-02-08T11:00"))
    event = Event(
        details=replace(SECRETIVE, redacted=redacted),
        when=WHEN,
        rule=recurrence.parse_rule("FREQ=WEEKLY;BYDAY=MO", WHEN),
        overrides=(Override(key=Key("2027-02-08T09:00:00"), details=SECRETIVE, when=moved),),
        uid=SECRET,
    )
    policy = Policy(
        content=Content.BUSY, attendees=attendees, origin_note=True, busy_title="Occupied"
    )
    projection = project(event, policy, limits, origin=SECRET)
    assert projection.event is not None
    text = json.dumps(event_to_json(projection.event)) + repr(projection)
    assert SECRET not in text
    assert "12.34567" not in text
    assert projection.event.details == Details(
        title="Occupied",
        visibility=Visibility.PRIVATE,
        reminders=None if limits.default_reminders else (),
    )
    (occurrence,) = projection.event.overrides
    assert (occurrence.details, occurrence.when) == (projection.event.details, moved)


def test_titles_only_shows_titles_only() -> None:
    details, _ = shown(replace(SECRETIVE, title="Open"), content=Content.TITLE, origin_note=True)
    assert details == Details(title="Open", visibility=Visibility.PRIVATE)


def test_withheld_details_show_as_busy_in_every_mode() -> None:
    for content in Content:
        details, _ = shown(Details(redacted=True), content=content, busy_title="Occupied")
        assert details == Details(title="Occupied")


def test_a_redacted_occurrence_is_masked_alone() -> None:
    event = series(override("2027-02-08", title="", redacted=True))
    projection = project(event, Policy(), ROOMY)
    assert projection.event is not None
    (changed,) = projection.event.overrides
    assert changed.details == Details(title="Busy", busy=Busy.AWAY, visibility=Visibility.PRIVATE,
                                      status=Status.TENTATIVE)  # fmt: skip
    assert projection.event.details.title == "Planning"


def test_attendees_are_listed_in_the_footer_by_default() -> None:
    details, lost = shown(FULL, google.LIMITS)
    assert details.footer == (
        "Join: https://meet.example.com/1",
        "Organiser: Alice <alice@example.com>",
        "Attendee: bob@example.com (maybe, optional)",
        "Attachment: plan.pdf https://files.example.com/1",
    )
    assert (details.attendees, details.organizer, details.response) == ((), None, None)
    assert (details.meeting_url, details.attachments) == (None, ())
    assert lost == {"location", "color", "reminders", "busy"}


def test_the_order_of_the_attendees_makes_no_difference() -> None:
    turned = replace(FULL, attendees=FULL.attendees[::-1])
    assert shown(FULL, google.LIMITS) == shown(turned, google.LIMITS)


def test_attendees_can_be_left_out() -> None:
    details, _ = shown(FULL, attendees=AttendeePolicy.NONE)
    assert (details.footer, details.attendees, details.organizer) == ((), (), None)


def test_only_an_invite_policy_lets_attendees_through() -> None:
    for policy in AttendeePolicy:
        details, _ = shown(FULL, google.LIMITS, attendees=policy)
        assert bool(details.attendees) == (policy is AttendeePolicy.INVITE)


def test_an_event_without_attendees_gets_no_footer() -> None:
    details, _ = shown(replace(FULL, attendees=(), meeting_url=None, attachments=()))
    assert details.footer == ()


def test_many_attendees_are_counted() -> None:
    crowd = tuple(
        Attendee(person=Person(email=f"guest{number:03}@example.com")) for number in range(80)
    )
    details, _ = shown(replace(FULL, attendees=crowd))
    assert len(details.footer) == LISTED_ATTENDEES + 2
    assert details.footer[-1] == "Attendees: 30 more"


def test_description_and_footer_fit_together() -> None:
    limits = replace(google.LIMITS, description_length=400)
    details, lost = shown(replace(FULL, description="<b>" + "word " * 200 + "</b>"), limits)
    text = footer.join(details.description, details.footer)
    assert 300 < len(text) <= 400
    assert details.description.startswith("<b>word word")
    assert "description" in lost


def test_the_bridges_own_lines_do_not_travel_on() -> None:
    details, _ = shown(replace(Details(), description="text", footer=("Organiser: Eve",)))
    assert details == Details(description="text")


def test_the_origin_is_noted_if_wished() -> None:
    event = Event(details=Details(), when=WHEN)
    for wished, lines in ((True, ("Copied from: Work",)), (False, ())):
        projection = project(event, Policy(origin_note=wished), ROOMY, origin="Work")
        assert projection.event is not None
        assert projection.event.details.footer == lines


def test_reminders_and_colours_can_stay_at_home() -> None:
    details, lost = shown(FULL, reminders=False, color=False)
    assert (details.reminders, details.color) == (None, None)
    assert lost == set()
    details, lost = shown(FULL, replace(ROOMY, default_reminders=False), reminders=False)
    assert details.reminders == ()
    assert lost == set()


@pytest.mark.parametrize(
    ("rule", "left"), [("FREQ=DAILY;COUNT=2", False), ("FREQ=DAILY;COUNT=3", True),
                       ("FREQ=DAILY", True)],
)  # fmt: skip
def test_a_series_of_which_nothing_is_left_does_not_appear(rule: str, left: bool) -> None:
    gone = ("2027-02-01T09:00:00", "2027-02-02T09:00:00")
    event = Event(
        details=FULL,
        when=WHEN,
        rule=recurrence.parse_rule(rule, WHEN),
        overrides=tuple(Override(key=Key(key), cancelled=True) for key in gone),
    )
    projection = project(event, Policy(), ROOMY)
    assert (projection.event is not None) == left
    assert bool(projection.skipped) != left
