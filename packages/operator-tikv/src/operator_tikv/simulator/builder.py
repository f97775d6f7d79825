"""How PD turns a wish about a region into steps, or refuses it with its own words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.filters import may_receive_leader
from operator_tikv.simulator.heartbeats import is_unhealthy
from operator_tikv.simulator.model import MetaState, Role
from operator_tikv.simulator.operator_model import (
    AddLearner,
    EnterJoint,
    LeaveJoint,
    Plan,
    PromoteLearner,
    RemovePeer,
    Step,
    SwitchWitness,
    TransferLeader,
)
from operator_tikv.simulator.rule_fit import may_lead

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Peer, Region
    from operator_tikv.simulator.world import World


WITNESS_KINDS: Final = ("witness", "region")


class RefusedError(Exception):
    """PD refuses an operator; the text is the one that PD answers."""


def region_or_refuse(world: World, region_id: int) -> Region:
    """Find a region in PD.

    Raises:
        RefusedError: PD does not know the region.
    """
    region = world.pd.regions.get(region_id)
    if region is None:
        raise RefusedError(f"[PD:region:ErrRegionNotFound]region {region_id} not found")
    return region


def check_target_store(world: World, store_id: int) -> None:
    """PD's check of a store that is to get a peer; only ten minutes of silence count as unhealthy.

    Raises:
        RefusedError: the store is unknown, removed or unhealthy.
    """
    store = world.stores.get(store_id)
    if store is None:
        message = f"[PD:core:ErrStoreNotFound]store {store_id} not found"
    elif store.meta_state is MetaState.TOMBSTONE:
        message = f"[PD:core:ErrStoreRemoved]store {store_id} has been removed"
    elif is_unhealthy(world, store):
        message = f"[PD:core:ErrStoreUnhealthy]store {store_id} is unhealthy"
    else:
        return
    raise RefusedError(message)


def check_buildable(region: Region) -> None:
    """PD builds nothing for a region without leader or in a joint state.

    Raises:
        RefusedError: the region is in such a state.
    """
    if region.leader is None:
        raise RefusedError("cannot build operator for region with no leader")
    if region.in_joint_state:
        raise RefusedError("cannot build operator for region which is in joint state")


def plan_transfer_leader(
    world: World, region: Region, to_store_id: int, *, description: str, kinds: tuple[str, ...]
) -> Plan:
    """Plan to move the leader of a region to the voter on a store.

    Raises:
        RefusedError: there is no such voter, it is not healthy, or its store may not lead.
    """
    target = region.peer_on(to_store_id)
    if target is None or target.role is Role.LEARNER:
        raise RefusedError(f"region has no voter in store {to_store_id}")
    check_buildable(region)
    if not region.is_healthy(target):
        raise RefusedError(f"cannot transfer leader to {to_store_id}: unhealthy")
    allowed = may_receive_leader(world, to_store_id) and may_lead(world, region, to_store_id)
    if target.is_witness or not allowed:
        raise RefusedError("cannot create operator: target leader is not allowed")
    if region.leader_store_id == to_store_id:
        raise RefusedError("no operator step is built")
    brief = f"transfer leader: store {region.leader_store_id} to {to_store_id}"
    step = TransferLeader(region.leader_store_id, to_store_id)
    return Plan(description, brief, kinds, (step,))


def plan_move_peer(
    world: World,
    region: Region,
    from_store_id: int,
    to_store_id: int,
    *,
    description: str,
    kinds: tuple[str, ...],
    as_witness: bool | None = None,
) -> Plan:
    """Plan to move a peer: learner, leader away if needed, joint change, removal.

    Unless it is said, the new peer is a witness where the old one was.

    Raises:
        RefusedError: the peer cannot be moved.
    """
    source = region.peer_on(from_store_id)
    if source is None:
        raise RefusedError(f"region has no peer in store {from_store_id}")
    check_buildable(region)
    peer_id = world.next_id()
    _refuse_second_peer(region, peer_id, to_store_id)
    is_witness = source.is_witness if as_witness is None else as_witness
    steps: list[Step] = [AddLearner(to_store_id, peer_id, is_witness)]
    if source.role is Role.VOTER:
        steps += _leader_away(world, region, from_store_id)
        joint = EnterJoint(to_store_id, peer_id, from_store_id, source.peer_id)
        steps += [joint, LeaveJoint(joint)]
    steps.append(RemovePeer(from_store_id, source.peer_id))
    brief = f"mv peer: store [{from_store_id}] to [{to_store_id}]"
    return _with_kinds(Plan(description, brief, kinds, tuple(steps)))


def plan_swap_learner(learner: Peer, bad: Peer, description: str) -> Plan:
    """Plan to let a healthy learner take the place of a voter that is lost."""
    joint = EnterJoint(learner.store_id, learner.peer_id, bad.store_id, bad.peer_id)
    steps = (joint, LeaveJoint(joint), RemovePeer(bad.store_id, bad.peer_id))
    brief = f"rm peer: store [{bad.store_id}]"
    return Plan(description, brief, ("replica", "region"), steps)


def plan_demote(world: World, region: Region, voter: Peer) -> Plan:
    """Plan to make a voter a learner; a leader is moved first.

    Raises:
        RefusedError: the region cannot be changed, or nobody else may lead it.
    """
    check_buildable(region)
    joint = EnterJoint(0, 0, voter.store_id, voter.peer_id)
    steps = (*_leader_away(world, region, voter.store_id), joint, LeaveJoint(joint))
    brief = f"demote peer: store [{voter.store_id}]"
    return _with_kinds(Plan("fix-demote-voter", brief, ("replica", "region"), steps))


def plan_witness(peer: Peer) -> Plan:
    """Plan to take its data from a peer."""
    step = SwitchWitness(peer.store_id, peer.peer_id, to_witness=True)
    brief = f"switch peer: store [{peer.store_id}] to witness"
    return Plan("fix-witness-peer", brief, WITNESS_KINDS, (step,))


def plan_non_witness(peer: Peer, description: str) -> Plan:
    """Plan to give a witness its data: it has no voice until it has them, as it could lead."""
    store_id, peer_id = peer.store_id, peer.peer_id
    brief = f"switch peer: store [{store_id}] to non-witness"
    switch = SwitchWitness(store_id, peer_id, to_witness=False, is_batch=peer.is_voter)
    if not peer.is_voter:
        return Plan(description, brief, WITNESS_KINDS, (switch,))
    mute, voice = EnterJoint(0, 0, store_id, peer_id), EnterJoint(store_id, peer_id, 0, 0)
    steps = (mute, LeaveJoint(mute), switch, voice, LeaveJoint(voice))
    return Plan(description, brief, WITNESS_KINDS, steps)


def plan_add_peer(
    world: World,
    region: Region,
    to_store_id: int,
    *,
    description: str,
    kinds: tuple[str, ...],
    as_learner: bool = False,
    as_witness: bool = False,
) -> Plan:
    """Plan to add a peer; a voter is first a learner.

    Raises:
        RefusedError: the region cannot be changed or has a peer there.
    """
    if region.peer_on(to_store_id) is not None:
        raise RefusedError(f"region already has peer in store {to_store_id}")
    check_buildable(region)
    peer_id = world.next_id()
    steps: tuple[Step, ...] = (AddLearner(to_store_id, peer_id, as_witness),)
    if not as_learner:
        steps = (*steps, PromoteLearner(to_store_id, peer_id))
    return Plan(description, f"add peer: store [{to_store_id}]", kinds, steps)


def plan_remove_peer(
    world: World, region: Region, store_id: int, *, description: str, kinds: tuple[str, ...]
) -> Plan:
    """Plan to remove a peer; a leader is moved first.

    Raises:
        RefusedError: there is no such peer or no other leader.
    """
    peer = region.peer_on(store_id)
    if peer is None:
        raise RefusedError(f"region has no peer in store {store_id}")
    check_buildable(region)
    steps = (*_leader_away(world, region, store_id), RemovePeer(store_id, peer.peer_id))
    return _with_kinds(Plan(description, f"rm peer: store [{store_id}]", kinds, steps))


def _refuse_second_peer(region: Region, peer_id: int, to_store_id: int) -> None:
    old = region.peer_on(to_store_id)
    if old is not None:
        message = (
            f"cannot add peer id:{peer_id} store_id:{to_store_id} : "
            f"already have peer id:{old.peer_id} store_id:{to_store_id} "
        )
        raise RefusedError(message)


def _leader_away(world: World, region: Region, from_store_id: int) -> list[Step]:
    if region.leader_store_id != from_store_id:
        return []
    for peer in region.peers:
        may = peer.role is Role.VOTER and not peer.is_witness and region.is_healthy(peer)
        may = may and peer.store_id != from_store_id and may_lead(world, region, peer.store_id)
        if may and may_receive_leader(world, peer.store_id):
            return [TransferLeader(from_store_id, peer.store_id)]
    raise RefusedError("no valid leader")


def _with_kinds(plan: Plan) -> Plan:
    moves_leader = any(isinstance(step, TransferLeader) for step in plan.steps)
    extra = ("leader",) if moves_leader and "leader" not in plan.kinds else ()
    return replace(plan, kinds=(*plan.kinds, *extra))
