"""A rule as people say it."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.testing.builders import at
from mappings.errors import UnmappableError
from mappings.recurrence import parse_rule
from mappings.rule_words import in_words
from tests.mappings.test_rule_normal import rules

if TYPE_CHECKING:
    from mappings.model import Rule

START = at("2026-03-04T09:00")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FREQ=DAILY", "every day"),
        ("FREQ=DAILY;INTERVAL=3;COUNT=4", "every 3 days until 2026-03-13 (4 times)"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "every week on Monday, Wednesday, Friday"),
        ("FREQ=WEEKLY;UNTIL=20260401T120000Z", "every week on Wednesday until 2026-04-01"),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,WE;WKST=SU",
            "every 2 weeks on Wednesday, Sunday in weeks from Sunday",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15,-1", "every month on day 1, day 15, the last day"),
        ("FREQ=MONTHLY;BYDAY=1MO,-2FR", "every month on the first Monday, the second last Friday"),
        ("FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR", "every month on day 13 if it is Friday"),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "every month on the last of Monday, Tuesday, Wednesday, Thursday, Friday",
        ),
        ("FREQ=YEARLY", "every year on day 4 in March"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;WKST=MO"),
        ("FREQ=HOURLY;INTERVAL=6;COUNT=3", "FREQ=HOURLY;INTERVAL=6 until 2026-03-04 (3 times)"),
    ],
)
def test_a_rule_is_told_in_words(text: str, words: str) -> None:
    rule = parse_rule(text, START)
    assert rule is not None
    assert in_words(rule) == words


@settings(max_examples=100, deadline=None)
@given(st.sets(rules(), min_size=2, max_size=12))
def test_what_is_told_the_same_is_the_same(texts: set[str]) -> None:
    told: dict[str, Rule] = {}
    for text in texts:
        try:
            rule = parse_rule(text, START)
        except UnmappableError:
            continue
        assert rule is not None
        assert told.setdefault(in_words(rule), rule) == rule
