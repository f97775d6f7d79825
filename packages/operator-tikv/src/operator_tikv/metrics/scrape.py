"""Reading `/metrics` from each process, a few of many at a look, within a time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from operator_core.errors import SubjectError
from operator_tikv.metrics.exposition import require_metrics
from operator_tikv.metrics.promql import Process
from operator_tikv.metrics.reduce import (
    Memory,
    Reading,
    readings,
    reduced,
    remembered,
    without_rates,
)
from operator_tikv.metrics.signals import Signal

PAGES_PER_LOOK: Final = 32
"""A store's page is about a megabyte: of more stores than this, each look reads the next ones."""

PAGES_AT_ONCE: Final = 16
LOOK_LIMIT_SECONDS: Final = 5.0
STALE_SECONDS: Final = 300.0
"""Readings older than this say nothing any more."""

Fetch = Callable[[str], Awaitable[str]]
"""Reads a page by its URL; raises `SubjectError`."""


@dataclass(frozen=True)
class Scraped:
    """What the processes said.

    Attributes:
        readings: by signal and process.
        unseen: processes that say nothing now, with the reason.
        unrated: processes that were seen once only, so that their rates are not known yet.
        ages_seconds: how old the readings of each process are.
    """

    readings: dict[str, dict[str, Reading]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    unrated: tuple[str, ...] = ()
    ages_seconds: dict[str, float] = field(default_factory=dict)


class Scraper:
    """Reads the metrics of processes and remembers the look before, for rates.

    Args:
        fetch: reads a page.
        signals: what is wanted of each process.
        clock: seconds that run evenly.
        pages_per_look: how many processes are read at a look.
    """

    def __init__(
        self,
        fetch: Fetch,
        signals: Sequence[Signal],
        clock: Callable[[], float],
        *,
        pages_per_look: int = PAGES_PER_LOOK,
    ) -> None:
        self._fetch = fetch
        self._signals = signals
        self._seconds = clock
        self._pages = pages_per_look
        self._memory: dict[str, Memory] = {}
        self._readings: dict[str, dict[str, Reading]] = {}
        self._tried: dict[str, float] = {}
        self._errors: dict[str, str] = {}

    async def look(self, urls: Mapping[str, str]) -> Scraped:
        """Read the pages whose turn it is, and say what is known of every process.

        Args:
            urls: the page of each process, by its key.
        """
        self._forget(urls)
        turn = sorted(urls, key=lambda key: self._tried.get(key, -1.0))[: self._pages]
        gate = asyncio.Semaphore(PAGES_AT_ONCE)
        tasks = [asyncio.create_task(self._read(key, urls[key], gate)) for key in turn]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=LOOK_LIMIT_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._told(urls)

    async def _read(self, key: str, url: str, gate: asyncio.Semaphore) -> None:
        async with gate:
            self._tried[key] = self._seconds()
            self._errors[key] = f"{url} did not answer in time"
            try:
                text = await self._fetch(url)
                require_metrics(text, url)
                sample = reduced(text, self._signals, self._seconds())
            except SubjectError as error:
                self._errors[key] = str(error)
                return
            memory = remembered(self._memory.get(key, Memory()), sample, self._signals)
            # Worked out once a page, not at each look: of many processes few are read at a look.
            self._memory[key], self._readings[key] = memory, readings(memory, self._signals)
            del self._errors[key]

    def _forget(self, urls: Mapping[str, str]) -> None:
        for memory in (self._memory, self._readings, self._tried, self._errors):
            for key in [key for key in memory if key not in urls]:
                del memory[key]

    def _told(self, urls: Mapping[str, str]) -> Scraped:
        now = self._seconds()
        found = Scraped()
        unrated = []
        for key in urls:
            memory = self._memory.get(key, Memory())
            age = now - memory.latest.at if memory.latest else None
            if key in self._errors or age is None or age > STALE_SECONDS:
                found.unseen[key] = self._errors.get(key, "not read yet")
                continue
            found.ages_seconds[key] = round(age, 1)
            if without_rates(memory):
                unrated.append(key)
            for name, value in self._readings[key].items():
                found.readings.setdefault(name, {})[key] = value
        return Scraped(found.readings, found.unseen, tuple(unrated), found.ages_seconds)


def url_of(process: Process, scheme: str) -> str:
    """Return where a process prints its metrics."""
    return f"{scheme}://{process.address}/metrics"
