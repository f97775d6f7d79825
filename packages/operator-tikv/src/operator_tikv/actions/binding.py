"""What each action acts on, what an approval of it rests on, and what must be seen for it.

One table, so that it can be read as a whole: `BINDINGS` by the action's name. Paths are those of
the observation; ``{name}`` stands for an argument. Whatever is not named here may change between
the approval and the attempt without a word; what is named makes the approval void when it does.
What the observation does not hold (a region's replicas, a scheduler's payload) each action reads
itself right before it sends anything.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from operator_core.actions.types import WHOLE_SUBJECT


class Binding(NamedTuple):
    """What the engine must know of an action beside its own definition.

    Attributes:
        target: the parameters that say what it acts on.
        needs: the parts of the observation that must be seen whole, fresh and agreeing.
        facts: what an approval rests on.
        changes: what the action itself changes of such facts.
    """

    target: tuple[str, ...]
    needs: tuple[str, ...]
    facts: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


Facts = tuple[str, ...]

_REGION: Final = ("region_id",)
_STORE: Final = ("store_id",)

# What is needed. `cluster` says which stores live; it is contradicted where PD calls a store silent
# that answers by itself, so whatever takes a store from service or from the cluster needs it.
_MOVES: Final = ("pd", "stores", "schedulers", "regions", "config")
_STORE_LEVEL: Final = (*_MOVES, "cluster")
_PLACEMENT: Final = ("pd", "stores", "cluster", "config", "placement")
_CONFIG: Final = ("pd", "config")
_LIMITS: Final = ("pd", "config", "stores")
_SCHEDULERS: Final = ("pd", "schedulers")

# What an approval rests on.
_ONE_AT_A_TIME: Final = (
    "cluster/silent_store_ids",
    "cluster/leaving_store_ids",
    "schedulers/evict_leader_store_ids",
)
_SILENT: Final = ("cluster/silent_store_ids",)
_STATE: Final = ("stores/{store_id}/state_name",)
_TO: Final = ("stores/{to_store_id}/state_name",)
_FROM_TO: Final = ("stores/{from_store_id}/state_name", *_TO)
_SCHEDULER: Final = ("schedulers/states/{name}",)
_ITEM: Final = ("config/items/{item}",)
_RULES: Final = ("placement/rules_digest", "config/max_replicas")
_LABEL_RULES: Final = ("placement/label_rules_digest",)
_STORE_LIMIT: Final = ("config/store_limits/{store_id}",)
_EVICTED: Final = ("schedulers/evict_leader_store_ids",)
_GRANTED: Final = ("schedulers/grant_leader_store_ids",)
_LABELS: Final = ("stores/{store_id}/labels",)
_WEIGHTS: Final = ("stores/{store_id}/leader_weight", "stores/{store_id}/region_weight")
_OUT: Final = (*_STATE, "cluster/leaving_store_ids", *_STORE_LIMIT)
_NEW_SCHEDULER: Final = ("schedulers/states",)


def _setting(target: tuple[str, ...], needs: Facts, facts: Facts) -> Binding:
    """Return the binding of what sets the very facts that it rests on."""
    return Binding(target, needs, facts, facts)


def _rules(*target: str) -> Binding:
    return _setting(target or WHOLE_SUBJECT, _PLACEMENT, _RULES)


_REGIONS: Final[Mapping[str, Binding]] = {
    "transfer_leader": Binding(_REGION, _MOVES, _TO),
    "transfer_peer": Binding(_REGION, _MOVES, (*_FROM_TO, *_SILENT)),
    "transfer_region": Binding(_REGION, _MOVES, _SILENT),
    "add_peer": Binding(_REGION, _MOVES, (*_STATE, *_SILENT)),
    "add_learner": Binding(_REGION, _MOVES, (*_STATE, *_SILENT)),
    "remove_peer": Binding(_REGION, _STORE_LEVEL, (*_STATE, *_SILENT)),
    "split_region": Binding(_REGION, _MOVES),
    "merge_regions": Binding(("source_region_id", "target_region_id"), _MOVES, _SILENT),
    "scatter_region": Binding(_REGION, _MOVES, _SILENT),
    "cancel_operator": Binding(_REGION, ("pd", "operators")),
}

_STORES: Final[Mapping[str, Binding]] = {
    "drain_store": Binding(
        _STORE, _STORE_LEVEL, (*_STATE, *_ONE_AT_A_TIME), (*_EVICTED, *_NEW_SCHEDULER)
    ),
    "undrain_store": Binding(
        _STORE, _SCHEDULERS, (*_STATE, *_EVICTED), (*_EVICTED, *_NEW_SCHEDULER)
    ),
    "grant_leaders": Binding(
        _STORE, _STORE_LEVEL, (*_STATE, *_ONE_AT_A_TIME, *_GRANTED), (*_GRANTED, *_NEW_SCHEDULER)
    ),
    "stop_granting_leaders": Binding(_STORE, _SCHEDULERS, _GRANTED, (*_GRANTED, *_NEW_SCHEDULER)),
    "delete_store": Binding(
        _STORE, _STORE_LEVEL, (*_STATE, *_ONE_AT_A_TIME, "config/max_replicas"), _OUT
    ),
    "cancel_delete_store": Binding(_STORE, ("pd", "stores"), _STATE, _OUT),
    "remove_tombstones": _setting(
        WHOLE_SUBJECT, ("pd", "cluster"), ("cluster/tombstone_store_ids",)
    ),
    "set_store_limit": _setting(_STORE, _LIMITS, _STORE_LIMIT),
    "set_all_store_limits": _setting(WHOLE_SUBJECT, _LIMITS, ("config/store_limits",)),
    "set_store_limit_scene": Binding(("scene",), _CONFIG),
    "set_store_weight": _setting(_STORE, ("pd", "stores"), _WEIGHTS),
    "set_store_labels": _setting(_STORE, _PLACEMENT, _LABELS),
    "delete_store_label": _setting(_STORE, _PLACEMENT, _LABELS),
}

_SWITCHES: Final[Mapping[str, Binding]] = {
    "add_scheduler": _setting(("name",), _SCHEDULERS, _SCHEDULER),
    "add_test_scheduler": Binding(
        ("name",), _STORE_LEVEL, (*_SCHEDULER, *_ONE_AT_A_TIME), _SCHEDULER
    ),
    "add_scatter_range_scheduler": Binding(
        ("range_name",), (*_SCHEDULERS, "stores"), _SILENT, _NEW_SCHEDULER
    ),
    "add_balance_range_scheduler": Binding(
        ("alias",), (*_SCHEDULERS, "stores"), _SILENT, _NEW_SCHEDULER
    ),
    "add_grant_hot_region_scheduler": Binding(
        ("leader_store_id",),
        (*_SCHEDULERS, "stores"),
        ("stores/{leader_store_id}/state_name", *_SILENT),
        _NEW_SCHEDULER,
    ),
    "remove_scheduler": Binding(
        ("name",), _SCHEDULERS, _SCHEDULER, (*_SCHEDULER, *_EVICTED, *_GRANTED)
    ),
    "pause_scheduler": _setting(("name",), _SCHEDULERS, _SCHEDULER),
    "resume_scheduler": _setting(("name",), _SCHEDULERS, _SCHEDULER),
    "pause_checker": Binding(
        ("name",),
        (*_SCHEDULERS, "regions", "cluster"),
        ("schedulers/paused_checkers", *_SILENT),
        ("schedulers/paused_checkers",),
    ),
    "resume_checker": _setting(("name",), _SCHEDULERS, ("schedulers/paused_checkers",)),
    "configure_scheduler": Binding(("name", "item"), _SCHEDULERS, _SCHEDULER),
    "set_shuffle_region_roles": Binding(WHOLE_SUBJECT, _SCHEDULERS),
    "set_grant_hot_region_stores": Binding(
        ("leader_store_id",), (*_SCHEDULERS, "stores"), ("stores/{leader_store_id}/state_name",)
    ),
}

_CONFIGS: Final[Mapping[str, Binding]] = {
    "set_schedule_config": Binding(("item",), _CONFIG, _ITEM, ("config",)),
    "set_replication_config": Binding(
        ("item",), (*_CONFIG, "cluster"), (*_ITEM, *_SILENT), ("config", "placement")
    ),
    "set_pd_server_config": Binding(("item",), ("pd",)),
    "set_service_middleware_config": Binding(("item",), ("pd",)),
    "set_cluster_version": Binding(WHOLE_SUBJECT, ("pd", "cluster"), ("cluster/versions",)),
    "set_replication_mode": Binding(
        WHOLE_SUBJECT, ("pd", "cluster", "config"), ("config/location_labels", *_SILENT)
    ),
    "set_label_property": Binding(
        ("property_type", "label_key", "label_value"), ("pd", "cluster"), _SILENT
    ),
    "delete_label_property": Binding(
        ("property_type", "label_key", "label_value"), ("pd", "cluster"), _SILENT
    ),
}

_PLACEMENTS: Final[Mapping[str, Binding]] = {
    "set_placement_rules": _rules(),
    "replace_placement_rules": _rules(),
    "delete_placement_rule": _rules("group_id", "rule_id"),
    "enable_placement_rules": Binding(
        WHOLE_SUBJECT, _PLACEMENT, (*_RULES, "config/enable_placement_rules"), ("config", *_RULES)
    ),
    "disable_placement_rules": Binding(
        WHOLE_SUBJECT, _PLACEMENT, (*_RULES, "config/enable_placement_rules"), ("config", *_RULES)
    ),
    "set_rule_group": _rules("group_id"),
    "delete_rule_group": _rules("group_id"),
    "set_rule_bundle": _rules("group_id"),
    "delete_rule_bundle": _rules("group_id"),
    "replace_rule_bundles": _rules(),
    "set_region_label_rule": _setting(("rule_id",), ("pd", "placement"), _LABEL_RULES),
    "delete_region_label_rule": _setting(("rule_id",), ("pd", "placement"), _LABEL_RULES),
}

_LAST_RESORTS: Final[Mapping[str, Binding]] = {
    "resign_pd_leader": _setting(WHOLE_SUBJECT, ("pd",), ("pd/leader", "pd/unhealthy_members")),
    "transfer_pd_leader": _setting(("name",), ("pd",), ("pd/leader", "pd/unhealthy_members")),
    "set_pd_leader_priority": Binding(("name",), ("pd",), ("pd/members/{name}",)),
    "delete_pd_member": _setting(("name",), ("pd",), ("pd/members",)),
    "unsafe_remove_failed_stores": Binding(
        ("store_ids",),
        ("pd", "stores", "cluster", "leaders"),
        ("cluster/silent_store_ids", "leaders/quorum_lost_region_ids"),
        ("stores", "cluster", "leaders"),
    ),
    "delete_gc_safepoint": _setting(
        ("service_id",), ("pd", "gc"), ("gc/services/{service_id}/safe_point",)
    ),
    # It only says how much PD tells of itself, so it needs nothing.
    "set_pd_log_level": Binding(WHOLE_SUBJECT, ()),
}

BINDINGS: Final[Mapping[str, Binding]] = {
    **_REGIONS,
    **_STORES,
    **_SWITCHES,
    **_CONFIGS,
    **_PLACEMENTS,
    **_LAST_RESORTS,
}
