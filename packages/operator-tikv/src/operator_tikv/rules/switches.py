"""Rules about what somebody set and forgot: schedulers, limits, labels, safe points."""

from collections.abc import Iterator
from typing import Final

from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.types import Severity
from operator_tikv.pd.api import EVICT_LEADER
from operator_tikv.rules.words import (
    CLUSTER,
    Given,
    about_store,
    found,
    of_setting,
    rule,
    store_target,
    stores_of,
)

_MEANT_TO_BE_OFF: Final = "merge_schedule_limit"
"""Merging is commonly turned off for good."""


def check_scheduler_paused(observation: Observation, given: Given) -> Iterator[Violation]:
    """A scheduler that is paused: by an import, a backup, or somebody who forgot it."""
    del given
    for name in observation.data("schedulers")["paused"]:
        message = f"{name} is paused. See whether an import or a backup runs before resuming it."
        yield found("scheduler_paused", name, message, metrics={"scheduler": name})


def check_scheduler_missing(observation: Observation, given: Given) -> Iterator[Violation]:
    """A scheduler that every PD runs was removed."""
    del given
    for name in observation.data("schedulers")["missing"]:
        message = f"PD does not run {name}: somebody removed it."
        yield found("scheduler_missing", name, message, metrics={"scheduler": name})


def check_eviction_stalled(observation: Observation, given: Given) -> Iterator[Violation]:
    """An eviction that moves no leader at all: PD read a batch of 0 after an upgrade."""
    del given
    schedulers = observation.data("schedulers")
    evicted = schedulers["evict_leader_store_ids"]
    if evicted and schedulers.get("evict_leader_batch") == 0:
        stores = ", ".join(map(str, evicted))
        message = (
            f"The leaders of store {stores} are to be moved away, and PD moves 0 of them at once: "
            "who waits for this drain waits for ever."
        )
        metrics = {"store_ids": evicted, "batch": 0}
        yield found("eviction_stalled", EVICT_LEADER, message, metrics=metrics)


def check_checker_paused(observation: Observation, given: Given) -> Iterator[Violation]:
    """A checker of PD that is paused: without the rule checker nothing is repaired."""
    del given
    for name in observation.data("schedulers")["paused_checkers"]:
        is_repair = name in {"rule", "replica"}
        severity = Severity.CRITICAL if is_repair else Severity.WARNING
        message = f"PD's {name} checker is paused." + (
            " No replica is repaired." if is_repair else ""
        )
        yield found("checker_paused", name, message, severity, {"checker": name})


def check_scheduling_halted(observation: Observation, given: Given) -> Iterator[Violation]:
    """PD schedules nothing at all: halt-scheduling is on."""
    del given
    if observation.data("config")["halt_scheduling"]:
        message = "halt-scheduling is true: PD moves and repairs nothing."
        yield found("scheduling_halted", CLUSTER, message, Severity.CRITICAL)


def check_limit_zero(observation: Observation, given: Given) -> Iterator[Violation]:
    """A limit of PD's scheduling is 0, so that kind of move never happens."""
    del given
    for name in observation.data("config")["zero_limits"]:
        if name != _MEANT_TO_BE_OFF:
            shown = name.replace("_", "-")
            message = f"{shown} is 0: PD never does what it limits. Restore the former value."
            yield found("schedule_limit_zero", shown, message, metrics={"limit": shown})


def check_repair_off(observation: Observation, given: Given) -> Iterator[Violation]:
    """A switch without which PD repairs less is off."""
    del given
    for name in observation.data("config")["repair_switches_off"]:
        shown = name.replace("_", "-")
        message = f"{shown} is false: PD leaves undone what it stands for."
        yield found("repair_switched_off", shown, message, metrics={"switch": shown})


def check_schedule_denied(observation: Observation, given: Given) -> Iterator[Violation]:
    """A range of keys is labelled schedule=deny, and the label does not end by itself."""
    del given
    ids = observation.data("placement")["lasting_deny_rules"]
    if ids:
        message = f"PD must not move what the region labels {', '.join(ids)} cover."
        yield found("schedule_denied", CLUSTER, message, metrics={"rules": ids})


def check_unlimited_removal(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store that stays and whose remove-peer limit is none: left by a cancelled delete."""
    del given
    stores = dict(stores_of(observation))
    for store_id in observation.data("config")["unlimited_remove_store_ids"]:
        store = stores.get(str(store_id))
        if store and store["state_name"] == "Up":
            message = "is Up and may lose replicas without limit: a delete was cancelled."
            yield about_store(
                "store_limit_unlimited", str(store_id), store, message, Severity.WARNING
            )


def check_placement(observation: Observation, given: Given) -> Iterator[Violation]:
    """A placement rule wants more replicas than there are places for."""
    del given
    for name, one in observation.data("placement")["unsatisfiable"].items():
        level = f" by {one['isolation_level']}" if one["isolation_level"] else ""
        message = (
            f"The rule {name} wants {one['wanted']} replicas apart{level}, and there are "
            f"{one['places']} places."
        )
        yield found("placement_unsatisfiable", name, message, metrics=one)


def check_missing_labels(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store without the labels by which PD keeps replicas apart."""
    del given
    for store_id, missing in observation.data("placement")["missing_labels"].items():
        message = (
            f"Store {store_id} has no label {', '.join(missing)}, so PD cannot keep replicas "
            "apart there."
        )
        yield found(
            "location_labels_missing",
            store_target(store_id),
            message,
            metrics={"store_id": int(store_id), "missing": missing},
        )


def check_stale_safe_point(observation: Observation, given: Given) -> Iterator[Violation]:
    """Garbage is not collected: the safe point stands still."""
    gc = observation.data("gc")
    age = gc["safe_point_age_seconds"]
    if age is not None and age > given["most_age_seconds"]:
        holder = gc["oldest_service"]
        why = f" {holder} holds it back." if holder else ""
        message = f"The GC safe point is {age / 3600:.1f} h old.{why} Delete no safe point blindly."
        yield found("gc_safe_point_stale", CLUSTER, message, metrics=gc)


SWITCH_RULES: Final[tuple[Invariant, ...]] = (
    # A restore pauses schedulers for as long as it takes.
    of_setting(rule(check_scheduler_paused, "scheduler_paused", ["schedulers"], 900)),
    of_setting(rule(check_scheduler_missing, "scheduler_missing", ["schedulers"], 300)),
    of_setting(rule(check_eviction_stalled, "eviction_stalled", ["schedulers"], 60)),
    # No tool pauses a checker, only a request by hand; PD's own alerts wait a minute too.
    of_setting(rule(check_checker_paused, "checker_paused", ["schedulers"], 60)),
    of_setting(rule(check_scheduling_halted, "scheduling_halted", ["config"], 60)),
    of_setting(rule(check_limit_zero, "schedule_limit_zero", ["config"], 300)),
    of_setting(rule(check_repair_off, "repair_switched_off", ["config"], 300)),
    of_setting(rule(check_schedule_denied, "schedule_denied", ["placement"], 900)),
    # PD sets no limit where a store is taken out. Of one that is Up again nothing planned is left.
    of_setting(rule(check_unlimited_removal, "store_limit_unlimited", ["config", "stores"], 60)),
    rule(check_placement, "placement_unsatisfiable", ["placement"], 300),
    rule(check_missing_labels, "location_labels_missing", ["placement"], 300),
    rule(
        check_stale_safe_point,
        "gc_safe_point_stale",
        ["gc"],
        300,
        most_age_seconds=86_400.0,
    ),
)
