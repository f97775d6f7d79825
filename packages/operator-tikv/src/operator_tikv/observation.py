"""One look at a cluster: named parts, each with its source, time and completeness.

PD is asked for its own summaries; regions are listed only in small clusters. Metrics come from
Prometheus, or from each process. A part that fails says so and leaves the others whole.
"""

import asyncio
from typing import TYPE_CHECKING

from operator_core.clock import Clock
from operator_core.errors import SubjectError, SubjectUnreachableError
from operator_core.monitor.types import Observation, Part
from operator_core.types import JsonObject
from operator_tikv import facts, reads
from operator_tikv.answers import Answers, ask_pd
from operator_tikv.history import History, misplaced_facts, misplaced_regions
from operator_tikv.metrics.sight import PD_METRICS, STORE_METRICS, MetricsEye, MetricsSettings
from operator_tikv.parts import PD_MEMBER_DOWN, Album, answering_store_ids, is_minority, pd_parts
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import API
from operator_tikv.pd_restarts import PdRestarts
from operator_tikv.reads import PdState

if TYPE_CHECKING:
    from operator_tikv.pd.types import StoreInfo


class Eyes:
    """Looks at one cluster, and remembers what only several looks show.

    Args:
        api: the cluster's PD.
        clock: where the time of observations comes from.
        metrics: how metrics are read.
    """

    def __init__(self, api: PdApi, clock: Clock, metrics: MetricsSettings | None = None) -> None:
        self._api = api
        self._clock = clock
        self._metrics = MetricsEye(api, clock, metrics or MetricsSettings())
        self._history = History()
        self._pd_restarts = PdRestarts()
        self._stores: list[StoreInfo] = []

    async def close(self) -> None:
        """Close what is not PD's connection."""
        await self._metrics.close()

    async def look(self, subject: str) -> Observation:
        """Look once.

        Args:
            subject: the name that the observation carries.

        Raises:
            SubjectUnreachableError: no PD member could be reached.
        """
        answers = await ask_pd(self._api)
        if answers.pd.is_unreachable and answers.stores.is_unreachable:
            raise SubjectUnreachableError(str(answers.stores.error))
        moment = self._clock.now()
        self._remember(answers, moment.timestamp())
        leaders, metrics = await asyncio.gather(
            reads.read(_leaders(self._api, answers)),
            # The stores' own pages are read on while PD does not say which stores there are.
            self._metrics.look(self._stores, answers.pd.value),
        )
        agrees = not (is_minority(answers.pd.value) or self._is_frozen(answers, moment.timestamp()))
        told = PD_MEMBER_DOWN if is_minority(answers.pd.value) else None
        album = Album(f"{self._api.client.url}{API}", moment, agrees, told)
        answering = answering_store_ids(metrics[STORE_METRICS].data)
        parts = pd_parts(album, answers, leaders, self._history, answering)
        pd_metrics = self._with_misplaced(metrics[PD_METRICS], moment.timestamp())
        metrics[PD_METRICS] = self._with_restarts(pd_metrics, answers.pd.value, moment.timestamp())
        return Observation(subject=subject, observed_at=moment, parts={**parts, **metrics})

    def _is_frozen(self, answers: Answers, now: float) -> bool:
        """Whether what was read is of long ago; a clock that nobody could read does not stand."""
        return answers.stores.value is not None and self._history.is_frozen(now)

    def _with_misplaced(self, pd_metrics: Part, now: float) -> Part:
        """Remember how many regions no label keeps apart, and tell since when."""
        regions, total = misplaced_regions(pd_metrics.data)
        if not total:
            return pd_metrics
        self._history = self._history.with_misplaced(regions, now)
        told = {**pd_metrics.data, "misplaced": misplaced_facts(self._history, now)}
        return pd_metrics.model_copy(update={"data": told})

    def _with_restarts(self, pd_metrics: Part, pd: PdState | None, now: float) -> Part:
        """Remember who began anew, and tell whose restart was planned."""
        if pd is None:
            return pd_metrics
        leader = pd.leader.name if pd.leader else None
        counts = pd_metrics.data.get("readings", {}).get("restarts", {})
        self._pd_restarts = self._pd_restarts.with_look(pd.members, leader, counts, now)
        planned = self._pd_restarts.planned(len(pd.members), now)
        told = {**pd_metrics.data, "planned_restarts": planned}
        return pd_metrics.model_copy(update={"data": told})

    def _remember(self, answers: Answers, now: float) -> None:
        """Take in what was read; what was not read changes no memory."""
        if answers.pd.value is not None:
            leader = answers.pd.value.leader
            self._history = self._history.with_leader(leader.name if leader else None, now)
        if answers.stores.value is not None:
            self._history = self._history.with_pd_clock(answers.pd_time, now)
            self._stores = answers.known_stores
            self._history = self._history.with_stores(answers.known_stores, now)
        if answers.schedulers.value is not None:
            evicted = answers.schedulers.value["evict_leader_store_ids"]
            self._history = self._history.with_evicted(evicted, now)
        pending = answers.checks["pending-peer"].value
        if pending is not None:
            self._history = self._history.with_lagging(pending, now)


async def observe(api: PdApi, subject: str, clock: Clock) -> Observation:
    """Look at a cluster once, without metrics and without memory.

    Raises:
        SubjectUnreachableError: no PD member could be reached.
    """
    return await Eyes(api, clock, MetricsSettings(is_on=False)).look(subject)


async def _leaders(api: PdApi, answers: Answers) -> JsonObject:
    if answers.region_count.value is None or answers.stores.value is None:
        raise (
            answers.region_count.error
            or answers.stores.error
            or SubjectError("PD did not say how many regions it has.")
        )
    stores = answers.known_stores
    silent = facts.silent_store_ids(stores, answers.pd_time)
    return await reads.leaders(api, stores, silent, answers.region_count.value)
