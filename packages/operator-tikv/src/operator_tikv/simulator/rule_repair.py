"""What PD's rule checker does for a region where placement rules of one's own apply."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator import better_place, builder, filters, rule_fit, wishes, witnesses
from operator_tikv.simulator.model import Role
from operator_tikv.simulator.operator_model import Plan, Priority, PromoteLearner

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Peer, Region, Store
    from operator_tikv.simulator.rule_fit import RegionFit, RuleFit
    from operator_tikv.simulator.world import World

KINDS: Final = ("replica", "region")


class Repair(NamedTuple):
    """One region with its rules, the stores whose peers must go, and those that may take one."""

    world: World
    region: Region
    fit: RegionFit
    lost: tuple[int, ...]
    leaving: tuple[int, ...]
    targets: tuple[Store, ...]


def make_plan(
    world: World,
    region: Region,
    lost: tuple[int, ...],
    leaving: tuple[int, ...],
    targets: tuple[Store, ...],
) -> Plan | None:
    """Decide what a region needs, in PD's order: split, replace, add, roles, orphans.

    Raises:
        RefusedError: the builder can make no steps for it.
    """
    key = rule_fit.boundary_inside(world, region)
    if key:
        return wishes.plan_split(region, "usekey", (key,))
    fit = rule_fit.fit_region(world, region)
    if not fit.fits:
        return None
    repair = Repair(world, region, fit, lost, leaving, targets)
    for one in fit.fits:
        plan = (
            _replace(repair, one)
            or _add(repair, one)
            or _change_role(repair, one)
            or _switch(repair, one)
            or better_place.by_rule(world, region, one, targets)
        )
        if plan is not None:
            return plan
    plan = _lead(repair) or _remove_orphan(repair)
    if plan is None and _is_met(repair):
        world.pd.fitted[region.region_id] = region
    return plan


def unfitted(world: World) -> list[int]:
    """The regions not known to fit, since the rules or the labels of stores last changed."""
    pd = world.pd
    signature = rule_fit.signature(world)
    if signature != pd.rule_signature:
        pd.rule_signature, pd.fitted = signature, {}
    return [one.region_id for one in pd.regions if pd.fitted.get(one.region_id) is not one]


def _is_met(repair: Repair) -> bool:
    going = {*repair.lost, *repair.leaving}
    stays = all(peer.store_id not in going for peer in repair.region.peers)
    is_whole = stays and not any(one.lacking for one in repair.fit.fits)
    if any(_misses_kind(repair.world, one) for one in repair.fit.fits):
        return False
    return is_whole and not any(
        better_place.is_wanted(repair.world, repair.region, one) for one in repair.fit.fits
    )


def _misses_kind(world: World, one: RuleFit) -> bool:
    """Whether some peer of a rule is not the witness, or the replica, that it should be."""
    return any(peer.is_witness is not witnesses.wanted(world, one.rule) for peer in one.peers)


def _replace(repair: Repair, one: RuleFit) -> Plan | None:
    world, region = repair.world, repair.region
    down = [p for p in one.peers if p.store_id in repair.lost and p.peer_id in region.down_peer_ids]
    offline = [peer for peer in one.peers if peer.store_id in repair.leaving]
    for peer in (*down, *offline):
        target = _target(repair, one, leaving=peer.store_id)
        if target is None:
            _count(repair, "no-store-replace")
            continue
        fast = witnesses.fails_over_fast(world, one.rule, peer, is_down=peer in down)
        name = f"{'fast-' * fast}replace-rule-{'down' if peer in down else 'offline'}-peer"
        move = (peer.store_id, target.store_id)
        plan = builder.plan_move_peer(
            world, region, *move, description=name, kinds=KINDS, as_witness=fast
        )
        return replace(plan, priority=Priority.URGENT) if fast else plan
    return witnesses.promote_for_down(world, region, one.peers)


def _switch(repair: Repair, one: RuleFit) -> Plan | None:
    """Make a peer a witness, or give one its data, as its rule wants."""
    plans = (witnesses.switch(repair.world, repair.region, one.rule, peer) for peer in one.peers)
    return next((plan for plan in plans if plan is not None), None)


def _add(repair: Repair, one: RuleFit) -> Plan | None:
    if not one.lacking:
        return None
    target = _target(repair, one)
    if target is None or not repair.world.pd.config.enabled("enable-make-up-replica"):
        _count(repair, "no-store-add")
        return None
    return builder.plan_add_peer(
        repair.world,
        repair.region,
        target.store_id,
        description="add-rule-peer",
        kinds=KINDS,
        as_learner=one.rule["role"] == "learner",
        as_witness=witnesses.wanted(repair.world, one.rule),
    )


def _change_role(repair: Repair, one: RuleFit) -> Plan | None:
    """Promote a learner that should vote, or demote a voter that should not."""
    if one.rule["role"] == "learner":
        voter = next((peer for peer in one.peers if peer.role is Role.VOTER), None)
        return builder.plan_demote(repair.world, repair.region, voter) if voter else None
    for peer in one.peers:
        if peer.role is Role.LEARNER and repair.region.is_healthy(peer):
            step = PromoteLearner(peer.store_id, peer.peer_id)
            return Plan("fix-peer-role", f"promote peer: store [{peer.store_id}]", KINDS, (step,))
    return None


def _lead(repair: Repair) -> Plan | None:
    """Move the leader to the peer whose rule wants it, or away from one whose rule forbids it."""
    leader_id = repair.region.leader_peer_id
    holding = {peer.peer_id: one.rule["role"] for one in repair.fit.fits for peer in one.peers}
    if holding.get(leader_id) == "leader":
        return None
    plan = _lead_by(repair, frozenset({"leader"}), "fix-leader-role")
    if plan is None and holding.get(leader_id) not in {"voter", None}:
        plan = _lead_by(repair, rule_fit.LEADING, "fix-follower-role")
    return plan


def _lead_by(repair: Repair, roles: frozenset[str], description: str) -> Plan | None:
    """Move the leader to a healthy voter that a rule of these roles holds on a store that may."""
    world, region = repair.world, repair.region
    for one in repair.fit.fits:
        for peer in one.peers if one.rule["role"] in roles else ():
            is_fit = peer.role is Role.VOTER and peer.may_lead and region.is_healthy(peer)
            if is_fit and filters.may_receive_leader(world, peer.store_id):
                return builder.plan_transfer_leader(
                    world, region, peer.store_id, description=description, kinds=("leader",)
                )
    return None


def _remove_orphan(repair: Repair) -> Plan | None:
    """Remove a peer that no rule holds, once the others are all there and well."""
    region, config = repair.region, repair.world.pd.config
    kept: list[Peer] = [peer for one in repair.fit.fits for peer in one.peers]
    is_whole = not any(one.lacking for one in repair.fit.fits)
    if not (repair.fit.orphans and is_whole and config.enabled("enable-remove-extra-replica")):
        return None
    if not all(region.is_healthy(peer) for peer in kept):
        return None
    return builder.plan_remove_peer(
        repair.world,
        region,
        repair.fit.orphans[0].store_id,
        description="remove-orphan-peer",
        kinds=KINDS,
    )


def _target(repair: Repair, one: RuleFit, *, leaving: int = 0) -> Store | None:
    """The emptiest of the best isolated stores that a rule admits."""
    world, rule = repair.world, one.rule
    peers = [peer for peer in one.peers if peer.store_id != leaving]
    fitting = [
        store
        for store in repair.targets
        if repair.region.peer_on(store.store_id) is None
        and rule_fit.admits(rule, store)
        and rule_fit.keeps_apart(world, rule, store, peers)
    ]
    return max(fitting, key=lambda s: rule_fit.isolation(world, rule, s, peers), default=None)


def _count(repair: Repair, name: str) -> None:
    repair.world.pd.count("pd_checker_event_count", "rule_checker", name)
