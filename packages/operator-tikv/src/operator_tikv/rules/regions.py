"""Rules about regions: replicas that miss, leaders that miss."""

from collections.abc import Iterator
from typing import Final

from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.types import JsonObject, Severity
from operator_tikv.rules.words import CLUSTER, Given, Judge, found, rule

REGIONS: Final = "regions"


def peer_judge(kind: str, words: str) -> Judge:
    """Return the judge of one of PD's lists of regions.

    Args:
        kind: the list, such as `miss_peer`.
        words: what is wrong with the regions on it.
    """
    name = f"{kind}s"

    def judge(observation: Observation, given: Given) -> Iterator[Violation]:
        listed = observation.data("regions")[kind]
        if listed["count"] > given["most_regions"]:
            message = f"{listed['count']} regions {words}{_where(listed)}."
            yield found(name, REGIONS, message, metrics=listed)

    return judge


_pending: Final = peer_judge("pending_peer", "have a replica that lags behind")


def check_pending_peers(observation: Observation, given: Given) -> Iterator[Violation]:
    """Regions with a replica that lags behind: many, or any while PD moves nothing."""
    is_moving = observation.data("operators")["count"] > 0
    most = given["most_while_moving_regions"] if is_moving else given["most_regions"]
    return iter(_pending(observation, {"most_regions": most}))


def _where(found: JsonObject) -> str:
    stores: JsonObject = found.get("peers_by_store", {})
    return f" (on store {', '.join(stores)})" if stores else ""


def check_region_without_leader(observation: Observation, given: Given) -> Iterator[Violation]:
    """Regions that nobody can read or write."""
    leaders = observation.data("leaders")
    if _is_leaderless(leaders, given) and not not_heard_yet(observation):
        message = (
            f"{leaders['without_leader_count']} of {leaders['region_count']} regions cannot be "
            f"read or written ({leaders['quorum_lost_count']} have lost most of their voters)."
        )
        yield found("region_without_leader", REGIONS, message, Severity.CRITICAL, leaders)
    elif leaders["quorum_is_partial"]:
        yield from _quorum_in_danger(observation)


def _is_leaderless(leaders: JsonObject, given: Given) -> bool:
    """Counted leaders are off by what splits meanwhile, listed ones are certain."""
    if leaders["checked"] or leaders["quorum_lost_count"]:
        return bool(leaders["without_leader_count"])
    noise = max(given["noise_regions"], given["noise_share"] * leaders["region_count"])
    return bool(leaders["without_leader_count"] > noise)


def _quorum_in_danger(observation: Observation) -> Iterator[Violation]:
    """Where not all could be read: as many silent stores as a region has spare voters."""
    cluster, config = observation.data("cluster"), observation.data("config")
    majority = config["max_replicas"] // 2 + 1
    if cluster["silent_store_count"] >= majority:
        message = (
            f"{cluster['silent_store_count']} stores are silent, so regions with "
            f"{majority} of {config['max_replicas']} replicas there cannot be written."
        )
        metrics = {"silent_store_ids": cluster["silent_store_ids"]}
        yield found("region_without_leader", REGIONS, message, Severity.CRITICAL, metrics)


def not_heard_yet(observation: Observation) -> list[str]:
    """Return that leaders cannot be judged: PD's own leader is new, and no quorum is lost."""
    is_new = observation.data("pd").get("leader_is_new", False)
    return [REGIONS] if is_new and not observation.data("leaders")["quorum_lost_count"] else []


def check_empty_regions(observation: Observation, given: Given) -> Iterator[Violation]:
    """Many regions without data, that are not merged."""
    states = observation.data("pd_metrics").get("readings", {}).get("regions_by_state", {})
    empty = max((one.get("empty-region-count", 0.0) for one in states.values()), default=0.0)
    total = observation.data("leaders")["region_count"]
    if empty > max(given["least_regions"], given["most_share"] * total):
        message = f"{empty:.0f} of {total} regions are empty and not merged."
        yield found(
            "empty_regions", CLUSTER, message, Severity.INFO, {"empty": empty, "regions": total}
        )


_DESCRIPTIONS: Final = {
    "miss_peers": "Regions with fewer replicas than wanted.",
    "down_peers": "Regions whose leader has missed a replica for ten minutes.",
}

REGION_RULES: Final[tuple[Invariant, ...]] = (
    rule(
        peer_judge("miss_peer", "have fewer replicas than wanted"),
        "miss_peers",
        ["regions"],
        60,
        description=_DESCRIPTIONS["miss_peers"],
        most_regions=0.0,
    ),
    rule(
        peer_judge("down_peer", "have a replica that their leader misses"),
        "down_peers",
        ["regions"],
        30,
        description=_DESCRIPTIONS["down_peers"],
        most_regions=0.0,
    ),
    # Normal while replicas move; a snapshot takes minutes.
    rule(
        check_pending_peers,
        "pending_peers",
        ["regions", "operators"],
        300,
        most_regions=0.0,
        most_while_moving_regions=100.0,
    ),
    # An election takes 10 to 20 s.
    rule(
        check_region_without_leader,
        "region_without_leader",
        ["leaders", "cluster", "config", "pd"],
        30,
        unseen=not_heard_yet,
        noise_regions=10.0,
        noise_share=0.0005,
    ),
    rule(
        check_empty_regions,
        "empty_regions",
        ["pd_metrics", "leaders"],
        3600,
        least_regions=1000.0,
        most_share=0.3,
    ),
)
