"""An asynchronous client of PD's HTTP API v1.

Any member forwards to the leader, so the client goes on to the next member when one cannot
be reached or turns the request away unread. A read tells why it failed; an effect tells
what is known of it: never sent, refused, or sent without an answer.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
from pydantic import JsonValue

from operator_core.call_failures import require_means
from operator_core.errors import (
    ActionFailedError,
    OutcomeUnknownError,
    SubjectError,
    SubjectUnreachableError,
)
from operator_core.tls import machine_tls
from operator_tikv.pd.errors import PdAnswerError, PdRefusalError, effect_error, is_never_served
from operator_tikv.pd.parse import decode_json, moment_of_http_date, reason_of, shorten

API: Final = "/pd/api/v1"
DEFAULT_TIMEOUT_SECONDS: Final = 5.0
"""How long a member may be silent."""

DEFAULT_WHOLE_SECONDS: Final = 30.0
"""How long a whole answer may take: one that trickles is never silent."""

DEFAULT_LIMIT_BYTES: Final = 256 << 20
"""The regions of a store with 300,000 of them are about half of this."""

READY: Final = "/pd/api/v2/ready"
_OK: Final = 200
_NOT_READY: Final = 500
_REDIRECTS: Final = range(300, 400)
_NOTHING_THERE: Final = frozenset({404, 500})
"""PD tells of a missing operator with 500."""

Params = Mapping[str, str | int]


@dataclass(frozen=True)
class PdAnswer:
    """One answer of PD.

    Attributes:
        value: the decoded body.
        url: where it came from.
        date: what the clock of the answering PD showed, if it said so.
    """

    value: JsonValue
    url: str
    date: datetime | None


@dataclass(frozen=True)
class _Response:
    """What a member sent, whole."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True)
class Page:
    """The beginning of what a URL gives.

    Attributes:
        status: HTTP status code.
        body: as much of it as was asked for.
        is_whole: whether that is all of it.
    """

    status: int
    body: bytes
    is_whole: bool


class PdClient:
    """Talks to the members of one PD cluster.

    Args:
        urls: client URLs of the members, at least one.
        tls: how to speak TLS with them; None trusts what the machine trusts.
        transport: an own transport, for tests.
        timeout_seconds: how long one member may be silent.
        whole_seconds: how long its whole answer may take.
        limit_bytes: how large that may be, unpacked.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        whole_seconds: float = DEFAULT_WHOLE_SECONDS,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        self.urls = tuple(dict.fromkeys(url.rstrip("/") for url in urls))
        self._configured = self.urls
        self._preferred = 0
        self._whole_seconds = whole_seconds
        self._limit_bytes = limit_bytes
        # PD stands in the cluster's own network: proxies of the environment are not for it.
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=timeout_seconds,
            trust_env=False,
            verify=tls or machine_tls(),
        )

    @property
    def url(self) -> str:
        """The member that answered last."""
        return self.urls[self._preferred]

    def follow(self, members: Iterable[str], leader: Sequence[str] = ()) -> None:
        """Take in what `/members` says: further members to try, and who leads.

        What PD advertises may not be reachable from here, so it is tried after the URLs that
        were configured, and the leader is preferred only if its URL is one of those. A URL of
        another scheme is left aside: TLS is never given up because an answer says so.

        Args:
            members: client URLs of all members.
            leader: client URLs of the leader.
        """
        preferred = self.url
        schemes = {url.partition("://")[0] for url in self._configured}
        told = (url.rstrip("/") for url in members)
        further = (url for url in told if url.partition("://")[0] in schemes)
        self.urls = tuple(dict.fromkeys((*self._configured, *further)))
        leading = [url.rstrip("/") for url in leader if url.rstrip("/") in self._configured]
        wanted = leading[0] if leading else preferred
        self._preferred = self.urls.index(wanted) if wanted in self.urls else 0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, path: str, params: Params | None = None) -> PdAnswer:
        """Read one path below the API's prefix.

        Raises:
            SubjectUnreachableError: no member could be reached, or this process could not begin.
            PdRefusalError: PD answered with an error of its own.
            PdAnswerError: the answer is none of PD's.
        """
        request = f"GET {path}"
        failures: list[str] = []
        odd: PdRefusalError | PdAnswerError | None = None
        for index, url in self._members():
            try:
                answer = _answer(await self._fetch("GET", url + API + path, params), url, request)
            except httpx.HTTPError as error:
                require_means(error)
                failures.append(f"{url}: {_words(error)}")
            except PdAnswerError as error:  # no PD at all; another URL may be one
                odd = odd or error
            except PdRefusalError as error:
                odd = error
                if not is_never_served(error.status, error.reason):
                    self._preferred = index
                    break
            else:
                self._preferred = index
                return answer
        if odd is not None:
            raise odd
        raise SubjectUnreachableError(
            f"No PD member could be reached for {request} ({'; '.join(failures)}). "
            "Check that PD runs and that its client URLs are right."
        )

    async def page(self, url: str, limit_bytes: int, timeout_seconds: float | None = None) -> Page:
        """Read the beginning of a page of one of the cluster's processes, with PD's TLS.

        Args:
            url: the whole URL.
            limit_bytes: the rest is not read.
            timeout_seconds: how long it may be silent; None: as for PD.

        Raises:
            SubjectUnreachableError: nobody answered.
        """
        limit = self._http.timeout if timeout_seconds is None else httpx.Timeout(timeout_seconds)
        try:
            try:
                return await self._page(url, limit_bytes, limit)
            except httpx.RemoteProtocolError:  # a kept connection that was closed meanwhile
                return await self._page(url, limit_bytes, limit)
        except httpx.HTTPError as error:
            require_means(error)
            raise SubjectUnreachableError(f"{url}: {_words(error)}") from error

    async def _page(self, url: str, limit_bytes: int, limit: httpx.Timeout) -> Page:
        async with self._whole(), self._http.stream("GET", url, timeout=limit) as response:
            body = await beginning(response, limit_bytes)
        whole = len(body) <= limit_bytes
        return Page(response.status_code, body[:limit_bytes], whole)

    async def _fetch(
        self, method: str, url: str, params: Params | None = None, body: JsonValue = None
    ) -> _Response:
        stream = self._http.stream(method, url, params=params, json=body)
        async with self._whole(), stream as response:
            found = await beginning(response, self._limit_bytes)
        if len(found) > self._limit_bytes:
            raise httpx.ReadError(f"more than {self._limit_bytes} bytes came")
        return _Response(response.status_code, response.headers, found)

    @asynccontextmanager
    async def _whole(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._whole_seconds):
                yield
        except TimeoutError as error:
            text = f"no whole answer within {self._whole_seconds:g} s"
            raise httpx.ReadTimeout(text) from error

    async def send(
        self,
        method: str,
        path: str,
        body: JsonValue = None,
        *,
        params: Params | None = None,
        done_when: Sequence[str] = (),
    ) -> JsonValue:
        """Ask for an effect; 200 means that PD accepted it, not that it is done.

        A member that surely did not take the request is followed by the next one. Nothing is
        ever sent again once a member may have taken it.

        Args:
            method: HTTP method.
            path: path below the API's prefix.
            body: JSON body, None for none.
            params: query parameters.
            done_when: parts of reasons which say that there is nothing left to do.

        Raises:
            ActionFailedError: it was never sent, or PD cannot do it now.
            ActionRefusedError: PD refuses for good.
            OutcomeUnknownError: it was sent and no clear answer came.
        """
        request = f"{method} {path}"
        failures: list[str] = []
        for index, url in self._members():
            try:
                response = await self._fetch(method, url + API + path, params, body)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                require_means(error)
                failures.append(f"{url}: {_words(error)}")
                continue
            except httpx.HTTPError as error:
                raise OutcomeUnknownError(
                    f"{request} was sent to {url} and no answer came: {_words(error)}"
                ) from error
            if response.status == _OK:
                self._preferred = index
                return _accepted(response, request)
            reason = reason_of(response.body)
            if response.status in _NOTHING_THERE and _says_any(reason, done_when):
                return None
            if not is_never_served(response.status, reason):
                raise effect_error(response.status, reason, request)
            failures.append(f"{url}: {reason}")
        raise ActionFailedError(f"No PD member took {request}: {'; '.join(failures)}")

    async def is_ready(self, urls: Sequence[str]) -> bool | None:
        """Return whether one member has loaded all regions; None where it cannot say."""
        for url in urls:
            try:
                response = await self._fetch("GET", url.rstrip("/") + READY)
            except httpx.HTTPError:
                continue
            known = {_OK: True, _NOT_READY: False}
            return known.get(response.status)
        return None

    def _members(self) -> list[tuple[int, str]]:
        count = len(self.urls)
        order = [(self._preferred + step) % count for step in range(count)]
        return [(index, self.urls[index]) for index in order]


async def beginning(response: httpx.Response, limit_bytes: int) -> bytes:
    """Read a body, and no more than a piece beyond the limit."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > limit_bytes:
            break
    return bytes(body)


def _answer(response: _Response, url: str, request: str) -> PdAnswer:
    if response.status == _OK:
        date = moment_of_http_date(response.headers.get("date"))
        return PdAnswer(decode_json(response.body), url, date)
    if response.status in _REDIRECTS:
        place = shorten(response.headers.get("location", "?"))
        raise PdAnswerError(
            f"{url} sends {request} on to {place} ({response.status}), which PD never does. "
            "Check that the address is PD's client URL and not a proxy or another service."
        )
    raise PdRefusalError(response.status, reason_of(response.body), request)


def _accepted(response: _Response, request: str) -> JsonValue:
    try:
        return decode_json(response.body)
    except SubjectError as error:
        # A few handlers answer in plain words; a page of a proxy is HTML.
        if response.headers.get("content-type", "").startswith("text/plain"):
            return shorten(response.body.decode(errors="replace"))
        raise OutcomeUnknownError(
            f"{request} was answered with 200, but not by PD's words: {error}"
        ) from error


def _says_any(reason: str, marks: Sequence[str]) -> bool:
    return any(mark in reason for mark in marks)


def _words(error: httpx.HTTPError) -> str:
    return shorten(str(error)) or type(error).__name__
