"""Running the script against a PD: reads only, each answer beside its shape."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import httpx
from pydantic import JsonValue

from operator_core.clock import monotonic_seconds
from operator_core.errors import SubjectUnreachableError
from operator_core.plugin import Report
from operator_tikv.compare.script import SCRIPT, Step
from operator_tikv.compare.shapes import Difference, differences
from operator_tikv.metrics.exposition import lines_of, require_metrics
from operator_tikv.metrics.signals import PD_SIGNALS
from operator_tikv.pd.client import beginning
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.parse import shorten

TIMEOUT_SECONDS: Final = 15.0
"""How long one answer may take, whole."""

WHOLE_SECONDS: Final = 180.0
"""How long all of them may take; what is left then is not asked."""

LIMIT_BYTES: Final = 64 << 20
_OK: Final = 200
_METRICS: Final = "/metrics"


@dataclass(frozen=True)
class Answer:
    """What one read gave.

    Attributes:
        request: what was read.
        status: HTTP status; 0 where nobody answered.
        found: where it differs.
    """

    request: str
    status: int
    found: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Reader:
    """Reads from one server, which may be slow, huge or no PD.

    Attributes:
        client: the HTTP client.
        url: PD's client URL.
        timeout_seconds: how long one answer may take, whole.
    """

    client: httpx.AsyncClient
    url: str
    timeout_seconds: float = TIMEOUT_SECONDS

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        """Read the beginning of an answer.

        Raises:
            httpx.HTTPError: it did not come, or not in time.
        """
        stream = self.client.stream("GET", self.url + path, params=query or None)
        try:
            async with asyncio.timeout(self.timeout_seconds), stream as response:
                body = await beginning(response, LIMIT_BYTES)
        except TimeoutError as error:
            text = f"no whole answer within {self.timeout_seconds:g} s"
            raise httpx.ReadTimeout(text) from error
        return httpx.Response(response.status_code, content=body)


async def compare(
    client: httpx.AsyncClient,
    url: str,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    whole_seconds: float = WHOLE_SECONDS,
) -> list[Answer]:
    """Run the script; sends reads only.

    Args:
        client: the HTTP client.
        url: PD's client URL.
        timeout_seconds: how long one answer may take, whole.
        whole_seconds: after so long nothing more is asked.

    Raises:
        SubjectUnreachableError: nobody answers there.
    """
    # Looked at between two answers: to cut one off while it is being given up would leave it open.
    end = monotonic_seconds() + whole_seconds
    reader = Reader(client, url, timeout_seconds)
    found: list[Answer] = []
    try:
        names = await _names(reader)
        for step in SCRIPT:
            if monotonic_seconds() >= end:
                break
            found.append(await _answer(reader, step, names))
    except httpx.HTTPError as error:
        raise SubjectUnreachableError(
            f"Nobody answers at {url}: {shorten(str(error)) or type(error).__name__}. Check that "
            "it is PD's client URL."
        ) from error
    words = f"not asked: {whole_seconds:g} s are over"
    missing = SCRIPT[len(found) :]
    return found + [Answer(f"GET {one.path}", 0, (Difference("answer", words),)) for one in missing]


async def _names(reader: Reader) -> dict[str, str]:
    """Return the first store and region, which some paths name."""
    names = {"store": "1", "region": "1"}
    for key, path, items in (
        ("store", "/pd/api/v1/stores", "stores"),
        ("region", "/pd/api/v1/regions/key?key=&limit=1", "regions"),
    ):
        value = _json((await reader.get(path)).content)
        found = value.get(items) if isinstance(value, dict) else None
        first = found[0] if isinstance(found, list) and found else None
        inner = first.get("store", first) if isinstance(first, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("id"), int):
            names[key] = str(inner["id"])
    return names


async def _answer(reader: Reader, step: Step, names: Mapping[str, str]) -> Answer:
    path = step.prefix + step.path.format(**names)
    shown = path + ("?" + "&".join(f"{k}={v}" for k, v in step.query.items()) if step.query else "")
    request = f"GET {shown}"
    try:
        response = await reader.get(path, dict(step.query))
    except httpx.HTTPError as error:
        words = f"no answer: {shorten(str(error)) or type(error).__name__}"
        return Answer(request, 0, (Difference("answer", words),))
    return Answer(request, response.status_code, tuple(_differences(step, response)))


def _differences(step: Step, response: httpx.Response) -> list[Difference]:
    if response.status_code not in step.statuses:
        wanted = " or ".join(str(one) for one in sorted(step.statuses))
        words = f"is {response.status_code}, should be {wanted}: {shorten(response.text)[:80]}"
        return [Difference("status", words)]
    if step.path == _METRICS:
        return _missing_metrics(response.text)
    shape = step.shape if response.status_code == _OK else step.error
    if shape is None or shape == "any":
        return []
    value = _json(response.content)
    if value is None and response.content.strip() != b"null":
        return [Difference("answer", f"is no JSON: {shorten(response.text)[:80]!r}")]
    return list(differences(value, shape))


def _missing_metrics(text: str) -> list[Difference]:
    names = sorted({signal.series for signal in PD_SIGNALS})
    try:
        require_metrics(text, "The page")
        missing = _absent(text, names)
    except PdAnswerError as error:
        return [Difference("page", str(error))]
    # A counter that never counted is not printed.
    return [Difference(name, "is not printed (now)", is_note=True) for name in missing]


def _absent(text: str, names: list[str]) -> list[str]:
    return [name for name in names if next(lines_of(text, name), None) is None]


def _json(body: bytes) -> JsonValue:
    try:
        value: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value


def report_of(url: str, answers: list[Answer]) -> Report:
    """Return what a person reads of it."""
    rows: list[list[JsonValue]] = []
    for answer in answers:
        for one in answer.found:
            kind = "note" if one.is_note else "differs"
            rows.append([answer.request, answer.status, kind, one.place, one.words])
    wrong = sum(not one.is_note for answer in answers for one in answer.found)
    notes = len(rows) - wrong
    verdict = "PD speaks as we assume." if not wrong else "Send us this with --json, please."
    return Report(
        title=f"{url} beside what we assume",
        columns=("request", "status", "what", "where", "found"),
        rows=rows,
        summary=f"{len(answers)} reads, {wrong} differences, {notes} notes. {verdict}",
        data={"url": url, "answers": [asdict(answer) for answer in answers]},
        is_good=wrong == 0,
    )
