"""What an action on one region checks itself right before it asks PD; see `preflight`."""

from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_tikv import preflight
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import RegionInfo
from operator_tikv.view import View


def check_idle(region: RegionInfo, status: OperatorStatus) -> None:
    """Check that PD is not working on a region.

    Raises:
        ActionFailedError: it is.
    """
    if status is OperatorStatus.RUNNING:
        raise ActionFailedError(f"PD is working on region {region.id} already; try again later.")


def check_whole(region: RegionInfo, besides: int | None = None) -> None:
    """Check that all replicas of a region are well, except the one on a store.

    Raises:
        ActionFailedError: they are not, so that a change would put the quorum at risk.
    """
    unhealthy = region.unhealthy_store_ids - {besides}
    if unhealthy or any(peer.in_joint_state for peer in region.peers):
        raise ActionFailedError(
            f"Region {region.id} has replicas that are down, behind or being changed; "
            "changing another one would put its quorum at risk."
        )
    if not region.leader_store_id:
        raise ActionFailedError(f"Region {region.id} has no leader now.")


def check_leader_transfer(
    view: View, region: RegionInfo, to_store_id: int, status: OperatorStatus
) -> None:
    """Check that a replica can become leader.

    Raises:
        ActionRefusedError: there is no voter on that store.
        ActionFailedError: it would not work now.
    """
    preflight.store_of(view, to_store_id)
    peer = region.peer_on(to_store_id)
    if peer is None or not peer.is_voter:
        voters = preflight.listed(voter.store_id for voter in region.voters)
        raise ActionRefusedError(
            f"Region {region.id} has no voter on store {to_store_id}; its voters are on: {voters}."
        )
    if peer.is_witness:
        raise ActionRefusedError(
            f"The replica of region {region.id} on store {to_store_id} is a witness: it has no "
            "data and cannot lead."
        )
    if to_store_id in region.unhealthy_store_ids:
        raise ActionFailedError(
            f"The replica of region {region.id} on store {to_store_id} is down or lags behind."
        )
    preflight.check_can_lead(view, to_store_id)
    check_idle(region, status)


def check_peer_transfer(
    view: View, region: RegionInfo, from_store_id: int, to_store_id: int, status: OperatorStatus
) -> None:
    """Check that a replica can be moved, and that the move takes no quorum.

    Raises:
        ActionRefusedError: there is no replica to move, or one is there already.
        ActionFailedError: it would be unsafe or would not work now.
    """
    if region.peer_on(from_store_id) is None:
        raise ActionRefusedError(f"Region {region.id} has no replica on store {from_store_id}.")
    check_new_peer(view, region, to_store_id, status, besides=from_store_id)


def check_new_peer(
    view: View,
    region: RegionInfo,
    to_store_id: int,
    status: OperatorStatus,
    *,
    besides: int | None = None,
) -> None:
    """Check that a region can get a replica on a store.

    Raises:
        ActionRefusedError: no such store, or one is there already.
        ActionFailedError: it would be unsafe or would not work now.
    """
    preflight.store_of(view, to_store_id)
    if region.peer_on(to_store_id) is not None:
        raise ActionRefusedError(
            f"Region {region.id} has a replica on store {to_store_id} already."
        )
    check_whole(region, besides)
    preflight.check_can_take(view, to_store_id, region)
    check_idle(region, status)


def check_peer_removal(
    view: View, region: RegionInfo, store_id: int, status: OperatorStatus
) -> None:
    """Check that a region can do without its replica on a store.

    It can where it has more than it should, or where the replica is down or lags behind and
    the others are a majority without it.

    Raises:
        ActionRefusedError: there is no replica, or it is one of too few.
        ActionFailedError: the others are not well.
    """
    peer = region.peer_on(store_id)
    if peer is None:
        raise ActionRefusedError(f"Region {region.id} has no replica on store {store_id}.")
    is_broken = store_id in region.unhealthy_store_ids
    if peer.is_voter and len(region.voters) <= view.replicate.max_replicas and not is_broken:
        raise ActionRefusedError(
            f"Region {region.id} has {len(region.voters)} voters and should have "
            f"{view.replicate.max_replicas}: a healthy one is not given away. Move it instead."
        )
    check_whole(region, besides=store_id)
    well = {voter.store_id for voter in region.voters} - {store_id}
    if 2 * len(well & set(view.healthy)) <= len(region.voters):
        raise ActionFailedError(
            f"Without store {store_id} region {region.id} would keep no majority of its voters "
            "on healthy stores."
        )
    check_idle(region, status)
