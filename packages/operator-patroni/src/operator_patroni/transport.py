"""HTTP to one Patroni endpoint: bounded in time and size, every failure told apart."""

import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus

import httpx
from pydantic import JsonValue

from operator_core.call_failures import (
    FailureKind,
    GarbageError,
    NoAnswerError,
    NotSentError,
    no_connection,
    read_bounded,
)
from operator_core.plugin_settings import Credentials
from operator_core.tls import machine_tls
from operator_core.types import JsonObject
from operator_patroni.failures import failure_from_answer

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""No answer that Operator asks for is nearly as long; what is longer is not Patroni's."""

_GOOD = {HTTPStatus.OK, HTTPStatus.ACCEPTED}


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for Patroni, in seconds."""

    connect_seconds: float = 1.0
    read_seconds: float = 3.0
    effect_seconds: float = 15.0
    """A change of the configuration, or the start of something that goes on by itself."""
    move_seconds: float = 90.0
    """A switchover or a restart. Patroni gives up on a switchover after 20 s and says so."""


@dataclass(frozen=True)
class Answer:
    """What came back, with any HTTP status."""

    status: int
    text: str


class Transport:
    """One connection pool for all members of a cluster."""

    def __init__(
        self,
        timeouts: Timeouts,
        tls: ssl.SSLContext | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """Take the time limits, for https the TLS context, and who Operator is to Patroni."""
        self.timeouts = timeouts
        # The environment's proxies are for the internet, not for the cluster next door.
        self._http = httpx.AsyncClient(trust_env=False, verify=tls or machine_tls())
        self._credentials = credentials

    def _auth(self) -> httpx.Auth | None:
        """Return who Operator is, which is told only where something is to be changed."""
        return httpx.BasicAuth(*self._credentials()) if self._credentials else None

    async def read(self, endpoint: str, path: str) -> JsonValue:
        """Return what a page of Patroni says, as JSON.

        Raises:
            CallFailure: in one of its forms.
        """
        answer = await self._send("GET", endpoint, path, None, self.timeouts.read_seconds)
        if answer.status not in _GOOD:
            raise failure_from_answer(endpoint, answer.status, answer.text)
        try:
            parsed: JsonValue = json.loads(answer.text)
        except (ValueError, RecursionError):
            start = " ".join(answer.text[:80].split())
            raise GarbageError(endpoint, FailureKind.GARBAGE, f"not JSON: {start!r}") from None
        return parsed

    async def change(
        self, method: str, endpoint: str, path: str, body: JsonObject, read_seconds: float
    ) -> str:
        """Ask for an effect and return Patroni's words.

        Raises:
            CallFailure: in one of its forms, by what it says of the effect.
        """
        answer = await self._send(method, endpoint, path, body, read_seconds)
        if answer.status not in _GOOD:
            raise failure_from_answer(endpoint, answer.status, answer.text)
        return answer.text

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(
        self,
        method: str,
        endpoint: str,
        path: str,
        body: JsonObject | None,
        read_seconds: float,
    ) -> Answer:
        timeout = httpx.Timeout(read_seconds, connect=self.timeouts.connect_seconds)
        auth = self._auth() if body is not None else None
        try:
            async with self._http.stream(
                method, endpoint + path, json=body, timeout=timeout, auth=auth
            ) as response:
                content = await read_bounded(endpoint, response.aiter_bytes(), MAX_ANSWER_BYTES)
                return Answer(response.status_code, content.decode("utf-8", "replace"))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failure_from_error(endpoint, error) from error


def _failure_from_error(
    endpoint: str, error: Exception
) -> NotSentError | NoAnswerError | GarbageError:
    """Tell apart what was surely not sent from what may have arrived."""
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return NotSentError(endpoint, FailureKind.UNREACHABLE, "no connection in time")
        case httpx.ConnectError():
            return no_connection(endpoint, error)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return NotSentError(endpoint, FailureKind.NO_NAME, f"not a usable address: {error}")
        case httpx.TimeoutException():
            return NoAnswerError(endpoint, FailureKind.TIMEOUT, "connected, but no answer in time")
    # httpx knows a server that hangs up only by the words of its error.
    if isinstance(error, httpx.NetworkError) or "disconnected" in str(error):
        return NoAnswerError(endpoint, FailureKind.RESET, "the connection was cut")
    return GarbageError(endpoint, FailureKind.GARBAGE, f"not an answer in HTTP: {error}")
