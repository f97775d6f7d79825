"""PD's rule checker: brings every region back to its healthy number of replicas."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator import (
    better_place,
    builder,
    failover,
    filters,
    heartbeats,
    limits,
    operators,
    rule_fit,
    rule_repair,
)
from operator_tikv.simulator.model import MetaState, Role
from operator_tikv.simulator.operator_model import LeaveJoint, Plan, Priority, PromoteLearner

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.model import Peer, Region, Store
    from operator_tikv.simulator.world import World

PATROL_SECONDS: Final = 1.0
IDLE_PATROL_SECONDS: Final = 10.0
PATROL_BATCH: Final = 1024
_KINDS: Final = ("replica", "region")
_COUNTER: Final = "pd_checker_event_count"


class Fleet(NamedTuple):
    """The stores whose peers are to be replaced, in a fixed order, and those that may take one."""

    lost: tuple[int, ...]
    leaving: tuple[int, ...]
    targets: tuple[Store, ...] = ()


def survey(world: World) -> Fleet:
    """Find the stores that are down for PD and those on their way out, as far as repair is on."""
    config, stores = world.pd.config, world.stores.values()
    last_seconds = world.now_seconds - config.seconds("max-store-down-time")
    lost = [store.store_id for store in stores if store.last_heartbeat_seconds < last_seconds]
    leaving = [store.store_id for store in stores if store.meta_state is not MetaState.UP]
    return Fleet(
        tuple(lost) if config.enabled("enable-remove-down-replica") else (),
        tuple(leaving) if config.enabled("enable-replace-offline-replica") else (),
    )


def on_patrol(world: World, args: tuple[int, ...]) -> None:
    """Look at the regions that are not as they should be: once a second while there are any."""
    if args[0] != world.pd.patrol_number:
        return
    batch, fleet = [], Fleet((), ())
    if _may_patrol(world):
        _notice_wanted_replicas(world)
        fleet = survey(world)
        batch = _next_batch(world, fleet)
    delay_seconds = PATROL_SECONDS if batch else IDLE_PATROL_SECONDS
    world.schedule(delay_seconds, "checker.patrol", world.pd.patrol_number)
    if batch:
        _patrol(world, batch, fleet._replace(targets=_targets(world)))


def _patrol(world: World, batch: list[int], fleet: Fleet) -> None:
    pd = world.pd
    fleet = _within_limits(world, fleet)
    has_rules, has_labels = rule_fit.has_own_rules(world), bool(filters.location_labels(world))
    for place, region_id in enumerate(batch):
        is_regular = region_id not in pd.irregular and not has_rules
        if place and is_regular and not _can_replace(fleet, has_labels=has_labels):
            continue
        region = pd.regions.get(region_id)
        if region is None or not region.leader_peer_id or not _is_open(world, region):
            continue
        if not _may_need_work(world, region, fleet):
            continue
        if not _has_room(world):
            pd.patrol = [*batch[place:], *pd.patrol]
            return
        if _repair(world, region, fleet):
            fleet = _within_limits(world, fleet)


def _can_replace(fleet: Fleet, *, has_labels: bool) -> bool:
    return bool(fleet.targets) and bool(fleet.lost or fleet.leaving or has_labels)


def _within_limits(world: World, fleet: Fleet) -> Fleet:
    """Leave out the stores whose limit is used up: asking them again and again costs time."""
    lost = tuple(i for i in fleet.lost if limits.has_tokens(world, i, "remove-peer"))
    targets = tuple(
        store for store in fleet.targets if limits.has_tokens(world, store.store_id, "add-peer")
    )
    if len(lost) < len(fleet.lost) or (fleet.targets and not targets):
        name = "replace-rule-down-peer" if fleet.lost else "replace-rule-offline-peer"
        world.pd.count("pd_schedule_operator_exceeded_store_limit", name, "")
    return Fleet(lost, fleet.leaving, targets)


def _notice_wanted_replicas(world: World) -> None:
    pd = world.pd
    if pd.patrolled_replicas != pd.config.max_replicas:
        pd.patrolled_replicas = pd.config.max_replicas
        for region in pd.regions:
            heartbeats.note_suspect(world, region)


def _next_batch(world: World, fleet: Fleet) -> list[int]:
    """Go on where the last patrol ended, so that regions that cannot be helped block no others."""
    pd = world.pd
    if not pd.patrol:
        has_rules = rule_fit.has_own_rules(world)
        found = {} if has_rules else dict(pd.irregular)
        if has_rules or filters.location_labels(world):
            found.update(dict.fromkeys(rule_repair.unfitted(world)))
        for store_id in fleet.leaving:
            found.update(dict.fromkeys(pd.regions.on_store(store_id)))
        if fleet.lost:
            found.update(pd.suspects)
        pd.patrol = list(found)
    batch, pd.patrol = pd.patrol[:PATROL_BATCH], pd.patrol[PATROL_BATCH:]
    return batch


def _targets(world: World) -> tuple[Store, ...]:
    """The stores that may take a peer of some region, the emptiest first."""
    fitting = [store for store in world.stores.values() if filters.takes_peers(world, store)]
    return tuple(sorted(fitting, key=lambda s: (filters.region_score(world, s), s.store_id)))


def _is_open(world: World, region: Region) -> bool:
    """Whether the checker may touch a region: no operator, not denied, not overlooked."""
    pd = world.pd
    if region.region_id in pd.operators:
        return False
    overlooked = pd.overlooked.get(region.region_id) == region.conf_ver
    return not overlooked and not filters.is_denied(world, region)


def _may_patrol(world: World) -> bool:
    pd = world.pd
    paused = pd.paused_checkers.get("rule", 0.0) > world.now_seconds
    halted = pd.config.enabled("halt-scheduling")
    return pd.has_leader and not paused and not halted and failover.is_prepared(world)


def _may_need_work(world: World, region: Region, fleet: Fleet) -> bool:
    """A cheap first look: most suspects only wait for their store to be down long enough."""
    if len(region.peers) != world.pd.config.max_replicas or rule_fit.has_own_rules(world):
        return True
    if filters.location_labels(world) and world.pd.fitted.get(region.region_id) is not region:
        return True
    bad = {*fleet.lost, *fleet.leaving}
    return any(peer.role or peer.store_id in bad for peer in region.peers)


def _has_room(world: World) -> bool:
    limit = world.pd.config.number("replica-schedule-limit")
    return operators.running_of_kind(world, "replica") < limit


def _repair(world: World, region: Region, fleet: Fleet) -> bool:
    try:
        plan = make_plan(world, region, fleet)
    except builder.RefusedError as refused:
        world.pd.count(_COUNTER, "rule_checker", str(refused).split("]")[0].strip("["))
        return False
    if plan is None:
        return False
    plan = replace(plan, priority=max(plan.priority, Priority.HIGH))
    if operators.submit(world, region, plan) is None:
        return False
    world.pd.count(_COUNTER, "rule_checker", "new-operator")
    return True


def make_plan(world: World, region: Region, fleet: Fleet) -> Plan | None:
    """Decide what one region needs, or None.

    Raises:
        RefusedError: the builder can make no steps for it.
    """
    if region.in_joint_state:
        return Plan("leave-joint-state", "", ("region",), (LeaveJoint(None),))
    if rule_fit.has_own_rules(world):
        return rule_repair.make_plan(world, region, *fleet)
    wanted = world.pd.config.max_replicas
    if len(region.peers) > wanted:
        return _remove_extra(world, region, fleet)
    bad = _first_bad(region, fleet)
    if bad is not None:
        return _replace(world, region, fleet, *bad)
    if len(region.peers) < wanted:
        return _add(world, region, fleet)
    return _improve(world, region, fleet)


def _improve(world: World, region: Region, fleet: Fleet) -> Plan | None:
    """Of a region that has all its peers: promote a learner, or let one stand further apart."""
    learner = _first(region, lambda peer: peer.role is Role.LEARNER and region.is_healthy(peer))
    if learner is not None:
        return _promote(learner)
    if not filters.location_labels(world):
        return None
    return better_place.by_settings(world, region, fleet.targets)


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


def _replace(
    world: World, region: Region, fleet: Fleet, peer: Peer, description: str
) -> Plan | None:
    target = _choose_store(world, region, fleet, leaving=peer.store_id)
    if target is None:
        world.pd.count(_COUNTER, "rule_checker", "no-store-replace")
        return None
    return builder.plan_move_peer(
        world, region, peer.store_id, target.store_id, description=description, kinds=_KINDS
    )


def _add(world: World, region: Region, fleet: Fleet) -> Plan | None:
    target = _choose_store(world, region, fleet)
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


def _choose_store(world: World, region: Region, fleet: Fleet, *, leaving: int = 0) -> Store | None:
    """The emptiest of the best isolated stores that fit, without the peer that is to leave."""
    peers = [peer for peer in region.peers if peer.store_id != leaving]
    fitting = (
        store
        for store in fleet.targets
        if region.peer_on(store.store_id) is None and filters.keeps_isolation(world, store, peers)
    )
    if not filters.location_labels(world):
        return next(fitting, None)
    return max(fitting, key=lambda store: filters.isolation(world, store, peers), default=None)
