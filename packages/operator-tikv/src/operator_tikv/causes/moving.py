"""Why PD moves replicas too slowly, and why load stays in one place."""

from typing import Final

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_tikv.causes.words import StoreCase, claim, store_case
from operator_tikv.rules.moving import low_limits
from operator_tikv.rules.words import store_id_of

USUAL_LIMIT_PER_MINUTE: Final = 15.0
HOT_WRITE_BYTES_PER_SECOND: Final = float(32 << 20)
HOT_READ_BYTES_PER_SECOND: Final = float(128 << 20)
_HOT_LEAST: Final = {"write": HOT_WRITE_BYTES_PER_SECOND, "read": HOT_READ_BYTES_PER_SECOND}
_MUCH_BYTES_PER_SECOND: Final = float(100 << 20)
_LISTED: Final = 3


def store_limit_too_low(violation: Violation, observation: Observation) -> Assessment | None:
    """The limits of stores let PD move fewer replicas than it wants to."""
    low = low_limits(observation, USUAL_LIMIT_PER_MINUTE / 3.0)
    own = store_id_of(violation.target)
    concerned = [own] if own in low else list(low)[:_LISTED]
    return Assessment(
        cause=(
            "The limits of stores are so low that repair, filling and emptying take days. Look at "
            "the load on their disks first; then raise the limits in steps (15, then 30 a "
            "minute), watch, and put them back afterwards. Never take them away in busy hours."
        ),
        supports=[_low_limit(store_id) for store_id in concerned],
        contradicts=[] if low else [_usual_limits()],
        components=[f"store-{store_id}" for store_id in low],
        risks=["Somebody may have lowered them to protect clients."],
        escalate=True,
    )


def _low_limit(store_id: str) -> Claim:
    path = f"config/store_limits/{store_id}/add_peer"
    words = f"Store {store_id} takes fewer than 5 replicas a minute"
    return claim(words, path, Predicate.LT, USUAL_LIMIT_PER_MINUTE / 3.0, 3.0)


def _usual_limits() -> Claim:
    return claim("PD says the limits of stores", "config/store_limits", Predicate.EXISTS)


def region_moves_off(violation: Violation, observation: Observation) -> Assessment | None:
    """PD is not allowed to move regions at all."""
    del violation
    schedulers, config = observation.data("schedulers"), observation.data("config")
    name = "balance-region-scheduler"
    switches = [
        claim(
            "Scheduling is halted", "config/halt_scheduling", Predicate.EQ, value=True, weight=3.0
        ),
        claim("region-schedule-limit is 0", "config/region_schedule_limit", Predicate.EQ, 0, 3.0),
        claim(f"{name} is paused", "schedulers/paused", Predicate.CONTAINS, name, 3.0),
        claim(f"{name} is missing", "schedulers/missing", Predicate.CONTAINS, name, 3.0),
    ]
    seen = [
        config.get("halt_scheduling") is True,
        config.get("region_schedule_limit") == 0,
        name in schedulers.get("paused", ()),
        name in schedulers.get("missing", ()),
    ]
    found = [switch for switch, is_seen in zip(switches, seen, strict=True) if is_seen]
    return Assessment(
        cause=(
            "PD may not move regions: its scheduler or its limit is off. The ticket of that "
            "switch comes first; restore the value it had before."
        ),
        supports=found or switches[:1],
        components=["pd-config", "pd-schedulers"],
        escalate=True,
    )


def snapshots_crawl(violation: Violation, observation: Observation) -> Assessment | None:
    """New replicas wait for snapshots that hardly come."""
    del violation
    stores = _receivers(observation)
    listed = ", ".join(map(str, stores)) or "several stores"
    return Assessment(
        cause=(
            f"New replicas on store {listed} wait for their snapshots until PD's operators end by "
            "timeout: regions too large for one snapshot, or slow disks or networks of senders "
            "or receivers. Split the large regions, let fewer snapshots run at once, look at IO "
            "limits; raise no limit of PD."
        ),
        supports=[
            claim("PD is working on operators", "operators/count", Predicate.GT, 0),
            claim(
                "PD's oldest operator has run for minutes",
                "operators/list/0/age_seconds",
                Predicate.GE,
                480.0,
                2.0,
            ),
            claim(
                "It makes a replica and waits for it",
                "operators/list/0/adds_to_store",
                Predicate.GT,
                0,
                2.0,
            ),
        ],
        components=[f"store-{store_id}" for store_id in stores],
        escalate=True,
    )


def silence_holds_operators(violation: Violation, observation: Observation) -> Assessment | None:
    """Operators wait for a store that is silent."""
    del violation
    silent = observation.data("cluster").get("silent_store_ids", [])
    return Assessment(
        cause=(
            f"PD's operators wait for store {', '.join(map(str, silent)) or 'unknown'}, which is "
            "silent. The ticket of that store comes first; nothing is to be done here."
        ),
        supports=[
            claim("A store is silent", "cluster/silent_store_count", Predicate.GE, 1, 2.0),
        ],
        contradicts=[
            claim("PD hears every store", "cluster/silent_store_count", Predicate.EQ, 0),
            claim("The oldest makes a replica", "operators/list/0/adds_to_store", Predicate.GT, 0),
        ],
        components=[f"store-{store_id}" for store_id in silent],
    )


def _receivers(observation: Observation) -> list[int]:
    listed = observation.data("operators").get("list", [])
    return sorted({one.get("adds_to_store", 0) for one in listed} - {0})


def _others_stuck(observation: Observation, store_id: str) -> list[Claim]:
    """Where several stores do not take in what they are sent, the sender or the network does it."""
    return [
        claim(
            f"Replicas on store {key} have lagged for as long",
            f"lagging/{key}/seconds/{_LISTED - 1}",
            Predicate.GE,
            900.0,
        )
        for key, store in observation.data("stores").items()
        if key != store_id and store["is_healthy"] and key in observation.data("lagging")
    ]


def receiver_stuck(violation: Violation, observation: Observation) -> Assessment | None:
    """One store does not take in the replicas that it is sent."""
    case = store_case(violation, observation)
    if case is None:
        return None
    store_id = case.store_id
    return Assessment(
        cause=(
            f"{case.name.capitalize()} does not take in what it is sent: look at its disk, its "
            "network and its snapshot queue. Lower PD's limits so that fewer snapshots run; "
            "restart only this store if it is stuck. Remove no replica by hand."
        ),
        supports=[
            case.says("PD hears the store regularly", "state_name", Predicate.EQ, "Up"),
            claim(
                f"A replica on store {store_id} has lagged for 15 minutes",
                f"lagging/{store_id}/seconds/0",
                Predicate.GE,
                900.0,
                3.0,
            ),
        ],
        contradicts=_others_stuck(observation, store_id),
        components=[f"store-{store_id}"],
        risks=["While these replicas lag, their regions bear less."],
        escalate=True,
    )


def load_of_one_range(violation: Violation, observation: Observation) -> Assessment | None:
    """Clients read or write one region more than a store should bear."""
    kind = _hot_kind(violation, observation)
    region: dict[str, object] = next(
        iter(observation.data("hotspots").get(kind, {}).get("regions", [])), {}
    )
    store_id = store_id_of(violation.target)
    path = f"hotspots/{kind}/regions/0"
    words = f"Region {region.get('region_id', '?')} is the hottest of PD's, and hot for a store"
    seen = claim(words, f"{path}/flow_bytes_per_second", Predicate.GE, _HOT_LEAST[kind], 3.0)
    here = claim("This store leads it", f"{path}/leader_store_id", Predicate.EQ, int(store_id or 0))
    if kind == "write":  # every replica is written, only the leader is read
        words = "This store has a replica of it"
        here = claim(words, f"{path}/store_ids", Predicate.CONTAINS, int(store_id or 0))
    return Assessment(
        cause=(
            "Clients go to one range of keys. Split the region at a point of its load and scatter "
            "the parts; spread the keys, or read from followers. Do not move one hot leader in "
            "circles."
        ),
        supports=[seen, *([here] if store_id else [])],
        components=[f"region-{region.get('region_id', '?')}"],
        escalate=True,
    )


def _hot_kind(violation: Violation, observation: Observation) -> str:
    if violation.target in _HOT_LEAST:
        return violation.target
    hot = observation.data("hotspots")
    flows = {
        kind: (hot.get(kind, {}).get("regions") or [{}])[0].get("flow_bytes_per_second", 0.0)
        for kind in _HOT_LEAST
    }
    return max(flows, key=lambda kind: flows[kind] / _HOT_LEAST[kind])


def hot_leaders_together(violation: Violation, observation: Observation) -> Assessment | None:
    """Many warm regions are led by one store, and nothing spreads them."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=(
            f"{case.name.capitalize()} leads the regions that clients use most. See whether "
            "balance-hot-region-scheduler runs and hot-region-schedule-limit is above 0; raise "
            "that limit a little; spread the keys."
        ),
        supports=[
            _much_flow(case),
            case.says("The store leads regions", "leader_count", Predicate.GT, 0),
            case.says("PD hears the store regularly", "state_name", Predicate.EQ, "Up"),
        ],
        components=[f"store-{case.store_id}"],
        escalate=True,
    )


def _much_flow(case: StoreCase) -> Claim:
    """Name the larger of what clients read and write there."""
    leader = case.observation.data("pd").get("leader")
    readings = case.observation.data("pd_metrics").get("readings", {})
    flows = {
        kind: readings.get(f"store_{kind}_bytes_per_second", {}).get(leader, {})
        for kind in _HOT_LEAST
    }
    kind = max(flows, key=lambda one: flows[one].get(case.store_id, 0.0))
    path = f"pd_metrics/readings/store_{kind}_bytes_per_second/{leader}/{case.store_id}"
    words = "Clients go to the regions of this store"
    return claim(words, path, Predicate.GE, _MUCH_BYTES_PER_SECOND, 3.0)


def labels_part_nothing(violation: Violation, observation: Observation) -> Assessment | None:
    """The labels of the stores leave fewer places than a region has replicas."""
    del violation
    config = observation.data("config")
    return Assessment(
        cause=(
            f"The location labels ({config.get('location_labels', '')}) do not part the stores: "
            "they are the same on all, missing, or set on the stores only and not in PD. Correct "
            "one thing; lower the limits first, because much may move. Turn on no strict "
            "matching while a store lacks its labels."
        ),
        supports=[
            claim("PD goes by location labels", "config/location_labels", Predicate.NE, "", 2.0),
            claim("PD moves nothing for it", "operators/count", Predicate.EQ, 0),
        ],
        components=["pd-config"],
        escalate=True,
    )


def labels_changed(violation: Violation, observation: Observation) -> Assessment | None:
    """Labels or rules changed, and PD is moving replicas to where they belong."""
    del violation, observation
    return Assessment(
        cause="Labels or rules changed and PD is moving the replicas to where they belong. Wait.",
        supports=[claim("PD is working on operators", "operators/count", Predicate.GT, 0, 2.0)],
        contradicts=[claim("PD works on nothing", "operators/count", Predicate.EQ, 0)],
    )


_BY_LOAD: Final = frozenset(
    {
        "apply_cpu_high",
        "coprocessor_queue",
        "hot_region",
        "hot_store",
        "raftstore_cpu_high",
        "read_cpu_high",
        "read_pool_backlog",
    }
)

MOVING_CAUSES: Final = (
    Hypothesis(
        "store_limit_too_low",
        frozenset({"store_limit_low", "store_fills_slowly", "no_store_for_replica"}),
        store_limit_too_low,
        0.7,
    ),
    Hypothesis("region_moves_off", frozenset({"store_fills_slowly"}), region_moves_off, 0.8),
    Hypothesis(
        "snapshots_crawl",
        frozenset(
            {
                "operators_crawl",
                "operators_time_out",
                "offline_stuck",
                "pending_peers_stuck",
                "store_fills_slowly",
            }
        ),
        snapshots_crawl,
        0.55,
    ),
    Hypothesis(
        "silence_holds_operators", frozenset({"operators_crawl"}), silence_holds_operators, 0.6
    ),
    Hypothesis("receiver_stuck", frozenset({"pending_peers_stuck"}), receiver_stuck, 0.6),
    Hypothesis("load_of_one_range", _BY_LOAD, load_of_one_range, 0.7),
    Hypothesis(
        "hot_leaders_together",
        frozenset({"hot_store", "raftstore_cpu_high", "read_cpu_high"}),
        hot_leaders_together,
        0.6,
    ),
    Hypothesis("labels_part_nothing", frozenset({"isolation_lost"}), labels_part_nothing, 0.6),
    Hypothesis("labels_changed", frozenset({"isolation_lost"}), labels_changed, 0.4),
)
