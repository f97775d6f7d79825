"""Faults of a real cluster, made from outside: signals, files, and what people do to it."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from operator_core.errors import ActionFailedError, SubjectError
from operator_core.types import JsonObject
from operator_patroni.cluster import LocalPatroniCluster, until
from operator_patroni.cluster_files import ETCD, data_of, dcs_link, settings_file
from operator_patroni.lab_spec import FaultPart

TABLE = "lab_load"
_LOG_TABLE = "lab_log"
_ROW_BYTES = 1000
_ROWS_PER_MIB = 1024 * 1024 // _ROW_BYTES
_PATIENCE_SECONDS = 20.0
_MORE_CONNECTIONS = 40

Fault = Callable[[LocalPatroniCluster, FaultPart], Awaitable[None]]


async def _stop_members(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await asyncio.gather(*map(cluster.kill_member, fault.members))


async def _stop_patroni(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await asyncio.gather(*map(cluster.kill, fault.members))


async def _start_patroni(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await _start(cluster, fault.members)


async def _start(cluster: LocalPatroniCluster, names: list[str]) -> None:
    await asyncio.gather(*(cluster.restart(one) for one in names if not cluster.runs(one)))


async def _freeze_patroni(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    for name in fault.members:
        cluster.freeze(name)


async def _thaw_patroni(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    for name in fault.members:
        cluster.thaw(name)


async def _kill_postgres(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    for name in fault.members:
        cluster.kill_postgres(name)


async def _damage_data(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    """Take a file away without which PostgreSQL cannot start, and let it crash."""
    for name in fault.members:
        (data_of(cluster.folder, name) / "global" / "pg_control").unlink()
        cluster.kill_postgres(name)


async def _freeze_receiver(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    """Let replicas take nothing more from the leader, while they still serve."""
    await _send_to(cluster, fault.members, "walreceiver", signal.SIGSTOP)


async def _thaw_receiver(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await _send_to(cluster, fault.members, "walreceiver", signal.SIGCONT)


async def _freeze_replay(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    """Let replicas take the log and apply nothing of it, as a disk that hangs does."""
    await _send_to(cluster, fault.members, "startup", signal.SIGSTOP)


async def _thaw_replay(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await _send_to(cluster, fault.members, "startup", signal.SIGCONT)


async def _send_to(
    cluster: LocalPatroniCluster, names: list[str], part: str, number: signal.Signals
) -> None:
    """Send a signal to one process of the PostgreSQL of some members."""
    asked = f"SELECT pid FROM pg_stat_activity WHERE backend_type = '{part}'"  # noqa: S608 - fixed words
    for name in names:
        told = await cluster.query(name, asked)
        if not told:
            raise ActionFailedError(f"The PostgreSQL of {name} has no {part}.")
        os.kill(int(told), number)


async def _pause_replay(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    for name in fault.members:
        await cluster.query(name, "SELECT pg_wal_replay_pause()")


async def _resume_replay(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    for name in fault.members:
        await cluster.query(name, "SELECT pg_wal_replay_resume()")


async def _write_log(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    """Write rows of a kilobyte through the leader."""
    leader = (await cluster.leader()).name
    row, rows = f"repeat('x', {_ROW_BYTES})", fault.mib * _ROWS_PER_MIB
    await cluster.query(
        leader,
        f"CREATE TABLE IF NOT EXISTS {_LOG_TABLE} (x text STORAGE PLAIN);"  # noqa: S608 - fixed words
        f"INSERT INTO {_LOG_TABLE} SELECT {row} FROM generate_series(1, {rows});"
        f"TRUNCATE {_LOG_TABLE}",
    )


async def _stop_dcs(cluster: LocalPatroniCluster, _: FaultPart) -> None:
    await cluster.kill(ETCD)


async def _start_dcs(cluster: LocalPatroniCluster, _: FaultPart) -> None:
    await _start(cluster, [ETCD])


async def _cut_from_dcs(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await asyncio.gather(*(cluster.kill(dcs_link(name)) for name in fault.members))


async def _join_dcs(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await _start(cluster, [dcs_link(name) for name in fault.members])


async def _pause(cluster: LocalPatroniCluster, _: FaultPart) -> None:
    await _configure(cluster, {"pause": True})


async def _resume(cluster: LocalPatroniCluster, _: FaultPart) -> None:
    await _configure(cluster, {"pause": None})


async def _change_setting(cluster: LocalPatroniCluster, _: FaultPart) -> None:
    """Change a setting that PostgreSQL reads at its start alone."""
    change: JsonObject = {"parameters": {"max_connections": _MORE_CONNECTIONS}}
    await _configure(cluster, {"postgresql": change})


async def _configure(cluster: LocalPatroniCluster, change: JsonObject) -> None:
    await cluster.client.patch_config(cluster.endpoint((await cluster.leader()).name), change)


async def _switch_over(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    leader = (await cluster.leader()).name
    await cluster.client.switchover(cluster.endpoint(leader), leader, fault.members[0])


async def _restart_postgres(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    for name in fault.members:
        await cluster.client.restart(cluster.endpoint(name))


async def _set_nofailover(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await _set_tags(cluster, fault.members, {"nofailover": True})


async def _take_tag_back(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    await _set_tags(cluster, fault.members, {})


async def _set_tags(cluster: LocalPatroniCluster, names: list[str], tags: JsonObject) -> None:
    for name in names:
        file = settings_file(cluster.folder, name)
        settings = {**json.loads(file.read_text("utf-8")), "tags": tags}
        file.write_text(json.dumps(settings, indent=2), "utf-8")
        await cluster.client.reload(cluster.endpoint(name))


async def _fork_history(cluster: LocalPatroniCluster, fault: FaultPart) -> None:
    """Let replicas lead for a moment without Patroni, as a person does who knows of none."""
    for name in fault.members:
        await cluster.kill(name)
        await cluster.query(name, "SELECT pg_promote(true, 20)")
        await cluster.query(name, f"INSERT INTO {TABLE} VALUES (-1); CHECKPOINT")  # noqa: S608 - fixed words
        await cluster.restart(name)


_BEGIN: dict[str, Fault] = {
    "stop_members": _stop_members,
    "stop_patroni": _stop_patroni,
    "freeze_patroni": _freeze_patroni,
    "kill_postgres": _kill_postgres,
    "damage_data": _damage_data,
    "freeze_receiver": _freeze_receiver,
    "freeze_replay": _freeze_replay,
    "pause_replay": _pause_replay,
    "write_log": _write_log,
    "stop_dcs": _stop_dcs,
    "cut_from_dcs": _cut_from_dcs,
    "pause_cluster": _pause,
    "switch_over": _switch_over,
    "restart_postgres": _restart_postgres,
    "set_nofailover": _set_nofailover,
    "change_setting": _change_setting,
    "fork_history": _fork_history,
}
_END: dict[str, Fault] = {
    "stop_members": _start_patroni,
    "stop_patroni": _start_patroni,
    "freeze_patroni": _thaw_patroni,
    "freeze_receiver": _thaw_receiver,
    "freeze_replay": _thaw_replay,
    "pause_replay": _resume_replay,
    "stop_dcs": _start_dcs,
    "cut_from_dcs": _join_dcs,
    "pause_cluster": _resume,
    "set_nofailover": _take_tag_back,
}


async def begin(fault: FaultPart, cluster: LocalPatroniCluster) -> None:
    """Make a fault.

    Raises:
        SubjectError: the cluster did not let it happen.
    """
    await _BEGIN[fault.fault](cluster, fault)


async def end(fault: FaultPart, cluster: LocalPatroniCluster) -> None:
    """Take a fault back.

    Raises:
        SubjectError: the cluster did not let it happen.
    """
    await _END[fault.fault](cluster, fault)


async def prepare_load(cluster: LocalPatroniCluster) -> None:
    """Make the table that clients write to, and wait until every member has it.

    Raises:
        SubjectError: the cluster does not take it.
    """
    leader = (await cluster.leader()).name
    await cluster.query(leader, f"CREATE TABLE {TABLE} (number int PRIMARY KEY)")
    for name in cluster.names:
        await until(partial(_has_table, cluster, name), f"the table on {name}", _PATIENCE_SECONDS)


async def _has_table(cluster: LocalPatroniCluster, name: str) -> bool:
    return bool(await cluster.query(name, f"SELECT to_regclass('{TABLE}')"))


async def write_for_ever(
    cluster: LocalPatroniCluster, per_second: float, written: set[int]
) -> None:
    """Write rows through whoever leads, each once, and note what was accepted.

    Args:
        cluster: where.
        per_second: how many, while the cluster answers at once; 0: none.
        written: the rows that were accepted are added here.
    """
    number = 0
    while per_second > 0:
        number += 1
        with suppress(SubjectError, TimeoutError):
            leader = (await cluster.leader()).name
            await cluster.query(leader, f"INSERT INTO {TABLE} VALUES ({number})")  # noqa: S608 - fixed words
            written.add(number)
        await asyncio.sleep(1 / per_second)
