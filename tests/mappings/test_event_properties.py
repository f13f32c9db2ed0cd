"""Properties of dialects and projection over random events."""

import json
import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from mappings import feishu, footer, google, recurrence, richtext, zones
from mappings.feishu import FeishuDialect
from mappings.jsonform import event_to_json
from mappings.limits import TargetLimits
from mappings.model import (
    Attachment,
    Attendee,
    AttendeeKind,
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
from mappings.projection import project

ZONES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "UTC", "Australia/Lord_Howe")
RULES = """FREQ=DAILY|FREQ=WEEKLY;BYDAY=MO,WE|FREQ=DAILY;INTERVAL=3;COUNT=9|FREQ=YEARLY
FREQ=MONTHLY;BYMONTHDAY=15|FREQ=MONTHLY;BYDAY=-1FR;COUNT=5"""
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
LINE = TEXT.map(richtext.line)
HTML = st.one_of(
    TEXT.map(richtext.from_text),
    st.sampled_from(["<b>bold</b><br>text", "x<ul><li>1</li></ul>", "two\nlines", "a & b"]),
    st.text("ab <b>/&;\n", max_size=30).map(richtext.canonical),
)
EMAIL = st.from_regex(r"[a-z]{1,5}@example\.(?:com|org)", fullmatch=True)
PERSON = st.builds(Person, email=st.none() | EMAIL, name=LINE)
ATTENDEE = st.builds(
    Attendee,
    person=PERSON,
    kind=st.sampled_from(AttendeeKind),
    optional=st.booleans(),
    organizer=st.booleans(),
    response=st.sampled_from(Response),
)
DEGREES = st.floats(-90, 90).map(lambda value: round(value, 5))
PLACE = st.builds(Location, name=LINE, address=LINE) | st.builds(
    Location, name=LINE, address=LINE, latitude=DEGREES, longitude=DEGREES
)
DETAILS = st.builds(
    Details,
    title=LINE,
    description=HTML,
    footer=st.lists(LINE.map("Note: {}".format).map(richtext.line), max_size=2).map(tuple),
    location=st.none() | PLACE,
    visibility=st.sampled_from(Visibility),
    busy=st.sampled_from(Busy),
    color=st.none() | st.integers(0, 0xFFFFFF).map("#{:06x}".format),
    reminders=st.none()
    | st.sets(st.integers(-30000, 50000), max_size=7).map(lambda values: tuple(sorted(values))),
    attendees=st.lists(ATTENDEE, max_size=3).map(tuple),
    organizer=st.none() | PERSON,
    meeting_url=st.none() | st.just("https://meet.example.com/1?a=1&b=2"),
    attachments=st.lists(
        st.builds(Attachment, name=LINE, url=st.just("https://files.example.com/1")), max_size=2
    ).map(tuple),
    status=st.sampled_from(Status),
    response=st.none() | st.sampled_from(Response),
    redacted=st.booleans(),
)
SECONDS = st.integers(0, 200_000).map(lambda value: timedelta(seconds=value))


@st.composite
def whens(draw: st.DrawFn, *, all_day: bool | None = None) -> When:
    """A date, or a wall clock that the clocks of its zone really show."""
    if draw(st.booleans()) if all_day is None else all_day:
        days = timedelta(days=draw(st.integers(0, 9)))
        return When(start=draw(st.dates(date(1960, 1, 1), date(2040, 12, 31))), duration=days)
    zone = draw(st.sampled_from(ZONES))
    bounds = [datetime.fromisoformat(text) for text in ("1960-01-01", "2040-12-31")]
    drawn = draw(st.datetimes(*bounds)).replace(microsecond=0, fold=0)
    wall, fold = zones.wall(zones.instant(drawn, zone, draw(st.integers(0, 1))), zone)
    end_zone = draw(st.none() | st.sampled_from([name for name in ZONES if name != zone]))
    return When(start=wall, duration=draw(SECONDS), zone=zone, end_zone=end_zone, fold=fold)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """A single event, or a series with exceptions."""
    event = Event(details=draw(DETAILS), when=draw(whens()), uid=draw(st.none() | LINE))
    text = draw(st.none() | st.sampled_from(re.split(r"[|\n]", RULES)))
    if text is None:
        return event
    event = recurrence.rebase(replace(event, rule=recurrence.parse_rule(text, event.when)))
    keys = list(recurrence.keys(event.rule, (), event.when, limit=8))
    chosen = draw(st.lists(st.sampled_from(keys), max_size=3, unique=True))
    overrides = tuple(draw(exceptions(event, key)) for key in chosen)
    return recurrence.tidy(replace(event, overrides=overrides))


@st.composite
def exceptions(draw: st.DrawFn, event: Event, key: Key) -> Override:
    """A removed or changed occurrence."""
    if draw(st.booleans()):
        return Override(key=key, cancelled=True)
    when = draw(st.just(recurrence.when_of(event, key)) | whens(all_day=event.when.all_day))
    return Override(key=key, details=draw(DETAILS), when=when)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy whose filters let most events through."""
    return Policy(
        content=draw(st.sampled_from(Content)),
        attendees=draw(st.sampled_from(AttendeePolicy)),
        reminders=draw(st.booleans()),
        color=draw(st.booleans()),
        origin_note=draw(st.booleans()),
        filters=Filters(skip_declined=draw(st.booleans())),
    )


TIGHT = TargetLimits(
    title_length=8,
    description_length=300,
    location_length=6,
    html=False,
    address=False,
    coordinates=False,
    colors=False,
    reminders=1,
    default_reminders=False,
    visibilities=frozenset({Visibility.DEFAULT}),
    busy=frozenset({Busy.BUSY}),
    statuses=False,
    end_zone=False,
    max_duration=timedelta(days=1),
)
LIMITS = st.sampled_from([google.LIMITS, feishu.LIMITS, TIGHT])
SWITCHES = st.sampled_from(
    [FeishuDialect(), FeishuDialect(read_end="inclusive", write_end="exclusive")]
)


def held(event: Event, limits: TargetLimits) -> Event:
    """The event as the target can hold it."""
    projection = project(event, Policy(filters=Filters(skip_declined=False)), limits)
    assume(projection.event is not None)
    assert projection.event is not None
    return projection.event


def feishu_shows(body: dict[str, Any], id_: str, switches: FeishuDialect) -> dict[str, Any]:
    """What Feishu answers to a body: the same, with an id and its own idea of an end date."""
    wire = body | {"event_id": id_}
    if "date" in wire["end_time"] and switches.read_end != switches.write_end:
        step = timedelta(days=1 if switches.read_end == "exclusive" else -1)
        end = date.fromisoformat(wire["end_time"]["date"]) + step
        wire["end_time"] = wire["end_time"] | {"date": end.isoformat()}
    return wire


def nameless(event: Event) -> bool:
    """Feishu demands a name for a place, so that one without takes its address for it."""
    details = [event.details, *(item.details for item in event.overrides if item.details)]
    return any(
        item.location is not None
        and (item.location == Location() or (not item.location.name and item.location.address)
             or (item.location.latitude == item.location.longitude == 0))
        for item in details
    )  # fmt: skip


@given(events(), SWITCHES)
def test_feishu_reads_back_what_it_can_hold(event: Event, switches: FeishuDialect) -> None:
    event = held(event, feishu.LIMITS)
    assume(not nameless(event))
    wire = feishu_shows(feishu.encode(event, switches), "7c1e2f_0", switches)
    read = feishu.decode(wire, switches)
    assert replace(event, overrides=()) == normal_colors(read, event)
    assert feishu.encode_changes(read, replace(event, overrides=()), switches).keys() <= {
        "color", "need_notification"
    }  # fmt: skip
    for override in event.overrides:
        id_ = feishu.occurrence_id("7c1e2f_0", override.key, event.when)
        if override.cancelled:
            wire = {"event_id": id_, "status": "cancelled"}
            assert feishu.decode_override(wire, event.when, switches) == override
            continue
        assert override.details is not None
        assert override.when is not None
        single = Event(details=override.details, when=override.when)
        wire = feishu_shows(feishu.encode(single, switches), id_, switches)
        again = feishu.decode_override(wire, event.when, switches)
        assert again.key == override.key
        assert again.when == override.when


def normal_colors(read: Event, written: Event) -> Event:
    """White cannot be told from "no colour" and comes back a shade darker."""
    if written.details.color == "#ffffff" and read.details.color == "#fffffe":
        return replace(read, details=replace(read.details, color="#ffffff"))
    return read


@given(events())
def test_google_reads_back_what_it_can_hold(event: Event) -> None:
    event = held(event, google.LIMITS)
    assume(event.details.location != Location())
    body = google.encode(event, id="abcde", origin_mark="m")
    removed = tuple(override for override in event.overrides if override.cancelled)
    assert google.decode(body) == replace(event, overrides=removed)
    assert google.merge_into(body, google.decode(body), google.decode(body)) == body
    for override in event.overrides:
        if override.cancelled:
            continue
        instance = google.encode_override(body, event, override)
        instance |= {"recurringEventId": "abcde", "originalStartTime": original(override, event)}
        assert google.decode_override(instance, event.when).key == override.key
        assert google.decode_override(instance, event.when).when == override.when


def original(override: Override, event: Event) -> dict[str, str]:
    """How Google names the original start of an occurrence."""
    if event.when.all_day:
        return {"date": override.key}
    zone = event.when.zone or "UTC"
    fold = event.when.fold if override.key == event.when.key else 0
    start = zones.instant(datetime.fromisoformat(override.key), zone, fold)
    return {"dateTime": start.isoformat(), "timeZone": zone}


@given(events(), events())
def test_an_update_leads_from_any_event_to_any_other(old: Event, new: Event) -> None:
    old, new = held(old, google.LIMITS), held(new, google.LIMITS)
    assume(Location() not in (old.details.location, new.details.location))
    old = replace(old, overrides=tuple(item for item in old.overrides if item.cancelled))
    new = replace(new, overrides=tuple(item for item in new.overrides if item.cancelled))
    wire = google.encode(old, id="abcde", origin_mark="m") | {"foreign": {"kept": True}}
    body = google.merge_into(wire, old, new)
    assert google.decode(body) == new
    assert body["foreign"] == {"kept": True}
    assert google.origin(body) == "m"


@given(events(), policies(), LIMITS)
def test_projecting_twice_changes_nothing_but_the_footer(
    event: Event, policy: Policy, limits: TargetLimits
) -> None:
    once = project(event, policy, limits, origin="Work").event
    assume(once is not None)
    assert once is not None
    twice = project(once, replace(policy, origin_note=False), limits).event
    assert twice is not None
    kept = tuple(
        replace(override, details=replace(override.details, footer=()))
        if override.details is not None
        else override
        for override in once.overrides
    )
    bare = replace(once, details=replace(once.details, footer=()), overrides=kept)
    assert twice == recurrence.tidy(bare)


@given(events(), policies(), LIMITS)
def test_a_projection_respects_every_limit(
    event: Event, policy: Policy, limits: TargetLimits
) -> None:
    result = project(event, policy, limits, origin="Work").event
    assume(result is not None)
    assert result is not None
    assert result == recurrence.tidy(result)
    shown = [(result.details, result.when)]
    shown += [(item.details, item.when) for item in result.overrides if item.details and item.when]
    for details, when in shown:
        assert len(details.title) <= (limits.title_length or 10**9)
        text = footer.join(details.description, details.footer)
        assert len(text) <= (limits.description_length or 10**9)
        assert limits.html or not richtext.has_markup(text)
        assert details.busy in limits.busy
        assert details.visibility in limits.visibilities
        assert limits.statuses or details.status is Status.CONFIRMED
        assert limits.coordinates or details.location is None or details.location.latitude is None
        assert limits.colors or details.color is None
        assert details.reminders is not None or limits.default_reminders
        low, high = limits.reminder_range
        assert all(low <= minutes <= high for minutes in details.reminders or ())
        assert len(details.reminders or ()) <= (limits.reminders or 10**9)
        assert not details.attendees or policy.attendees is AttendeePolicy.INVITE
        assert when.duration > timedelta(0)
        assert when.end_zone is None or limits.end_zone
        assert not details.redacted


def salted(event: Event, salt: str) -> Event:
    """The event with a secret in every text that it has."""

    def person(someone: Person) -> Person:
        return Person(email=f"{salt}@example.com", name=salt + someone.name)

    def details(given: Details) -> Details:
        return replace(
            given,
            title=salt + given.title,
            description=richtext.canonical(f"{salt} {given.description}"),
            footer=(salt, *given.footer),
            location=Location(name=salt, address=salt, latitude=12.34567, longitude=12.34567),
            color="#5eC4e7",
            attendees=tuple(replace(item, person=person(item.person)) for item in given.attendees),
            organizer=person(given.organizer or Person()),
            meeting_url=f"https://example.com/{salt}",
            attachments=(Attachment(name=salt, url=f"https://example.com/{salt}"),),
        )

    overrides = tuple(
        replace(item, details=details(item.details)) if item.details else item
        for item in event.overrides
    )
    return replace(event, details=details(event.details), overrides=overrides, uid=salt)


@given(events(), policies(), LIMITS)
def test_masked_content_never_leaks(event: Event, policy: Policy, limits: TargetLimits) -> None:
    secret = "s3cret"
    masked = replace(policy, content=Content.BUSY)
    projection = project(salted(event, secret), masked, limits, origin=secret)
    text = repr(projection)
    if projection.event is not None:
        text += json.dumps(event_to_json(projection.event))
        text += json.dumps(feishu.encode(projection.event))
        text += json.dumps(google.encode(projection.event, id="abcde", origin_mark="m"))
    for hidden in (secret, "12.34567", "#5ec4e7"):
        assert hidden not in text.lower()
