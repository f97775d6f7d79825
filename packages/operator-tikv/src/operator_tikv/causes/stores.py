"""Why a store is silent or full."""

from typing import Final

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_tikv.causes.words import StoreCase, claim, store_case

_AGAIN_AND_AGAIN_PER_SECOND: Final = 0.025
"""More than once a minute; a supervisor starts a process again after 15 s."""

_FRESH_SECONDS: Final = 60.0
"""A process whose metrics are no older than this lives."""

_AGE: Final = "last_heartbeat_age_seconds"
_LONG_AGO_SECONDS: Final = 600.0
"""A store that was removed has been silent for longer; an empty one that stops has not."""

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
            _NOBODY_ELSE_LEADS
            if _is_needed(observation)
            else case.says(
                "Its regions are led by other stores now", "leader_count", Predicate.EQ, 0, 2.0
            ),
            _process_is_silent(case),
        ],
        contradicts=[_SEVERAL_SILENT, _process_answers(case), _registers(observation)],
        components=[f"store-{case.store_id}"],
        risks=["While it is away its regions bear no further loss."],
        escalate=True,
    )


_NOBODY_ELSE_LEADS: Final = claim(
    "Its regions have nobody else to lead them", "leaders/quorum_lost_count", Predicate.GT, 0, 2.0
)


def _is_needed(observation: Observation) -> bool:
    """Whether regions lost their quorum: PD shows their last leader then, dead or alive."""
    return bool(observation.data("leaders").get("quorum_lost_count", 0))


def _process_answers(case: StoreCase) -> Claim:
    path = f"store_metrics/ages_seconds/{case.store_id}"
    return claim("Its process answers us", path, Predicate.LT, _FRESH_SECONDS, 3.0)


def _process_is_silent(case: StoreCase) -> Claim:
    path = f"store_metrics/unseen/{case.store_id}"
    return claim("Its process does not answer us either", path, Predicate.EXISTS)


def _knows_process(case: StoreCase) -> bool:
    ages = case.observation.data("store_metrics").get("ages_seconds", {})
    return bool(ages.get(case.store_id, _FRESH_SECONDS) < _FRESH_SECONDS)


def store_lost(violation: Violation, observation: Observation) -> Assessment | None:
    """The store is away for so long that PD has given it up."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=(
            f"{case.name.capitalize()} is away for more than 30 min, and PD makes its replicas "
            "anew. If its disk or host is dead, delete the store once no replica is missing; if "
            "it can come back, start it. Take no other store out meanwhile."
        ),
        supports=[
            case.says("PD has given the store up", "state_name", Predicate.EQ, "Down", 2.0),
            # Whether it has replicas tells nothing: PD may have made all of them anew by now.
            _PD_LEADS,
            _ONE_SILENT,
        ],
        contradicts=[_SEVERAL_SILENT, _process_answers(case), _registers(observation)],
        components=[f"store-{case.store_id}"],
        escalate=True,
    )


def _registers(observation: Observation) -> Claim:
    """A store registers once when it starts; who is refused tries again and again."""
    leader = observation.data("pd").get("leader")
    path = f"pd_metrics/readings/registrations_per_second/{leader}"
    words = "Some process registers with PD again and again"
    return claim(words, path, Predicate.GE, _AGAIN_AND_AGAIN_PER_SECOND, 4.0)


def data_lost(violation: Violation, observation: Observation) -> Assessment | None:
    """The store came back empty under its old address, and PD refuses it."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=(
            f"{case.name.capitalize()} may have lost its data and be refused as a duplicate of "
            "its own address: look for 'duplicated store address' in its log. Then take the old "
            "id out and wait for its tombstone, or start the new one at another address; never "
            "copy another store's data."
        ),
        supports=[_registers(observation), _ONE_SILENT, _PD_LEADS, _process_is_silent(case)],
        contradicts=[_SEVERAL_SILENT, _process_answers(case)],
        components=[f"store-{case.store_id}"],
        escalate=True,
    )


def ghost_of_removed_store(violation: Violation, observation: Observation) -> Assessment | None:
    """A store that was removed long ago, or never came up, is in PD's list."""
    case = store_case(violation, observation)
    if case is None:
        return None
    return Assessment(
        cause=(
            f"{case.name.capitalize()} is listed and has nothing: it was removed before, and a "
            "new PD leader remembers too much, or it was registered and never came up. Let the "
            "former leader lead, or restart this one; if it is to serve, start it. Delete nothing "
            "before you know whose it is."
        ),
        supports=[
            case.says("It has no replica", "region_count", Predicate.EQ, 0, 3.0),
            _how_it_came(case),
            case.says("PD does not hear it", "state_name", Predicate.NE, "Up"),
        ],
        contradicts=[
            case.says("It has replicas", "region_count", Predicate.GT, 0),
            case.says("It was heard of minutes ago", _AGE, Predicate.LT, _LONG_AGO_SECONDS, 3.0),
        ],
        components=["pd", f"store-{case.store_id}"],
        escalate=True,
    )


def _how_it_came(case: StoreCase) -> Claim:
    """A store that PD makes empty was heard once; who was never, or came silent, is no such one."""
    came_silent = case.observation.data("cluster").get("came_silent_store_ids", ())
    if case.store[_AGE] is None:
        return case.says("It was never heard of", _AGE, Predicate.EQ, None, 3.0)
    if int(case.store_id) in came_silent:
        path = "cluster/came_silent_store_ids"
        words = "It was silent when it came into PD's list"
        return claim(words, path, Predicate.CONTAINS, int(case.store_id), 3.0)
    return claim("PD's leader changed of late", "pd/leader_changes", Predicate.GT, 0, 3.0)


def store_cut_off(violation: Violation, observation: Observation) -> Assessment | None:
    """The store lives and still leads, but PD does not hear it."""
    case = store_case(violation, observation)
    if case is None:
        return None
    lives = _process_answers(case)
    leads = case.says("PD still counts leaders on it", "leader_count", Predicate.GT, 0, 2.0)
    none_led = case.says("It leads no region any more", "leader_count", Predicate.EQ, 0)
    knows, is_needed = _knows_process(case), _is_needed(observation)
    against = [_process_is_silent(case)] if is_needed else [none_led]
    return Assessment(
        cause=(
            f"{case.name.capitalize()} is frozen or cut off from PD, or stopped a moment ago: "
            "look at its network before restarting anything, and delete nothing."
        ),
        supports=[
            case.says("PD does not hear the store", "state_name", Predicate.NE, "Up"),
            _ONE_SILENT,
            *([lives] if knows else [] if is_needed else [leads]),
        ],
        contradicts=[_SEVERAL_SILENT, *([] if knows else against)],
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
    """One disk, or a few, fill while the others have room."""
    case = store_case(violation, observation)
    if case is None:
        return None
    least, low, roomy = _other_disks(case, observation)
    also = f" (so does store {', '.join(low)})" if low else ""
    return Assessment(
        cause=(
            f"The disk of {case.name} fills up{also} while the others have room: look for files "
            "that are not TiKV's data (logs, cores, old snapshots), then lower its region weight."
        ),
        supports=[
            case.says("The store is low on space", "available_share", Predicate.LT, least, 2.0),
            *(_has_room(key, least) for key in roomy),
        ],
        contradicts=[] if len(roomy) > len(low) else [_is_low_too(key, least) for key in low],
        components=[f"store-{key}" for key in (case.store_id, *low)],
        risks=["A full disk stops the store; never delete SST or WAL files."],
        escalate=True,
    )


def _other_disks(case: StoreCase, observation: Observation) -> tuple[float, list[str], list[str]]:
    """Return the least share that is to be free, and the other stores without it and with it."""
    least = _least_share(observation)
    low = [key for key, store in case.others.items() if _is_low(store["available_share"], least)]
    return least, low, [key for key in case.others if key not in low]


def _has_room(key: str, least: float) -> Claim:
    path = f"stores/{key}/available_share"
    return claim(f"Store {key} has room", path, Predicate.GE, least)


def _is_low_too(key: str, least: float) -> Claim:
    path = f"stores/{key}/available_share"
    return claim(f"Store {key} is low on space too", path, Predicate.LT, least)


def most_disks_filling(violation: Violation, observation: Observation) -> Assessment | None:
    """Most disks fill and a few have room."""
    case = store_case(violation, observation)
    if case is None:
        return None
    least, low, roomy = _other_disks(case, observation)
    if not roomy or len(roomy) > len(low):
        return None
    return Assessment(
        cause=(
            f"Most disks fill ({case.store_id}, {', '.join(low)}) and few have room "
            f"({', '.join(roomy)}): other files, unequal disks or weights, or too few stores."
        ),
        supports=[
            *(_is_low_too(key, least) for key in (case.store_id, *low)),
            *(_has_room(key, least) for key in roomy),
        ],
        components=[f"store-{key}" for key in (case.store_id, *low)],
        risks=["A full disk stops the store; never delete SST or WAL files. Take no store out."],
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
        supports=[_is_low_too(key, least) for key in (case.store_id, *case.others)],
        contradicts=[_has_room(key, least) for key in case.others],
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
    Hypothesis("store_lost", frozenset({"store_down"}), store_lost, 0.7),
    Hypothesis("data_lost", _SILENT, data_lost, 0.6),
    Hypothesis("ghost_of_removed_store", _SILENT, ghost_of_removed_store, 0.8),
    Hypothesis("several_stores_silent", _SILENT, several_stores_silent, 0.3),
    Hypothesis("one_disk_filling", frozenset({"low_space"}), one_disk_filling, 0.6),
    Hypothesis("most_disks_filling", frozenset({"low_space"}), most_disks_filling, 0.5),
    Hypothesis("cluster_filling", frozenset({"low_space"}), cluster_filling, 0.4),
)
