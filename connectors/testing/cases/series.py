"""Cases about series: rules, exceptions, and what the provider makes of them."""

# ruff: noqa: D102 (the name of a case is its claim)

from contextlib import suppress

import pytest

from connectors.contract import Connector
from connectors.errors import ConflictError, OutcomeUnknownError, RejectedError, RetryableError
from connectors.testing.builders import at, cancelled, edited, event, moved, reverted
from connectors.testing.cases.base import (
    Cases,
    assert_holds,
    assert_same,
    expressible,
    fetched,
    happenings,
    projected,
    provider_happenings,
    read,
)
from connectors.testing.party import Breakage, OtherParty
from mappings.model import Key

WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=30")
FIRST, SECOND, THIRD = (Key(f"2026-03-{day}T10:00:00") for day in ("02", "09", "16"))
SUMMER = Key("2026-03-30T10:00:00")

SERIES = {
    "weekly-endless": event(rule="FREQ=WEEKLY"),
    "weekly-counted": event(rule="FREQ=WEEKLY;COUNT=10"),
    "weekly-until": event(rule="FREQ=WEEKLY;UNTIL=20260601T235959Z"),
    "working-days": event(rule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;COUNT=60"),
    "every-other-week": event(rule="FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;COUNT=20"),
    "daily": event(rule="FREQ=DAILY;COUNT=15"),
    "every-third-day": event(rule="FREQ=DAILY;INTERVAL=3;COUNT=15"),
    "monthly": event(rule="FREQ=MONTHLY;COUNT=12"),
    "month-end": event(start="2026-03-31T17:00", rule="FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=12"),
    "the-31st": event(start="2026-03-31T17:00", rule="FREQ=MONTHLY;COUNT=8"),
    "second-tuesday": event(start="2026-03-10T09:00", rule="FREQ=MONTHLY;BYDAY=2TU;COUNT=12"),
    "last-friday": event(start="2026-03-27T09:00", rule="FREQ=MONTHLY;BYDAY=-1FR;COUNT=12"),
    "yearly": event(rule="FREQ=YEARLY;COUNT=5"),
    "leap-day": event(start="2024-02-29T09:00", rule="FREQ=YEARLY;COUNT=3"),
    "over-daylight-saving": event(
        start="2026-03-16T09:00", zone="America/New_York", rule="FREQ=WEEKLY;COUNT=40"
    ),
    "in-the-gap": event(start="2026-03-27T02:30", zone="Europe/Berlin", rule="FREQ=DAILY;COUNT=5"),
    "in-the-fold": event(start="2026-10-23T02:30", zone="Europe/Berlin", rule="FREQ=DAILY;COUNT=5"),
    "southern-summer": event(
        start="2026-03-30T09:00", zone="Australia/Sydney", rule="FREQ=WEEKLY;COUNT=40"
    ),
    "just-before-midnight": event(start="2026-03-02T23:30", rule="FREQ=DAILY;COUNT=9"),
    "over-midnight": event(start="2026-03-06T22:00", minutes=300, rule="FREQ=WEEKLY;COUNT=9"),
    "all-day": event(start="2026-03-02", rule="FREQ=WEEKLY;COUNT=9"),
    "all-day-until": event(start="2026-03-02", rule="FREQ=WEEKLY;UNTIL=20260601"),
    "two-days-yearly": event(start="2026-12-31", days=2, rule="FREQ=YEARLY;COUNT=4"),
}

EXCEPTIONS = {
    "retitled": edited(WEEKLY, SECOND, title="Review with guests"),
    "moved": moved(WEEKLY, SECOND, start="2026-03-10T15:30"),
    "moved-to-another-time-that-day": moved(WEEKLY, SECOND, start="2026-03-09T16:00"),
    "moved-past-the-next-one": moved(WEEKLY, SECOND, start="2026-03-18T08:00"),
    "cancelled": cancelled(WEEKLY, SECOND),
    "first-cancelled": cancelled(WEEKLY, FIRST),
    "moved-over-daylight-saving": moved(WEEKLY, SUMMER, start="2026-03-27T10:00"),
    "several": cancelled(
        moved(edited(WEEKLY, FIRST, title="Kick-off"), SECOND, start="2026-03-10T09:00"), THIRD
    ),
    "moved-and-retitled": edited(
        moved(WEEKLY, SECOND, start="2026-03-10T15:30"), SECOND, title="Elsewhere"
    ),
    "all-day-moved": moved(
        event(start="2026-03-02", rule="FREQ=WEEKLY;COUNT=9"), Key("2026-03-09"), start="2026-03-11"
    ),
    "all-day-cancelled": cancelled(
        event(start="2026-03-02", rule="FREQ=WEEKLY;COUNT=9"), Key("2026-03-09")
    ),
}


class SeriesCases(Cases):
    """A series and its exceptions are one unit, and every occurrence stands where it should."""

    @pytest.mark.parametrize("name", [*SERIES, *EXCEPTIONS])
    def test_a_created_series_takes_place_exactly_when_asked(
        self, connector: Connector, calendar: str, key: str, name: str
    ) -> None:
        wanted = projected(connector, (SERIES | EXCEPTIONS)[name])
        try:
            made = connector.create(calendar, wanted, key)
        except RejectedError:
            assert not expressible(connector, wanted), "the limits say that this can be held"
            return
        if expressible(connector, wanted):
            assert_holds(connector, made, wanted)
        assert happenings(made.event) == happenings(wanted)
        assert_same(fetched(connector, calendar, made), made)
        assert provider_happenings(connector, calendar, made.ref) == happenings(wanted)

    def test_a_series_with_extra_dates_takes_place_exactly_when_asked_or_is_refused(
        self, connector: Connector, calendar: str, cursor: str, key: str
    ) -> None:
        wanted = projected(
            connector, event(rule="FREQ=WEEKLY;COUNT=4", rdates=("2026-03-05T09:00:00",))
        )
        try:
            made = connector.create(calendar, wanted, key)
        except RejectedError:
            assert not expressible(connector, wanted), "the limits say that this can be held"
            assert read(connector, calendar, cursor).copies == {}
            return
        assert happenings(made.event) == happenings(wanted)
        assert_same(fetched(connector, calendar, made), made)
        assert provider_happenings(connector, calendar, made.ref) == happenings(wanted)

    def test_a_series_made_with_exceptions_comes_back_in_the_delta_as_it_was_answered(
        self, connector: Connector, calendar: str, cursor: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, EXCEPTIONS["several"]), key)
        reading = read(connector, calendar, cursor)
        assert reading.named == {made.ref}
        assert_same(reading.copies[made.ref], made)
        assert connector.create(calendar, made.event, key).ref == made.ref

    @pytest.mark.parametrize("name", [name for name in EXCEPTIONS if "all-day" not in name])
    def test_exceptions_can_be_made_and_undone_on_a_standing_series(
        self, connector: Connector, calendar: str, key: str, name: str
    ) -> None:
        plain = projected(connector, WEEKLY)
        made = connector.create(calendar, plain, key)
        wanted = projected(connector, EXCEPTIONS[name])
        changed = connector.update(calendar, made, wanted)
        assert_holds(connector, changed, wanted)
        assert changed.event.overrides_by_key.keys() == wanted.overrides_by_key.keys()
        assert_same(fetched(connector, calendar, changed), changed)
        assert provider_happenings(connector, calendar, made.ref) == happenings(wanted)

    def test_a_reader_of_deltas_follows_exceptions_that_come_change_and_go(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        steps = [
            EXCEPTIONS["several"],
            edited(EXCEPTIONS["several"], SECOND, title="Third title"),
            reverted(EXCEPTIONS["several"], SECOND),
            edited(reverted(EXCEPTIONS["several"], SECOND), description="For all"),
        ]
        copy = connector.create(calendar, projected(connector, WEEKLY), key)
        reading = read(connector, calendar, None)
        for step in steps:
            copy = connector.update(calendar, copy, projected(connector, step))
            reading = read(connector, calendar, reading.cursor, reading.copies)
            assert_same(reading.copies[copy.ref], fetched(connector, calendar, copy))
            assert happenings(reading.copies[copy.ref].event) == happenings(copy.event)

    def test_an_exception_can_change_and_then_go(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        steps = [
            moved(WEEKLY, SECOND, start="2026-03-10T15:30"),
            edited(moved(WEEKLY, SECOND, start="2026-03-11T08:00"), SECOND, title="Again"),
            reverted(moved(WEEKLY, SECOND, start="2026-03-10T15:30"), SECOND),
        ]
        copy = connector.create(calendar, projected(connector, WEEKLY), key)
        for step in steps:
            wanted = projected(connector, step)
            copy = connector.update(calendar, copy, wanted)
            assert happenings(copy.event) == happenings(wanted)
            assert provider_happenings(connector, calendar, copy.ref) == happenings(wanted)
        assert_same(fetched(connector, calendar, copy), copy)

    def test_a_cancelled_occurrence_can_take_place_after_all(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, cancelled(WEEKLY, SECOND)), key)
        wanted = projected(connector, WEEKLY)
        back = connector.update(calendar, made, wanted)
        assert happenings(back.event) == happenings(wanted)
        assert provider_happenings(connector, calendar, back.ref) == happenings(wanted)

    def test_the_series_can_be_renamed_and_its_exceptions_stay(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, EXCEPTIONS["several"]), key)
        wanted = projected(connector, edited(made.event, title="Renamed"))
        changed = connector.update(calendar, made, wanted)
        assert_holds(connector, changed, wanted)
        assert provider_happenings(connector, calendar, made.ref) == happenings(wanted)

    @pytest.mark.parametrize("start", ["2026-03-02T14:00", "2026-03-04T10:00"])
    def test_the_series_can_move_and_its_exceptions_move_with_it_or_stay_as_asked(
        self, connector: Connector, calendar: str, key: str, start: str
    ) -> None:
        made = connector.create(calendar, projected(connector, EXCEPTIONS["several"]), key)
        wanted = projected(connector, moved(made.event, start=start))
        try:
            changed = connector.update(calendar, made, wanted)
        except RejectedError:
            assert not expressible(connector, wanted), "the limits say that this can be held"
            return
        assert happenings(changed.event) == happenings(wanted)
        assert_same(fetched(connector, calendar, changed), changed)
        assert provider_happenings(connector, calendar, changed.ref) == happenings(wanted)

    def test_the_rule_can_change(self, connector: Connector, calendar: str, key: str) -> None:
        made = connector.create(calendar, projected(connector, WEEKLY), key)
        other = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=DAILY;COUNT=5")
        wanted = projected(connector, other)
        changed = connector.update(calendar, made, wanted)
        assert_holds(connector, changed, wanted)
        assert provider_happenings(connector, calendar, changed.ref) == happenings(wanted)

    def test_a_single_event_can_become_a_series_and_single_again(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        single = event("Review", "2026-03-02T10:00", "Europe/Berlin")
        copy = connector.create(calendar, projected(connector, single), key)
        for step in (EXCEPTIONS["moved"], single):
            wanted = projected(connector, step)
            copy = connector.update(calendar, copy, wanted)
            assert happenings(copy.event) == happenings(wanted)
            assert provider_happenings(connector, calendar, copy.ref) == happenings(wanted)

    def test_a_timed_series_can_become_all_day(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, EXCEPTIONS["moved"]), key)
        other = event("Review", "2026-03-02", rule="FREQ=WEEKLY;COUNT=30")
        wanted = projected(connector, other)
        changed = connector.update(calendar, made, wanted)
        assert happenings(changed.event) == happenings(wanted)
        assert provider_happenings(connector, calendar, changed.ref) == happenings(wanted)

    def test_a_deleted_series_leaves_nothing_behind(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, EXCEPTIONS["several"]), key)
        before = read(connector, calendar, None)
        count = len(list(_all(connector, calendar)))
        connector.delete(calendar, made)
        connector.delete(calendar, made)
        assert connector.fetch(calendar, made.ref, [FIRST, SECOND, THIRD]) is None
        after = read(connector, calendar, before.cursor, before.copies)
        assert set(after.gone) == {made.ref}
        assert made.ref not in read(connector, calendar, None).copies
        assert len(list(_all(connector, calendar))) == count - len(happenings(made.event))

    @pytest.mark.parametrize("how", Breakage)
    def test_a_series_whose_writing_broke_off_is_completed_by_the_next_attempt(
        self,
        connector: Connector,
        calendar: str,
        cursor: str,
        key: str,
        other_party: OtherParty,
        how: Breakage,
    ) -> None:
        wanted = projected(connector, EXCEPTIONS["several"])
        other_party.break_next_write(how)
        with suppress(OutcomeUnknownError, RetryableError):
            connector.create(calendar, wanted, key)
        made = connector.create(calendar, wanted, key)
        copy = connector.update(calendar, fetched(connector, calendar, made), wanted)
        assert_holds(connector, fetched(connector, calendar, copy), wanted)
        assert read(connector, calendar, cursor).copies.keys() == {copy.ref}
        assert provider_happenings(connector, calendar, copy.ref) == happenings(wanted)

    def test_a_persons_exceptions_survive_the_bridges_edit_of_the_series(
        self, connector: Connector, calendar: str, key: str, other_party: OtherParty
    ) -> None:
        made = connector.create(calendar, projected(connector, WEEKLY), key)
        before = read(connector, calendar, None)
        other_party.edit_occurrence(made.ref, SECOND, start="2026-03-10T15:30")
        other_party.cancel_occurrence(made.ref, THIRD)
        after = read(connector, calendar, before.cursor, before.copies)
        seen = after.copies[made.ref]
        wanted = projected(connector, edited(seen.event, description="Agenda"))
        changed = connector.update(calendar, seen, wanted)
        assert changed.event.overrides_by_key.keys() == {SECOND, THIRD}
        assert_same(fetched(connector, calendar, changed), changed)
        assert provider_happenings(connector, calendar, made.ref) == happenings(changed.event)

    @pytest.mark.parametrize("before", ["plain", "moved"])
    def test_a_persons_edit_of_an_occurrence_is_not_overwritten_by_who_has_not_seen_it(
        self,
        connector: Connector,
        calendar: str,
        key: str,
        other_party: OtherParty,
        before: str,
    ) -> None:
        series = {"plain": WEEKLY, "moved": moved(WEEKLY, SECOND, start="2026-03-11T08:00")}
        made = connector.create(calendar, projected(connector, series[before]), key)
        other_party.edit_occurrence(made.ref, SECOND, title="Review with guests")
        wanted = projected(connector, moved(made.event, SECOND, start="2026-03-10T15:30"))
        if connector.capabilities.write_guard:
            with pytest.raises(ConflictError) as refused:
                connector.update(calendar, made, wanted)
            assert refused.value.current is not None
            assert_same(refused.value.current, fetched(connector, calendar, made))
        else:
            connector.update(calendar, made, wanted)
        now = connector.fetch(calendar, made.ref, [SECOND])
        assert now is not None
        shown = now.event.overrides_by_key[SECOND].details
        assert shown is not None
        assert shown.title == "Review with guests"

    def test_the_wall_clock_of_a_series_stands_over_daylight_saving(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        series = event("Early", "2026-03-16T09:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=4")
        made = connector.create(calendar, projected(connector, series), key)
        starts = [start for start, _, _ in provider_happenings(connector, calendar, made.ref)]
        assert starts == [
            "2026-03-16 08:00:00+00:00",
            "2026-03-23 08:00:00+00:00",
            "2026-03-30 07:00:00+00:00",
            "2026-04-06 07:00:00+00:00",
        ]

    def test_a_persons_series_is_read_with_its_wall_clock_and_zone(
        self, connector: Connector, calendar: str, cursor: str, other_party: OtherParty
    ) -> None:
        series = event("Early", "2026-03-16T09:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=4")
        ref = other_party.put_event(series)
        read_back = read(connector, calendar, cursor).copies[ref].event
        assert read_back.when == at("2026-03-16T09:00", "Europe/Berlin")
        assert read_back.rule == series.rule


def _all(connector: Connector, calendar: str) -> list[tuple[str, str, str]]:
    refs = read(connector, calendar, None).copies.keys()
    return provider_happenings(connector, calendar, *refs)
