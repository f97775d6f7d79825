"""Asking Prometheus: one question a signal, each answer by the process it is about."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import httpx
from pydantic import BaseModel, JsonValue, ValidationError

from operator_core.call_failures import require_means
from operator_core.errors import ConfigurationError, SubjectError, SubjectUnreachableError
from operator_core.tls import machine_tls
from operator_tikv.metrics.authorization import Authorization
from operator_tikv.metrics.promql import INSTANCE, Process, owner, query
from operator_tikv.metrics.reduce import Reading
from operator_tikv.metrics.signals import Component, Signal
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.parse import decode_json, reason_of, shorten

QUESTIONS_AT_ONCE: Final = 8
TIMEOUT_SECONDS: Final = 10.0
_OK: Final = 200


@dataclass(frozen=True)
class Answers:
    """What Prometheus knows now.

    Attributes:
        readings: by signal and process; an idle process has no data.
        known: processes that Prometheus has any series of.
    """

    readings: dict[str, dict[str, Reading]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()


class Prometheus:
    """One Prometheus server.

    Args:
        url: its base URL.
        labels: labels that every series of the cluster has, where it holds several clusters.
        authorization: who Operator is to it; None where it does not ask.
        transport: an own transport, for tests.
    """

    def __init__(
        self,
        url: str,
        labels: Mapping[str, str] | None = None,
        authorization: Authorization | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._labels = dict(labels or {})
        self._authorization = authorization
        self._turn = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            verify=machine_tls(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, signals: Sequence[Signal], processes: Sequence[Process]) -> Answers:
        """Ask for signals of processes.

        Raises:
            SubjectError: Prometheus cannot be reached, or refuses a question.
        """
        if not processes:
            return Answers()
        answers = await asyncio.gather(
            *(self._reading(signal, processes) for signal in signals), return_exceptions=True
        )
        found: dict[str, dict[str, Reading]] = {}
        for signal, answer in zip(signals, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            found[signal.name] = answer
        readings = {name: by_process for name, by_process in found.items() if by_process}
        return Answers(readings, frozenset(key for one in found.values() for key in one))

    async def _reading(self, signal: Signal, processes: Sequence[Process]) -> dict[str, Reading]:
        vector = await self._vector(query(signal, processes, self._labels))
        found: dict[str, Reading] = {}
        for labels, value in vector:
            instance = labels.get(INSTANCE, "")
            is_client = signal.component is Component.CLIENT
            key = instance if is_client else owner(instance, processes)
            if key is None or math.isnan(value):
                continue
            if signal.by is None:
                found[key] = value
                continue
            kept = found.setdefault(key, {})
            if isinstance(kept, dict):
                kept[labels.get(signal.by, "")] = value
        return found

    def _headers(self) -> dict[str, str]:
        if self._authorization is None:
            return {}
        try:
            return {"Authorization": self._authorization()}
        except ConfigurationError as error:
            raise SubjectError(f"Prometheus at {self.url} is not asked: {error}") from error

    async def _vector(self, expression: str) -> list[tuple[dict[str, str], float]]:
        async with self._turn:
            try:
                # A question about a thousand stores is too long for a URL.
                response = await self._http.post(
                    f"{self.url}/api/v1/query", data={"query": expression}, headers=self._headers()
                )
            except httpx.HTTPError as error:
                require_means(error)
                raise SubjectUnreachableError(
                    f"Prometheus at {self.url} cannot be reached: {shorten(str(error))}. "
                    "Check the setting prometheus_url."
                ) from error
        if response.status_code != _OK:
            raise SubjectError(
                f"Prometheus refused a question ({response.status_code}): "
                f"{reason_of(response.content)}"
            )
        return vector_of(decode_json(response.content))


class _Series(BaseModel):
    metric: dict[str, str]
    value: tuple[float, float] | None = None
    """None: a native histogram, which is no number."""


class _Data(BaseModel):
    resultType: Literal["vector"]  # noqa: N815 - Prometheus's own word
    result: list[_Series] | None


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Data


def vector_of(answer: JsonValue) -> list[tuple[dict[str, str], float]]:
    """Return the labels and the value of each series of an instant query's answer.

    Raises:
        PdAnswerError: it tells of an error, or has another shape.
    """
    if isinstance(answer, dict) and answer.get("status") == "error":
        raise PdAnswerError(f"Prometheus could not answer: {shorten(str(answer.get('error')))}.")
    try:
        found = _Answer.model_validate(answer).data.result
    except ValidationError as error:
        raise PdAnswerError(
            f"Prometheus's answer has an unknown shape ({error.error_count()} faults). "
            "Check that prometheus_url is Prometheus's own URL."
        ) from error
    return [(one.metric, one.value[1]) for one in found or () if one.value is not None]
