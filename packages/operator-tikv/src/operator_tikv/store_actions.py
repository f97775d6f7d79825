"""The actions on one store or scheduler: look, ask PD, wait for the effect, say what changed."""

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
    DRAIN_WAIT_SECONDS,
    RETURN_WAIT_SECONDS,
)
from operator_tikv.hands import Hands
from operator_tikv.pd.api import BALANCE_LEADER, PdApi

_LISTED: Final = 10


async def drain_store(hands: Hands, store_id: int) -> JsonObject:
    """Evict a store's leaders and wait until it leads none.

    All or nothing: where leaders stay, an eviction that this call began is ended again.

    Raises:
        ActionRefusedError: there is no such store.
        ActionFailedError: not now, or leaders stay; the eviction was taken back.
        OutcomeUnknownError: no answer, or the eviction could not be taken back.
    """
    view = await hands.view()
    was_evicted = store_id in view.evicted
    before = preflight.check_drain(view, store_id)
    await hands.api.evict_leaders(store_id)

    async def leads_none() -> bool:
        return await _leader_count(hands, store_id) == 0

    if not await hands.until(leads_none, DRAIN_WAIT_SECONDS):
        await _give_up_drain(hands, store_id, take_back=not was_evicted)
    return {
        "store_id": store_id,
        "changed": not was_evicted or before > 0,
        "before": {"leader_count": before, "leaders_by_store": view.leaders_by_store},
        "after": {"leader_count": 0, "leaders_by_store": await _leaders_by_store(hands)},
    }


async def _give_up_drain(hands: Hands, store_id: int, *, take_back: bool) -> None:
    try:
        regions = await hands.api.regions_led_by(store_id)
        if take_back:
            await hands.api.stop_evicting(store_id)
    except SubjectError as error:
        raise OutcomeUnknownError(
            f"Store {store_id} still leads regions after {DRAIN_WAIT_SECONDS:.0f} s, and its "
            f"evict-leader scheduler could not be taken back: {error}"
        ) from error
    stuck = ", ".join(str(region.id) for region in regions[:_LISTED]) or "none any more"
    raise ActionFailedError(
        f"Store {store_id} could not be drained in {DRAIN_WAIT_SECONDS:.0f} s; it still leads "
        f"{len(regions)} regions ({stuck}). Their other replicas may be down or pending."
    )


async def undrain_store(hands: Hands, store_id: int) -> JsonObject:
    """End evicting a store's leaders, and wait for leaders to come back.

    That leaders return takes a running balance-leader scheduler; where they do not return in
    time the store is undrained all the same, and the answer says so.

    Raises:
        ActionRefusedError: there is no such store.
        ActionFailedError: not now.
        OutcomeUnknownError: no answer, or the eviction is still listed.
    """
    view = await hands.view()
    before = preflight.store_of(view, store_id).status.leader_count
    await hands.api.stop_evicting(store_id)

    async def is_free() -> bool:
        return not await is_evicted(hands.api, store_id)

    if not await hands.until(is_free, RETURN_WAIT_SECONDS):
        raise OutcomeUnknownError(f"PD still lists store {store_id} in its evict-leader scheduler.")
    wanted = preflight.fair_share(view, store_id) / 2

    async def has_returned() -> bool:
        return await _leader_count(hands, store_id) >= wanted

    can_return = BALANCE_LEADER in view.schedulers and BALANCE_LEADER not in view.paused
    returned = can_return and await hands.until(has_returned, RETURN_WAIT_SECONDS)
    after = await _leaders_by_store(hands)
    return {
        "store_id": store_id,
        "changed": store_id in view.evicted,
        "leaders_returned": returned,
        "before": {"leader_count": before, "leaders_by_store": view.leaders_by_store},
        "after": {"leader_count": after.get(str(store_id)), "leaders_by_store": after},
    }


async def resume_scheduler(hands: Hands, name: str) -> JsonObject:
    """Let a paused scheduler run again.

    Raises:
        ActionRefusedError: there is no such scheduler.
        ActionFailedError: not now.
        OutcomeUnknownError: no answer, or it is still listed as paused.
    """
    names, paused = await hands.api.schedulers(), await hands.api.schedulers("paused")
    if name not in names:
        raise ActionRefusedError(f"PD runs no scheduler {name!r}; it runs: {', '.join(names)}.")
    await hands.api.resume_scheduler(name)

    async def is_running() -> bool:
        return name not in await hands.api.schedulers("paused")

    if not await hands.until(is_running, RETURN_WAIT_SECONDS):
        raise OutcomeUnknownError(f"PD still lists the scheduler {name!r} as paused.")
    was_paused = name in paused
    return {
        "name": name,
        "changed": was_paused,
        "before": {"paused": was_paused},
        "after": {"paused": False},
    }


async def is_evicted(api: PdApi, store_id: int) -> bool:
    """Return whether a store's leaders are being evicted."""
    return store_id in await api.evicted_store_ids(await api.schedulers())


async def _leader_count(hands: Hands, store_id: int) -> int:
    stores, _ = await hands.api.stores()
    counts = [store.status.leader_count for store in stores if store.id == store_id]
    if not counts:
        raise SubjectError(f"PD does not list store {store_id} now.")
    return counts[0]


async def _leaders_by_store(hands: Hands) -> JsonObject:
    """Return the spread of leaders for the record; nothing where it cannot be read now."""
    try:
        stores, _ = await hands.api.stores()
    except SubjectError:
        return {}
    return preflight.leaders_by_store(stores)
