"""How PD turns wishes about whole regions into steps: transfer, scatter, split, merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import builder, filters, heat, ranges
from operator_tikv.simulator.model import Role
from operator_tikv.simulator.operator_model import (
    AddLearner,
    MergeRegion,
    Plan,
    PromoteLearner,
    RemovePeer,
    SplitRegion,
    Step,
    TransferLeader,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

REGION: Final = ("admin", "region")


def plan_set_peers(
    world: World, region: Region, wanted: Mapping[int, str], *, description: str, brief: str
) -> Plan:
    """Plan to give a region exactly these stores, each with its role.

    Args:
        world: the simulation.
        region: the region.
        wanted: leader, voter, follower or learner by store.
        description: the name of the operator.
        brief: what PD prints of it.

    Raises:
        RefusedError: the region cannot be changed, or nothing is to be done.
    """
    builder.check_buildable(region)
    steps = _growing(world, region, wanted) + _leading(region, wanted) + _shrinking(region, wanted)
    if not steps:
        raise builder.RefusedError("no operator step is built")
    return Plan(description, brief, REGION, tuple(steps))


def _growing(world: World, region: Region, wanted: Mapping[int, str]) -> list[Step]:
    added: list[Step] = []
    promoted: list[Step] = []
    for store_id, role in wanted.items():
        peer = region.peer_on(store_id)
        peer_id = peer.peer_id if peer is not None else world.next_id()
        if peer is None:
            added.append(AddLearner(store_id, peer_id))
        if role != "learner" and (peer is None or peer.role is Role.LEARNER):
            promoted.append(PromoteLearner(store_id, peer_id))
    return [*added, *promoted]


def _leading(region: Region, wanted: Mapping[int, str]) -> list[Step]:
    leader = next((store_id for store_id, role in wanted.items() if role == "leader"), None)
    here = region.leader_store_id
    may_stay = wanted.get(here, "learner") in {"leader", "voter"} or (
        wanted.get(here) == "follower" and leader is None
    )
    target = leader if leader is not None else here
    if leader is None and not may_stay:
        voters = [store_id for store_id, role in wanted.items() if role != "learner"]
        if not voters:
            raise builder.RefusedError("no valid leader")
        target = voters[0]
    return [] if target == here else [TransferLeader(here, target)]


def _shrinking(region: Region, wanted: Mapping[int, str]) -> list[Step]:
    gone = [peer for peer in region.peers if peer.store_id not in wanted]
    return [RemovePeer(peer.store_id, peer.peer_id) for peer in gone]


def plan_scatter(world: World, region: Region) -> Plan | None:
    """Plan to move the peers of a region to stores chosen at random; None to leave it.

    Raises:
        RefusedError: the region is hot or cannot be changed.
    """
    if heat.is_heavy(world, region) or region.region_id in heat.hot_region_ids(world):
        raise builder.RefusedError(f"region {region.region_id} is a hot region")
    builder.check_buildable(region)
    here = [peer.store_id for peer in region.peers]
    free = [
        store.store_id
        for store in world.stores.values()
        if filters.may_receive_peer(world, store, region)
    ]
    chosen = world.rng.sample(sorted({*here, *free}), len(here))
    roles = {store_id: "leader" if not place else "voter" for place, store_id in enumerate(chosen)}
    try:
        return plan_set_peers(
            world, region, roles, description="admin-scatter-region", brief=f"scatter to {chosen}"
        )
    except builder.RefusedError:
        return None


def plan_split(region: Region, policy: str, keys: tuple[str, ...]) -> Plan:
    """Plan to split a region.

    Raises:
        RefusedError: the policy is unknown, or the region cannot be changed.
    """
    if policy not in {"scan", "approximate", "usekey"}:
        raise builder.RefusedError(f"check policy {policy} is not supported")
    builder.check_buildable(region)
    cuts = keys if policy == "usekey" else (ranges.middle_key(region),)
    step = SplitRegion(region.version, policy.upper(), cuts)
    return Plan("admin-split-region", f"split: region {region.region_id}", REGION, (step,))


def plan_merge(world: World, source: Region, target: Region) -> tuple[Plan, Plan]:
    """Plan to merge a region into its neighbour: first its peers go to the neighbour's stores.

    Raises:
        RefusedError: the two are no neighbours, or one is not well.
    """
    for region in (source, target):
        wrong = len(region.peers) != world.pd.config.max_replicas
        if region.down or region.pending or wrong:
            text = f"[PD:region:ErrRegionAbnormalPeer]region {region.region_id} has abnormal peer"
            raise builder.RefusedError(text)
    if not ranges.are_neighbours(source, target):
        raise builder.RefusedError("[PD:region:ErrRegionNotAdjacent]two regions are not adjacent")
    brief = f"merge: region {source.region_id} to {target.region_id}"
    moved = _moved_to(world, source, target)
    ids = (source.region_id, target.region_id)
    active = MergeRegion(*ids, is_passive=False, version=target.version)
    passive = MergeRegion(*ids, is_passive=True, version=target.version)
    name = "admin-merge-region"
    kinds = ("admin", "merge")
    return Plan(name, brief, kinds, (*moved, active)), Plan(name, brief, kinds, (passive,))


def _moved_to(world: World, source: Region, target: Region) -> tuple[Step, ...]:
    wanted = {peer.store_id: "voter" for peer in target.peers}
    try:
        return plan_set_peers(world, source, wanted, description="", brief="").steps
    except builder.RefusedError:
        builder.check_buildable(source)
        return ()
