"""One look at an etcd cluster: asks all members at once and puts the answers together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from operator_core.call_failures import CallFailure
from operator_core.clock import Clock
from operator_core.errors import OperatorError
from operator_core.monitor.types import Observation
from operator_core.process_supervisor import ProcessStatus, ProcessSupervisor
from operator_etcd import facts
from operator_etcd.client import EtcdClient
from operator_etcd.parts import Readings, assemble
from operator_etcd.shapes import Alarm
from operator_etcd.survey import Survey, survey

Read = TypeVar("Read")


async def observe(
    client: EtcdClient, supervisor: ProcessSupervisor, clock: Clock, subject: str
) -> Observation:
    """Look at the cluster once.

    Raises:
        SubjectUnreachableError: no endpoint answers.
    """
    seen = await survey(client)
    (
        alarms,
        (health, health_error),
        (metrics, metrics_error),
        (states, states_error),
    ) = await asyncio.gather(
        _alarms(client, seen),
        _each(seen, client.health),
        _each(seen, client.metrics),
        _processes(supervisor, seen),
    )
    keys, keys_error = await _keys(client, seen, metrics)
    read = Readings(
        survey=seen,
        alarms=tuple(alarms),
        health=health,
        health_error=health_error,
        metrics=metrics,
        metrics_error=metrics_error,
        processes=states,
        processes_error=states_error,
        keys=keys,
        keys_error=keys_error,
        keys_at_compaction=await _keys_at_compaction(client, seen, metrics),
    )
    return assemble(read, ", ".join(client.endpoints), clock.now(), subject)


async def _alarms(client: EtcdClient, seen: Survey) -> list[Alarm]:
    """Ask the leader; without one, take what each member says of itself.

    The call goes through the log of the cluster, as every alarm call of etcd does.
    """
    if seen.leader_endpoint:
        try:
            return await client.alarms(seen.leader_endpoint)
        except CallFailure:
            pass  # the members' own word, below, is as good: they applied the same log
    raised = [one for status in seen.statuses.values() for one in status.alarms()]
    return list({(one.member_id, one.alarm): one for one in raised}.values())


async def _each(
    seen: Survey, read: Callable[[str], Awaitable[Read]]
) -> tuple[dict[str, Read], str | None]:
    """Read something from each member that answers; also return what went wrong."""

    async def one(member_id: str) -> Read | CallFailure:
        try:
            return await read(seen.endpoints[member_id])
        except CallFailure as failure:
            return failure

    ids = list(seen.endpoints)
    answers = dict(zip(ids, await asyncio.gather(*map(one, ids)), strict=True))
    found = {key: got for key, got in answers.items() if not isinstance(got, CallFailure)}
    errors = [str(got) for got in answers.values() if isinstance(got, CallFailure)]
    return found, "; ".join(errors) or None


async def _processes(
    supervisor: ProcessSupervisor, seen: Survey
) -> tuple[dict[str, ProcessStatus] | None, str | None]:
    """Return what the supervisor knows of the members' processes, by member id."""
    if not supervisor.available:
        return None, None
    states: dict[str, ProcessStatus] = {}
    try:
        for key, one in seen.members.items():
            if one.name:
                states[key] = await supervisor.status(one.name)
    except OperatorError as error:
        return states, str(error)
    return states, None


async def _keys(
    client: EtcdClient, seen: Survey, metrics: Mapping[str, Mapping[str, float]]
) -> tuple[int | None, str | None]:
    """Return how many keys there are: from the metrics, or by counting where they are silent."""
    newest = facts.newest(seen)
    told = metrics.get(newest, {}).get("keys")
    if told is not None:
        return int(told), None
    try:
        return await client.key_count(seen.endpoints[newest]), None
    except CallFailure as failure:
        return None, str(failure)


async def _keys_at_compaction(
    client: EtcdClient, seen: Survey, metrics: Mapping[str, Mapping[str, float]]
) -> int | None:
    """Count how many keys the last compaction left, where space is short: it takes a while."""
    revision = facts.compact_revision(seen, metrics)
    if revision == 0 or not facts.is_filling(seen, metrics):
        return None
    try:
        return await client.key_count(seen.endpoints[facts.newest(seen)], revision)
    except CallFailure:
        return None  # as where it was compacted further meanwhile; it is only told less exactly
