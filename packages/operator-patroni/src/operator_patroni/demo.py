"""The Patroni demo: a real cluster of three whose primary crashes in a pause that was forgotten."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from operator_core.errors import SubjectError
from operator_core.types import JsonObject
from operator_patroni.cluster import LocalPatroniCluster, until

_TABLE = "demo_proof"
_REFUSED_SECONDS = 10.0
_PROOF_SECONDS = 20.0


class PatroniDemo:
    """A cluster that is paused for maintenance, and whose PostgreSQL then dies."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that keeps the cluster's files."""
        self.cluster = LocalPatroniCluster(folder)

    async def start(self) -> JsonObject:
        """Start three members, or find those that run already; return a subject's settings.

        Raises:
            ConfigurationError: PostgreSQL, Patroni or etcd is not installed.
        """
        if not self.cluster.is_running():
            await self.cluster.stop()
            await self.cluster.start()
        return {
            "url": ",".join(self.cluster.endpoints),
            "supervisor_file": str(self.cluster.file),
            "name": "patroni-demo",
        }

    async def break_it(self) -> AsyncIterator[str]:
        """Pause the cluster, end the PostgreSQL of its leader, and see that writes fail.

        Raises:
            ActionFailedError: writes go on.
        """
        leader = (await self.cluster.leader()).name
        await self.cluster.client.patch_config(self.cluster.endpoint(leader), {"pause": True})
        yield "somebody pauses the cluster for maintenance, and forgets it: nothing fails over now"
        await until(self._is_paused, "the pause", _PROOF_SECONDS)
        self.cluster.kill_postgres(leader)
        yield f"the PostgreSQL of {leader}, the primary, dies (SIGKILL)"
        await until(partial(self._is_refused, leader), "the end of writes", _REFUSED_SECONDS)
        yield "a client writes, and is refused: the shop stands still"

    async def _is_paused(self) -> bool:
        return (await self.cluster.view()).pause

    async def _is_refused(self, name: str) -> bool:
        try:
            await self._write(name)
        except SubjectError:
            return True
        return False

    async def _write(self, name: str) -> str:
        """Write a row, and return how many there are."""
        return await self.cluster.query(
            name,
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (at timestamptz);"  # noqa: S608 - fixed words
            f"INSERT INTO {_TABLE} VALUES (now()); SELECT count(*) FROM {_TABLE}",
        )

    async def prove_healthy(self) -> str:
        """Write a row through whoever leads and wait until every replica returns it.

        Raises:
            SubjectError: the write is refused, or a replica does not get it.
        """
        leader = (await self.cluster.leader()).name
        rows = await self._write(leader)
        replicas = [name for name in self.cluster.names if name != leader]
        for name in replicas:
            await until(partial(self._has, name, rows), f"the row on {name}", _PROOF_SECONDS)
        return f"a row written through {leader} is read back from {' and '.join(replicas)}"

    async def _has(self, name: str, rows: str) -> bool:
        try:
            return await self.cluster.query(name, f"SELECT count(*) FROM {_TABLE}") == rows  # noqa: S608 - fixed words
        except SubjectError:
            return False  # it starts again, or has not got the table yet

    async def stop(self) -> None:
        """End the cluster and remove its data."""
        await self.cluster.stop()
