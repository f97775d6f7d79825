"""What an action checks itself right before it asks PD, because PD does not.

PD counts stores that are Down, and TiFlash, as replacements; it moves a replica onto a full
disk; it takes a leader transfer that cannot work and lets it time out. Each check raises
`ActionFailedError` where waiting can help, and `ActionRefusedError` where it cannot.
"""

from collections.abc import Collection, Iterable
from typing import Final

from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_tikv import facts
from operator_tikv.pd.types import RegionInfo, StoreInfo
from operator_tikv.view import View

LEAST_LEADER_TAKERS: Final = 2
"""How many other healthy stores must be left to lead when one is drained."""

_MIB: Final = 1 << 20
_LISTED: Final = 5


def store_of(view: View, store_id: int) -> StoreInfo:
    """Return a store.

    Raises:
        ActionRefusedError: PD does not know it, or it is a tombstone.
    """
    store = view.stores.get(store_id)
    if store is None:
        raise ActionRefusedError(f"PD knows no store {store_id}; it knows: {listed(view.stores)}.")
    return store


def tikv_store_of(view: View, store_id: int) -> StoreInfo:
    """Return a store that can lead regions.

    Raises:
        ActionRefusedError: there is none, or it is TiFlash.
    """
    store = store_of(view, store_id)
    if store.is_tiflash:
        raise ActionRefusedError(f"Store {store_id} is TiFlash and leads no regions.")
    return store


def listed(ids: Iterable[int]) -> str:
    """Name ids for people."""
    return ", ".join(str(key) for key in sorted(ids)) or "none"


def fair_share(view: View, store_id: int) -> float:
    """Return how many leaders a store would have if they were spread evenly."""
    sharing = {*view.healthy, store_id} - (set(view.evicted) - {store_id})
    total = sum(store.status.leader_count for store in view.stores.values())
    return total / max(1, len(sharing)) if store_id in view.healthy else 0.0


# --- the whole cluster ------------------------------------------------------------------


def check_pd(view: View) -> None:
    """Check that a majority of PD's servers is healthy: nothing is changed on a PD in need.

    Raises:
        ActionFailedError: it is not.
    """
    if 2 * view.healthy_member_count <= view.member_count:
        raise ActionFailedError(
            f"Only {view.healthy_member_count} of {view.member_count} PD members are healthy, "
            "which is no majority. Bring PD back first."
        )


def check_calm(view: View, store_id: int) -> None:
    """Check that a store is the only one that anything is going on with.

    Raises:
        ActionFailedError: another one is silent, drained, slow, without leaders or on its way
            out, or regions have replicas in trouble that this store does not explain.
    """
    check_alone(view, store_id)
    check_leading(view, besides=store_id)
    troubles = view.unexplained(store_id)
    if troubles:
        kinds = sorted({trouble.kind for trouble in troubles})
        regions = sorted({trouble.region_id for trouble in troubles})
        besides = f" besides store {store_id}" if store_id else ""
        raise ActionFailedError(
            f"{len(regions)} regions have replicas in trouble{besides} ({', '.join(kinds)}: "
            f"{listed(regions[:_LISTED])}); let PD repair them first."
        )


def check_alone(view: View, store_id: int) -> None:
    """Check that no other store is drained, silent, slow or on its way out: one store at a time.

    Raises:
        ActionFailedError: another one is.
    """
    others = [
        ("The leaders of store {} are being evicted already", view.evicted),
        ("PD does not hear store {}, so a second one must not be touched", view.silent),
        ("Store {} is on its way out already", view.leaving),
        ("Store {} is slow, and PD may be moving its leaders away", view.slow),
    ]
    for words, ids in others:
        found = set(ids) - {store_id}
        if found:
            raise ActionFailedError(f"{words.format(listed(found))}; one store at a time.")


def check_leading(view: View, besides: int | None = None) -> None:
    """Check that no store leads nothing without a reason.

    Its peers may be cut off: then PD hears it, calls it well, and lists no replica of it as down
    for the first ten minutes, and no region has more than a bare majority.

    Raises:
        ActionFailedError: one does, other than the one left out.
    """
    found = set(view.leaderless) - {besides}
    if found:
        raise ActionFailedError(
            f"Store {listed(found)} looks well to PD and leads no region, though nothing keeps it "
            "from leading; the other stores may not reach it. Find out why first, or drain it."
        )


def check_quiet(view: View) -> None:
    """Check that nothing is going on with any store, and that all replicas are in good order.

    Raises:
        ActionFailedError: something is.
    """
    check_calm(view, 0)


def check_scheduling(view: View) -> None:
    """Check that PD moves leaders and replicas at all.

    Raises:
        ActionFailedError: it was told not to.
    """
    if view.config.halt_scheduling:
        raise ActionFailedError("PD's scheduling is halted (halt-scheduling is true).")
    if view.config.leader_schedule_limit == 0:
        raise ActionFailedError("PD moves no leaders: leader-schedule-limit is 0.")
    if view.denied:
        raise ActionFailedError(
            f"The region label {', '.join(view.denied)} forbids scheduling (schedule=deny)."
        )


def check_repair(view: View) -> None:
    """Check that PD makes replicas.

    Raises:
        ActionFailedError: it was told not to.
    """
    check_scheduling(view)
    if view.paused_checkers:
        names = ", ".join(view.paused_checkers)
        raise ActionFailedError(f"PD repairs nothing: its checker {names} is paused.")
    if view.config.replica_schedule_limit == 0:
        raise ActionFailedError("PD makes no replicas: replica-schedule-limit is 0.")


# --- one store --------------------------------------------------------------------------


def check_drain(view: View, store_id: int) -> int:
    """Check that a store may be drained, and return how many regions it leads.

    Raises:
        ActionRefusedError: no such store, or one that never leads.
        ActionFailedError: it would be unsafe, or could not work, now.
    """
    store = tikv_store_of(view, store_id)
    check_takers(view, store_id)
    check_calm(view, store_id)
    check_scheduling(view)
    return store.status.leader_count


def check_takers(view: View, store_id: int) -> None:
    """Check that enough other stores are left that may lead regions.

    Raises:
        ActionFailedError: they are too few.
    """
    barred = {store_id, *view.evicted}
    takers = [
        key
        for key in view.healthy
        if key not in barred and view.stores[key].status.leader_weight > 0
    ]
    if len(takers) < LEAST_LEADER_TAKERS:
        raise ActionFailedError(
            f"Only {len(takers)} other healthy stores could take the leaders of store "
            f"{store_id}; it takes {LEAST_LEADER_TAKERS}."
        )


def check_delete(view: View, store_id: int) -> None:
    """Check that a store may be taken out for good: by our own count of what remains.

    Raises:
        ActionRefusedError: no such store.
        ActionFailedError: it would be unsafe, or could not end, now.
    """
    store = store_of(view, store_id)
    if store.store.state_name == "Disconnected":
        raise ActionFailedError(
            f"Store {store_id} is silent for less than {view.config.max_store_down_seconds:.0f} s "
            "and may come back. Wait, or repair it."
        )
    if not store.is_tiflash:
        check_enough_remain(view, store)
    check_leading(view)
    check_calm(view, store_id)
    check_repair(view)


def check_enough_remain(view: View, store: StoreInfo) -> None:
    """Check that the other stores can hold the replicas of one that gives all away.

    Raises:
        ActionFailedError: they are too few, or have no room.
    """
    needed = view.replicate.max_replicas
    remaining = [view.stores[key] for key in view.healthy if key != store.id]
    if len(remaining) < needed:
        raise ActionFailedError(
            f"Only {len(remaining)} healthy TiKV stores would remain ({listed(view.healthy)} "
            f"without {store.id}), and each region has {needed} replicas. Add a store first."
        )
    roomy = [other for other in remaining if _share_left(other, 0) >= _least_share(view)]
    if len(roomy) < needed:
        raise ActionFailedError(
            f"Only {len(roomy)} of the remaining stores have room for replicas; "
            f"it takes {needed}. Add capacity first."
        )
    _check_data_fits(view, store, roomy)


def _check_data_fits(view: View, store: StoreInfo, others: Collection[StoreInfo]) -> None:
    spare = sum(
        max(0.0, (other.status.available or 0) - _least_share(view) * (other.status.capacity or 0))
        for other in others
    )
    needed = store.status.region_size * _MIB
    if needed > spare:
        raise ActionFailedError(
            f"The replicas of store {store.id} ({needed / _MIB:.0f} MiB) do not fit on the others "
            f"({spare / _MIB:.0f} MiB to spare). Add capacity first."
        )


def check_can_take(view: View, store_id: int, region: RegionInfo) -> None:
    """Check that a store can take a replica of a region; PD puts it onto a full disk.

    Raises:
        ActionRefusedError: no such store.
        ActionFailedError: it is not healthy, or has no room.
    """
    store = store_of(view, store_id)
    if store_id not in view.healthy:
        raise ActionFailedError(f"Store {store_id} is not healthy and cannot take a replica.")
    if not store.status.capacity or store.status.available is None:
        raise ActionFailedError(f"Store {store_id} has not said how much room it has.")
    left, least = _share_left(store, region.approximate_size), _least_share(view)
    if left < least:
        raise ActionFailedError(
            f"Store {store_id} would have {left:.1%} of its disk left, less than {least:.0%}."
        )


def check_can_lead(view: View, store_id: int) -> None:
    """Check that a store should lead regions.

    Raises:
        ActionFailedError: it should not now.
    """
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


def _share_left(store: StoreInfo, less_mib: int) -> float:
    capacity, available = store.status.capacity, store.status.available
    return ((available or 0) - less_mib * _MIB) / capacity if capacity else 0.0


def _least_share(view: View) -> float:
    return 1.0 - view.config.low_space_ratio
