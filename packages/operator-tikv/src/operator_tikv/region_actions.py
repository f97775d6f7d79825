"""The actions on one region: look first, ask PD, wait for the effect, say what changed.

PD's 200 means queued. Until the request is sent every error means "surely not done"; from
then on a read that fails says nothing of the effect and is tried again, and an effect that
is not seen in time is unknown.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)
from operator_core.types import JsonObject
from operator_tikv import preflight
from operator_tikv.definitions import (
    TRANSFER_LEADER_WAIT_SECONDS,
    TRANSFER_PEER_WAIT_SECONDS,
)
from operator_tikv.hands import Hands
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import RegionInfo

_ENDED: Final = frozenset({OperatorStatus.TIMEOUT, OperatorStatus.CANCEL, OperatorStatus.REPLACE})


async def transfer_leader(hands: Hands, region_id: int, to_store_id: int) -> JsonObject:
    """Let the replica on a store become its region's leader.

    Raises:
        ActionRefusedError: region, store or voter do not exist.
        ActionFailedError: not now, or PD gave up.
        OutcomeUnknownError: no answer, or no effect in sight in time.
    """
    view, region = await hands.view(), await _region(hands, region_id)
    before = region.leader_store_id
    if before == to_store_id:
        return _moved(region_id, before, before, changed=False)
    status = await hands.api.operator_status(region_id)
    preflight.check_leader_transfer(view, region, to_store_id, status)
    await hands.api.add_operator("transfer-leader", region_id=region_id, to_store_id=to_store_id)

    async def is_leader() -> bool:
        return await _leads(hands, region_id, to_store_id)

    await _wait_for_operator(hands, region_id, is_leader, TRANSFER_LEADER_WAIT_SECONDS)
    return _moved(region_id, before, to_store_id, changed=True)


async def transfer_peer(
    hands: Hands, region_id: int, from_store_id: int, to_store_id: int
) -> JsonObject:
    """Move a region's replica from one store to another.

    Raises:
        ActionRefusedError: region, store or peer do not exist, or the target has one already.
        ActionFailedError: not now, or PD gave up.
        OutcomeUnknownError: no answer, or no effect in sight in time.
    """
    view, region = await hands.view(), await _region(hands, region_id)
    before = sorted(peer.store_id for peer in region.peers)
    status = await hands.api.operator_status(region_id)
    preflight.check_peer_transfer(view, region, from_store_id, to_store_id, status)
    await hands.api.add_operator(
        "transfer-peer",
        region_id=region_id,
        from_store_id=from_store_id,
        to_store_id=to_store_id,
    )

    async def is_moved() -> bool:
        return is_peer_moved(await hands.api.region(region_id), from_store_id, to_store_id)

    await _wait_for_operator(hands, region_id, is_moved, TRANSFER_PEER_WAIT_SECONDS)
    after = await _region_or_none(hands, region_id)
    return {
        "region_id": region_id,
        "changed": True,
        "before": {"peer_store_ids": before},
        "after": {"peer_store_ids": sorted(p.store_id for p in after.peers) if after else None},
    }


def is_peer_moved(region: RegionInfo | None, from_store_id: int, to_store_id: int) -> bool:
    """Return whether a region has a whole voter on the target and nothing on the source."""
    if region is None or region.peer_on(from_store_id):
        return False
    peer = region.peer_on(to_store_id)
    is_whole = to_store_id not in region.unhealthy_store_ids
    return peer is not None and peer.is_voter and is_whole


async def _wait_for_operator(
    hands: Hands, region_id: int, is_done: Callable[[], Awaitable[bool]], limit_seconds: float
) -> None:
    """Wait for the effect; end early when PD says that its operator ended without it."""
    ended: list[OperatorStatus] = []

    async def is_over() -> bool:
        if await is_done():
            return True
        status = await hands.api.operator_status(region_id)
        # The effect may have come between the two looks, so it is looked for once more.
        if status in _ENDED and not await is_done():
            ended.append(status)
        return bool(ended)

    if not await hands.until(is_over, limit_seconds):
        raise OutcomeUnknownError(
            f"PD took the operator on region {region_id}, but after {limit_seconds:.0f} s its "
            "effect is not to be seen."
        )
    if ended:
        raise ActionFailedError(
            f"PD ended the operator on region {region_id} without its effect: {ended[0].value}."
        )


async def _region(hands: Hands, region_id: int) -> RegionInfo:
    region = await hands.api.region(region_id)
    if region is None:
        raise ActionRefusedError(f"PD knows no region {region_id}. It may have been merged.")
    return region


async def _region_or_none(hands: Hands, region_id: int) -> RegionInfo | None:
    try:
        return await hands.api.region(region_id)
    except SubjectError:
        return None


async def _leads(hands: Hands, region_id: int, store_id: int) -> bool:
    region = await hands.api.region(region_id)
    return region is not None and region.leader_store_id == store_id


def _moved(region_id: int, before: int, after: int, *, changed: bool) -> JsonObject:
    return {
        "region_id": region_id,
        "changed": changed,
        "before": {"leader_store_id": before},
        "after": {"leader_store_id": after},
    }
