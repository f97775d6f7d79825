"""Pictures of TiKV clusters that break one rule each."""

from collections.abc import Mapping
from typing import Any

from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.rules import diagnose
from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.types import JsonObject
from operator_tikv import facts, facts_config
from operator_tikv.facts_config import gc_facts
from operator_tikv.history import History, leaving_facts
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.invariants import INVARIANTS
from operator_tikv.watched import (
    LabelConstraint,
    PlacementRule,
    RangeLabel,
    RegionLabelRule,
    SafePoints,
    ServiceSafePoint,
    WatchedReplicate,
    WatchedSchedule,
)
from tikv_support import NO_METRICS, NOW, make_observation, make_region, make_store

RULES: Mapping[str, Invariant] = {rule.name: rule for rule in INVARIANTS}
HEALTHY = [make_store(number) for number in (1, 2, 3)]
SILENT = {"meta_state_name": "Disconnected", "age_seconds": 60}


def broken(observation: Observation, name: str, rule: Invariant | None = None) -> list[Violation]:
    return list((rule or RULES[name]).check(observation))


def with_fourth(**changes: Any) -> list[Any]:  # noqa: ANN401 - any key of PD
    return [*HEALTHY, make_store(4, **changes)]


def peers(kind: str, count: int) -> dict[str, JsonObject]:
    checks = dict(make_observation().data("regions"))
    checks[kind] = {"count": count, "region_ids": [1], "peers_by_store": {"4": count}}
    return {"regions": checks}


def pd(**changes: object) -> dict[str, JsonObject]:
    return {"pd": {**make_observation().data("pd"), **changes}}


def config(**values: object) -> dict[str, JsonObject]:
    schedule = WatchedSchedule.model_validate(values)
    return {"config": facts_config.config_facts(schedule, WatchedReplicate())}


def cluster(**changes: object) -> dict[str, JsonObject]:
    return {"cluster": {**make_observation().data("cluster"), **changes}}


def switches(**changes: object) -> dict[str, JsonObject]:
    return {"schedulers": {**make_observation().data("schedulers"), **changes}}


def metrics(part: str, **readings: object) -> dict[str, JsonObject]:
    return {part: {**NO_METRICS, "readings": readings, "ages_seconds": {"1": 0.0}}}


def leaving(regions: int, after_seconds: float) -> dict[str, JsonObject]:
    store = make_store(4, meta_state_name="Offline", meta_state=1, region_count=regions)
    start = NOW.timestamp()
    history = History().with_stores([store], start).with_stores([store], start + after_seconds)
    return {"leaving": leaving_facts(history, start + after_seconds)}


def placement(*rules: PlacementRule, wanted: str = "", deny: str = "") -> dict[str, JsonObject]:
    labels = [RegionLabelRule(id=deny, labels=[RangeLabel(key="schedule", value="deny")])]
    zoned = [
        make_store(number, meta_labels=[{"key": "zone", "value": f"z{number % 2}"}])
        for number in (1, 2, 3)
    ]
    found = facts_config.placement_facts(
        rules, labels if deny else [], zoned, [wanted] if wanted else []
    )
    return {"placement": found}


def safe_point(hours: float) -> dict[str, JsonObject]:
    timestamp = int((NOW.timestamp() - hours * 3600) * 1000) << 18
    service = ServiceSafePoint(service_id="ticdc", expired_at=1 << 62, safe_point=timestamp)
    points = SafePoints(services=[service], gc_safe_point=timestamp)
    return {"gc": gc_facts(points, NOW)}


DOWN = {"meta_state_name": "Down", "age_seconds": 2000}
OFFLINE = {"meta_state_name": "Offline", "meta_state": 1}
UNLED = facts.leader_facts([make_region(7, [1, 2, 3])], [])
UNLIMITED = {"store-limit": {"4": {"add-peer": 15, "remove-peer": 1e8}}}
ZONES = PlacementRule(group_id="pd", id="z", count=3, isolation_level="zone")
SSD = PlacementRule(
    group_id="pd", id="ssd", count=1, label_constraints=[LabelConstraint(key="disk", values=["x"])]
)
UNREACHABLE = {"1": {"4": 8.0}, "2": {"4": 8.0}}
EMPTY = {"pd-0": {"empty-region-count": 5000.0}}

LATE = {"list": [{"name": "x", "age_seconds": 480.0, "adds_to_store": 3}] * 3, "count": 3}
NEW = {
    "seconds": 900.0,
    "region_count": 5,
    "gained_per_minute": 0.9,
    "score_share": 0.49,
    "missing_regions": 10.0,
}
LOW_LIMIT = {"store-limit": {"1": {"add-peer": 4.9, "remove-peer": 15}}}
TORN = {"pd-0": {"none": 11.0, "zone": 89.0}}


def hot(**flows_mib: float) -> dict[str, JsonObject]:
    region = {"region_id": 7, "leader_store_id": 1}
    return {
        "hotspots": {
            kind: {"regions": [{**region, "flow_bytes_per_second": flow * (1 << 20)}]}
            for kind, flow in flows_mib.items()
        }
    }


def flows(**mib_by_store: float) -> dict[str, JsonObject]:
    by_store = {key.removeprefix("store_"): mib * (1 << 20) for key, mib in mib_by_store.items()}
    return metrics("pd_metrics", store_write_bytes_per_second={"pd-0": by_store})


def picture(**changes: Any) -> Observation:  # noqa: ANN401 - any argument of make_observation
    others = [make_store(1), make_store(2), make_store(3)]
    fourth = changes.pop("fourth", {})
    more = changes.pop("more", others)
    return make_observation([*more, make_store(4, **fourth)], **changes)


def diagnosed(invariant: str, observation: Observation) -> Diagnosis:
    violations = [
        violation
        for rule in INVARIANTS
        for violation in rule.check(observation)
        if violation.invariant == invariant
    ]
    assert violations, f"{invariant} is not broken in this picture"
    return diagnose(violations[-1], observation, HYPOTHESES, now=NOW)
