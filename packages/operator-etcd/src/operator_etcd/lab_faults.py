"""Faults of a real etcd cluster, made from outside: signals to processes, and clients' calls."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from operator_core.call_failures import CallFailure
from operator_core.errors import ActionFailedError
from operator_etcd.client import EtcdClient
from operator_etcd.cluster import LocalEtcdCluster
from operator_etcd.lab_spec import FaultPart
from operator_etcd.survey import survey

NO_SPACE = "space exceeded"
_VALUE_BYTES = 200_000
_OVERWRITTEN_KEYS = 5
_MOST_WRITES = 1000

Fault = Callable[[LocalEtcdCluster, EtcdClient, list[str]], Awaitable[None]]


async def _stop_members(cluster: LocalEtcdCluster, _: EtcdClient, names: list[str]) -> None:
    await asyncio.gather(*map(cluster.kill, names))


async def _freeze_members(cluster: LocalEtcdCluster, _: EtcdClient, names: list[str]) -> None:
    for name in names:
        cluster.freeze(name)


async def _start_members(cluster: LocalEtcdCluster, _: EtcdClient, names: list[str]) -> None:
    await asyncio.gather(*(cluster.restart(one) for one in names if not cluster.runs(one)))


async def _thaw_members(cluster: LocalEtcdCluster, _: EtcdClient, names: list[str]) -> None:
    for name in names:
        cluster.thaw(name)


async def _move_leader(_: LocalEtcdCluster, client: EtcdClient, names: list[str]) -> None:
    """Hand the leadership over, as a person does before maintenance."""
    seen = await survey(client)
    target = seen.named(names[0])
    if seen.leader_endpoint is None or target is None:
        raise ActionFailedError(f"The leadership cannot be handed to {names[0]}.")
    if seen.leader_id != target.id:
        await client.move_leader(seen.leader_endpoint, target.id)


async def _raise_alarm(_: LocalEtcdCluster, client: EtcdClient, names: list[str]) -> None:
    """Raise NOSPACE where there is space: what is left when nobody disarms it afterwards."""
    seen = await survey(client)
    for name in names:
        member = seen.named(name)
        if member is None or seen.leader_endpoint is None:
            raise ActionFailedError(f"The alarm of {name} cannot be raised.")
        await client.arm(seen.leader_endpoint, member.id, "NOSPACE")


async def _fill_with_history(_: LocalEtcdCluster, client: EtcdClient, names: list[str]) -> None:
    """Overwrite a few keys until there is no space."""
    del names
    await _fill(client, _OVERWRITTEN_KEYS)


async def _fill_with_data(_: LocalEtcdCluster, client: EtcdClient, names: list[str]) -> None:
    """Write new keys until there is no space."""
    del names
    await _fill(client, _MOST_WRITES)


async def _fill(client: EtcdClient, keys: int) -> None:
    endpoint = client.configured[0]
    for number in range(_MOST_WRITES):
        key = f"lab/filling/{number % keys}".encode()
        try:
            await client.put(endpoint, key, number.to_bytes(4, "big") * (_VALUE_BYTES // 4))
        except CallFailure as failure:
            if NO_SPACE in failure.reason:
                return
            raise
    raise ActionFailedError(f"{_MOST_WRITES} writes did not fill the quota.")


_BEGIN: dict[str, Fault] = {
    "stop_members": _stop_members,
    "freeze_members": _freeze_members,
    "move_leader": _move_leader,
    "raise_alarm": _raise_alarm,
    "fill_with_history": _fill_with_history,
    "fill_with_data": _fill_with_data,
}
_END: dict[str, Fault] = {"stop_members": _start_members, "freeze_members": _thaw_members}


async def begin(fault: FaultPart, cluster: LocalEtcdCluster, client: EtcdClient) -> None:
    """Make a fault.

    Raises:
        SubjectError: the cluster did not let it happen.
    """
    await _BEGIN[fault.fault](cluster, client, fault.members)


async def end(fault: FaultPart, cluster: LocalEtcdCluster, client: EtcdClient) -> None:
    """Take a fault back.

    Raises:
        SubjectError: the cluster did not let it happen.
    """
    await _END[fault.fault](cluster, client, fault.members)


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
