"""How a real cluster really is: asked from etcd itself, and not through what Operator sees."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from operator_core.clock import monotonic_seconds
from operator_core.errors import SubjectError
from operator_core.lab import Truth
from operator_etcd.client import EtcdClient
from operator_etcd.survey import Survey, survey

_PASSING_SECONDS = 2.0
"""An election passes by itself: only what lasts longer is true."""
_AGAIN_SECONDS = 0.2
_FULL_SHARE = 0.8
_LOOSE_SHARE = 0.5
_LARGE_BYTES = 32 * 1024 * 1024
"""What a smaller file would give back is worth no pause of its member."""


@dataclass(frozen=True)
class Start:
    """What there was at the beginning: the names of the members by id, and their quota."""

    names: Mapping[str, str]
    quota_bytes: int


async def truth_of(client: EtcdClient, start: Start, written: Sequence[bytes]) -> Truth:
    """Say how the cluster is; what may pass by itself is looked at again for a moment.

    Args:
        client: of the cluster.
        start: what there was at the beginning.
        written: the keys that etcd accepted.
    """
    end = monotonic_seconds() + _PASSING_SECONDS
    while True:
        found = await _look(client, start, written)
        if found.is_healthy or found.leftovers or monotonic_seconds() > end:
            return found
        await asyncio.sleep(_AGAIN_SECONDS)


async def _look(client: EtcdClient, start: Start, written: Sequence[bytes]) -> Truth:
    """Look once: unavailable are keys that cannot be read and, as one more, writes."""
    try:
        seen = await survey(client)
    except SubjectError:
        return Truth(unavailable=len(written) + 1, exposed=len(start.names))
    endpoint = seen.leader_endpoint
    if endpoint is None:
        return Truth(unavailable=len(written) + 1, exposed=_exposed(seen, start))
    missing = [not await _reads(client, endpoint, key) for key in written]
    return Truth(
        unavailable=sum(missing) + (not await _writes(client, endpoint)),
        exposed=_exposed(seen, start),
        leftovers=(*await _alarms(client, endpoint, start), *_changed(seen, start)),
    )


def _exposed(seen: Survey, start: Start) -> int:
    """Count the members that hold no fresh copy: they are gone, or follow no leader."""
    serving = set(seen.healthy_voters) if seen.leader_id else set()
    return len(start.names.keys() - serving)


async def _reads(client: EtcdClient, endpoint: str, key: bytes) -> bool:
    try:
        return await client.get(endpoint, key) is not None
    except SubjectError:
        return False


async def _writes(client: EtcdClient, endpoint: str) -> bool:
    try:
        await client.put(endpoint, b"lab/truth", b"asked")
    except SubjectError:
        return False
    return True


async def _alarms(client: EtcdClient, endpoint: str, start: Start) -> list[str]:
    try:
        raised = await client.alarms(endpoint)
    except SubjectError:
        return ["alarms cannot be read"]
    told = {f"{one.alarm} of {start.names.get(one.member_id, one.member_id)}" for one in raised}
    return sorted(told)


def _changed(seen: Survey, start: Start) -> list[str]:
    """Name who came or went, and whose database is nearly full or mostly empty."""
    came = [f"{one.label} was added" for one in seen.members.values() if one.id not in start.names]
    went = [f"{name} was removed" for id_, name in start.names.items() if id_ not in seen.members]
    loose = [
        f"the database of {start.names.get(member_id, member_id)} is mostly free pages"
        for member_id, status in seen.statuses.items()
        if status.db_size_bytes >= _LARGE_BYTES
        and status.db_in_use_bytes < _LOOSE_SHARE * status.db_size_bytes
    ]
    full = [
        f"the database of {start.names.get(member_id, member_id)} is nearly full"
        for member_id, status in seen.statuses.items()
        if status.db_size_bytes >= _FULL_SHARE * start.quota_bytes
    ]
    return sorted([*came, *went, *full, *loose])
