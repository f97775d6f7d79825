"""The catalogue of causes: which one wins for which picture, and why the others do not."""

from typing import Any

import pytest

from operator_core.actions.registry import ActionRegistry
from operator_core.agent.paths import resolve
from operator_core.agent.recommend import checked
from operator_core.agent.rules import diagnose
from operator_core.monitor.types import Observation
from operator_tikv import facts
from operator_tikv.causes.advice import ADVISED_CAUSES
from operator_tikv.causes.brings import BRINGS, WHOLE_CLUSTER
from operator_tikv.causes.settings import SETTING_CAUSES
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.invariants import INVARIANTS
from operator_tikv.pd.client import PdClient
from operator_tikv.subject import TikvSubject
from tikv_pictures import SILENT, ZONES, diagnosed, metrics, picture, placement
from tikv_support import NOW, PD_URL, make_observation, make_region, make_store

BALANCE = "balance-leader-scheduler"


def peers_of(kind: str, stores: dict[str, int]) -> dict[str, Any]:
    checks = dict(make_observation().data("regions"))
    checks[kind] = {"count": 5, "region_ids": [1, 2, 3, 4, 5], "peers_by_store": stores}
    return {"regions": checks}


EMPTY_NEW = {
    "seconds": 1800.0,
    "region_count": 1,
    "gained_per_minute": 0.0,
    "score_share": 0.1,
    "missing_regions": 59.0,
}
WARM = {"1": 10e6, "2": 10e6, "3": 10e6, "4": 200e6}
TORN_PARTS = {
    "config": {**make_observation().data("config"), "location_labels": "zone"},
    **metrics("pd_metrics", regions_by_isolation={"pd-0": {"none": 60.0}}),
}
BUSY = {"operators": {"count": 3, "list": []}}
TWO_SILENT = [make_store(1), make_store(2), make_store(3, **SILENT, leader_count=0)]

PICTURES: dict[str, tuple[str, Observation]] = {
    "interrupted_maintenance": (
        "evict_leader_left_over",
        picture(fourth={"leader_count": 0}, evicted=[4], paused=[BALANCE]),
    ),
    "balance_leader_paused": (
        "leader_imbalance",
        picture(fourth={"leader_count": 60}, paused=[BALANCE]),
    ),
    "balance_leader_missing": (
        "leader_imbalance",
        picture(fourth={"leader_count": 60}, schedulers=["balance-region-scheduler"]),
    ),
    "leader_moves_off": (
        "leader_imbalance",
        picture(fourth={"leader_count": 60}, config={"leader-schedule-limit": 0}),
    ),
    "leaders_spreading": (
        "leader_imbalance",
        picture(fourth={"leader_count": 60}, parts=BUSY),
    ),
    "slow_disk": ("slow_store", picture(fourth={"slow_score": 100})),
    "slow_everywhere": (
        "slow_store",
        picture(
            fourth={"slow_score": 100},
            more=[make_store(1), make_store(2), make_store(3, slow_score=90)],
        ),
    ),
    "store_stopped": ("store_disconnected", picture(fourth={**SILENT, "leader_count": 0})),
    "store_cut_off": ("store_disconnected", picture(fourth=SILENT)),
    "several_stores_silent": (
        "store_disconnected",
        picture(fourth={**SILENT, "leader_count": 0}, more=TWO_SILENT),
    ),
    "one_disk_filling": ("low_space", picture(fourth={"available": "8GiB"})),
    "most_disks_filling": (
        "low_space",
        picture(
            fourth={"available": "8GiB"},
            more=[make_store(1), *(make_store(number, available="15GiB") for number in (2, 3))],
        ),
    ),
    "cluster_filling": (
        "low_space",
        picture(
            fourth={"available": "8GiB"},
            more=[make_store(number, available="15GiB") for number in (1, 2, 3)],
        ),
    ),
    "quorum_lost": (
        "region_without_leader",
        picture(fourth=SILENT, more=TWO_SILENT, regions=[make_region(10, [1, 3, 4], leader=3)]),
    ),
    "election_running": ("region_without_leader", picture(regions=[make_region(10, [1, 2, 3])])),
    "silent_store_behind_it": (
        "down_peers",
        picture(fourth={**SILENT, "leader_count": 0}, parts=peers_of("down_peer", {"4": 5})),
    ),
    "cut_off_store_behind_it": (
        "down_peers",
        picture(
            parts={
                **peers_of("down_peer", {"4": 5}),
                **metrics("store_metrics", unreachable_per_second={"1": {"4": 20.0}}),
            }
        ),
    ),
    "broken_replicas_kept": ("down_peers", picture(parts=peers_of("down_peer", {"4": 5}))),
    "replicas_moving": ("miss_peers", picture(parts={**peers_of("miss_peer", {}), **BUSY})),
    "too_few_stores": (
        "miss_peers",
        make_observation([make_store(1), make_store(2)], parts=peers_of("miss_peer", {})),
    ),
    "leader_weight_set": (
        "leader_imbalance",
        picture(fourth={"leader_count": 1, "leader_weight": 0.01}),
    ),
    "full_disk_sheds_leaders": (
        "leader_imbalance",
        picture(fourth={"leader_count": 0, "available": "2GiB"}),
    ),
    "region_moves_off": (
        "store_fills_slowly",
        picture(parts={"filling": {"4": EMPTY_NEW}}, paused=["balance-region-scheduler"]),
    ),
    "hot_leaders_together": (
        "hot_store",
        picture(parts=metrics("pd_metrics", store_read_bytes_per_second={"pd-0": WARM})),
    ),
    "labels_changed": ("isolation_lost", picture(parts={**TORN_PARTS, **BUSY})),
    "labels_cannot_be_met": (
        "placement_unsatisfiable",
        make_observation(parts=placement(ZONES)),
    ),
    "repair_is_off": (
        "miss_peers",
        picture(parts=peers_of("miss_peer", {}), config={"replica-schedule-limit": 0}),
    ),
    "receiver_too_slow": ("pending_peers", picture(parts=peers_of("pending_peer", {"4": 5}))),
    "pd_majority_lost": (
        "pd_no_leader",
        picture(parts={"pd": {"has_leader": False, "member_count": 3, "healthy_member_count": 1}}),
    ),
    "pd_election": (
        "pd_no_leader",
        picture(parts={"pd": {"has_leader": False, "member_count": 3, "healthy_member_count": 2}}),
    ),
}

MAY_BE_ABSENT = (
    "store_metrics/",
    "pd_metrics/",
    "pd/unhealthy_members/",
    "operators/list/0/",
    "hotspots/",
)
"""What a process says of itself is there only if it could be read, and lists may be empty."""

PLAYED = {one.name for one in (*SETTING_CAUSES, *ADVISED_CAUSES)} | {
    "store_lost",
    "data_lost",
    "ghost_of_removed_store",
    "pd_leader_hangs",
    "store_limit_too_low",
    "snapshots_crawl",
    "receiver_stuck",
    "load_of_one_range",
    "labels_part_nothing",
    "pd_evicts_slow_store",
    "silence_holds_operators",
}
"""Causes whose pictures are scenarios; see `scenarios/`."""

NEVER_THE_ANSWER = {
    # The invariant rules out their picture; they are named as alternatives only.
    "drained_because_slow",
    "store_being_removed",
}


@pytest.mark.parametrize("cause", PICTURES)
def test_the_cause_is_found_in_its_picture(cause: str) -> None:
    diagnosis = diagnosed(*PICTURES[cause])
    assert diagnosis.hypothesis == cause
    assert diagnosis.evidence
    assert all(one.rejected_because for one in diagnosis.alternatives)


@pytest.mark.parametrize("cause", PICTURES)
def test_every_claim_leads_to_something_that_was_seen(cause: str) -> None:
    invariant, observation = PICTURES[cause]
    violation = next(
        found
        for rule in INVARIANTS
        for found in rule.check(observation)
        if found.invariant == invariant
    )
    for hypothesis in HYPOTHESES:
        if invariant not in hypothesis.explains:
            continue
        assessment = hypothesis.assess(violation, observation)
        if assessment is None:
            assert hypothesis.name != cause
            continue
        for claim in (*assessment.supports, *assessment.contradicts):
            is_seen = resolve(observation, claim.path).found
            assert is_seen or claim.path.startswith(MAY_BE_ABSENT), claim.path


def test_every_cause_has_its_picture_and_explains_an_invariant() -> None:
    assert set(PICTURES) | NEVER_THE_ANSWER | PLAYED == {
        hypothesis.name for hypothesis in HYPOTHESES
    }
    explained = {name for hypothesis in HYPOTHESES for name in hypothesis.explains}
    assert explained <= {rule.name for rule in INVARIANTS}


@pytest.mark.parametrize("cause", PICTURES)
def test_what_is_recommended_is_registered_and_fits(cause: str) -> None:
    registry = ActionRegistry(TikvSubject(PdClient([PD_URL])))
    diagnosis = diagnosed(*PICTURES[cause])
    assert checked(diagnosis, registry.require).dropped == ()
    helps_itself = {"leaders_spreading", "election_running", "replicas_moving", "labels_changed"}
    told_elsewhere = {"silent_store_behind_it", "full_disk_sheds_leaders"}
    nothing_to_do = helps_itself | told_elsewhere
    assert bool(diagnosis.workflows or diagnosis.escalate) is (cause not in nothing_to_do)


@pytest.mark.parametrize(("wanted", "cause"), [(3, "labels_cannot_be_met"), (4, "too_few_stores")])
def test_too_few_stores_are_no_matter_of_labels(wanted: int, cause: str) -> None:
    rule = ZONES.model_copy(update={"count": wanted})
    assert diagnosed(
        "placement_unsatisfiable", make_observation(parts=placement(rule))
    ).hypothesis == (cause)


def test_a_lost_quorum_is_never_acted_on() -> None:
    diagnosis = diagnosed(*PICTURES["quorum_lost"])
    assert (diagnosis.actions, diagnosis.workflows, diagnosis.escalate) == ([], [], True)


def test_the_workflow_resumes_the_balance_only_where_it_is_paused() -> None:
    observation = picture(fourth={"leader_count": 0}, evicted=[4])
    diagnosis = diagnosed("evict_leader_left_over", observation)
    names = [step.action_name for step in diagnosis.workflows[0].actions]
    assert names == ["undrain_store", "wait", "log_message"]


def test_a_slow_store_is_drained_and_a_person_told_of_its_disk() -> None:
    diagnosis = diagnosed(*PICTURES["slow_disk"])
    steps = [(step.action_name, step.parameters) for step in diagnosis.workflows[0].actions]
    assert steps[0] == ("drain_store", {"store_id": 4})
    assert "undrain_store" in str(steps[-1])


@pytest.mark.parametrize(
    ("low", "cause"),
    [
        ([], "one_disk_filling"),
        ([3], "one_disk_filling"),
        ([2, 3], "most_disks_filling"),
        ([1, 2, 3], "cluster_filling"),
    ],
)
def test_a_few_full_disks_are_told_from_a_full_cluster(low: list[int], cause: str) -> None:
    others = [make_store(n, available="8GiB" if n in low else "60GiB") for n in (1, 2, 3)]
    full = picture(fourth={"available": "8GiB"}, more=others)
    assert diagnosed("low_space", full).hypothesis == cause


def test_a_slow_store_that_leads_nothing_is_told_to_a_person_and_not_drained() -> None:
    diagnosis = diagnosed("slow_store", picture(fourth={"slow_score": 100, "leader_count": 0}))
    assert (diagnosis.hypothesis, diagnosis.escalate) == ("slow_disk", True)
    assert diagnosis.workflows == []


def test_a_store_that_nobody_can_follow_is_taken_for_stopped_though_pd_counts_its_leaders() -> None:
    alone = {"region_count": 60, "without_leader_count": 20, "quorum_lost_count": 20}
    parts = {"leaders": {**make_observation().data("leaders"), **alone}}
    dead = {**parts, "store_metrics": {"unseen": {"4": "refused"}}}
    stopped = diagnosed("store_disconnected", picture(fourth=SILENT, parts=dead))
    assert stopped.hypothesis == "store_stopped"
    lives = {**parts, "store_metrics": {"ages_seconds": {"4": 3.0}, "readings": {}}}
    cut_off = diagnosed("store_disconnected", picture(fourth=SILENT, parts=lives))
    assert cut_off.hypothesis == "store_cut_off"


@pytest.mark.parametrize("failing", [{"1": {"4": 20.0}}, {"4": {"1": 20.0, "2": 20.0}}])
@pytest.mark.parametrize("kind", ["down_peer", "pending_peer"])
def test_replicas_lag_behind_a_cut_in_either_direction(kind: str, failing: dict[str, Any]) -> None:
    lost = {**peers_of(kind, {"4": 5}), **metrics("store_metrics", unreachable_per_second=failing)}
    lost["regions"][kind]["count"] = 500
    diagnosis = diagnosed(f"{kind}s", picture(parts=lost))
    assert diagnosis.hypothesis == "cut_off_store_behind_it"
    assert diagnosis.components == ["store-4"]


LAG = {"log_lag_p99_entries": {"1": 9000.0}}


@pytest.mark.parametrize(
    ("fourth", "unreachable", "cause", "components"),
    [
        (SILENT, {}, "silent_store_behind_it", ["store-4"]),
        (SILENT, {"1": {"4": 6.0}}, "silent_store_behind_it", ["store-4"]),
        ({}, {"1": {"4": 20.0}}, "cut_off_store_behind_it", ["store-4"]),
        ({}, {"2": {"4": 20.0}}, "apply_behind", ["store-1"]),
    ],
)
def test_a_log_that_runs_ahead_is_the_matter_of_the_follower(
    fourth: dict[str, Any], unreachable: dict[str, Any], cause: str, components: list[str]
) -> None:
    parts = metrics("store_metrics", **LAG, unreachable_per_second=unreachable)
    diagnosis = diagnosed("raft_log_lag", picture(fourth=fourth, parts=parts))
    assert (diagnosis.hypothesis, list(diagnosis.components)) == (cause, components)


def test_a_store_that_is_not_in_the_observation_gives_no_cause() -> None:
    invariant, observation = PICTURES["slow_disk"]
    violation = next(v for rule in INVARIANTS for v in rule.check(observation))
    assert violation.invariant == invariant
    nobody = make_observation([make_store(1)])
    assert facts.stores_facts([], None) == {}
    assert diagnose(violation, nobody, HYPOTHESES, now=NOW).is_unknown


def test_a_cause_brings_rules_that_exist_and_not_itself() -> None:
    by_name = {one.name: one for one in HYPOTHESES}
    rules = {rule.name for rule in INVARIANTS}
    assert BRINGS.keys() <= by_name.keys()
    for name, brought in BRINGS.items():
        assert brought
        assert brought <= rules
        explains = by_name[name].explains
        is_own_consequence = len(explains) == 1 and explains <= brought
        assert not is_own_consequence, name


def test_the_catalogue_says_what_its_causes_bring() -> None:
    by_name = {one.name: one for one in HYPOTHESES}
    assert {one.name: one.brings for one in HYPOTHESES if one.brings} == BRINGS
    assert {one.name for one in HYPOTHESES if one.is_cluster_wide} == WHOLE_CLUSTER
    assert by_name["pd_majority_lost"].is_cluster_wide
    assert not by_name["store_stopped"].is_cluster_wide
