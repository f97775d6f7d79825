"""Every rule: a picture that breaks it, one that does not, and what is planned."""

from typing import Any

import pytest

from operator_core.monitor.tuning import tuned
from operator_core.monitor.types import Observation, RuleSettings
from operator_core.types import JsonObject, Severity
from operator_tikv import facts_config
from operator_tikv.facts_config import gc_facts
from operator_tikv.history import History, leader_facts, leaving_facts
from operator_tikv.rules.limit import Limit
from operator_tikv.rules.metrics import LIMITS
from operator_tikv.watched import (
    LabelConstraint,
    RangeLabel,
    RegionLabelRule,
    SafePoints,
    ServiceSafePoint,
)
from tikv_pictures import (
    DOWN,
    EMPTY,
    HEALTHY,
    LATE,
    LOW_LIMIT,
    NEW,
    OFFLINE,
    RULES,
    SSD,
    TORN,
    UNLED,
    UNLIMITED,
    UNREACHABLE,
    ZONES,
    broken,
    cluster,
    config,
    flows,
    hot,
    leaving,
    metrics,
    pd,
    peers,
    placement,
    safe_point,
    switches,
    with_fourth,
)
from tikv_support import NO_METRICS, NOW, make_observation, make_store

CASES: dict[str, tuple[str, Observation]] = {
    "store_disconnected": ("store-4", make_observation(with_fourth(**DOWN))),
    "store_down": ("store-4", make_observation(with_fourth(**DOWN))),
    "slow_store": ("store-4", make_observation(with_fourth(slow_score=80))),
    "low_space": ("store-4", make_observation(with_fourth(available="19GiB"))),
    "cluster_space": (
        "cluster",
        make_observation([make_store(number, available="19GiB") for number in (1, 2, 3)]),
    ),
    "evict_leader_left_over": ("store-4", make_observation(with_fourth(), evicted=[4])),
    "leader_imbalance": ("cluster", make_observation(with_fourth(leader_count=60))),
    "offline_stuck": (
        "store-4",
        make_observation(with_fourth(**OFFLINE), parts=leaving(60, 1800)),
    ),
    "tombstones_left": ("cluster", make_observation(parts=cluster(tombstone_store_ids=[9]))),
    "shared_address": (
        "kv:1",
        make_observation([make_store(1, meta_address="kv:1"), make_store(2, meta_address="kv:1")]),
    ),
    "mixed_versions": (
        "cluster",
        make_observation(
            [make_store(1, meta_version="8.5.7"), make_store(2, meta_version="8.1.0")]
        ),
    ),
    "store_metrics_unreachable": (
        "store-1",
        make_observation(
            parts={
                "store_metrics": {
                    **NO_METRICS,
                    "unseen": {"1": "refused"},
                    "ages_seconds": {"2": 0.0},
                }
            }
        ),
    ),
    "partial_partition": (
        "store-4",
        make_observation(
            with_fourth(), parts=metrics("store_metrics", unreachable_per_second=UNREACHABLE)
        ),
    ),
    "miss_peers": ("regions", make_observation(parts=peers("miss_peer", 1))),
    "down_peers": ("regions", make_observation(parts=peers("down_peer", 1))),
    "pending_peers": ("regions", make_observation(parts=peers("pending_peer", 1))),
    "region_without_leader": ("regions", make_observation(parts={"leaders": UNLED})),
    "empty_regions": (
        "cluster",
        make_observation(parts=metrics("pd_metrics", regions_by_state=EMPTY)),
    ),
    "pd_no_leader": ("pd", make_observation(parts=pd(has_leader=False, leader=None))),
    "pd_member_down": ("pd-pd-2", make_observation(parts=pd(unhealthy_members=["pd-2"]))),
    "pd_leader_flapping": ("pd", make_observation(parts=pd(leader_changes=2))),
    "scheduler_paused": ("x", make_observation(parts=switches(paused=["x"]))),
    "scheduler_missing": (
        "balance-region-scheduler",
        make_observation(schedulers=["balance-leader-scheduler", "balance-hot-region-scheduler"]),
    ),
    "eviction_stalled": (
        "evict-leader-scheduler",
        make_observation(parts=switches(evict_leader_store_ids=[2], evict_leader_batch=0)),
    ),
    "checker_paused": ("rule", make_observation(parts=switches(paused_checkers=["rule"]))),
    "scheduling_halted": ("cluster", make_observation(parts=config(halt_scheduling="true"))),
    "schedule_limit_zero": (
        "region-schedule-limit",
        make_observation(parts=config(**{"region-schedule-limit": 0})),
    ),
    "repair_switched_off": (
        "enable-make-up-replica",
        make_observation(parts=config(**{"enable-make-up-replica": "false"})),
    ),
    "schedule_denied": ("cluster", make_observation(parts=placement(deny="lightning-1"))),
    "store_limit_unlimited": (
        "store-4",
        make_observation(with_fourth(), parts=config(**UNLIMITED)),
    ),
    "placement_unsatisfiable": ("pd/z", make_observation(parts=placement(ZONES))),
    "location_labels_missing": (
        "store-1",
        make_observation(
            parts={"placement": facts_config.placement_facts([], [], HEALTHY[:1], ["zone"])}
        ),
    ),
    "store_fills_slowly": (
        "store-4",
        make_observation(with_fourth(), parts={"filling": {"4": NEW}}),
    ),
    "store_limit_low": (
        "cluster",
        make_observation(with_fourth(**OFFLINE), parts=config(**LOW_LIMIT)),
    ),
    "operators_crawl": ("cluster", make_observation(parts={"operators": LATE})),
    "pending_peers_stuck": (
        "store-1",
        make_observation(parts={"lagging": {"1": {"seconds": [990.0, 900.0, 900.0]}}}),
    ),
    "hot_region": ("write", make_observation(parts=hot(write=32.0))),
    "hot_store": (
        "store-1",
        make_observation(parts=flows(store_1=150.0, store_2=50.0, store_3=50.0)),
    ),
    "isolation_lost": (
        "cluster",
        make_observation(
            parts={
                "config": {"location_labels": "zone"},
                **metrics("pd_metrics", regions_by_isolation=TORN),
            }
        ),
    ),
    "gc_safe_point_stale": ("cluster", make_observation(parts=safe_point(25))),
}


def reading(limit: Limit, value: float, labelled: str = "") -> dict[str, JsonObject]:
    value = -value if limit.size(1.0) < 0 else value
    one: object = {labelled: value} if labelled else value
    readings: dict[str, object] = {limit.signal: {"1": one}}
    if limit.per:
        readings[limit.per] = {"1": 1.0}
    return metrics(limit.part, **readings)


for _limit in LIMITS:
    _target, _much = _limit.target("1"), _limit.value * 1.01 + 0.001
    CASES[_limit.rule] = (_target, make_observation(parts=reading(_limit, _much)))


def test_every_rule_has_its_picture() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_broken_by_its_picture(name: str) -> None:
    target, observation = CASES[name]
    assert observation.sees(RULES[name].needs)
    found = broken(observation, name)
    assert [violation.target for violation in found] == [target]
    assert found[0].invariant == name
    assert found[0].message.isprintable()


@pytest.mark.parametrize("name", CASES)
def test_a_rule_holds_on_a_healthy_cluster(name: str) -> None:
    assert broken(make_observation(HEALTHY), name) == []


@pytest.mark.parametrize("limit", LIMITS, ids=lambda one: one.rule)
def test_what_is_just_right_breaks_no_rule_and_thresholds_can_be_set(limit: Limit) -> None:
    at_limit = make_observation(parts=reading(limit, limit.value))
    assert broken(at_limit, limit.rule) == []
    above = make_observation(parts=reading(limit, limit.value * 1.01 + 0.001, "worst"))
    assert "worst" in broken(above, limit.rule)[0].message
    higher = RuleSettings(thresholds={limit.limit: limit.value * 2 + 1})
    assert broken(above, limit.rule, tuned([RULES[limit.rule]], {limit.rule: higher})[0]) == []


@pytest.mark.parametrize("limit", LIMITS, ids=lambda one: one.rule)
def test_what_was_not_seen_breaks_nothing_and_heals_nothing(limit: Limit) -> None:
    hidden = {**NO_METRICS, "unseen": {"1": "refused"}, "unrated": ["2"]}
    observation = make_observation(parts={limit.part: hidden})
    rule = RULES[limit.rule]
    assert broken(observation, limit.rule) == []
    assert rule.unseen is not None
    assert limit.target("1") in set(rule.unseen(observation))


@pytest.mark.parametrize("name", CASES)
def test_a_snoozed_or_tuned_rule_keeps_its_name_and_its_numbers(name: str) -> None:
    rule = RULES[name]
    (own,) = tuned([rule], {name: RuleSettings(grace_seconds=7)})
    assert (own.name, own.grace_seconds, own.thresholds) == (name, 7, rule.thresholds)
    assert all(value >= 0 for value in rule.thresholds.values())


# --- planned work, and cases of single rules ------------------------------------------------


@pytest.mark.parametrize("fourth", [OFFLINE, {**OFFLINE, "age_seconds": 900}])
def test_a_store_that_is_taken_out_is_no_incident(fourth: dict[str, Any]) -> None:
    parts = {**leaving(30, 1700), **config(**UNLIMITED)}
    observation = make_observation(with_fourth(**fourth, leader_count=0), parts=parts)
    found = {name for name in RULES for _ in broken(observation, name)}
    assert found == set()


@pytest.mark.parametrize("changes", [{"evicted": [1]}, {}])
def test_leaders_that_leave_a_drained_store_are_no_incident(changes: dict[str, Any]) -> None:
    drop = metrics("store_metrics", leader_change={"1": -500.0}, restarts={"1": 1.0})
    observation = make_observation(HEALTHY, parts=drop, **changes)
    found = {name for name in ("leader_drops", "tikv_restarted") for _ in broken(observation, name)}
    assert found == (set() if changes else {"leader_drops", "tikv_restarted"})


def test_logs_run_ahead_of_a_store_that_is_drained_to_be_restarted() -> None:
    ahead = metrics("store_metrics", log_lag_p99_entries={"2": 9000.0})
    assert broken(make_observation(HEALTHY, parts=ahead), "raft_log_lag")
    assert not broken(make_observation(HEALTHY, evicted=[1], parts=ahead), "raft_log_lag")
    offline = [make_store(1, meta_state_name="Offline"), make_store(2), make_store(3)]
    assert broken(make_observation(offline, parts=ahead), "raft_log_lag")


def test_a_store_that_dies_again_and_again_is_told_and_keeps_its_drain() -> None:
    again = make_observation(
        HEALTHY, evicted=[1], parts=metrics("store_metrics", restarts={"1": 2.0})
    )
    assert broken(again, "tikv_restarted")
    assert not broken(again, "evict_leader_left_over")
    assert broken(make_observation(HEALTHY, evicted=[1]), "evict_leader_left_over")


def test_a_store_that_still_loses_regions_is_not_stuck() -> None:
    first = make_store(4, **OFFLINE, region_count=60)
    second = make_store(4, **OFFLINE, region_count=59)
    history = History().with_stores([first], 0).with_stores([second], 3000)
    found = leaving_facts(history, 3100)["4"]
    assert (found["seconds"], found["unchanged_seconds"]) == (3100, 100)
    assert leaving_facts(history.with_stores([make_store(4)], 3200), 3200) == {}


def test_a_leader_that_goes_and_comes_back_has_changed_once() -> None:
    history = History().with_leader("a", 0).with_leader(None, 10).with_leader("a", 20)
    assert leader_facts(history, 20)["leader_changes"] == 1
    assert leader_facts(history, 615)["leader_changes"] == 0
    again = history.with_leader(None, 30).with_leader("b", 40).with_leader("c", 50)
    assert leader_facts(again, 50)["leader_changes"] == 3
    assert leader_facts(History().with_leader("a", 0), 0)["leader_changes"] == 0


def test_few_lagging_replicas_are_normal_while_pd_moves_some() -> None:
    moving = {"operators": {"count": 3, "list": []}}
    assert not broken(
        make_observation(parts={**peers("pending_peer", 100), **moving}), "pending_peers"
    )
    assert broken(make_observation(parts={**peers("pending_peer", 101), **moving}), "pending_peers")


@pytest.mark.parametrize(("silent_seconds", "is_told"), [(90, False), (121, True)])
def test_a_drained_store_may_be_silent_for_as_long_as_a_restart_takes(
    silent_seconds: int, *, is_told: bool
) -> None:
    fourth = with_fourth(meta_state_name="Disconnected", age_seconds=silent_seconds)
    drained = make_observation(fourth, evicted=[4])
    assert bool(broken(drained, "store_disconnected")) is is_told
    assert broken(make_observation(fourth), "store_disconnected")


def test_a_new_leader_of_pd_is_given_time_to_hear_of_the_leaders_of_regions() -> None:
    elected = History().with_leader("a", 0).with_leader(None, 10).with_leader("b", 20)
    facts_of_pd = {**make_observation().data("pd"), **leader_facts(elected, 100)}
    unled = {"leaders": {**UNLED, "quorum_lost_count": 0}, "pd": facts_of_pd}
    assert broken(make_observation(parts=unled), "region_without_leader") == []
    lost = {**unled, "leaders": {**UNLED, "quorum_lost_count": 3}}
    assert broken(make_observation(parts=lost), "region_without_leader")
    later = {**unled, "pd": {**facts_of_pd, **leader_facts(elected, 111)}}
    assert broken(make_observation(parts=later), "region_without_leader")
    assert leader_facts(History().with_leader("a", 0), 1)["leader_is_new"] is False


def test_a_long_silence_is_worse_than_a_short_one() -> None:
    short = make_observation(with_fourth(meta_state_name="Disconnected", age_seconds=40))
    long = make_observation(with_fourth(meta_state_name="Disconnected", age_seconds=601))
    assert broken(short, "store_disconnected")[0].severity is Severity.WARNING
    assert broken(long, "store_disconnected")[0].severity is Severity.CRITICAL


def test_a_free_share_of_ones_own_overrules_pds_ratio() -> None:
    own = tuned(
        [RULES["low_space"]], {"low_space": RuleSettings(thresholds={"least_free_share": 0.1})}
    )
    assert not broken(make_observation(with_fourth(available="19GiB")), "low_space", own[0])
    assert broken(make_observation(with_fourth(available="9GiB")), "low_space", own[0])


def test_a_label_that_ends_by_itself_is_not_left_behind() -> None:
    label = RangeLabel(key="schedule", value="deny", ttl="1h0m0s")
    found = facts_config.placement_facts([], [RegionLabelRule(id="br", labels=[label])], [], [])
    assert found["deny_rules"] == ["br"]
    assert found["lasting_deny_rules"] == []


def test_a_rule_that_no_store_fits_is_told() -> None:
    found = placement(SSD)["placement"]["unsatisfiable"]
    assert found["pd/ssd"] == {
        "wanted": 1,
        "places": 0,
        "isolation_level": "",
        "store_count": 3,
        "fitting_store_ids": [],
    }


@pytest.mark.parametrize(
    ("op", "admits"), [("in", True), ("notIn", False), ("exists", True), ("notExists", False)]
)
def test_constraints_are_those_of_pd(op: str, admits: bool) -> None:
    constraint = LabelConstraint(key="zone", op=op, values=["z1"])
    assert constraint.admits({"zone": "z1"}) is admits
    assert constraint.admits({}) is not admits


def test_a_cluster_that_never_collected_garbage_has_no_stale_safe_point() -> None:
    assert gc_facts(SafePoints(), NOW)["safe_point_age_seconds"] is None
    found = gc_facts(
        SafePoints(services=[ServiceSafePoint(service_id="gc_worker", expired_at=2**63 - 1)]), NOW
    )
    assert found["services"]["gc_worker"] == {
        "safe_point": "0",
        "age_seconds": None,
        "expires_in_seconds": None,
    }


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ({"4": {"1": 6.0, "2": 6.0}}, {"store-4"}),
        ({"4": {"1": 6.0}}, set()),
        ({"4": {"1": 6.0, "2": 6.0}, "3": {"1": 6.0, "2": 6.0}}, {"store-1", "store-2"}),
        ({"4": {"1": 6.0, "2": 6.0, "3": 6.0}, "1": {"4": 6.0}, "2": {"4": 6.0}}, {"store-4"}),
        ({"4": {"9": 40.0, "8": 40.0}}, set()),
        ({"5": {"1": 40.0, "2": 40.0}}, set()),
    ],
)
def test_a_store_that_reaches_nobody_is_cut_off_too(
    failing: JsonObject, expected: set[str]
) -> None:
    parts = metrics("store_metrics", unreachable_per_second=failing)
    silent = make_store(5, meta_state_name="Disconnected", age_seconds=60)
    found = broken(make_observation([*with_fourth(), silent], parts=parts), "partial_partition")
    assert {one.target for one in found} == expected
