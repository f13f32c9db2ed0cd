"""The real client libraries of Google, alone, against the sandbox."""

import copy
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import googleapiclient
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from connectors.sandbox.google import GoogleSandbox

ALICE, BOB = "alice@example.com", "bob@example.com"
SCOPE = "https://www.googleapis.com/auth/calendar"


@lru_cache
def _document() -> dict[str, Any]:
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    return json.loads((folder / "calendar.v3.json").read_text(encoding="utf-8"))


def service_for(sandbox: GoogleSandbox, credentials: Any) -> Any:
    """The client library with every address of its document on the sandbox."""
    document = copy.deepcopy(_document())
    document["rootUrl"] = sandbox.url + "/"
    document["baseUrl"] = sandbox.url + "/calendar/v3/"
    service = build_from_document(document, credentials=credentials)
    assert service._baseUrl.startswith(sandbox.url)
    assert service.new_batch_http_request()._batch_uri.startswith(sandbox.url)
    return service


@pytest.fixture
def sandbox() -> Iterator[GoogleSandbox]:
    with GoogleSandbox(limits=False) as running:
        running.add_user(ALICE, zone="Europe/Berlin")
        running.add_user(BOB, zone="Asia/Shanghai")
        yield running


@pytest.fixture
def connect(sandbox: GoogleSandbox) -> Iterator[Callable[..., Any]]:
    """A service with given credentials; closed at the end."""
    opened = []

    def _connect(credentials: Any) -> Any:
        opened.append(service_for(sandbox, credentials))
        return opened[-1]

    yield _connect
    for service in opened:
        service.close()


@pytest.fixture
def client(sandbox: GoogleSandbox, connect: Callable[..., Any]) -> Callable[..., Any]:
    """A service for a user who consented."""

    def _client(email: str = ALICE, scopes: tuple[str, ...] = (SCOPE,)) -> Any:
        app = sandbox.oauth_client()["installed"]
        token = sandbox.grant(email, client_id=app["client_id"], scopes=scopes)
        return connect(
            Credentials(
                None,
                refresh_token=token,
                token_uri=app["token_uri"],
                client_id=app["client_id"],
                client_secret=app["client_secret"],
            )
        )

    return _client


@pytest.fixture
def alice(client: Callable[..., Any]) -> Any:
    return client(ALICE)


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """Execute a request that must be refused; the first error with the status."""

    def _refused(request: Any) -> dict[str, Any]:
        with pytest.raises(HttpError) as caught:
            request.execute()
        error = json.loads(caught.value.content)["error"]
        assert error["code"] == caught.value.resp.status
        return {"status": error["code"]} | error["errors"][0]

    return _refused


@pytest.fixture
def timed() -> Callable[..., dict[str, Any]]:
    """The body of a timed event."""

    def _timed(
        start: str = "2027-03-01T09:00:00",
        end: str = "2027-03-01T10:00:00",
        zone: str = "Europe/Berlin",
        **fields: Any,
    ) -> dict[str, Any]:
        return {
            "summary": "Standup",
            "start": {"dateTime": start, "timeZone": zone},
            "end": {"dateTime": end, "timeZone": zone},
        } | fields

    return _timed


@pytest.fixture
def all_day() -> Callable[..., dict[str, Any]]:
    """The body of an all-day event."""

    def _all_day(first: str = "2027-03-01", after: str = "2027-03-02", **f: Any) -> dict[str, Any]:
        return {"summary": "Leave", "start": {"date": first}, "end": {"date": after}} | f

    return _all_day
