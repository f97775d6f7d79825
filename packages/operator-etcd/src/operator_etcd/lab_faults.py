"""Faults of a real etcd cluster, made from outside: signals to processes, and clients' calls."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf

from operator_core.call_failures import CallFailure
from operator_core.errors import ActionFailedError
from operator_etcd.client import EtcdClient
from operator_etcd.cluster import LocalEtcdCluster
from operator_etcd.lab_spec import FaultPart
from operator_etcd.survey import survey

NO_SPACE = "space exceeded"
_VALUE_BYTES = 200_000
_LARGE_VALUE_BYTES = 1_000_000
_OVERWRITTEN_KEYS = 5
_MOST_WRITES = 1000
_FILLING = b"lab/filling/"

Fault = Callable[[LocalEtcdCluster, EtcdClient, FaultPart], Awaitable[None]]


async def _stop_members(cluster: LocalEtcdCluster, _: EtcdClient, fault: FaultPart) -> None:
    await asyncio.gather(*map(cluster.kill, fault.members))


async def _freeze_members(cluster: LocalEtcdCluster, _: EtcdClient, fault: FaultPart) -> None:
    for name in fault.members:
        cluster.freeze(name)


async def _start_members(cluster: LocalEtcdCluster, _: EtcdClient, fault: FaultPart) -> None:
    await asyncio.gather(*(cluster.restart(one) for one in fault.members if not cluster.runs(one)))


async def _thaw_members(cluster: LocalEtcdCluster, _: EtcdClient, fault: FaultPart) -> None:
    for name in fault.members:
        cluster.thaw(name)


async def _move_leader(_: LocalEtcdCluster, client: EtcdClient, fault: FaultPart) -> None:
    """Hand the leadership over, as a person does before maintenance."""
    name = fault.members[0]
    seen = await survey(client)
    target = seen.named(name)
    if seen.leader_endpoint is None or target is None:
        raise ActionFailedError(f"The leadership cannot be handed to {name}.")
    if seen.leader_id != target.id:
        await client.move_leader(seen.leader_endpoint, target.id)


async def _raise_alarm(_: LocalEtcdCluster, client: EtcdClient, fault: FaultPart) -> None:
    """Raise NOSPACE where there is space: what is left when nobody disarms it afterwards."""
    seen = await survey(client)
    for name in fault.members:
        member = seen.named(name)
        if member is None or seen.leader_endpoint is None:
            raise ActionFailedError(f"The alarm of {name} cannot be raised.")
        await client.arm(seen.leader_endpoint, member.id, "NOSPACE")


async def _fill_with_history(
    cluster: LocalEtcdCluster, client: EtcdClient, fault: FaultPart
) -> None:
    """Overwrite a few keys until there is no space, or little."""
    await _fill(client, _OVERWRITTEN_KEYS, _until_bytes(cluster, fault))


async def _fill_with_data(cluster: LocalEtcdCluster, client: EtcdClient, fault: FaultPart) -> None:
    """Write new keys until there is no space, or little."""
    await _fill(client, _MOST_WRITES, _until_bytes(cluster, fault))


def _until_bytes(cluster: LocalEtcdCluster, fault: FaultPart) -> float:
    """Return how large a database shall become; without end where etcd itself shall refuse."""
    return fault.share * cluster.quota_bytes if fault.share < 1 else inf


async def _leave_free_pages(
    cluster: LocalEtcdCluster, client: EtcdClient, fault: FaultPart
) -> None:
    """Write new keys, delete them and compact, and leave the files as large as they became."""
    await _fill(client, _MOST_WRITES, _until_bytes(cluster, fault), _LARGE_VALUE_BYTES)
    endpoint = await cluster.leader_endpoint()
    await client.delete_below(endpoint, _FILLING)
    await client.compact(endpoint, (await client.status(endpoint)).header.revision)


async def _fill(
    client: EtcdClient, keys: int, until_bytes: float, value_bytes: int = _VALUE_BYTES
) -> None:
    """Write until the database of the member that is written to is so large, or refuses.

    The size that it tells is of its last commit, up to a tenth of a second ago, in which a quick
    disk takes more than the quota has left: what was written since the beginning counts too.
    """
    endpoint = client.configured[0]
    written_to_bytes = (await client.status(endpoint)).db_in_use_bytes
    for number in range(_MOST_WRITES):
        key = _FILLING + str(number % keys).encode()
        try:
            await client.put(endpoint, key, number.to_bytes(4, "big") * (value_bytes // 4))
        except CallFailure as failure:
            if NO_SPACE in failure.reason:
                return
            raise
        written_to_bytes += value_bytes
        told_bytes = (await client.status(endpoint)).db_size_bytes if until_bytes < inf else 0
        if max(written_to_bytes, told_bytes) >= until_bytes:
            return
    raise ActionFailedError(f"{_MOST_WRITES} writes did not fill the quota.")


_BEGIN: dict[str, Fault] = {
    "stop_members": _stop_members,
    "freeze_members": _freeze_members,
    "move_leader": _move_leader,
    "raise_alarm": _raise_alarm,
    "fill_with_history": _fill_with_history,
    "fill_with_data": _fill_with_data,
    "leave_free_pages": _leave_free_pages,
}
_END: dict[str, Fault] = {"stop_members": _start_members, "freeze_members": _thaw_members}


async def begin(fault: FaultPart, cluster: LocalEtcdCluster, client: EtcdClient) -> None:
    """Make a fault.

    Raises:
        SubjectError: the cluster did not let it happen.
    """
    await _BEGIN[fault.fault](cluster, client, fault)


async def end(fault: FaultPart, cluster: LocalEtcdCluster, client: EtcdClient) -> None:
    """Take a fault back.

    Raises:
        SubjectError: the cluster did not let it happen.
    """
    await _END[fault.fault](cluster, client, fault)


async def write_for_ever(client: EtcdClient, per_second: float, written: list[bytes]) -> None:
    """Write keys through one member after the other, each once, and note what was accepted.

    Args:
        client: of the cluster.
        per_second: how many, while the cluster answers at once; 0: none.
        written: the keys that etcd accepted are added here.
    """
    number = 0
    while per_second > 0:
        endpoint = client.configured[number % len(client.configured)]
        key = f"lab/load/{number}".encode()
        with suppress(CallFailure):
            await client.put(endpoint, key, b"there")
            written.append(key)
        number += 1
        await asyncio.sleep(1 / per_second)
