"""Rules about replicas and load on the move: what PD does too slowly, or cannot do."""

from collections.abc import Iterator, Mapping
from typing import Final

from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.types import JsonObject, Severity
from operator_tikv.history import misplaced_regions
from operator_tikv.metrics.sight import PD_METRICS
from operator_tikv.rules.words import (
    CLUSTER,
    Given,
    about_store,
    found,
    rule,
    store_target,
    stores_of,
)

_MIB: Final = float(1 << 20)
_HOT_LIMITS: Final = {
    "write": "least_write_bytes_per_second",
    "read": "least_read_bytes_per_second",
}
_DONE_TO: Final = {"write": "written", "read": "read"}


def check_store_fills_slowly(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store that came new and gets hardly any regions although the others have far more."""
    stores = observation.data("stores")
    for store_id, one in observation.data("filling").items():
        is_behind = (
            one["score_share"] < given["least_score_share"]
            and one["missing_regions"] >= given["least_missing_regions"]
        )
        is_slow = one["gained_per_minute"] < given["least_regions_per_minute"]
        is_long = one["seconds"] >= given["patience_seconds"]
        if store_id in stores and is_behind and is_slow and is_long:
            message = (
                f"is new for {one['seconds'] / 60:.0f} min, has {one['region_count']} regions "
                f"({one['missing_regions']:.0f} fewer than the others) and gains "
                f"{one['gained_per_minute']:.1f} a minute."
            )
            yield about_store(
                "store_fills_slowly", store_id, stores[store_id], message, Severity.WARNING
            )


def check_store_limit_low(observation: Observation, given: Given) -> Iterator[Violation]:
    """PD has replicas to move, and limits of stores far below the usual hold it up."""
    low = low_limits(observation, given["least_per_minute"])
    left = _replicas_to_move(observation)
    if low and left:
        message = (
            f"PD has {left} replicas to move off stores that leave or are Down, and may move "
            f"fewer than {given['least_per_minute']:.0f} a minute to or from store "
            f"{', '.join(low)}."
        )
        metrics = {"limits": low, "replicas": left, "hits_per_second": _limit_hits(observation)}
        yield found("store_limit_low", CLUSTER, message, metrics=metrics)


def _replicas_to_move(observation: Observation) -> int:
    return sum(
        store["region_count"]
        for _, store in stores_of(observation)
        if store["state_name"] in {"Offline", "Down"}
    )


def low_limits(observation: Observation, least_per_minute: float) -> JsonObject:
    """Return the limits of the stores that stay, where they are lower than that."""
    stays = {key for key, store in stores_of(observation) if store["state_name"] == "Up"}
    limits: Mapping[str, JsonObject] = observation.data("config").get("store_limits", {})
    return {
        key: dict(limit)
        for key, limit in sorted(limits.items())
        if key in stays and min(limit["add_peer"], limit["remove_peer"]) < least_per_minute
    }


def _limit_hits(observation: Observation) -> float:
    readings = observation.data(PD_METRICS).get("readings", {})
    return float(sum(readings.get("store_limit_hits_per_second", {}).values()))


def check_operators_crawl(observation: Observation, given: Given) -> Iterator[Violation]:
    """Moves of PD that run for minutes and will end by timeout."""
    old = [
        one
        for one in observation.data("operators")["list"]
        if (one.get("age_seconds") or 0.0) >= given["least_seconds"]
    ]
    if len(old) >= given["least_operators"]:
        to = sorted({one["adds_to_store"] for one in old} - {0})
        where = f" (making replicas on store {', '.join(map(str, to))})" if to else ""
        message = (
            f"{len(old)} of PD's operators have run for {given['least_seconds'] / 60:.0f} min or "
            f"longer{where}; PD ends them by timeout and begins anew."
        )
        metrics = {"count": len(old), "adds_to_store_ids": to, "name": old[0]["name"]}
        yield found("operators_crawl", CLUSTER, message, metrics=metrics)


def check_pending_peers_stuck(observation: Observation, given: Given) -> Iterator[Violation]:
    """Replicas on a store that PD hears, which have lagged without a break for long."""
    stores = observation.data("stores")
    for store_id, one in observation.data("lagging").items():
        store = stores.get(store_id)
        stuck = sum(seconds >= given["stuck_seconds"] for seconds in one["seconds"])
        if store and store["is_healthy"] and stuck >= given["least_replicas"]:
            message = (
                f"is Up, and {stuck} or more of its replicas have lagged behind for "
                f"{given['stuck_seconds'] / 60:.0f} min: it does not take in what it is sent."
            )
            yield about_store("pending_peers_stuck", store_id, store, message, Severity.WARNING)


def check_hot_region(observation: Observation, given: Given) -> Iterator[Violation]:
    """One region that gets as much as a whole store can do."""
    for kind, name in _HOT_LIMITS.items():
        regions = observation.data("hotspots").get(kind, {}).get("regions", [])
        hottest = next(iter(regions), None)
        if hottest and hottest["flow_bytes_per_second"] >= given[name]:
            message = (
                f"Region {hottest['region_id']} (led by store {hottest['leader_store_id']}) is "
                f"{_DONE_TO[kind]} at {hottest['flow_bytes_per_second'] / _MIB:.0f} MiB/s: all "
                "of it goes through one store."
            )
            yield found("hot_region", kind, message, metrics=hottest)


def check_hot_store(observation: Observation, given: Given) -> Iterator[Violation]:
    """One store with several times the load of the others."""
    flows = flow_by_store(observation)
    for store_id, flow in flows.items():
        others = [other for key, other in flows.items() if key != store_id]
        mean = sum(others) / len(others) if others else flow
        if (
            flow >= given["least_bytes_per_second"]
            and flow >= given["least_times_others"] * mean
            and store_id in observation.data("stores")
        ):
            message = (
                f"Store {store_id} is read and written at {flow / _MIB:.0f} MiB/s, the others at "
                f"{mean / _MIB:.0f} on average."
            )
            metrics = {"bytes_per_second": flow, "others_bytes_per_second": round(mean, 1)}
            yield found("hot_store", store_target(store_id), message, metrics=metrics)


def flow_by_store(observation: Observation) -> dict[str, float]:
    """Return how many bytes a second each healthy store is read and written."""
    readings = observation.data(PD_METRICS).get("readings", {})
    healthy = {key for key, store in stores_of(observation) if store["is_healthy"]}
    flows: dict[str, float] = dict.fromkeys(sorted(healthy, key=int), 0.0)
    for signal in ("store_write_bytes_per_second", "store_read_bytes_per_second"):
        for by_store in readings.get(signal, {}).values():
            for store_id in healthy & by_store.keys():
                flows[store_id] += by_store[store_id]
    return flows if any(flows.values()) else {}


def _labels_cannot_part(observation: Observation) -> bool:
    """Whether a region has more replicas than there are places, yet bears the loss of a place.

    Such as five replicas in three zones: PD counts every region as not kept apart.
    """
    config = observation.data("config")
    replicas = config.get("max_replicas", 0)
    labels = [store.get("labels", {}) for _, store in stores_of(observation)]
    names = config["location_labels"].split(",")
    places = max(len({one[name] for one in labels if name in one}) for name in names)
    if not 0 < places < replicas:
        return False
    most_in_one = -(-replicas // places)
    return bool(2 * most_in_one < replicas)


def check_isolation_lost(observation: Observation, given: Given) -> Iterator[Violation]:
    """Regions whose replicas no location label keeps apart, and PD does not mend it."""
    if not observation.data("config").get("location_labels") or _labels_cannot_part(observation):
        return
    none, total = misplaced_regions(observation.data(PD_METRICS))
    if total and none > given["most_share"] * total and not _is_mending(observation, given):
        message = (
            f"The replicas of {none:.0f} of {total:.0f} regions stand where no location label "
            "keeps them apart: one host or zone may hold several."
        )
        yield found("isolation_lost", CLUSTER, message, metrics={"none": none, "regions": total})


def _is_mending(observation: Observation, given: Given) -> bool:
    """Whether PD moves replicas and ever fewer of them are misplaced, for not too long."""
    memory = observation.data(PD_METRICS).get("misplaced", {})
    is_moving = observation.data("operators").get("count", 0) > 0
    return bool(
        is_moving
        and memory
        and memory["unchanged_seconds"] < given["stalled_seconds"]
        and memory["seconds"] < given["patience_seconds"]
    )


MOVING_RULES: Final[tuple[Invariant, ...]] = (
    # At its usual limit of 15 a minute a store that came new is no incident.
    rule(
        check_store_fills_slowly,
        "store_fills_slowly",
        ["stores", "filling"],
        60,
        60,
        patience_seconds=900.0,
        least_score_share=0.5,
        least_missing_regions=10.0,
        least_regions_per_minute=1.0,
    ),
    rule(
        check_store_limit_low,
        "store_limit_low",
        ["stores", "config"],
        180,
        60,
        least_per_minute=5.0,
    ),
    # PD gives a new replica ten minutes.
    rule(
        check_operators_crawl,
        "operators_crawl",
        ["operators"],
        60,
        120,
        least_operators=3.0,
        least_seconds=480.0,
    ),
    rule(
        check_pending_peers_stuck,
        "pending_peers_stuck",
        ["stores", "lagging"],
        0,
        60,
        least_replicas=3.0,
        stuck_seconds=900.0,
    ),
    rule(
        check_hot_region,
        "hot_region",
        ["hotspots"],
        60,
        60,
        least_write_bytes_per_second=32 * _MIB,
        least_read_bytes_per_second=128 * _MIB,
    ),
    rule(
        check_hot_store,
        "hot_store",
        ["stores", "pd_metrics"],
        120,
        60,
        least_bytes_per_second=100 * _MIB,
        least_times_others=3.0,
    ),
    rule(
        check_isolation_lost,
        "isolation_lost",
        ["config", "stores", "pd_metrics", "operators"],
        600,
        60,
        most_share=0.1,
        # Labels that come, or stores that join, move much at 15 replicas a minute and store.
        patience_seconds=14400.0,
        stalled_seconds=900.0,
    ),
)
