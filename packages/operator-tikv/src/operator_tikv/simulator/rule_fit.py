"""Placement rules: which apply to a region, and which of its peers each of them holds.

As long as the default rule is the only one, the replication settings say the same and are faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from operator_tikv.simulator import default_rule
from operator_tikv.simulator.admin import DEFAULT_RULE
from operator_tikv.simulator.model import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operator_tikv.simulator.model import Peer, Region, Store
    from operator_tikv.simulator.world import World

Json = dict[str, Any]

LEADING: Final = frozenset({"voter", "leader"})
"""The roles of rules whose peers may lead."""


class RuleFit(NamedTuple):
    """A rule and the peers that it holds."""

    rule: Json
    peers: tuple[Peer, ...]

    @property
    def lacking(self) -> int:
        """How many peers the rule still wants."""
        return max(0, int(self.rule["count"]) - len(self.peers))


class RegionFit(NamedTuple):
    """How the peers of a region fit its rules; orphans are held by none."""

    fits: tuple[RuleFit, ...]
    orphans: tuple[Peer, ...]


def has_own_rules(world: World) -> bool:
    """Whether rules say more than the replication settings do, as of witnesses."""
    config, rules = world.pd.config, world.admin.rules
    if not config.replication["enable-placement-rules"]:
        return False
    if config.enabled("enable-witness") or world.pd.regions.has_witnesses:
        return True
    default = rules.get(DEFAULT_RULE)
    own = default is None or bool(default.get("label_constraints"))
    return bool(rules) and (len(rules) > 1 or own)


def signature(world: World) -> str:
    """Text that changes with rules and settings, and with the stores and labels they speak of."""
    config = world.pd.config
    stores = [(store.store_id, sorted(store.labels.items())) for store in world.stores.values()]
    settings = (config.replication, config.enabled("enable-witness"))
    return repr((world.admin.rules, world.admin.groups, stores, settings))


def rules_of(world: World, region: Region) -> list[Json]:
    """The rules that apply to a region, in PD's order, without those that others override."""
    chosen: list[Json] = []
    rules = world.admin.rules
    if not rules:  # nobody has asked PD for them yet
        rules = default_rule.kept_rules(world.admin, world.pd.config.replication)
    for rule in sorted(rules.values(), key=lambda one: _place(world, one)):
        if not _covers(rule, region):
            continue
        group = str(rule["group_id"])
        if world.admin.groups.get(group, {}).get("override"):
            chosen = [one for one in chosen if one["group_id"] == group]
        if rule.get("override"):
            chosen = [one for one in chosen if one["group_id"] != group]
        chosen.append(rule)
    return chosen


def _place(world: World, rule: Json) -> tuple[int, str, int, str]:
    group = str(rule["group_id"])
    index = world.admin.groups.get(group, {}).get("index") or 0
    return int(str(index)), group, int(rule.get("index") or 0), str(rule["id"])


def _range(rule: Json) -> tuple[str, str]:
    return str(rule.get("start_key") or "").upper(), str(rule.get("end_key") or "").upper()


def _covers(rule: Json, region: Region) -> bool:
    start, end = _range(rule)
    ends_within = not end or (bool(region.end_key) and region.end_key <= end)
    return region.start_key >= start and ends_within


def boundary_inside(world: World, region: Region) -> str:
    """The first key inside a region at which some rule begins or ends; empty where none does."""
    keys = sorted({key for rule in world.admin.rules.values() for key in _range(rule) if key})
    inside = (
        k for k in keys if region.start_key < k and (not region.end_key or k < region.end_key)
    )
    return next(inside, "")


def admits(rule: Json, store: Store) -> bool:
    """Whether the labels of a store satisfy a rule; TiFlash only where the rule names it."""
    constraints = rule.get("label_constraints") or []
    if store.is_tiflash and all(one.get("key") != "engine" for one in constraints):
        return False
    return all(_holds(one, store.labels) for one in constraints)


def _holds(constraint: Json, labels: dict[str, str]) -> bool:
    value, values = labels.get(str(constraint.get("key"))), constraint.get("values") or []
    return {
        "in": value in values,
        "notIn": value not in values,
        "exists": value is not None,
        "notExists": value is None,
    }.get(str(constraint.get("op")), False)


def fit_region(world: World, region: Region) -> RegionFit:
    """Give each rule its peers: the choosiest rule first, and of the peers the fittest."""
    rules = rules_of(world, region)
    free = list(region.peers)
    held: dict[int, tuple[Peer, ...]] = {}
    by_choice = sorted(
        range(len(rules)), key=lambda n: -len(rules[n].get("label_constraints") or [])
    )
    for number in by_choice:
        rule = rules[number]
        fitting = [peer for peer in free if _may_hold(world, rule, peer)]
        fitting.sort(key=lambda peer: _unfitness(region, rule, peer))
        held[number] = tuple(fitting[: int(rule["count"])])
        free = [peer for peer in free if peer not in held[number]]
    for number in by_choice:  # voters that no rule for voters needs may become learners
        spare = [p for p in free if _admits_peer(world, rules[number], p)]
        lacking = int(rules[number]["count"]) - len(held[number])
        held[number] += tuple(spare[: max(0, lacking)])
        free = [peer for peer in free if peer not in held[number]]
    fits = (RuleFit(rule, held[number]) for number, rule in enumerate(rules))
    return RegionFit(tuple(fits), tuple(free))


def _admits_peer(world: World, rule: Json, peer: Peer) -> bool:
    store = world.stores.get(peer.store_id)
    return store is not None and admits(rule, store)


def _may_hold(world: World, rule: Json, peer: Peer) -> bool:
    is_fit = rule["role"] != "learner" or peer.role is Role.LEARNER
    return is_fit and _admits_peer(world, rule, peer)


def _unfitness(region: Region, rule: Json, peer: Peer) -> tuple[bool, bool, bool, bool, int]:
    leads, for_witness = peer.peer_id == region.leader_peer_id, bool(rule.get("is_witness"))
    wants_leader = rule["role"] in LEADING and not for_witness
    other_role = (peer.role is Role.LEARNER) != (rule["role"] == "learner")
    other_kind = peer.is_witness is not for_witness
    misfit = (other_role, leads is not wants_leader)
    return other_kind, not region.is_healthy(peer), *misfit, peer.store_id


def wanted_count(world: World, region: Region) -> int:
    """How many peers a region should have."""
    if not has_own_rules(world):
        return world.pd.config.max_replicas
    return sum(int(rule["count"]) for rule in rules_of(world, region))


def may_lead(world: World, region: Region, store_id: int) -> bool:
    """Whether some rule lets a store lead a region."""
    if not has_own_rules(world):
        return True
    store = world.stores.get(store_id)
    rules = (rule for rule in rules_of(world, region) if rule["role"] in LEADING)
    return store is not None and any(admits(rule, store) for rule in rules)


def admitted(world: World, region: Region, source: Store, stores: list[Store]) -> list[Store]:
    """The stores that the rule which holds a peer admits for it, as far apart as it stands now."""
    if not has_own_rules(world):
        return stores
    for rule, peers in fit_region(world, region).fits:
        if any(peer.store_id == source.store_id for peer in peers):
            rest = _without(peers, source.store_id)
            now = isolation(world, rule, source, rest)
            return [
                store
                for store in stores
                if admits(rule, store)
                and keeps_apart(world, rule, store, rest)
                and isolation(world, rule, store, rest) >= now
            ]
    return []


def _without(peers: Iterable[Peer], store_id: int) -> list[Peer]:
    return [peer for peer in peers if peer.store_id != store_id]


def keeps_apart(world: World, rule: Json, store: Store, peers: Iterable[Peer]) -> bool:
    """Whether a store stands apart from the rule's other peers by its isolation level."""
    level = str(rule.get("isolation_level") or "")
    if not level:
        return True
    here = store.labels.get(level)
    others = (
        world.stores[p.store_id].labels.get(level) for p in peers if p.store_id in world.stores
    )
    return here is not None and all(other != here for other in others)


def isolation(world: World, rule: Json, store: Store, peers: Iterable[Peer]) -> tuple[int, ...]:
    """For each location label of a rule, how many of its peers stand elsewhere."""
    others = [world.stores[p.store_id] for p in peers if p.store_id in world.stores]
    return tuple(
        sum(other.labels.get(label) != store.labels.get(label) for other in others)
        for label in rule.get("location_labels") or []
    )
