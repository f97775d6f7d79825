"""PD's rule checker: brings every region back to its healthy number of replicas."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator import builder, failover, filters, heartbeats, operators
from operator_tikv.simulator.model import MetaState, Role
from operator_tikv.simulator.operator_model import LeaveJoint, Plan, Priority, PromoteLearner

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.model import Peer, Region, Store
    from operator_tikv.simulator.world import World

PATROL_SECONDS: Final = 1.0
PATROL_BATCH: Final = 1024
_KINDS: Final = ("replica", "region")
_COUNTER: Final = "pd_checker_event_count"


class Fleet(NamedTuple):
    """The stores whose peers are to be replaced, in a fixed order."""

    lost: tuple[int, ...]
    leaving: tuple[int, ...]


def survey(world: World) -> Fleet:
    """Find the stores that are down for PD and those on their way out, as far as repair is on."""
    config, stores = world.pd.config, world.stores.values()
    lost = [store.store_id for store in stores if heartbeats.is_down(world, store)]
    leaving = [store.store_id for store in stores if store.meta_state is not MetaState.UP]
    return Fleet(
        tuple(lost) if config.enabled("enable-remove-down-replica") else (),
        tuple(leaving) if config.enabled("enable-replace-offline-replica") else (),
    )


def on_patrol(world: World, _args: tuple[int, ...]) -> None:
    """Look at the regions that are not as they should be, once a second."""
    world.schedule(PATROL_SECONDS, "checker.patrol")
    if not _may_patrol(world):
        return
    fleet = survey(world)
    for region_id in _candidates(world, fleet)[:PATROL_BATCH]:
        region = world.pd.regions.get(region_id)
        if region is None or region.leader is None or region_id in world.pd.operators:
            continue
        if not _may_need_work(world, region, fleet):
            continue
        if not _has_room(world):
            return
        _repair(world, region, fleet)


def _may_patrol(world: World) -> bool:
    pd = world.pd
    paused = pd.paused_checkers.get("rule", 0.0) > world.now_seconds
    halted = pd.config.enabled("halt-scheduling")
    return pd.has_leader and not paused and not halted and failover.is_prepared(world)


def _may_need_work(world: World, region: Region, fleet: Fleet) -> bool:
    """A cheap first look: most suspects only wait for their store to be down long enough."""
    if len(region.peers) != world.pd.config.max_replicas:
        return True
    bad = {*fleet.lost, *fleet.leaving}
    return any(peer.role or peer.store_id in bad for peer in region.peers)


def _has_room(world: World) -> bool:
    limit = world.pd.config.number("replica-schedule-limit")
    return operators.running_of_kind(world, "replica") < limit


def _candidates(world: World, fleet: Fleet) -> list[int]:
    found = dict(world.pd.suspects)
    for store_id in fleet.leaving:
        found.update(dict.fromkeys(world.pd.regions.on_store(store_id)))
    return list(found)


def _repair(world: World, region: Region, fleet: Fleet) -> None:
    try:
        plan = make_plan(world, region, fleet)
    except builder.RefusedError as refused:
        world.pd.count(_COUNTER, "rule_checker", str(refused).split("]")[0].strip("["))
        return
    if plan is None:
        return
    if operators.submit(world, region, replace(plan, priority=Priority.HIGH)) is not None:
        world.pd.count(_COUNTER, "rule_checker", "new-operator")


def make_plan(world: World, region: Region, fleet: Fleet) -> Plan | None:
    """Decide what one region needs, or None.

    Raises:
        RefusedError: the builder can make no steps for it.
    """
    if region.in_joint_state:
        return Plan("leave-joint-state", "", ("region",), (LeaveJoint(None),))
    wanted = world.pd.config.max_replicas
    if len(region.peers) > wanted:
        return _remove_extra(world, region, fleet)
    bad = _first_bad(region, fleet)
    if bad is not None:
        return _replace(world, region, *bad)
    if len(region.peers) < wanted:
        return _add(world, region)
    learner = _first(region, lambda peer: peer.role is Role.LEARNER and region.is_healthy(peer))
    return _promote(learner) if learner is not None else None


def _first_bad(region: Region, fleet: Fleet) -> tuple[Peer, str] | None:
    """The peer to replace and the name of the operator: a lost one comes before a leaving one."""
    lost = _first(region, lambda peer: _is_lost(region, peer, fleet))
    if lost is not None:
        return lost, "replace-rule-down-peer"
    leaving = _first(region, lambda peer: peer.store_id in fleet.leaving)
    if leaving is None:
        return None
    suffix = "-leader-peer" if leaving.peer_id == region.leader_peer_id else "-peer"
    return leaving, f"replace-rule-offline{suffix}"


def _first(region: Region, test: Callable[[Peer], bool]) -> Peer | None:
    return next((peer for peer in region.peers if test(peer)), None)


def _is_lost(region: Region, peer: Peer, fleet: Fleet) -> bool:
    """Down for its leader *and* its store down for PD: else a flapping store keeps its peers."""
    return peer.store_id in fleet.lost and peer.peer_id in region.down_peer_ids


def _replace(world: World, region: Region, peer: Peer, description: str) -> Plan | None:
    target = _choose_store(world, region)
    if target is None:
        world.pd.count(_COUNTER, "rule_checker", "no-store-replace")
        return None
    return builder.plan_move_peer(
        world, region, peer.store_id, target.store_id, description=description, kinds=_KINDS
    )


def _add(world: World, region: Region) -> Plan | None:
    target = _choose_store(world, region)
    if target is None or not world.pd.config.enabled("enable-make-up-replica"):
        world.pd.count(_COUNTER, "rule_checker", "no-store-add")
        return None
    return builder.plan_add_peer(
        world, region, target.store_id, description="add-rule-peer", kinds=_KINDS
    )


def _promote(learner: Peer) -> Plan:
    step = PromoteLearner(learner.store_id, learner.peer_id)
    brief = f"promote peer: store [{learner.store_id}]"
    return Plan("fix-peer-role", brief, _KINDS, (step,))


def _remove_extra(world: World, region: Region, fleet: Fleet) -> Plan | None:
    """Remove one peer too many: a lost or leaving one first, none while the rest is unhealthy."""
    if not world.pd.config.enabled("enable-remove-extra-replica"):
        return None
    bad = _first(region, lambda p: _is_lost(region, p, fleet) or p.store_id in fleet.leaving)
    learner = _first(region, lambda p: p.role is Role.LEARNER and region.is_healthy(p))
    if bad is not None and bad.role is Role.VOTER and learner is not None:
        if bad.peer_id != region.leader_peer_id:
            return builder.plan_swap_learner(learner, bad, "remove-orphan-peer")
        return builder.plan_remove_peer(
            world, region, bad.store_id, description="remove-orphan-peer", kinds=_KINDS
        )
    extra = bad or _worst_peer(world, region)
    if any(p != extra and not region.is_healthy(p) for p in region.peers):
        return None
    return builder.plan_remove_peer(
        world, region, extra.store_id, description="remove-orphan-peer", kinds=_KINDS
    )


def _worst_peer(world: World, region: Region) -> Peer:
    def badness(peer: Peer) -> tuple[bool, bool, bool, float]:
        store = world.stores[peer.store_id]
        return (
            not region.is_healthy(peer),
            peer.role is Role.LEARNER,
            peer.peer_id != region.leader_peer_id,
            filters.region_score(world, store),
        )

    return max(region.peers, key=badness)


def _choose_store(world: World, region: Region) -> Store | None:
    fitting = [
        store for store in world.stores.values() if filters.may_receive_peer(world, store, region)
    ]
    return min(
        fitting,
        key=lambda store: (
            -_isolation(world, region, store),
            filters.region_score(world, store),
            store.store_id,
        ),
        default=None,
    )


def _isolation(world: World, region: Region, store: Store) -> int:
    """How many peers differ from a store in the first location label, 0 without such labels."""
    labels = str(world.pd.config.replication["location-labels"]).split(",")
    if not labels[0]:
        return 0
    key = labels[0]
    others = (world.stores[p.store_id] for p in region.peers if p.store_id in world.stores)
    return sum(other.labels.get(key) != store.labels.get(key) for other in others)
