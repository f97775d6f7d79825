"""Why leaders are where they should not be."""

from typing import Final

from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Assessment,
    Claim,
    Predicate,
    WorkflowRecommendation,
)
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_tikv.causes.words import (
    SETTLE_SECONDS,
    StoreCase,
    claim,
    note,
    step,
    store_case,
    wait,
    workflow,
)
from operator_tikv.facts import SLOW_SCORE
from operator_tikv.pd.api import BALANCE_LEADER

_BALANCE_PAUSED: Final = claim(
    f"{BALANCE_LEADER} is paused, so leaders do not move back by themselves",
    "schedulers/balance_leader_paused",
    Predicate.EQ,
    value=True,
)


def interrupted_maintenance(violation: Violation, observation: Observation) -> Assessment | None:
    """A restart or upgrade began with evict-leader and nobody ended it."""
    case = store_case(violation, observation)
    if case is None:
        return None
    is_paused = bool(observation.data("schedulers").get("balance_leader_paused"))
    steps = [*_resume(is_paused=is_paused), *_undrain(case)]
    several = len(observation.data("schedulers").get("evict_leader_store_ids", [])) > 1
    what = " and resumes balance-leader" if is_paused else ""
    remedy = workflow(
        "finish_interrupted_maintenance",
        f"Lets store {case.store_id} lead regions again{what}, then looks again.",
        *steps,
    )
    return Assessment(
        cause=(
            f"Maintenance of {case.name} was interrupted: its evict-leader scheduler was left "
            "behind" + (f" and {BALANCE_LEADER} stayed paused." if is_paused else ".")
        ),
        supports=[*_left_over(case), *([_BALANCE_PAUSED] if is_paused else [])],
        contradicts=_needs_its_drain(case),
        components=[f"store-{case.store_id}", "pd-schedulers"],
        workflows=[] if several else [remedy],
        risks=[f"If somebody is still working on store {case.store_id}, leaders return too early."],
        escalate=several,  # a rolling restart may be at work: a person says which one is left
    )


def _left_over(case: StoreCase) -> list[Claim]:
    few = max(1, case.store["region_count"] // 10)
    return [
        claim(
            f"PD evicts the leaders of store {case.store_id}",
            "schedulers/evict_leader_store_ids",
            Predicate.CONTAINS,
            int(case.store_id),
            weight=3.0,
        ),
        case.says("PD hears the store regularly", "state_name", Predicate.EQ, "Up"),
        case.says("The store's disk is not slow", "slow_score", Predicate.LT, SLOW_SCORE),
        case.says(
            f"The store leads {case.store['leader_count']} of the "
            f"{case.store['region_count']} regions it has replicas of",
            "leader_count",
            Predicate.LE,
            few,
        ),
    ]


def _needs_its_drain(case: StoreCase) -> list[Claim]:
    return [
        case.says("The store is slow", "slow_score", Predicate.GE, SLOW_SCORE),
        case.says("The store is not Up", "state_name", Predicate.NE, "Up"),
    ]


def _resume(*, is_paused: bool) -> list[ActionRecommendation]:
    if not is_paused:
        return []
    return [
        step(
            "resume_scheduler",
            "Without it no leader moves back after the eviction ends.",
            f"{BALANCE_LEADER} runs again.",
            ("An import or a backup may have paused it on purpose.",),
            name=BALANCE_LEADER,
        )
    ]


def _undrain(case: StoreCase) -> list[ActionRecommendation]:
    store_id = case.store_id
    return [
        step(
            "undrain_store",
            f"Store {store_id} is Up and well; nothing speaks for keeping leaders off it.",
            f"Store {store_id} leads its share of the regions again.",
            store_id=int(store_id),
        ),
        wait(SETTLE_SECONDS, "Let balance-leader spread the leaders."),
        note(f"Store {store_id} leads regions again; the interrupted maintenance is finished."),
    ]


def drained_because_slow(violation: Violation, observation: Observation) -> Assessment | None:
    """The eviction protects clients from a slow store."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=f"The leaders of {case.name} are kept away because its disk is slow.",
        supports=[case.says("The store is slow", "slow_score", Predicate.GE, SLOW_SCORE, 3.0)],
        contradicts=[
            case.says(
                f"The store's slow score is {case.store['slow_score']} of 100",
                "slow_score",
                Predicate.LT,
                SLOW_SCORE,
            )
        ],
        escalate=True,
    )


def store_being_removed(violation: Violation, observation: Observation) -> Assessment | None:
    """The eviction belongs to a scale-in."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=f"{case.name.capitalize()} is being taken out of the cluster on purpose.",
        supports=[case.says("The store is Offline", "state_name", Predicate.EQ, "Offline", 3.0)],
        contradicts=[
            case.says(
                f"The store's state is {case.store['state_name']}, not Offline",
                "state_name",
                Predicate.NE,
                "Offline",
            )
        ],
    )


def balance_leader_paused(violation: Violation, observation: Observation) -> Assessment | None:
    """Leaders do not spread because their scheduler is paused."""
    del violation, observation
    running = claim(
        f"{BALANCE_LEADER} is not paused",
        "schedulers/balance_leader_paused",
        Predicate.EQ,
        value=False,
    )
    return Assessment(
        cause=f"{BALANCE_LEADER} was paused and nobody resumed it.",
        supports=[_BALANCE_PAUSED.model_copy(update={"weight": 3.0})],
        contradicts=[running],
        components=["pd-schedulers"],
        workflows=[
            workflow(
                "resume_leader_balance",
                f"Resumes {BALANCE_LEADER} and lets it spread the leaders.",
                *_resume(is_paused=True),
                wait(SETTLE_SECONDS, "Let balance-leader spread the leaders."),
                note(f"{BALANCE_LEADER} runs again."),
            )
        ],
        risks=["An import or a backup may have paused it on purpose: see whether one runs."],
    )


def balance_leader_missing(violation: Violation, observation: Observation) -> Assessment | None:
    """Leaders do not spread because their scheduler was removed."""
    del violation, observation
    path = "schedulers/balance_leader_exists"
    return Assessment(
        cause=f"{BALANCE_LEADER} was removed; a person should say why before it is added.",
        supports=[
            claim(f"PD runs no {BALANCE_LEADER}", path, Predicate.EQ, value=False, weight=3.0)
        ],
        contradicts=[claim(f"PD runs {BALANCE_LEADER}", path, Predicate.EQ, value=True)],
        components=["pd-schedulers"],
        escalate=True,
    )


def leader_moves_off(violation: Violation, observation: Observation) -> Assessment | None:
    """Leaders do not spread because the configuration forbids it."""
    del violation
    config = observation.data("config")
    if config.get("halt_scheduling"):
        path = "config/halt_scheduling"
        seen = claim("Scheduling is halted", path, Predicate.EQ, value=True, weight=3.0)
        against = claim("Scheduling runs", path, Predicate.EQ, value=False)
    else:
        path = "config/leader_schedule_limit"
        seen = claim("leader-schedule-limit is 0", path, Predicate.EQ, 0, 3.0)
        against = claim("leader-schedule-limit is above 0", path, Predicate.GT, 0)
    return Assessment(
        cause="PD's configuration forbids moving leaders; restore the value it had before.",
        supports=[seen],
        contradicts=[against],
        components=["pd-config"],
        escalate=True,
    )


def leaders_spreading(violation: Violation, observation: Observation) -> Assessment | None:
    """PD is at work on it already."""
    del violation, observation
    return Assessment(
        cause="Leaders are on their way: PD is moving them already. Wait.",
        supports=[claim("PD is working on operators", "operators/count", Predicate.GT, 0, 2.0)],
        contradicts=[
            claim("PD works on nothing", "operators/count", Predicate.EQ, 0),
            _BALANCE_PAUSED,
        ],
    )


def full_disk_sheds_leaders(violation: Violation, observation: Observation) -> Assessment | None:
    """The store with the fewest leaders has no space left, so it gives them away."""
    fewest = str(violation.metrics.get("fewest_store_id", ""))
    least = 1.0 - float(observation.data("config").get("low_space_ratio", 0.8))
    return Assessment(
        cause=(
            f"Store {fewest} leads few regions because its disk is nearly full and it gives its "
            "leaders away. The ticket of its disk comes first; move no leader back before."
        ),
        supports=[
            claim(
                f"Store {fewest} is low on space",
                f"stores/{fewest}/available_share",
                Predicate.LT,
                round(least, 4),
                3.0,
            ),
            claim(
                f"{BALANCE_LEADER} runs",
                "schedulers/balance_leader_paused",
                Predicate.EQ,
                value=False,
            ),
        ],
        components=[f"store-{fewest}"],
    )


def slow_disk(violation: Violation, observation: Observation) -> Assessment | None:
    """One store's disk is slow while the others are well."""
    case = store_case(violation, observation)
    if case is None:
        return None
    leads = case.store["leader_count"]
    several = claim("Several stores are slow", "cluster/slow_store_count", Predicate.GE, 2, 1.0)
    supports = [
        case.says("The store reports slow disk writes", "slow_score", Predicate.GE, SLOW_SCORE),
        claim("No other store is slow", "cluster/slow_store_count", Predicate.EQ, 1, 2.0),
        case.says("PD hears the store regularly", "state_name", Predicate.EQ, "Up"),
    ]
    if not leads:
        return Assessment(
            cause=(
                f"The disk of {case.name} is slow. It leads nothing any more, so no client waits "
                "for its reads; writes still do where it is needed for a majority. Repair or "
                "replace the disk."
            ),
            supports=[*supports, case.says("It leads no region", "leader_count", Predicate.EQ, 0)],
            contradicts=[several],
            components=[f"store-{case.store_id}"],
            escalate=True,
        )
    return Assessment(
        cause=f"The disk of {case.name} is slow; clients of its {leads} leaders wait for it.",
        supports=[*supports, case.says("It leads regions", "leader_count", Predicate.GT, 0)],
        contradicts=[several, _pd_evicts(case)],
        components=[f"store-{case.store_id}"],
        workflows=[_move_leaders_off(case.store_id)],
        risks=["The store stays drained until somebody undrains it after the repair."],
    )


def _move_leaders_off(store_id: str) -> WorkflowRecommendation:
    return workflow(
        "move_leaders_off_slow_store",
        f"Moves all leaders off store {store_id} so that no client waits for its disk.",
        step(
            "drain_store",
            f"Clients wait only for the leaders on store {store_id}.",
            f"Store {store_id} leads no region.",
            ("The other stores carry its share of the load.",),
            store_id=int(store_id),
        ),
        wait(SETTLE_SECONDS, "Let the new leaders settle."),
        note(
            f"Store {store_id} is drained. Look after its disk, then run "
            f"undrain_store for store {store_id}."
        ),
    )


def _pd_evicts(case: StoreCase) -> Claim:
    leader = case.observation.data("pd").get("leader")
    path = f"pd_metrics/readings/slow_evicted_by_store/{leader}/{case.store_id}"
    return claim("PD itself evicts its leaders for its slowness", path, Predicate.GE, 1.0, 3.0)


def pd_evicts_slow_store(violation: Violation, observation: Observation) -> Assessment | None:
    """PD's evict-slow-store moves the leaders away already; those that stay have nowhere to go."""
    case = store_case(violation, observation)
    if case is None or not case.store["leader_count"]:
        return None
    return Assessment(
        cause=(
            f"The disk of {case.name} is slow and PD moves its leaders away already. Those that "
            "stay have no other healthy replica: look at what ails those first, then at the disk."
        ),
        supports=[
            _pd_evicts(case),
            case.says("The store reports slow disk writes", "slow_score", Predicate.GE, SLOW_SCORE),
        ],
        components=[f"store-{case.store_id}"],
        escalate=True,
    )


def slow_everywhere(violation: Violation, observation: Observation) -> Assessment | None:
    """Several stores are slow: something they share."""
    del violation, observation
    path = "cluster/slow_store_count"
    return Assessment(
        cause="Several stores are slow at once: look at what they share (storage, host, load).",
        supports=[claim("Several stores are slow", path, Predicate.GE, 2, 3.0)],
        contradicts=[claim("Only one store is slow", path, Predicate.LE, 1)],
        escalate=True,
    )


LEADER_CAUSES: Final = (
    Hypothesis(
        "interrupted_maintenance",
        frozenset({"evict_leader_left_over"}),
        interrupted_maintenance,
        prior=0.7,
    ),
    Hypothesis(
        "drained_because_slow", frozenset({"evict_leader_left_over"}), drained_because_slow, 0.3
    ),
    Hypothesis(
        "store_being_removed", frozenset({"evict_leader_left_over"}), store_being_removed, 0.2
    ),
    Hypothesis("balance_leader_paused", frozenset({"leader_imbalance"}), balance_leader_paused),
    Hypothesis("balance_leader_missing", frozenset({"leader_imbalance"}), balance_leader_missing),
    Hypothesis("leader_moves_off", frozenset({"leader_imbalance"}), leader_moves_off, 0.4),
    Hypothesis("leaders_spreading", frozenset({"leader_imbalance"}), leaders_spreading, 0.4),
    Hypothesis(
        "full_disk_sheds_leaders", frozenset({"leader_imbalance"}), full_disk_sheds_leaders, 0.6
    ),
    Hypothesis("slow_disk", frozenset({"slow_store"}), slow_disk, 0.6),
    Hypothesis("pd_evicts_slow_store", frozenset({"slow_store"}), pd_evicts_slow_store, 0.6),
    Hypothesis("slow_everywhere", frozenset({"slow_store"}), slow_everywhere, 0.4),
)
