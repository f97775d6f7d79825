"""Did the effect happen? Answered from what PD says now; changes nothing."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from operator_core.errors import SubjectError
from operator_core.subject import ActionCall, ProbeAnswer
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import RegionInfo
from operator_tikv.region_actions import is_peer_moved
from operator_tikv.store_actions import is_evicted

_Probe = Callable[[PdApi, ActionCall], Awaitable[ProbeAnswer]]


async def probe(api: PdApi, call: ActionCall) -> ProbeAnswer:
    """Say whether an effect that was sent has happened.

    Where PD cannot be read, or still works on it, nobody knows yet.
    """
    ask = _PROBES.get(call.action_name)
    if ask is None:
        return ProbeAnswer.UNKNOWN
    try:
        return await ask(api, call)
    except SubjectError:
        return ProbeAnswer.UNKNOWN


async def _transfer_leader(api: PdApi, call: ActionCall) -> ProbeAnswer:
    target = int(call.parameters["to_store_id"])
    return await _by_region(api, call, lambda region: region.leader_store_id == target)


async def _transfer_peer(api: PdApi, call: ActionCall) -> ProbeAnswer:
    source, target = int(call.parameters["from_store_id"]), int(call.parameters["to_store_id"])
    return await _by_region(api, call, lambda region: is_peer_moved(region, source, target))


async def _by_region(
    api: PdApi, call: ActionCall, happened: Callable[[RegionInfo], bool]
) -> ProbeAnswer:
    region_id = int(call.parameters["region_id"])
    # The operator first: it may end, with its effect, between the two looks.
    status = await api.operator_status(region_id)
    region = await api.region(region_id)
    if region is None:
        return ProbeAnswer.UNKNOWN
    if happened(region):
        return ProbeAnswer.HAPPENED
    is_running = status in {OperatorStatus.RUNNING, OperatorStatus.OTHER}
    return ProbeAnswer.UNKNOWN if is_running else ProbeAnswer.NOT_HAPPENED


async def _drain_store(api: PdApi, call: ActionCall) -> ProbeAnswer:
    """Drained only when no leader is left: the next step of a workflow counts on it."""
    store_id = int(call.parameters["store_id"])
    if not await is_evicted(api, store_id):
        return ProbeAnswer.NOT_HAPPENED
    stores, _ = await api.stores()
    counts = [store.status.leader_count for store in stores if store.id == store_id]
    return ProbeAnswer.HAPPENED if counts == [0] else ProbeAnswer.UNKNOWN


async def _undrain_store(api: PdApi, call: ActionCall) -> ProbeAnswer:
    evicted = await is_evicted(api, int(call.parameters["store_id"]))
    return ProbeAnswer.NOT_HAPPENED if evicted else ProbeAnswer.HAPPENED


async def _resume_scheduler(api: PdApi, call: ActionCall) -> ProbeAnswer:
    paused = call.parameters["name"] in await api.schedulers("paused")
    return ProbeAnswer.NOT_HAPPENED if paused else ProbeAnswer.HAPPENED


_PROBES: Final[Mapping[str, _Probe]] = {
    "transfer_leader": _transfer_leader,
    "transfer_peer": _transfer_peer,
    "drain_store": _drain_store,
    "undrain_store": _undrain_store,
    "resume_scheduler": _resume_scheduler,
}
