"""One runnable case for each action of the TiKV subject, with the cluster it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from operator_tikv.simulator import ClusterSpec, SimulatedCluster
from tikv_support import Meddler, simulated_subject

if TYPE_CHECKING:
    from operator_core.types import JsonObject
    from operator_tikv.subject import TikvSubject

Prepare = Callable[["Stage"], Awaitable[None]]
Arguments = Callable[["Stage"], Awaitable[dict[str, Any]]]


@dataclass
class Stage:
    """A simulated cluster, a way to it on which things go wrong, and the subject."""

    cluster: SimulatedCluster
    way: Meddler
    subject: TikvSubject
    said: list[str] = field(default_factory=list)

    async def send(self, method: str, path: str, body: object = None, **params: str) -> None:
        await self.subject._api.client.send(method, path, body, params=params or None)  # type: ignore[arg-type]

    async def region(self) -> tuple[int, int, list[int], list[int]]:
        """A region: its id, its leader's store, the stores with and without a replica."""
        region = (await self.subject._api.regions())[0]
        having = [peer.store_id for peer in region.peers]
        lacking = sorted(set(self.cluster.world.stores) - set(having))
        return region.id, region.leader_store_id, having, lacking

    async def neighbours(self) -> tuple[int, int]:
        """Two small regions beside each other."""
        regions = sorted(await self.subject._api.regions(), key=lambda region: region.start_key)
        pairs = pairwise(regions)
        fitting = (
            (one.id, other.id)
            for one, other in pairs
            if one.approximate_size + other.approximate_size <= 200
        )
        return next(fitting)


def make_stage(stores: int = 4, regions: int = 16) -> Stage:
    cluster = SimulatedCluster(spec=ClusterSpec(seed=7, stores=stores, regions=regions))
    cluster.advance(30)
    way = Meddler(cluster)
    return Stage(cluster, way, simulated_subject(cluster, way))


@dataclass(frozen=True)
class Case:
    """One action with what it is given.

    Attributes:
        action: its name.
        arguments: its arguments, or how to find them.
        prepare: what must be so before.
        stores: how many stores the cluster has.
        restores: whether undoing it brings the former state at once.
        settle_seconds: how long its effect may take.
        undo_seconds: how long after it is over it is undone.
    """

    action: str
    arguments: dict[str, Any] | Arguments
    prepare: Prepare | None = None
    stores: int = 4
    restores: bool = True
    settle_seconds: float = 60.0
    undo_seconds: float = 5.0

    async def made(self, stage: Stage) -> JsonObject:
        """Prepare the cluster and return the arguments."""
        if self.prepare is not None:
            await self.prepare(stage)
        return await self.arguments(stage) if callable(self.arguments) else dict(self.arguments)


async def _leader(stage: Stage) -> dict[str, Any]:
    region_id, leader, having, _ = await stage.region()
    return {"region_id": region_id, "to_store_id": next(s for s in having if s != leader)}


async def _move(stage: Stage) -> dict[str, Any]:
    region_id, leader, having, lacking = await stage.region()
    source = next(store_id for store_id in having if store_id != leader)
    return {"region_id": region_id, "from_store_id": source, "to_store_id": lacking[0]}


async def _all_peers(stage: Stage) -> dict[str, Any]:
    region_id, _, having, lacking = await stage.region()
    stores = [*having[1:], lacking[0]]
    roles = ["leader", "follower", "follower"]
    return {"region_id": region_id, "to_store_ids": stores, "peer_roles": roles}


async def _new_peer(stage: Stage) -> dict[str, Any]:
    region_id, _, _, lacking = await stage.region()
    return {"region_id": region_id, "store_id": lacking[0]}


async def _old_peer(stage: Stage) -> dict[str, Any]:
    region_id, leader, having, _ = await stage.region()
    return {"region_id": region_id, "store_id": next(s for s in having if s != leader)}


async def _one_region(stage: Stage) -> dict[str, Any]:
    return {"region_id": (await stage.region())[0]}


async def _two_regions(stage: Stage) -> dict[str, Any]:
    source, target = await stage.neighbours()
    return {"source_region_id": source, "target_region_id": target}


async def _running_operator(stage: Stage) -> dict[str, Any]:
    move = await _move(stage)
    await stage.send("POST", "/operators", {"name": "transfer-peer", **move})
    return {"region_id": move["region_id"], "operator_name": "admin-move-peer"}


async def _fewer_wanted(stage: Stage) -> None:
    """More replicas than wanted, and nobody who removes them."""
    await stage.send("POST", "/checker/rule", {"delay": 3600})
    await stage.send("POST", "/config", {"replication.max-replicas": 2})
    await stage.send("POST", "/schedulers/balance-region-scheduler", {"delay": 3600})


async def _still(stage: Stage) -> None:
    """Nobody moves back what is moved."""
    for name in ("balance-region-scheduler", "balance-leader-scheduler"):
        await stage.send("POST", f"/schedulers/{name}", {"delay": 3600})


async def _no_checker(stage: Stage) -> None:
    """The rule checker would take away what an operator adds."""
    await stage.send("POST", "/checker/rule", {"delay": 3600})


def _sends(method: str, path: str, body: object = None, **params: str) -> Prepare:
    return _done(method, path, body, 2, **params)


def _done(method: str, path: str, body: object, seconds: float, **params: str) -> Prepare:
    """Send something and wait until the cluster has done what it asks for."""

    async def prepare(stage: Stage) -> None:
        await stage.send(method, path, body, **params)
        stage.cluster.advance(seconds)

    return prepare


async def _evicting(stage: Stage) -> None:
    await _sends("POST", "/schedulers", {"name": "evict-leader-scheduler", "store_id": 3})(stage)
    stage.cluster.advance(60)


async def _leaving(stage: Stage) -> None:
    await stage.send("DELETE", "/store/4")


async def _tombstone(stage: Stage) -> None:
    await stage.send("DELETE", "/store/4")
    stage.cluster.advance(3600)


async def _two_lost(stage: Stage) -> None:
    stage.cluster.apply_fault("quorum_loss", store_ids=[1, 2])
    stage.cluster.advance(1900)


async def _member_down(stage: Stage) -> None:
    pd = stage.cluster.world.pd
    pd.stopped_members.add(next(m.name for m in pd.members if m.name != pd.leader_name))


def _other_member(stage: Stage) -> str:
    pd = stage.cluster.world.pd
    return next(member.name for member in pd.members if member.name != pd.leader_name)


async def _present_leader(stage: Stage) -> dict[str, Any]:
    return {"leader": stage.cluster.world.pd.leader_name}


async def _member_name(stage: Stage) -> dict[str, Any]:
    return {"name": _other_member(stage)}


async def _member_priority(stage: Stage) -> dict[str, Any]:
    return {"name": _other_member(stage), "priority": 5}


async def _dead_member(stage: Stage) -> dict[str, Any]:
    pd = stage.cluster.world.pd
    dead = next(member for member in pd.members if member.name in pd.stopped_members)
    return {"name": dead.name, "member_id": str(dead.member_id)}


PLACING_SECONDS = 300.0
"""How long replicas that a rule asks for take to be there, at most."""

RULE: JsonObject = {
    "group_id": "pd",
    "id": "zones",
    "index": 10,
    "start_key": "",
    "end_key": "",
    "role": "follower",
    "count": 1,
}
DEFAULT: JsonObject = {
    "group_id": "pd",
    "id": "default",
    "start_key": "",
    "end_key": "",
    "role": "voter",
    "count": 3,
}
LABEL_RULE: JsonObject = {
    "labels": [{"key": "schedule", "value": "deny"}],
    "rule_type": "key-range",
    "data": [{"start_key": "", "end_key": ""}],
}
_RULE_SET = _done("POST", "/config/rule", RULE, PLACING_SECONDS)
_BUNDLE: JsonObject = {"rules": [{**RULE, "group_id": "extra"}], "group_index": 3}

CASES: list[Case] = [
    Case("transfer_leader", _leader),
    Case("transfer_peer", _move),
    Case("transfer_region", _all_peers, _still),
    Case("add_peer", _new_peer, _no_checker, restores=False),
    Case("add_learner", _new_peer, _no_checker, restores=False),
    Case("remove_peer", _old_peer, _fewer_wanted),
    Case("split_region", _one_region),
    Case("merge_regions", _two_regions),
    Case("scatter_region", _one_region),
    Case("cancel_operator", _running_operator),
    Case("drain_store", {"store_id": 3}, restores=False),
    Case("undrain_store", {"store_id": 3}, _evicting, restores=False),
    Case("grant_leaders", {"store_id": 3}),
    Case(
        "stop_granting_leaders",
        {"store_id": 3},
        _sends("POST", "/schedulers", {"name": "grant-leader-scheduler", "store_id": 3}),
    ),
    Case("delete_store", {"store_id": 4}, settle_seconds=1800),
    Case("cancel_delete_store", {"store_id": 4}, _leaving, restores=False),
    Case("remove_tombstones", {}, _tombstone),
    Case("set_store_limit", {"store_id": 2, "rate": 30.0, "direction": "add-peer"}),
    Case("set_all_store_limits", {"rate": 30.0}),
    Case("set_store_limit_scene", {"scene": "idle", "rate": 60}),
    Case("set_store_weight", {"store_id": 2, "leader_weight": 0.5, "region_weight": 2.0}),
    Case("set_store_labels", {"store_id": 2, "labels": {"zone": "z1"}}),
    Case(
        "delete_store_label",
        {"store_id": 2, "key": "zone"},
        _sends("POST", "/store/2/label", {"zone": "z1", "host": "h2"}),
    ),
    Case("add_scheduler", {"name": "label-scheduler"}),
    Case("add_test_scheduler", {"name": "shuffle-leader-scheduler"}),
    Case(
        "add_scatter_range_scheduler", {"start_key": "7480", "end_key": "", "range_name": "orders"}
    ),
    Case(
        "add_balance_range_scheduler",
        {"rule": "leader-scatter", "engine": "tikv", "alias": "t", "start_key": "", "end_key": ""},
    ),
    Case("add_grant_hot_region_scheduler", {"leader_store_id": 1, "store_ids": ["1", "2", "3"]}),
    Case("remove_scheduler", {"name": "balance-region-scheduler"}),
    Case("pause_scheduler", {"name": "balance-leader-scheduler", "seconds": 600}),
    Case(
        "resume_scheduler",
        {"name": "balance-leader-scheduler"},
        _sends("POST", "/schedulers/balance-leader-scheduler", {"delay": 3600}),
    ),
    Case("pause_checker", {"name": "rule", "seconds": 600}),
    Case("resume_checker", {"name": "rule"}, _no_checker),
    Case(
        "configure_scheduler",
        {"name": "balance-hot-region-scheduler", "item": "read-priorities", "value": "byte,key"},
    ),
    Case(
        "set_shuffle_region_roles",
        {"roles": ["learner"]},
        _sends("POST", "/schedulers", {"name": "shuffle-region-scheduler"}),
    ),
    Case(
        "set_grant_hot_region_stores",
        {"leader_store_id": 2, "store_ids": ["2", "3"]},
        _sends(
            "POST",
            "/schedulers",
            {"name": "grant-hot-region-scheduler", "store-leader-id": "1", "store-id": "1,2"},
        ),
    ),
    Case("set_schedule_config", {"item": "leader-schedule-limit", "value": "8"}),
    Case("set_replication_config", {"item": "location-labels", "value": "zone,host"}),
    Case("set_pd_server_config", {"item": "flow-round-by-digit", "value": "4"}),
    Case("set_service_middleware_config", {"item": "audit.enable-audit", "value": "false"}),
    Case(
        "set_cluster_version",
        {"version": "8.5.7"},
        _sends("POST", "/config/cluster-version", {"cluster-version": "8.5.0"}),
    ),
    Case("set_replication_mode", {"settings": {"replication-mode": "dr-auto-sync"}}),
    Case(
        "set_label_property",
        {"property_type": "reject-leader", "label_key": "zone", "label_value": "far"},
    ),
    Case(
        "delete_label_property",
        {"property_type": "reject-leader", "label_key": "zone", "label_value": "far"},
        _sends(
            "POST",
            "/config/label-property",
            {"action": "set", "type": "reject-leader", "label-key": "zone", "label-value": "far"},
        ),
    ),
    Case("set_placement_rules", {"rules": [RULE]}, undo_seconds=PLACING_SECONDS),
    Case("replace_placement_rules", {"rules": [DEFAULT, RULE]}, undo_seconds=PLACING_SECONDS),
    Case(
        "delete_placement_rule",
        {"group_id": "pd", "rule_id": "zones"},
        _RULE_SET,
        undo_seconds=PLACING_SECONDS,
    ),
    Case(
        "enable_placement_rules",
        {},
        _sends("POST", "/config", {"replication.enable-placement-rules": "false"}),
    ),
    Case("disable_placement_rules", {}),
    Case("set_rule_group", {"group_id": "pd", "index": 2, "override": True}, restores=False),
    Case(
        "delete_rule_group",
        {"group_id": "pd"},
        _sends("POST", "/config/rule_group", {"id": "pd", "index": 2}),
    ),
    Case(
        "set_rule_bundle",
        {"group_id": "extra", "bundle": _BUNDLE},
        undo_seconds=PLACING_SECONDS,
    ),
    Case(
        "delete_rule_bundle",
        {"group_id": "extra"},
        _done("POST", "/config/placement-rule/extra", _BUNDLE, PLACING_SECONDS),
        undo_seconds=PLACING_SECONDS,
    ),
    Case(
        "replace_rule_bundles",
        {"bundles": [{"group_id": "pd", "rules": [DEFAULT, RULE]}]},
        undo_seconds=PLACING_SECONDS,
    ),
    Case("set_region_label_rule", {"rule_id": "frozen", "rule": LABEL_RULE}),
    Case(
        "delete_region_label_rule",
        {"rule_id": "frozen"},
        _sends("POST", "/config/region-label/rule", {**LABEL_RULE, "id": "frozen"}),
    ),
    Case("resign_pd_leader", _present_leader),
    Case("transfer_pd_leader", _member_name),
    Case("set_pd_leader_priority", _member_priority),
    Case("delete_pd_member", _dead_member, _member_down),
    Case("unsafe_remove_failed_stores", {"store_ids": [1, 2]}, _two_lost),
    Case("delete_gc_safepoint", {"service_id": "ticdc-old", "safe_point": "446601188731125761"}),
    Case("set_pd_log_level", {"level": "debug"}),
]
