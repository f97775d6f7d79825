"""Rules about single stores, and about how leaders are spread over them."""

from collections.abc import Callable, Iterator
from typing import Final

from operator_core.monitor.types import Invariant, Observation, OwnEffect, Violation
from operator_core.types import JsonObject, Severity
from operator_tikv.facts import SLOW_SCORE
from operator_tikv.rules.words import (
    CLUSTER,
    Given,
    about_store,
    evicted_of,
    found,
    of_setting,
    restarted_of,
    rule,
    stores_of,
)

_GONE: Final = frozenset({"Offline", "Tombstone"})
_DAY_SECONDS: Final = 86_400.0


def _silence(store: JsonObject) -> str:
    age = store["last_heartbeat_age_seconds"]
    return "has never been heard of" if age is None else f"was last heard of {age:.0f} s ago"


def check_store_disconnected(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store that PD has not heard of for 20 s; one that is Down is disconnected still."""
    drained = evicted_of(observation)
    for store_id, store in stores_of(observation):
        age = store["last_heartbeat_age_seconds"]
        # Who restarts a store drains it first, and it leads nothing then.
        is_restart = store_id in drained and age is not None and age <= given["drained_seconds"]
        if store["state_name"] in {"Disconnected", "Down"} and not is_restart:
            is_long = age is None or age > given["unhealthy_seconds"]
            severity = Severity.CRITICAL if is_long else Severity.WARNING
            message = f"is {store['state_name']}: it {_silence(store)}."
            yield about_store("store_disconnected", store_id, store, message, severity)


def check_store_down(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store that PD has given up (30 min) and whose replicas it now makes elsewhere."""
    del given
    for store_id, store in stores_of(observation):
        if store["state_name"] == "Down":
            message = f"is Down: it {_silence(store)}; PD replaces its replicas."
            yield about_store("store_down", store_id, store, message, Severity.CRITICAL)


def check_slow_store(observation: Observation, given: Given) -> Iterator[Violation]:
    """A slow store: clients wait for its leaders; one that leads nothing still has a bad disk."""
    drained = evicted_of(observation)
    for store_id, store in stores_of(observation):
        leads = store["leader_count"]
        is_slow = store["slow_score"] >= given["least_slow_score"]
        if store["is_healthy"] and is_slow and (leads or store_id not in drained):
            still = f"still leads {leads} regions" if leads else "leads nothing any more"
            message = f"is slow (score {store['slow_score']} of 100) and {still}."
            severity = Severity.CRITICAL if leads else Severity.WARNING
            yield about_store("slow_store", store_id, store, message, severity)


def check_low_space(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store with less free space than PD's `low-space-ratio` leaves."""
    least = given["least_free_share"] or 1.0 - observation.data("config")["low_space_ratio"]
    for store_id, store in stores_of(observation):
        share = store["available_share"]
        if share is None or share >= least or store["state_name"] in _GONE:
            continue
        severity = Severity.CRITICAL if share < given["almost_full_share"] else Severity.WARNING
        message = f"has {share:.1%} of its disk left; below {least:.0%} PD sends it no replicas."
        yield about_store("low_space", store_id, store, message, severity)


def check_evict_leader_left_over(observation: Observation, given: Given) -> Iterator[Violation]:
    """An evict-leader on a store that is well: maintenance that nobody finished."""
    # Who restarted a store is at work on it still, and one that dies again keeps its drain.
    evicted = evicted_of(observation) - restarted_of(observation)
    for store_id, store in stores_of(observation):
        is_well = store["is_healthy"] and store["slow_score"] < SLOW_SCORE
        if store_id in evicted and is_well:
            message = (
                "is Up and well, but an evict-leader scheduler keeps it from leading regions "
                f"(it leads {store['leader_count']})."
            )
            left = about_store("evict_leader_left_over", store_id, store, message, Severity.WARNING)
            own_drain = OwnEffect(
                action_name="drain_store",
                parameters={"store_id": int(store_id)},
                within_seconds=given["own_drain_seconds"],
            )
            yield left.model_copy(update={"meant_after": own_drain})


def check_leader_imbalance(observation: Observation, given: Given) -> Iterator[Violation]:
    """Leaders spread unevenly over the stores that should share them."""
    excepted = evicted_of(observation) | _being_filled(observation, given) | _kept_off(observation)
    scores = {
        store_id: store["leader_count"] / store["leader_weight"]
        for store_id, store in stores_of(observation)
        if _shares_leaders(store) and store_id not in excepted
    }
    if len(scores) < 2:  # noqa: PLR2004 - one store has nobody to share with
        return
    mean = sum(scores.values()) / len(scores)
    most = max(scores, key=_by(scores))
    short = {one: min(scores[most], _most_led(observation, one)) - scores[one] for one in scores}
    fewest = max(short, key=lambda one: (short[one], -int(one)))
    gap = short[fewest]
    allowed = max(given["least_gap_leaders"], given["allowed_share_of_mean"] * mean)
    if gap > allowed:
        yield found(
            "leader_imbalance",
            CLUSTER,
            (
                f"Leaders are uneven: store {most} has {scores[most]:.0f} and store {fewest} "
                f"has {scores[fewest]:.0f}; a gap of {allowed:.0f} is normal."
            ),
            metrics={
                "leader_scores": scores,
                "gap": round(gap, 2),
                "allowed_gap": round(allowed, 2),
                "most_store_id": int(most),
                "fewest_store_id": int(fewest),
            },
        )


def _most_led(observation: Observation, store_id: str) -> float:
    """Return the score of a store that led all that it holds: a small one holds few replicas.

    One that is low on space holds few too, because PD takes them away: that is told.
    """
    store = observation.data("stores")[store_id]
    least = 1.0 - observation.data("config").get("low_space_ratio", 0.8)
    share = store["available_share"]
    is_low = share is not None and share < least
    return float("inf") if is_low else store["region_count"] / store["leader_weight"]


def _being_filled(observation: Observation, given: Given) -> set[str]:
    """Stores that came new and gain regions: a leader can only go where a replica is.

    What a store gains shows only some looks after it came.
    """
    least, patience = given["least_regions_per_minute"], given["patience_seconds"]
    return {
        store_id
        for store_id, one in observation.data("filling").items()
        if one["gained_per_minute"] >= least or one["seconds"] < patience
    }


def _kept_off(observation: Observation) -> set[str]:
    """Stores that were slow: PD keeps leaders off them for a while after they are well again."""
    by_member: JsonObject = observation.data("pd_metrics").get("readings", {})
    readings = by_member.get("slow_evicted_by_store", {}).values()
    return {store_id for reading in readings for store_id, is_kept in reading.items() if is_kept}


def _shares_leaders(store: JsonObject) -> bool:
    is_slow = store["slow_score"] >= SLOW_SCORE
    return bool(store["is_healthy"] and store["leader_weight"] > 0 and not is_slow)


def _by(scores: dict[str, float]) -> Callable[[str], tuple[float, int]]:
    """Order by score, and by id where scores are equal, so that the order is certain."""
    return lambda store_id: (scores[store_id], int(store_id))


def check_cluster_space(observation: Observation, given: Given) -> Iterator[Violation]:
    """All TiKV stores together are nearly full: PD soon has no place for replicas."""
    share = observation.data("cluster")["used_share"]
    if share is not None and share > given["most_used_share"]:
        message = f"The stores are {share:.1%} full together. Add stores; take none out."
        yield found("cluster_space", CLUSTER, message, metrics={"used_share": share})


def check_offline_stuck(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store that is being taken out and gets rid of no region any more."""
    stores = observation.data("stores")
    for store_id, one in observation.data("leaving").items():
        is_stuck = one["unchanged_seconds"] >= given["stuck_seconds"]
        if store_id in stores and one["region_count"] and is_stuck:
            message = (
                f"is Offline and has kept its {one['region_count']} regions for "
                f"{one['unchanged_seconds'] / 60:.0f} min: PD finds no place for them, or is "
                "not allowed to move them."
            )
            yield about_store(
                "offline_stuck", store_id, stores[store_id], message, Severity.WARNING
            )


def check_tombstones(observation: Observation, given: Given) -> Iterator[Violation]:
    """Stores that are gone and still remembered: they raise alerts and hold their addresses."""
    del given
    ids = observation.data("cluster").get("tombstone_store_ids", [])
    if ids:
        listed = ", ".join(str(one) for one in ids[:20])
        message = f"{len(ids)} tombstones are left ({listed}). Their processes must be stopped."
        yield found("tombstones_left", CLUSTER, message, Severity.INFO, {"store_ids": ids[:20]})


def check_shared_address(observation: Observation, given: Given) -> Iterator[Violation]:
    """Two stores with one address: the old one must be taken out before the new one works."""
    del given
    for address, ids in observation.data("cluster").get("shared_addresses", {}).items():
        message = f"The stores {', '.join(map(str, ids))} have the same address {address}."
        yield found("shared_address", address, message, metrics={"store_ids": ids})


def check_mixed_versions(observation: Observation, given: Given) -> Iterator[Violation]:
    """Stores of several versions: an upgrade that stopped half way."""
    del given
    versions = observation.data("cluster").get("versions", {})
    if len(versions) > 1:
        told = "; ".join(f"{name}: store {_ids(ids)}" for name, ids in versions.items())
        message = f"The stores run several versions ({told})."
        yield found("mixed_versions", CLUSTER, message, Severity.INFO, {"versions": versions})


def _ids(ids: list[int]) -> str:
    return ", ".join(str(one) for one in ids)


def check_metrics_unreachable(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store that PD hears and whose own metrics cannot be read."""
    del given
    stores = observation.data("stores")
    metrics = observation.data("store_metrics")
    for store_id, reason in metrics.get("unseen", {}).items():
        store = stores.get(store_id)
        if metrics.get("ages_seconds") and store and store["is_healthy"]:
            message = f"is Up, but its metrics cannot be read: {reason}."
            yield about_store(
                "store_metrics_unreachable", store_id, store, message, Severity.WARNING
            )


STORE_RULES: Final[tuple[Invariant, ...]] = (
    rule(
        check_store_disconnected,
        "store_disconnected",
        ["stores"],
        10,
        unhealthy_seconds=600.0,
        drained_seconds=120.0,
    ),
    rule(check_store_down, "store_down", ["stores"], 0),
    # A score rises and falls in steps of ten seconds.
    rule(
        check_slow_store,
        "slow_store",
        ["stores", "schedulers"],
        20,
        least_slow_score=float(SLOW_SCORE),
    ),
    rule(
        check_low_space,
        "low_space",
        ["stores", "config"],
        60,
        60,
        least_free_share=0.0,
        almost_full_share=0.05,
    ),
    rule(check_cluster_space, "cluster_space", ["cluster"], 60, 60, most_used_share=0.8),
    # Nobody can see whose eviction it is, but Operator knows its own. A person's or a rolling
    # restart's lasts minutes, and one that lasts longer on a store that is well is told.
    of_setting(
        rule(
            check_evict_leader_left_over,
            "evict_leader_left_over",
            ["stores", "schedulers"],
            180,
            10,
            own_drain_seconds=_DAY_SECONDS,
        )
    ),
    rule(
        check_leader_imbalance,
        "leader_imbalance",
        ["stores", "schedulers"],
        120,
        least_gap_leaders=12.0,
        # PD's own tolerance is a gap of about ten leaders.
        allowed_share_of_mean=0.4,
        least_regions_per_minute=1.0,
        patience_seconds=180.0,
    ),
    rule(check_offline_stuck, "offline_stuck", ["stores", "leaving"], 0, 0, stuck_seconds=1800.0),
    rule(check_tombstones, "tombstones_left", ["cluster"], _DAY_SECONDS),
    rule(check_shared_address, "shared_address", ["cluster"], 60),
    rule(check_mixed_versions, "mixed_versions", ["cluster"], _DAY_SECONDS),
    rule(
        check_metrics_unreachable,
        "store_metrics_unreachable",
        ["stores", "store_metrics"],
        120,
    ),
)
