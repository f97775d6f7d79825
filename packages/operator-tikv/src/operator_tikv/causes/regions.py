"""Why regions lack replicas or a leader, and why PD itself has none."""

from typing import Final

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_core.types import JsonObject
from operator_tikv.causes.placement import PLACEMENT, rule_wants_more_stores
from operator_tikv.causes.words import claim
from operator_tikv.rules.words import store_id_of

_SILENT: Final = claim(
    "At least one store is silent", "cluster/silent_store_count", Predicate.GE, 1, 3.0
)
_NOBODY_SILENT: Final = claim(
    "PD hears every store", "cluster/silent_store_count", Predicate.EQ, 0, 2.0
)
_UNREACHABLE: Final = "unreachable_per_second"
_LOG_LAG: Final = "raft_log_lag"
_PD_WORKS: Final = claim("PD is moving replicas", "operators/count", Predicate.GT, 0, 2.0)
_PD_RESTS: Final = claim("PD works on nothing", "operators/count", Predicate.EQ, 0, 2.0)


def quorum_lost(violation: Violation, observation: Observation) -> Assessment | None:
    """Most voters of some regions are on silent stores."""
    del violation
    silent = observation.data("cluster").get("silent_store_ids", [])
    listed = ", ".join(str(store_id) for store_id in silent) or "unknown"
    return Assessment(
        cause=(
            f"Regions lost most of their voters with the silent stores ({listed}). Bring one of "
            "these stores back, with its data. Operator does not act on a lost quorum: unsafe "
            "recovery loses data and is a person's decision."
        ),
        supports=[
            claim(
                "Regions have most of their voters on silent stores",
                "leaders/quorum_lost_count",
                Predicate.GT,
                0,
                3.0,
            ),
            claim("Several stores are silent", "cluster/silent_store_count", Predicate.GE, 2),
        ],
        contradicts=[
            claim("No region lost its quorum", "leaders/quorum_lost_count", Predicate.EQ, 0)
        ],
        components=[f"store-{store_id}" for store_id in silent],
        risks=["Removing or replacing any of these stores now can lose data for good."],
        escalate=True,
    )


def election_running(violation: Violation, observation: Observation) -> Assessment | None:
    """Leaders are being elected, or PD has just begun to hear of them."""
    del violation, observation
    return Assessment(
        cause="An election is running, or PD's leader is new and has not heard of them yet. Wait.",
        supports=[
            claim("No region lost its quorum", "leaders/quorum_lost_count", Predicate.EQ, 0, 2.0),
            claim("Regions are without leader", "leaders/without_leader_count", Predicate.GT, 0),
        ],
        contradicts=[
            claim("Regions lost their quorum", "leaders/quorum_lost_count", Predicate.GT, 0)
        ],
    )


def silent_store_behind_it(violation: Violation, observation: Observation) -> Assessment | None:
    """The replicas are those of a store that is away, which has a ticket of its own."""
    silent = observation.data("cluster").get("silent_store_ids", [])
    listed = ", ".join(str(store_id) for store_id in silent)
    return Assessment(
        cause=(
            f"The replicas are on store {listed}, which is silent. When it comes back they catch "
            "up; after 30 min PD makes them anew elsewhere. Nothing is to be done here."
        ),
        supports=[_SILENT, *_on_silent_stores(violation, silent)],
        contradicts=[_NOBODY_SILENT],
        components=[f"store-{store_id}" for store_id in silent],
    )


def _on_silent_stores(violation: Violation, silent: list[int]) -> list[Claim]:
    kind = violation.invariant.removesuffix("s")
    peers = violation.metrics.get("peers_by_store", {})
    return [
        claim(
            f"Replicas on store {store_id} are concerned",
            f"regions/{kind}/peers_by_store/{store_id}",
            Predicate.GT,
            0,
        )
        for store_id in silent
        if str(store_id) in peers
    ]


def cut_off_store_behind_it(violation: Violation, observation: Observation) -> Assessment | None:
    """The replicas are those of a store that PD hears and its peers do not reach."""
    failing = observation.data("store_metrics").get("readings", {}).get(_UNREACHABLE, {})
    peers = _peers_concerned(violation, observation, failing)
    cuts = [
        claim(
            f"Store {sender} cannot send to store {receiver}",
            f"store_metrics/readings/{_UNREACHABLE}/{sender}/{receiver}",
            Predicate.GT,
            0,
            2.0,
        )
        for sender, rates in failing.items()
        for receiver, rate in rates.items()
        if {sender, receiver} & {*peers} and rate > 0
    ]
    if not cuts:
        return None
    return Assessment(
        cause=(
            f"The replicas on store {', '.join(peers)} lag because the network between them and "
            "other stores is cut, although PD is reached. Repair it; restart and remove nothing."
        ),
        supports=[*cuts, _NOBODY_SILENT],
        contradicts=[_SILENT],
        components=[f"store-{store_id}" for store_id in peers],
        escalate=True,
    )


def _peers_concerned(
    violation: Violation, observation: Observation, failing: JsonObject
) -> list[str]:
    """Return the stores of the replicas: PD lists them, or their leader cannot send to them."""
    if violation.invariant == _LOG_LAG:
        return sorted(failing.get(store_id_of(violation.target), {}))
    kind = violation.invariant.removesuffix("s")
    return list(observation.data("regions").get(kind, {}).get("peers_by_store", {}))


def replicas_moving(violation: Violation, observation: Observation) -> Assessment | None:
    """PD is making or moving the replicas right now."""
    del violation, observation
    return Assessment(
        cause="PD is making or moving these replicas already. Wait until its operators end.",
        supports=[_PD_WORKS, _NOBODY_SILENT],
        contradicts=[_PD_RESTS],
    )


def broken_replicas_kept(violation: Violation, observation: Observation) -> Assessment | None:
    """The store came back within 30 min, and PD never replaces what broke meanwhile."""
    del violation
    peers = observation.data("regions").get("down_peer", {}).get("peers_by_store", {})
    listed = ", ".join(peers) or "unknown"
    return Assessment(
        cause=(
            f"Replicas on store {listed} stay down although PD hears the store: it is cut off "
            "from its peers, or its replicas broke. PD replaces only those of stores that are "
            "Down themselves; a person should look at the network between the stores first."
        ),
        supports=[
            _NOBODY_SILENT,
            claim("Leaders miss replicas", "regions/down_peer/count", Predicate.GT, 0),
            _PD_RESTS.model_copy(update={"weight": 1.0}),
        ],
        contradicts=[_SILENT],
        components=[f"store-{store_id}" for store_id in peers],
        escalate=True,
    )


def too_few_stores(violation: Violation, observation: Observation) -> Assessment | None:
    """There is no store left for another replica."""
    if violation.invariant == PLACEMENT:
        return rule_wants_more_stores(violation)
    wanted = observation.data("config").get("max_replicas", 3)
    path = "cluster/healthy_store_count"
    return Assessment(
        cause=f"There are fewer than {wanted} healthy stores, so PD has no place for replicas.",
        supports=[claim(f"Fewer than {wanted} are healthy", path, Predicate.LT, wanted, 3.0)],
        contradicts=[claim(f"{wanted} or more are healthy", path, Predicate.GE, wanted)],
        escalate=True,
    )


def repair_is_off(violation: Violation, observation: Observation) -> Assessment | None:
    """PD's configuration forbids making replicas."""
    del violation, observation
    limit = "config/replica_schedule_limit"
    return Assessment(
        cause="PD's configuration forbids making replicas (replica-schedule-limit is 0).",
        supports=[claim("replica-schedule-limit is 0", limit, Predicate.EQ, 0, 3.0)],
        contradicts=[claim("replica-schedule-limit is above 0", limit, Predicate.GT, 0)],
        components=["pd-config"],
        escalate=True,
    )


def receiver_too_slow(violation: Violation, observation: Observation) -> Assessment | None:
    """Replicas lag although nobody moves them: a slow disk or network at the receiver."""
    del violation
    peers = observation.data("regions").get("pending_peer", {}).get("peers_by_store", {})
    return Assessment(
        cause=(
            f"Replicas on store {', '.join(peers) or 'unknown'} lag behind although PD moves "
            "nothing: look at that store's disk and network."
        ),
        supports=[_NOBODY_SILENT, _PD_RESTS],
        contradicts=[_SILENT, _PD_WORKS],
        components=[f"store-{store_id}" for store_id in peers],
        escalate=True,
    )


def pd_majority_lost(violation: Violation, observation: Observation) -> Assessment | None:
    """PD has no majority to elect a leader."""
    del violation
    majority = observation.data("pd").get("member_count", 0) // 2 + 1
    path = "pd/healthy_member_count"
    return Assessment(
        cause=(
            "PD lost the majority of its members: start one of them again, with its data. "
            "Never force a new cluster while a majority can come back."
        ),
        supports=[claim(f"Fewer than {majority} members live", path, Predicate.LT, majority, 3.0)],
        contradicts=[claim(f"{majority} members live", path, Predicate.GE, majority)],
        components=["pd"],
        escalate=True,
    )


def pd_election(violation: Violation, observation: Observation) -> Assessment | None:
    """PD has its majority and will elect, or cannot agree."""
    del violation
    majority = observation.data("pd").get("member_count", 0) // 2 + 1
    path = "pd/healthy_member_count"
    return Assessment(
        cause=(
            "PD's members live but have elected no leader yet: an election takes seconds. If it "
            "lasts, look at the disk latency and the network of the PD hosts."
        ),
        supports=[claim(f"{majority} or more members live", path, Predicate.GE, majority, 2.0)],
        contradicts=[claim(f"Fewer than {majority} members live", path, Predicate.LT, majority)],
        components=["pd"],
        escalate=True,
    )


def pd_leader_hangs(violation: Violation, observation: Observation) -> Assessment | None:
    """A member that led hangs: it keeps its place and serves nobody."""
    del violation
    pd = observation.data("pd")
    ill, majority = pd.get("unhealthy_members", []), pd.get("member_count", 0) // 2 + 1
    path = "pd/healthy_member_count"
    return Assessment(
        cause=(
            f"PD's leader hangs (no answer from {', '.join(ill) or 'nobody'}) while a majority "
            "lives: end that process, or let it resign; the others then elect."
        ),
        supports=[
            claim(f"{majority} or more members live", path, Predicate.GE, majority),
            claim("A member does not answer", "pd/unhealthy_members/0", Predicate.EXISTS, None, 2),
        ],
        contradicts=[claim(f"Fewer than {majority} members live", path, Predicate.LT, majority)],
        components=["pd"],
        escalate=True,
    )


_REPLICAS: Final = frozenset({"miss_peers", "down_peers", "pending_peers", _LOG_LAG})

REGION_CAUSES: Final = (
    Hypothesis("quorum_lost", frozenset({"region_without_leader"}), quorum_lost, 0.6),
    Hypothesis("election_running", frozenset({"region_without_leader"}), election_running, 0.4),
    Hypothesis("silent_store_behind_it", _REPLICAS, silent_store_behind_it, 0.6),
    Hypothesis(
        "cut_off_store_behind_it",
        frozenset({"down_peers", "pending_peers", _LOG_LAG}),
        cut_off_store_behind_it,
        0.7,
    ),
    Hypothesis("replicas_moving", frozenset({"miss_peers", "pending_peers"}), replicas_moving),
    Hypothesis("broken_replicas_kept", frozenset({"down_peers"}), broken_replicas_kept, 0.4),
    Hypothesis("too_few_stores", frozenset({"miss_peers", PLACEMENT}), too_few_stores, 0.4),
    Hypothesis("repair_is_off", frozenset({"miss_peers"}), repair_is_off, 0.3),
    Hypothesis("receiver_too_slow", frozenset({"pending_peers"}), receiver_too_slow, 0.3),
    Hypothesis("pd_majority_lost", frozenset({"pd_no_leader"}), pd_majority_lost),
    Hypothesis("pd_leader_hangs", frozenset({"pd_no_leader"}), pd_leader_hangs, 0.6),
    Hypothesis("pd_election", frozenset({"pd_no_leader"}), pd_election, 0.4),
)
