"""What an action checks itself right before it asks PD, because PD does not.

PD counts stores that are Down, and TiFlash, as replacements; it moves a replica onto a full
disk; it takes a leader transfer that cannot work and lets it time out.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_core.types import JsonObject
from operator_tikv import facts
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import RegionInfo, ScheduleConfig, StoreInfo

LEAST_LEADER_TAKERS: Final = 2
"""How many other healthy stores must be left to lead when one is drained."""

_MIB: Final = 1 << 20


@dataclass(frozen=True)
class View:
    """What the checks look at.

    Attributes:
        stores: all stores that are not tombstones, by id.
        healthy: ids of the TiKV stores that serve and that PD hears.
        evicted: ids of the stores whose leaders are being evicted.
        schedulers: names of the schedulers.
        paused: names of those that are paused.
        config: the schedule configuration.
    """

    stores: dict[int, StoreInfo]
    healthy: Collection[int]
    evicted: Collection[int]
    schedulers: Sequence[str]
    paused: Sequence[str]
    config: ScheduleConfig

    @property
    def leaders_by_store(self) -> JsonObject:
        """How many regions each store leads."""
        return leaders_by_store(self.stores.values())


def leaders_by_store(stores: Iterable[StoreInfo]) -> JsonObject:
    """Return how many regions each TiKV store leads."""
    return {str(store.id): store.status.leader_count for store in stores if not store.is_tiflash}


async def look(api: PdApi) -> View:
    """Read what the checks need.

    Raises:
        SubjectError: it cannot be read; nothing was changed.
    """
    (stores, date), names, paused, config = await asyncio.gather(
        api.stores(), api.schedulers(), api.schedulers("paused"), api.schedule_config()
    )
    evicted = await api.evicted_store_ids(names)
    cluster = facts.cluster_facts(stores, facts.pd_time(stores, date), evicted)
    return View(
        stores={store.id: store for store in stores},
        healthy=cluster["healthy_store_ids"],
        evicted=evicted,
        schedulers=names,
        paused=paused,
        config=config,
    )


def store_of(view: View, store_id: int) -> StoreInfo:
    """Return a store.

    Raises:
        ActionRefusedError: PD does not know it, or it is a tombstone.
    """
    store = view.stores.get(store_id)
    if store is None:
        known = ", ".join(str(key) for key in sorted(view.stores))
        raise ActionRefusedError(f"PD knows no store {store_id}; it knows: {known or 'none'}.")
    return store


def fair_share(view: View, store_id: int) -> float:
    """Return how many leaders a store would have if they were spread evenly."""
    sharing = {*view.healthy, store_id} - (set(view.evicted) - {store_id})
    total = sum(store.status.leader_count for store in view.stores.values())
    return total / max(1, len(sharing)) if store_id in view.healthy else 0.0


def check_drain(view: View, store_id: int) -> int:
    """Check that a store may be drained, and return how many regions it leads.

    Raises:
        ActionRefusedError: no such store, or one that never leads.
        ActionFailedError: it would be unsafe, or could not work, now.
    """
    store = store_of(view, store_id)
    if store.is_tiflash:
        raise ActionRefusedError(f"Store {store_id} is TiFlash and leads no regions.")
    others = set(view.evicted) - {store_id}
    if others:
        listed = ", ".join(str(key) for key in sorted(others))
        raise ActionFailedError(
            f"The leaders of store {listed} are being evicted already; one store at a time."
        )
    takers = set(view.healthy) - {store_id}
    if len(takers) < LEAST_LEADER_TAKERS:
        raise ActionFailedError(
            f"Only {len(takers)} other healthy stores could take the leaders of store "
            f"{store_id}; it takes {LEAST_LEADER_TAKERS}."
        )
    _check_scheduling(view)
    return store.status.leader_count


def check_leader_transfer(
    view: View, region: RegionInfo, to_store_id: int, status: OperatorStatus
) -> None:
    """Check that a replica can become leader.

    Raises:
        ActionRefusedError: there is no voter on that store.
        ActionFailedError: it would not work now.
    """
    store_of(view, to_store_id)
    peer = region.peer_on(to_store_id)
    if peer is None or not peer.is_voter:
        voters = ", ".join(str(voter.store_id) for voter in region.voters)
        raise ActionRefusedError(
            f"Region {region.id} has no voter on store {to_store_id}; its voters are on: {voters}."
        )
    if to_store_id in region.unhealthy_store_ids:
        raise ActionFailedError(
            f"The replica of region {region.id} on store {to_store_id} is down or lags behind."
        )
    _check_can_lead(view, to_store_id)
    _check_idle(region, status)


def check_peer_transfer(
    view: View, region: RegionInfo, from_store_id: int, to_store_id: int, status: OperatorStatus
) -> None:
    """Check that a replica can be moved, and that the move takes no quorum.

    Raises:
        ActionRefusedError: there is no replica to move, or one is there already.
        ActionFailedError: it would be unsafe or would not work now.
    """
    target = store_of(view, to_store_id)
    if region.peer_on(from_store_id) is None:
        raise ActionRefusedError(f"Region {region.id} has no replica on store {from_store_id}.")
    if region.peer_on(to_store_id) is not None:
        raise ActionRefusedError(
            f"Region {region.id} has a replica on store {to_store_id} already."
        )
    unhealthy = region.unhealthy_store_ids - {from_store_id}
    if unhealthy or any(peer.in_joint_state for peer in region.peers):
        raise ActionFailedError(
            f"Region {region.id} has replicas that are down, behind or being changed; "
            "moving another one would put its quorum at risk."
        )
    if to_store_id not in view.healthy:
        raise ActionFailedError(f"Store {to_store_id} is not healthy and cannot take a replica.")
    _check_room(view, target, region)
    _check_idle(region, status)


def _check_room(view: View, target: StoreInfo, region: RegionInfo) -> None:
    """PD moves a replica onto a disk without room when an operator asks for it."""
    capacity, available = target.status.capacity, target.status.available
    if not capacity or available is None:
        raise ActionFailedError(f"Store {target.id} has not said how much room it has.")
    left = available - region.approximate_size * _MIB
    least = 1.0 - view.config.low_space_ratio
    if left < capacity * least:
        raise ActionFailedError(
            f"Store {target.id} would have {left / capacity:.1%} of its disk left, "
            f"less than {least:.0%}."
        )


def _check_can_lead(view: View, store_id: int) -> None:
    store = view.stores[store_id]
    faults = [
        ("it is not healthy", store_id not in view.healthy),
        ("its leaders are being evicted", store_id in view.evicted),
        ("it is busy", store.status.is_busy),
        ("it is slow", store.status.slow_score >= facts.SLOW_SCORE),
    ]
    found = [words for words, is_so in faults if is_so]
    if found:
        raise ActionFailedError(f"Store {store_id} should not lead now: {' and '.join(found)}.")


def _check_scheduling(view: View) -> None:
    if view.config.halt_scheduling:
        raise ActionFailedError("PD's scheduling is halted (halt-scheduling is true).")
    if view.config.leader_schedule_limit == 0:
        raise ActionFailedError("PD moves no leaders: leader-schedule-limit is 0.")


def _check_idle(region: RegionInfo, status: OperatorStatus) -> None:
    if status is OperatorStatus.RUNNING:
        raise ActionFailedError(f"PD is working on region {region.id} already; try again later.")
