"""The parts of an observation that come from metrics.

``store_metrics`` and ``pd_metrics`` hold, by signal (see `signals`), the reading of each store
or PD member: ``readings[signal][key]``, a number, or a number for each value of the label that
the signal keeps. What was idle has no reading. Besides: ``unseen`` (key → why nothing is known
of it now), ``unrated`` (keys that were seen once only, so that rates are not known yet) and
``ages_seconds``. ``client_metrics`` (TiDB) is there only with Prometheus.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from operator_core.clock import Clock
from operator_core.errors import SubjectError
from operator_core.monitor.types import Part
from operator_core.types import JsonObject
from operator_tikv.metrics.authorization import Authorization
from operator_tikv.metrics.prometheus import Answers, Prometheus
from operator_tikv.metrics.promql import Process
from operator_tikv.metrics.reduce import Reading
from operator_tikv.metrics.scrape import Scraped, Scraper, url_of
from operator_tikv.metrics.signals import CLIENT_SIGNALS, PD_SIGNALS, TIKV_SIGNALS, Signal
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.parse import reason_of
from operator_tikv.pd.types import Member, StoreInfo
from operator_tikv.reads import PdState

STORE_METRICS: Final = "store_metrics"
PD_METRICS: Final = "pd_metrics"
CLIENT_METRICS: Final = "client_metrics"

PAGE_LIMIT_BYTES: Final = 64 << 20
PAGE_TIMEOUT_SECONDS: Final = 2.0
_OK: Final = 200
_NOT_ASKED: Final = "metrics are turned off by the setting read_metrics"
_SHOWN_DIGITS: Final = 6


@dataclass(frozen=True)
class MetricsSettings:
    """How metrics are read.

    Attributes:
        is_on: whether they are read at all.
        prometheus_url: the Prometheus to ask; empty: each process itself.
        prometheus_labels: labels that all series of the cluster have there.
        authorization: who Operator is to Prometheus; None where it does not ask.
        transport: an own way to Prometheus, for tests.
        time_scale: how many times faster than real time the processes count (simulators): rates
            are those of the cluster's own time. Prometheus knows no such time.
    """

    is_on: bool = True
    prometheus_url: str = ""
    prometheus_labels: Mapping[str, str] = field(default_factory=dict)
    authorization: Authorization | None = None
    transport: httpx.AsyncBaseTransport | None = None
    time_scale: float = 1.0


class MetricsEye:
    """Reads the metrics of one cluster.

    Args:
        api: the cluster's PD.
        clock: where the time comes from.
        settings: how metrics are read.
    """

    def __init__(self, api: PdApi, clock: Clock, settings: MetricsSettings) -> None:
        self._api = api
        self._clock = clock
        self._settings = settings
        self._stores = Scraper(self._fetch, TIKV_SIGNALS, self._seconds)
        self._members = Scraper(self._fetch, PD_SIGNALS, self._seconds)
        self._prometheus = (
            Prometheus(
                settings.prometheus_url,
                settings.prometheus_labels,
                settings.authorization,
                settings.transport,
            )
            if settings.prometheus_url
            else None
        )

    async def close(self) -> None:
        """Close the connections to Prometheus."""
        if self._prometheus is not None:
            await self._prometheus.close()

    async def look(self, stores: Sequence[StoreInfo], pd: PdState | None) -> dict[str, Part]:
        """Return the parts; never raises for a cluster's sake.

        Args:
            stores: the stores that PD names.
            pd: its members; None where they could not be read.
        """
        members = pd.members if pd else ()
        if not self._settings.is_on:
            return self._off(stores, members)
        if self._prometheus is not None:
            return await self._asked(self._prometheus, stores, members)
        scheme = self._api.client.url.partition("://")[0]
        seen = await self._stores.look(
            {one.key: url_of(one, scheme) for one in store_processes(stores)}
        )
        led = await self._members.look(
            member_pages(members, pd.leader if pd else None, self._api.client.url)
        )
        return {
            STORE_METRICS: self._part("status addresses of stores", _scraped(seen), _blind(seen)),
            PD_METRICS: self._part("client URLs of PD", _scraped(led), _blind(led)),
        }

    def _off(self, stores: Sequence[StoreInfo], members: Sequence[Member]) -> dict[str, Part]:
        keys = {
            STORE_METRICS: [one.key for one in store_processes(stores)],
            PD_METRICS: [one.name for one in members],
        }
        return {
            name: self._part(_NOT_ASKED, _data({}, dict.fromkeys(found, _NOT_ASKED)))
            for name, found in keys.items()
        }

    async def _asked(
        self, prometheus: Prometheus, stores: Sequence[StoreInfo], members: Sequence[Member]
    ) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        mine = store_processes(stores)
        theirs = [Process(one.name, address_of(one)) for one in members if one.client_urls]
        asked: tuple[tuple[str, Sequence[Signal], list[Process]], ...] = (
            (STORE_METRICS, TIKV_SIGNALS, mine),
            (PD_METRICS, PD_SIGNALS, theirs),
            (CLIENT_METRICS, CLIENT_SIGNALS, mine),
        )
        for name, signals, processes in asked:
            try:
                found = await prometheus.ask(signals, processes)
            except SubjectError as error:
                parts[name] = self._part(prometheus.url, {}, str(error))
                continue
            wanted = [] if name == CLIENT_METRICS else processes
            parts[name] = self._part(prometheus.url, _known(found, wanted))
        return parts

    def _part(self, source: str, data: JsonObject, error: str | None = None) -> Part:
        return Part(
            source=source,
            observed_at=self._clock.now(),
            complete=error is None,
            error=error,
            data=data,
        )

    async def _fetch(self, url: str) -> str:
        page = await self._api.client.page(url, PAGE_LIMIT_BYTES, PAGE_TIMEOUT_SECONDS)
        if page.status != _OK:
            raise PdAnswerError(f"{url} answered {page.status}: {reason_of(page.body[:400])}")
        if not page.is_whole:
            raise PdAnswerError(f"{url} gave more than {PAGE_LIMIT_BYTES >> 20} MiB of metrics.")
        return page.body.decode(errors="replace")

    def _seconds(self) -> float:
        return self._clock.now().timestamp() * self._settings.time_scale


def store_processes(stores: Sequence[StoreInfo]) -> list[Process]:
    """Return where the TiKV stores print their metrics; gone ones and TiFlash left out."""
    return [
        Process(str(store.id), store.metrics_address)
        for store in stores
        if store.store.status_address
        and not store.is_tiflash
        and store.store.state_name != "Tombstone"
    ]


def address_of(member: Member) -> str:
    """Return host and port of a PD member's first client URL."""
    return member.client_urls[0].partition("://")[2].rstrip("/") if member.client_urls else ""


def member_pages(
    members: Sequence[Member], leader: Member | None, reachable: str
) -> dict[str, str]:
    """Return where the PD members print their metrics, by name.

    Members that share one URL (behind a proxy) are the leader to us: its metrics count.

    Args:
        members: the members.
        leader: the one that leads.
        reachable: a URL that answers; taken for a leader that names none.
    """
    first = sorted(members, key=lambda one: leader is None or one.name != leader.name)
    pages: dict[str, str] = {}
    for member in first:
        base = member.client_urls[0].rstrip("/") if member.client_urls else ""
        if not base and leader is not None and member.name == leader.name:
            base = reachable
        page = f"{base}/metrics"
        if base and page not in pages.values():
            pages[member.name] = page
    return pages


def _scraped(seen: Scraped) -> JsonObject:
    return {
        **_data(seen.readings, seen.unseen),
        "unrated": list(seen.unrated),
        "ages_seconds": seen.ages_seconds,
    }


def _blind(seen: Scraped) -> str | None:
    """Return why nothing at all could be read; None where something was, or nothing is there."""
    if seen.ages_seconds or not seen.unseen:
        return None
    reason = next(iter(seen.unseen.values()))
    return (
        f"None of {len(seen.unseen)} could be read: {reason}. Connect again with "
        "--prometheus-url, or with --no-read-metrics."
    )


def _known(found: Answers, wanted: Sequence[Process]) -> JsonObject:
    missing = [one.key for one in wanted if one.key not in found.known]
    reason = "Prometheus has no series of its instance"
    return _data(found.readings, dict.fromkeys(missing, reason))


def _data(by_signal: Mapping[str, Mapping[str, Reading]], unseen: Mapping[str, str]) -> JsonObject:
    return {
        "readings": {
            name: {key: _rounded(value) for key, value in by_key.items() if _is_finite(value)}
            for name, by_key in by_signal.items()
        },
        "unseen": dict(unseen),
        "unrated": [],
        "ages_seconds": {},
    }


def _rounded(value: Reading) -> Reading:
    """Shorten what nobody reads; a look at a thousand stores is kept many times."""
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items() if math.isfinite(one)}
    return _short(value)


def _is_finite(value: Reading) -> bool:
    return isinstance(value, dict) or math.isfinite(value)


def _short(value: float) -> float:
    return value if value.is_integer() else float(f"{value:.{_SHOWN_DIGITS}g}")
