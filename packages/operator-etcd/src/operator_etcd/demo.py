"""The etcd demo: a real cluster of three, filled until it refuses writes."""

from collections.abc import AsyncIterator
from pathlib import Path

from operator_core.call_failures import CallFailure
from operator_core.errors import ActionFailedError
from operator_core.types import JsonObject
from operator_etcd.cluster import LocalEtcdCluster

_VALUE_BYTES = 200_000
_KEYS = 5
_MOST_WRITES = 1000
_TELL_EVERY = 20
_NO_SPACE = "space exceeded"


class EtcdDemo:
    """A cluster with a small quota whose keys are overwritten until it is full."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that keeps the cluster's files."""
        self.cluster = LocalEtcdCluster(folder)

    async def start(self) -> JsonObject:
        """Start three members, or find those that run already; return a subject's settings."""
        if not self.cluster.is_running():
            await self.cluster.stop()
            await self.cluster.start()
        return {
            "endpoints": ",".join(self.cluster.endpoints),
            "supervisor_file": str(self.cluster.file),
            "name": "etcd-demo",
        }

    async def break_it(self) -> AsyncIterator[str]:
        """Overwrite a few keys until every member says that it has no space.

        Raises:
            ActionFailedError: the quota does not fill up.
        """
        quota = self.cluster.quota_bytes // (1024 * 1024)
        yield f"overwriting {_KEYS} keys with values of 200 kB; the database quota is {quota} MiB"
        written = 0
        refused: dict[str, str] = {}
        endpoints = self.cluster.endpoints
        while len(refused) < len(endpoints):
            endpoint = endpoints[written % len(endpoints)]
            reason = await self._write(endpoint, written)
            written += 1
            if reason is None and written % _TELL_EVERY == 0:
                yield f"{written} writes of 200 kB, every one accepted"
            elif reason and endpoint not in refused:
                refused[endpoint] = reason
                yield f"write {written} refused by {endpoint}: {reason}"
            if written > _MOST_WRITES:
                raise ActionFailedError(f"{written} writes did not fill the quota.")

    async def _write(self, endpoint: str, number: int) -> str | None:
        """Write once; return etcd's words where there is no space."""
        value = number.to_bytes(4, "big") * (_VALUE_BYTES // 4)
        key = f"demo/sessions/{number % _KEYS}".encode()
        try:
            await self.cluster.client.put(endpoint, key, value)
        except CallFailure as failure:
            if _NO_SPACE not in failure.reason:
                raise
            return failure.reason
        return None

    async def prove_healthy(self) -> str:
        """Write a key through every member and read it back.

        Raises:
            SubjectError: a write is refused, or what was read is not what was written.
        """
        client = self.cluster.client
        for number, endpoint in enumerate(self.cluster.endpoints):
            value = f"works again {number}".encode()
            await client.put(endpoint, b"demo/proof", value)
            if await client.get(endpoint, b"demo/proof") != value:
                raise ActionFailedError(f"{endpoint} does not return what was just written.")
        members = len(self.cluster.endpoints)
        return f"put demo/proof: accepted and read back through each of {members} members"

    async def stop(self) -> None:
        """End the cluster and remove its data."""
        await self.cluster.stop()
