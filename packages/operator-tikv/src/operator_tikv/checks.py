"""What holds on a healthy TiKV cluster, as pure functions of an observation.

A store that is Offline or Tombstone is being taken away on purpose: that is no incident.
"""

from collections.abc import Callable, Iterator
from typing import Final

from operator_core.monitor.types import Observation, Violation
from operator_core.types import JsonObject, Severity
from operator_tikv.facts import SLOW_SCORE

IMBALANCE_LEAST_GAP: Final = 12.0
IMBALANCE_SHARE: Final = 0.4
"""Leaders are uneven when most and fewest differ by more than this share of the mean; PD's own
tolerance is a gap of about ten leaders."""

ALMOST_FULL_SHARE: Final = 0.05


def store_target(store_id: str | int) -> str:
    """Return the name of a store as a violation's target."""
    return f"store-{store_id}"


def store_id_of(target: str) -> str:
    """Return the id of the store that a target names, empty where it names none."""
    return target.removeprefix("store-") if target.startswith("store-") else ""


def _stores(observation: Observation) -> Iterator[tuple[str, JsonObject]]:
    yield from observation.data("stores").items()


def _about_store(
    name: str, store_id: str, store: JsonObject, message: str, severity: Severity
) -> Violation:
    kept = (
        "state_name",
        "leader_count",
        "region_count",
        "available_share",
        "slow_score",
        "last_heartbeat_age_seconds",
    )
    return Violation(
        invariant=name,
        target=store_target(store_id),
        message=f"Store {store_id} ({store['address']}) {message}",
        severity=severity,
        metrics={"store_id": int(store_id), **{key: store[key] for key in kept}},
    )


def _silence(store: JsonObject) -> str:
    age = store["last_heartbeat_age_seconds"]
    return "has never been heard of" if age is None else f"was last heard of {age:.0f} s ago"


def check_store_disconnected(observation: Observation) -> Iterator[Violation]:
    """A store that PD has not heard of for 20 s; one that is Down is disconnected still."""
    for store_id, store in _stores(observation):
        if store["state_name"] in {"Disconnected", "Down"}:
            message = f"is {store['state_name']}: it {_silence(store)}."
            yield _about_store("store_disconnected", store_id, store, message, Severity.WARNING)


def check_store_down(observation: Observation) -> Iterator[Violation]:
    """A store that PD has given up (30 min) and whose replicas it now makes elsewhere."""
    for store_id, store in _stores(observation):
        if store["state_name"] == "Down":
            message = f"is Down: it {_silence(store)}; PD replaces its replicas."
            yield _about_store("store_down", store_id, store, message, Severity.CRITICAL)


def check_slow_store(observation: Observation) -> Iterator[Violation]:
    """A slow store that still leads regions, so that clients wait for it."""
    for store_id, store in _stores(observation):
        if store["is_healthy"] and store["slow_score"] >= SLOW_SCORE and store["leader_count"]:
            message = (
                f"is slow (score {store['slow_score']} of 100) "
                f"and still leads {store['leader_count']} regions."
            )
            yield _about_store("slow_store", store_id, store, message, Severity.CRITICAL)


def check_low_space(observation: Observation) -> Iterator[Violation]:
    """A store with less free space than PD's `low-space-ratio` leaves."""
    least = 1.0 - observation.data("config")["low_space_ratio"]
    for store_id, store in _stores(observation):
        share = store["available_share"]
        if share is None or share >= least or store["state_name"] in {"Offline", "Tombstone"}:
            continue
        severity = Severity.CRITICAL if share < ALMOST_FULL_SHARE else Severity.WARNING
        message = f"has {share:.1%} of its disk left; below {least:.0%} PD sends it no replicas."
        yield _about_store("low_space", store_id, store, message, severity)


def check_evict_leader_left_over(observation: Observation) -> Iterator[Violation]:
    """An evict-leader on a store that is well: maintenance that nobody finished."""
    evicted = {str(key) for key in observation.data("schedulers")["evict_leader_store_ids"]}
    for store_id, store in _stores(observation):
        is_well = store["is_healthy"] and store["slow_score"] < SLOW_SCORE
        if store_id in evicted and is_well:
            message = (
                "is Up and well, but an evict-leader scheduler keeps it from leading regions "
                f"(it leads {store['leader_count']})."
            )
            yield _about_store("evict_leader_left_over", store_id, store, message, Severity.WARNING)


def check_leader_imbalance(observation: Observation) -> Iterator[Violation]:
    """Leaders spread unevenly over the stores that should share them."""
    evicted = {str(key) for key in observation.data("schedulers")["evict_leader_store_ids"]}
    scores = {
        store_id: store["leader_count"] / store["leader_weight"]
        for store_id, store in _stores(observation)
        if _shares_leaders(store) and store_id not in evicted
    }
    if len(scores) < 2:  # noqa: PLR2004 - one store has nobody to share with
        return
    mean = sum(scores.values()) / len(scores)
    fewest, most = min(scores, key=_by(scores)), max(scores, key=_by(scores))
    gap, allowed = scores[most] - scores[fewest], max(IMBALANCE_LEAST_GAP, IMBALANCE_SHARE * mean)
    if gap > allowed:
        yield Violation(
            invariant="leader_imbalance",
            target="cluster",
            message=(
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


def _shares_leaders(store: JsonObject) -> bool:
    is_slow = store["slow_score"] >= SLOW_SCORE
    return bool(store["is_healthy"] and store["leader_weight"] > 0 and not is_slow)


def _by(scores: dict[str, float]) -> Callable[[str], tuple[float, int]]:
    """Order by score, and by id where scores are equal, so that the order is certain."""
    return lambda store_id: (scores[store_id], int(store_id))


def peer_check(kind: str, words: str) -> Callable[[Observation], Iterator[Violation]]:
    """Return the check that one of PD's lists of regions is empty.

    Args:
        kind: the list, such as `miss_peer`.
        words: what is wrong with the regions on it.
    """
    name = f"{kind}s"

    def check(observation: Observation) -> Iterator[Violation]:
        found = observation.data("regions")[kind]
        if found["count"]:
            yield Violation(
                invariant=name,
                target="regions",
                message=f"{found['count']} regions {words}{_where(found)}.",
                severity=Severity.WARNING,
                metrics=found,
            )

    return check


def _where(found: JsonObject) -> str:
    stores: JsonObject = found.get("peers_by_store", {})
    return f" (on store {', '.join(stores)})" if stores else ""


def check_region_without_leader(observation: Observation) -> Iterator[Violation]:
    """Regions that nobody can read or write."""
    found = observation.data("leaders")
    if found["checked"] and found["without_leader_count"]:
        yield Violation(
            invariant="region_without_leader",
            target="regions",
            message=(
                f"{found['without_leader_count']} of {found['region_count']} regions cannot be "
                f"read or written ({found['quorum_lost_count']} have lost most of their voters)."
            ),
            severity=Severity.CRITICAL,
            metrics=found,
        )
    elif not found["checked"]:
        yield from _quorum_in_danger(observation)


def _quorum_in_danger(observation: Observation) -> Iterator[Violation]:
    """In a cluster too large to read: as many silent stores as a region has spare voters."""
    cluster, config = observation.data("cluster"), observation.data("config")
    majority = config["max_replicas"] // 2 + 1
    if cluster["silent_store_count"] >= majority:
        yield Violation(
            invariant="region_without_leader",
            target="regions",
            message=(
                f"{cluster['silent_store_count']} stores are silent, so regions with "
                f"{majority} of {config['max_replicas']} replicas there cannot be written."
            ),
            severity=Severity.CRITICAL,
            metrics={"silent_store_ids": cluster["silent_store_ids"]},
        )


def check_pd_no_leader(observation: Observation) -> Iterator[Violation]:
    """PD without a leader: no timestamps, so no transactions, and no repair."""
    found = observation.data("pd")
    if not found["has_leader"]:
        yield Violation(
            invariant="pd_no_leader",
            target="pd",
            message=(
                f"PD has no leader; {found['healthy_member_count']} of "
                f"{found['member_count']} members are healthy."
            ),
            severity=Severity.CRITICAL,
            metrics={key: value for key, value in found.items() if key != "members"},
        )
