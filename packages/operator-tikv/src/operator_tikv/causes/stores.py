"""Why a store is silent or full."""

from typing import Final

from operator_core.agent.diagnosis import Assessment, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_tikv.causes.words import claim, store_case

_ONE_SILENT: Final = claim(
    "It is the only silent store", "cluster/silent_store_count", Predicate.EQ, 1, 2.0
)
_SEVERAL_SILENT: Final = claim(
    "Several stores are silent", "cluster/silent_store_count", Predicate.GE, 2
)
_PD_LEADS: Final = claim(
    "PD has a leader that hears the others", "pd/has_leader", Predicate.EQ, value=True
)


def store_stopped(violation: Violation, observation: Observation) -> Assessment | None:
    """The process or the host stopped, and its regions found other leaders."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=(
            f"The process or the host of {case.name} stopped. Start it again within 30 min; "
            "after that PD makes its replicas anew on the other stores."
        ),
        supports=[
            case.says("PD does not hear the store", "state_name", Predicate.NE, "Up"),
            _ONE_SILENT,
            _PD_LEADS,
            case.says(
                "Its regions are led by other stores now", "leader_count", Predicate.EQ, 0, 2.0
            ),
        ],
        contradicts=[_SEVERAL_SILENT],
        components=[f"store-{case.store_id}"],
        risks=["While it is away its regions bear no further loss."],
        escalate=True,
    )


def store_cut_off(violation: Violation, observation: Observation) -> Assessment | None:
    """The store lives and still leads, but PD does not hear it."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=(
            f"{case.name.capitalize()} is frozen or cut off from PD, or stopped a moment ago: "
            "PD still counts leaders there. Look at its network before restarting anything."
        ),
        supports=[
            case.says("PD does not hear the store", "state_name", Predicate.NE, "Up"),
            _ONE_SILENT,
            case.says("PD still counts leaders on it", "leader_count", Predicate.GT, 0, 2.0),
        ],
        contradicts=[
            _SEVERAL_SILENT,
            case.says("It leads no region any more", "leader_count", Predicate.EQ, 0),
        ],
        components=[f"store-{case.store_id}", "network"],
        escalate=True,
    )


def several_stores_silent(violation: Violation, observation: Observation) -> Assessment | None:
    """More than one store went silent: something they share."""
    del violation
    silent = observation.data("cluster").get("silent_store_ids", [])
    listed = ", ".join(str(store_id) for store_id in silent)
    return Assessment(
        cause=(
            f"Several stores are silent at once ({listed}): a host, rack, network or power they "
            "share. Bring one back first; delete none."
        ),
        supports=[_SEVERAL_SILENT.model_copy(update={"weight": 3.0})],
        contradicts=[
            claim("At most one store is silent", "cluster/silent_store_count", Predicate.LE, 1)
        ],
        components=[f"store-{store_id}" for store_id in silent],
        risks=["Regions with two replicas there cannot be written."],
        escalate=True,
    )


def one_disk_filling(violation: Violation, observation: Observation) -> Assessment | None:
    """One disk fills while the others have room."""
    case = store_case(violation, observation)
    if case is None:
        return None
    least = _least_share(observation)
    low = [key for key, store in case.others.items() if _is_low(store["available_share"], least)]
    return Assessment(
        cause=(
            f"The disk of {case.name} fills up while the others have room: look for files that "
            "are not TiKV's data (logs, cores, old snapshots), then lower its region weight."
        ),
        supports=[
            case.says("The store is low on space", "available_share", Predicate.LT, least, 2.0),
            *(
                claim(
                    f"Store {key} has room",
                    f"stores/{key}/available_share",
                    Predicate.GE,
                    least,
                )
                for key in case.others
                if key not in low
            ),
        ],
        contradicts=[
            claim(
                f"Store {key} is low on space too",
                f"stores/{key}/available_share",
                Predicate.LT,
                least,
            )
            for key in low
        ],
        components=[f"store-{case.store_id}"],
        risks=["A full disk stops the store; never delete SST or WAL files."],
        escalate=True,
    )


def cluster_filling(violation: Violation, observation: Observation) -> Assessment | None:
    """All disks fill: only more capacity helps."""
    case = store_case(violation, observation)
    if case is None:
        return None
    least = _least_share(observation)
    return Assessment(
        cause="The whole cluster runs out of space: add stores. Take none out.",
        supports=[
            claim(
                f"Store {key} is low on space",
                f"stores/{key}/available_share",
                Predicate.LT,
                least,
            )
            for key in (case.store_id, *case.others)
        ],
        contradicts=[
            claim(f"Store {key} has room", f"stores/{key}/available_share", Predicate.GE, least)
            for key in case.others
        ],
        escalate=True,
    )


def _least_share(observation: Observation) -> float:
    ratio: float = observation.data("config").get("low_space_ratio", 0.8)
    return round(1.0 - ratio, 4)


def _is_low(share: float | None, least: float) -> bool:
    return share is not None and share < least


_SILENT: Final = frozenset({"store_disconnected", "store_down"})

STORE_CAUSES: Final = (
    Hypothesis("store_stopped", _SILENT, store_stopped, 0.6),
    Hypothesis("store_cut_off", _SILENT, store_cut_off, 0.4),
    Hypothesis("several_stores_silent", _SILENT, several_stores_silent, 0.3),
    Hypothesis("one_disk_filling", frozenset({"low_space"}), one_disk_filling, 0.6),
    Hypothesis("cluster_filling", frozenset({"low_space"}), cluster_filling, 0.4),
)
