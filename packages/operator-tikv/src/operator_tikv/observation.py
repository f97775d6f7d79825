"""One look at a cluster through PD: named parts, each with its source and completeness."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from operator_core.clock import Clock
from operator_core.errors import SubjectError, SubjectUnreachableError
from operator_core.monitor.types import Observation, Part
from operator_core.types import JsonObject
from operator_tikv import facts
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.errors import is_no_leader
from operator_tikv.pd.types import Member, Regions, ReplicateConfig, ScheduleConfig, StoreInfo

SMALL_CLUSTER_REGIONS: Final = 5_000
"""Up to this many regions each one is read, to see those that cannot be led."""

CHECKS: Final = ("miss-peer", "down-peer", "pending-peer", "extra-peer", "offline-peer")

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Reading(Generic[_Value]):
    """What one question gave: a value, or the error that came instead."""

    value: _Value | None = None
    error: SubjectError | None = None

    @property
    def is_unreachable(self) -> bool:
        """Whether nobody answered at all."""
        return isinstance(self.error, SubjectUnreachableError)


@dataclass(frozen=True)
class Readings:
    """Everything that was asked for one observation."""

    stores: Reading[tuple[list[StoreInfo], datetime | None]]
    schedulers: Reading[JsonObject]
    schedule: Reading[ScheduleConfig]
    replicate: Reading[ReplicateConfig]
    checks: dict[str, Reading[Regions]]
    operators: Reading[JsonObject]
    pd: Reading[JsonObject]
    leaders: Reading[JsonObject]

    @property
    def evicted(self) -> Sequence[int]:
        """Stores whose leaders are being evicted; none where that could not be read."""
        found: Sequence[int] = (self.schedulers.value or {}).get("evict_leader_store_ids", ())
        return found


async def observe(api: PdApi, subject: str, clock: Clock) -> Observation:
    """Look at the cluster once.

    Args:
        api: the cluster's PD.
        subject: the name that the observation carries.
        clock: where the time of the observation comes from.

    Raises:
        SubjectUnreachableError: no PD member could be reached.
    """
    readings = await _read_all(api)
    if readings.pd.is_unreachable and readings.stores.is_unreachable:
        raise SubjectUnreachableError(str(readings.stores.error))
    source, moment = api.client.url, clock.now()

    def part(path: str, data: JsonObject | None, error: object) -> Part:
        return Part(
            source=f"{source}/pd/api/v1{path}",
            observed_at=moment,
            complete=error is None and data is not None,
            error=None if error is None else str(error),
            data=data or {},
        )

    return Observation(subject=subject, observed_at=moment, parts=_parts(readings, part))


def _parts(
    readings: Readings, part: Callable[[str, JsonObject | None, object], Part]
) -> dict[str, Part]:
    stores, date = readings.stores.value or ([], None)
    now, stores_error = facts.pd_time(stores, date), readings.stores.error
    seen = stores_error is None
    found = facts.stores_facts(stores, now) if seen else None
    cluster = facts.cluster_facts(stores, now, readings.evicted) if seen else None
    return {
        "stores": part("/stores", found, stores_error),
        "cluster": part("/stores", cluster, stores_error or readings.schedulers.error),
        "schedulers": part("/schedulers", readings.schedulers.value, readings.schedulers.error),
        "regions": part("/regions/check", *_check_data(readings)),
        "leaders": part("/regions", readings.leaders.value, readings.leaders.error),
        "operators": part("/operators", readings.operators.value, readings.operators.error),
        "config": part("/config", *_config_data(readings)),
        "pd": part("/members", readings.pd.value, readings.pd.error),
    }


async def _read_all(api: PdApi) -> Readings:
    async with asyncio.TaskGroup() as group:
        stores = group.create_task(_read(api.stores()))
        schedulers = group.create_task(_read(_schedulers(api)))
        schedule = group.create_task(_read(api.schedule_config()))
        replicate = group.create_task(_read(api.replicate_config()))
        operators = group.create_task(_read(_operators(api)))
        pd = group.create_task(_read(_pd(api)))
        count = group.create_task(_read(api.region_count()))
        checks = {kind: group.create_task(_read(api.check(kind))) for kind in CHECKS}
    leaders = await _read(_leaders(api, stores.result(), count.result()))
    return Readings(
        stores=stores.result(),
        schedulers=schedulers.result(),
        schedule=schedule.result(),
        replicate=replicate.result(),
        checks={kind: task.result() for kind, task in checks.items()},
        operators=operators.result(),
        pd=pd.result(),
        leaders=leaders,
    )


async def _read(question: Awaitable[_Value]) -> Reading[_Value]:
    try:
        return Reading(value=await question)
    except SubjectError as error:
        return Reading(error=error)


async def _schedulers(api: PdApi) -> JsonObject:
    names = await api.schedulers()
    paused, evicted = await asyncio.gather(api.schedulers("paused"), api.evicted_store_ids(names))
    return facts.scheduler_facts(names, paused, evicted)


async def _operators(api: PdApi) -> JsonObject:
    return facts.operator_facts(await api.operators())


async def _pd(api: PdApi) -> JsonObject:
    """Read the members; that PD has no leader is something known, not something unread."""
    health = await api.health()
    try:
        members = await api.members()
    except SubjectError as error:
        if not is_no_leader(error):
            raise
        return facts.pd_facts(health, None)
    healthy = {member.name: member.health for member in health}
    known = [
        Member(name=m.name, member_id=m.member_id, health=healthy.get(m.name))
        for m in members.members
    ]
    leader = members.leader
    return facts.pd_facts(known, leader if leader and leader.member_id else None)


async def _leaders(
    api: PdApi,
    stores: Reading[tuple[list[StoreInfo], datetime | None]],
    count: Reading[int],
) -> JsonObject:
    if count.error or stores.error or stores.value is None or count.value is None:
        raise count.error or stores.error or SubjectError("PD did not say how many regions it has.")
    if count.value > SMALL_CLUSTER_REGIONS:
        return facts.unchecked_leader_facts(count.value)
    known, date = stores.value
    silent = facts.silent_store_ids(known, facts.pd_time(known, date))
    return facts.leader_facts(await api.regions(), silent)


def _check_data(readings: Readings) -> tuple[JsonObject, SubjectError | None]:
    errors = [reading.error for reading in readings.checks.values() if reading.error]
    data = {
        kind.replace("-", "_"): facts.check_facts(reading.value, kind)
        for kind, reading in readings.checks.items()
        if reading.value is not None
    }
    return data, errors[0] if errors else None


def _config_data(readings: Readings) -> tuple[JsonObject | None, SubjectError | None]:
    schedule, replicate = readings.schedule, readings.replicate
    if schedule.value is None or replicate.value is None:
        return None, schedule.error or replicate.error
    return facts.config_facts(schedule.value, replicate.value), None
