"""Calls to the Calendar API: authorized, paced, repeated where that is safe, with our errors."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

import google_auth_httplib2
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

from connectors.errors import OutcomeUnknownError, RateLimitedError, RetryableError
from connectors.google.auth import Credentials
from connectors.google.errors import (
    PROVIDER,
    UnansweredError,
    of_answer,
    of_broken_answer,
    of_unreachable,
)
from connectors.google.settings import Settings
from connectors.google.transport import FAILURES, NEVER_SENT, Connections, Http
from connectors.metering import Meter
from connectors.pacing import Pacer, with_retries

T = TypeVar("T")
Wire = dict[str, Any]

_BUDGET = "calls"
_QUOTA_USER_LENGTH = 40
_ATTEMPTS = 7
_WITHOUT_BODY = frozenset({"events.delete", "channels.stop"})


class Methods:
    """The library's request builders, by their names in the reference (`events.list`).

    The library reads through its whole description of a collection whenever it is asked for one,
    which takes longer than all the rest of a call; so each is asked for once. They hold no
    connection and may be shared by threads (google-api-python-client, "Thread Safety").
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        self._collections: dict[str, Any] = {}

    def __call__(self, operation: str) -> Callable[..., Any]:
        """What builds a request of that method."""
        collection, method = operation.split(".")
        if collection not in self._collections:
            self._collections[collection] = getattr(self._service, collection)()
        build: Callable[..., Any] = getattr(self._collections[collection], method)
        return build


def calendar_methods(settings: Settings) -> Methods:
    """The methods of the discovery document that the library ships.

    Its `rootUrl` is overwritten, rather than an endpoint passed in, so that whatever else is
    derived from the document (batches) follows.
    """
    document = json.loads(get_static_doc("calendar", "v3"))
    document["rootUrl"] = settings.api_root
    document.pop("mtlsRootUrl", None)
    return Methods(build_from_document(document, http=Http(timeout=settings.timeout_seconds)))


class Client:
    """One account's calls. Thread safe."""

    def __init__(
        self,
        *,
        settings: Settings,
        methods: Methods,
        connections: Connections,
        credentials: Credentials,
        account: str,
        pacer: Pacer,
        meter: Meter,
        sleep: Callable[[float], None],
        random: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._methods = methods
        self._connections = connections
        self._credentials = credentials
        self._pacer = pacer
        self._meter = meter
        self._sleep = sleep
        self._random = random
        self._now = now
        delegated = settings.service_account is not None
        self._common = _quota_user(account) if delegated and settings.quota_user else {}

    def read(self, operation: str, **parameters: Any) -> Wire:
        """Call a reading method, named as in the reference (`events.list`); repeat as needed."""
        return self._patiently(lambda: self._once(operation, None, False, parameters))

    def write(self, operation: str, *, version: str | None = None, **parameters: Any) -> Wire:
        """Call a writing method, under `If-Match: version` if one is given.

        Meant for writes that may be repeated: a delete, an insert under an id of our own, an
        update under a version. Raises `OutcomeUnknownError` if an answer was lost and repeating
        did not settle the matter either.
        """
        lost = False

        def attempt() -> Wire:
            nonlocal lost
            try:
                return self._once(operation, version, True, parameters)
            except UnansweredError:
                lost = True
                raise

        try:
            return self._patiently(attempt)
        except RetryableError as error:
            if not lost:
                raise
            raise OutcomeUnknownError(
                f"{error.message} Whether {operation} was done is looked up before it is repeated.",
                provider=PROVIDER,
                operation=operation,
                code=error.code,
            ) from error

    def _patiently(self, call: Callable[[], T]) -> T:
        return with_retries(
            call, sleep=self._sleep, random=self._random, attempts=_ATTEMPTS, base=1.0
        )

    def _once(
        self, operation: str, version: str | None, writing: bool, parameters: Mapping[str, Any]
    ) -> Wire:
        self._pacer.wait(_BUDGET)
        with self._meter.call("write" if writing else "read"):
            return self._called(operation, version, writing, parameters)

    def _called(
        self, operation: str, version: str | None, writing: bool, parameters: Mapping[str, Any]
    ) -> Wire:
        request = self._methods(operation)(**parameters, **self._common)
        if version is not None:
            request.headers["If-Match"] = version
        try:
            with self._connections.lent() as http:
                answer = self._answer(request, http)
        except FAILURES as error:
            detail = str(error) or type(error).__name__
            if isinstance(error, NEVER_SENT):
                raise of_unreachable(operation, detail) from error
            raise of_broken_answer(operation, writing=writing, detail=detail) from error
        except ValueError as error:
            raise of_broken_answer(operation, writing=writing, detail="not JSON") from error
        if isinstance(answer, HttpError):
            refusal = of_answer(
                int(answer.resp.status),
                answer.resp,
                answer.content,
                operation=operation,
                writing=writing,
                now=self._now(),
            )
            if isinstance(refusal, RateLimitedError):
                self._pacer.slow_down(_BUDGET, refusal.after)
            raise refusal from answer
        if isinstance(answer, dict):
            return answer
        if operation in _WITHOUT_BODY:
            return {}
        # The library hands on as text what it cannot read as JSON.
        raise of_broken_answer(operation, writing=writing, detail="not a JSON object")

    def _answer(self, request: Any, http: Http) -> Any:
        """What came; an error that Google answers leaves its connection good."""
        authorized = google_auth_httplib2.AuthorizedHttp(self._credentials, http=http)
        try:
            return request.execute(http=authorized)
        except HttpError as error:
            return error


def _quota_user(account: str) -> Mapping[str, str]:
    """Delegated calls count for the user; the parameter takes 40 characters at most."""
    if len(account) > _QUOTA_USER_LENGTH:
        account = sha256(account.encode()).hexdigest()[:_QUOTA_USER_LENGTH]
    return {"quotaUser": account}
