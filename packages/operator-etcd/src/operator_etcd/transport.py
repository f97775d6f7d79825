"""HTTP to one etcd endpoint: bounded in time and size, every failure told apart."""

import json
import ssl
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import httpx

from operator_core.call_failures import (
    CallFailure,
    FailureKind,
    GarbageError,
    NoAnswerError,
    NotSentError,
    no_connection,
    read_bounded,
)
from operator_core.tls import ShownCertificates, machine_tls
from operator_core.types import JsonObject
from operator_etcd.failures import NoTokenError, failure_from_answer
from operator_etcd.login import PATH, Login

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""No answer that Operator asks for is nearly as long; what is longer does not come from etcd."""


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for etcd, in seconds."""

    connect_seconds: float = 1.0
    read_seconds: float = 2.0
    effect_seconds: float = 15.0
    """A small change. etcd itself gives up after about 7 s, and its answer says more."""
    maintenance_seconds: float = 600.0
    """Compaction and defragmentation of a large database."""


@dataclass(frozen=True)
class Answer:
    """What came back, with any HTTP status."""

    status: int
    text: str


class Transport:
    """One connection pool for all endpoints of a cluster."""

    def __init__(
        self,
        timeouts: Timeouts,
        tls: ssl.SSLContext | None = None,
        login: Login | None = None,
    ) -> None:
        """Take the time limits, for https endpoints the TLS context, and who Operator is."""
        self.timeouts = timeouts
        self._login = login
        self.certificates = ShownCertificates()
        # The environment's proxies are for the internet, not for the cluster next door.
        self._http = httpx.AsyncClient(trust_env=False, verify=tls or machine_tls())

    async def post(
        self, endpoint: str, path: str, body: JsonObject, *, read_seconds: float | None = None
    ) -> JsonObject:
        """Call the JSON gateway and return the object it answers.

        Raises:
            CallFailure: in one of its forms, by what it says of the effect.
        """
        login = self._login
        if login is None:
            return await self._post(endpoint, path, body, read_seconds)
        token = login.token
        try:
            return await self._post(endpoint, path, body, read_seconds, token)
        except NoTokenError:
            token = await login.renew(token, endpoint, partial(self._post, endpoint, PATH))
        return await self._post(endpoint, path, body, read_seconds, token)

    async def _post(
        self,
        endpoint: str,
        path: str,
        body: JsonObject,
        read_seconds: float | None = None,
        token: str | None = None,
    ) -> JsonObject:
        answer = await self._send(
            "POST", endpoint, path, body, read_seconds=read_seconds, token=token
        )
        parsed = _parse(endpoint, answer)
        if answer.status == HTTPStatus.OK:
            return parsed
        raise _failure(endpoint, answer, parsed)

    async def get(self, endpoint: str, path: str) -> Answer:
        """Get a plain page such as ``/health``, whatever its HTTP status.

        Raises:
            CallFailure: there was no answer.
        """
        return await self._send("GET", endpoint, path)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(
        self,
        method: str,
        endpoint: str,
        path: str,
        body: JsonObject | None = None,
        *,
        read_seconds: float | None = None,
        token: str | None = None,
    ) -> Answer:
        limits = self.timeouts
        timeout = httpx.Timeout(read_seconds or limits.read_seconds, connect=limits.connect_seconds)
        headers = {} if token is None else {"Authorization": token}
        if self.certificates.may_change(endpoint):
            headers["Connection"] = "close"
        try:
            async with self._http.stream(
                method, endpoint + path, json=body, headers=headers, timeout=timeout
            ) as response:
                if stream := response.extensions.get("network_stream"):
                    self.certificates.see(endpoint, stream.get_extra_info("ssl_object"))
                content = await read_bounded(endpoint, response.aiter_bytes(), MAX_ANSWER_BYTES)
                return Answer(response.status_code, content.decode("utf-8", "replace"))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failure_from_error(endpoint, error) from error


def _parse(endpoint: str, answer: Answer) -> JsonObject:
    try:
        parsed = json.loads(answer.text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        return parsed
    if answer.status != HTTPStatus.OK:
        return {}
    start = " ".join(answer.text[:80].split())
    raise GarbageError(endpoint, FailureKind.GARBAGE, f"not a JSON object: {start!r}")


def _failure(endpoint: str, answer: Answer, parsed: JsonObject) -> CallFailure:
    code = parsed.get("code")
    reason = parsed.get("message") or parsed.get("error") or answer.text
    if not parsed and answer.status == HTTPStatus.NOT_FOUND:
        reason = "no etcd v3 gateway at this address (HTTP status 404)"
    return failure_from_answer(
        endpoint, answer.status, code if isinstance(code, int) else None, str(reason)
    )


def _failure_from_error(endpoint: str, error: Exception) -> CallFailure:
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
