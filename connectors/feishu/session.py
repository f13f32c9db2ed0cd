"""Calls in the name of one identity: paced, repeated where that helps, with a valid token."""

from collections.abc import Mapping
from typing import Any, Protocol

from connectors.contract import Context
from connectors.errors import OutcomeUnknownError, RateLimitedError
from connectors.feishu.client import Call, Client, TokenKind
from connectors.feishu.errors import TOKEN_STALE, LostAnswerError, Reply, error_for
from connectors.metering import Kind, Meter
from connectors.pacing import Pacer, with_retries


class Access(Protocol):
    """Where the tokens of one identity come from."""

    @property
    def identity(self) -> TokenKind:
        """Whose tokens they are."""

    def token(self, *, stale: str = "") -> str:
        """A valid access token; never the one that Feishu just called `stale`."""


class Open:
    """For the few calls that carry their credentials in the body (docs: OAuth, tenant token)."""

    identity: TokenKind = "none"

    def token(self, *, stale: str = "") -> str:
        """None is sent."""
        return stale


class Session:
    """Every call of this connector to Feishu goes through here.

    All of them are safe to repeat (creates carry an idempotency key, deletes take absence for
    success, patches state the result), so passing faults and lost answers are retried; the answer
    to a write that stays lost is reported as `OutcomeUnknownError`.
    """

    def __init__(
        self,
        client: Client,
        access: Access,
        pacer: Pacer,
        meter: Meter,
        context: Context,
        attempts: int,
    ) -> None:
        self._client = client
        self._access = access
        self._pacer = pacer
        self._meter = meter
        self._context = context
        self._attempts = attempts

    @property
    def identity(self) -> TokenKind:
        """In whose name the calls are made."""
        return self._access.identity

    def call(self, call: Call) -> Mapping[str, Any]:
        """What stands under `data` in the successful answer. Raises `ConnectorError`s."""
        return self.reply(call).data

    def reply(self, call: Call) -> Reply:
        """The successful answer, for the few whose values do not stand under `data`."""
        try:
            return with_retries(
                lambda: self._attempt(call),
                sleep=self._context.sleep,
                random=self._context.random,
                attempts=self._attempts,
            )
        except LostAnswerError as error:
            if call.writes:
                raise OutcomeUnknownError(error.message, **error.facts) from error
            raise

    def _attempt(self, call: Call) -> Reply:
        token = self._access.token()
        reply = self._send(call, token)
        if reply.code in TOKEN_STALE:
            reply = self._send(call, self._access.token(stale=token))
        if reply.code == "0":
            return reply
        error = error_for(reply, call.operation)
        if isinstance(error, RateLimitedError):
            self._pacer.slow_down(call.operation, error.after)
        raise error

    def _send(self, call: Call, token: str) -> Reply:
        self._pacer.wait(call.operation)
        login = self._access.identity == "none"
        kind: Kind = "login" if login else "write" if call.writes else "read"
        with self._meter.call(kind) as pending:
            reply = self._client.send(call, identity=self._access.identity, token=token)
            if reply.code != "0":
                pending.failed = error_for(reply, call.operation)
            return reply
