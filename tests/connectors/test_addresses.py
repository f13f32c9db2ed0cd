"""Addresses that people copy from a browser name events."""

from base64 import urlsafe_b64encode

import pytest

from connectors.contract import HasAddresses
from connectors.feishu import addresses as feishu
from connectors.feishu.connector import FeishuConnector
from connectors.google import addresses as google
from connectors.google.connector import GoogleConnector


def eid(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "address",
    [
        f"https://www.google.com/calendar/event?eid={eid('abc123 ann@example.com')}",
        f"https://calendar.google.com/calendar/event?eid={eid('abc123 ann@m')}&ctz=UTC",
        f"https://calendar.google.com/calendar/u/0/r/eventedit/{eid('abc123 x@g')}",
        f" https://calendar.google.com/calendar/r/eventedit/{eid('abc123 x@g')}/ ",
    ],
)
def test_google_finds_the_event_of_an_address(address: str) -> None:
    assert google.ids_in(address) == ("abc123",)


def test_google_finds_the_series_of_an_occurrence() -> None:
    for suffix in ("_20260302T010000Z", "_20260302"):
        text = eid(f"abc123{suffix} ann@example.com")
        found = google.ids_in(f"https://www.google.com/calendar/event?eid={text}")
        assert found == (f"abc123{suffix}", "abc123")


@pytest.mark.parametrize("calendar", ["ann@example.com", "x1@group.calendar.google.com", "primary"])
def test_google_shows_what_it_finds_again(calendar: str) -> None:
    assert google.ids_in(google.address_of(calendar, "abc123")) == ("abc123",)


@pytest.mark.parametrize(
    "address",
    ["", "lunch", "https://[", "https://www.google.com/calendar/event?eid=%%%",
     "https://calendar.google.com/calendar/u/0/r/week/2026/3/2",
     f"https://www.example.com/calendar/event?eid={eid('abc123 ann@example.com')}",
     "https://applink.feishu.cn/client/calendar/view", "https://example.com/?key=1&originalTime=0",
     "https://applink.feishu.cn/client/calendar/event/detail?key=../x"],
)  # fmt: skip
def test_anything_else_names_nothing(address: str) -> None:
    assert google.ids_in(address) == ()
    assert feishu.ids_in(address) == ()


@pytest.mark.parametrize("host", ["applink.feishu.cn", "applink.larksuite.com"])
def test_feishu_finds_the_event_and_the_occurrence_of_an_app_link(host: str) -> None:
    link = f"https://{host}/client/calendar/event/detail?calendarId=7039&key=aea-c1&startTime=17"
    assert feishu.ids_in(f"{link}&originalTime=0") == ("aea-c1_0",)
    assert feishu.ids_in(f"{link}&originalTime=1700496000") == ("aea-c1_1700496000", "aea-c1_0")


def test_both_connectors_say_so() -> None:
    for kind in (FeishuConnector, GoogleConnector):
        assert issubclass(kind, HasAddresses)
