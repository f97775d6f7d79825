"""Whatever a cluster says of itself, it is judged without falling over."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from operator_core.agent.rules import diagnose
from operator_core.monitor.types import Observation
from operator_tikv import facts
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.invariants import INVARIANTS
from operator_tikv.pd.types import RegionInfo, StoreInfo
from tikv_support import NOW, make_observation, make_region, make_store

STATES = ["Up", "Disconnected", "Down", "Offline", "Tombstone", "", "[bold]Up[/bold]\n"]
SIZES = [None, "0B", "1GiB", "100GiB", "1.465TiB"]
IDS = list(range(1, 7))


@st.composite
def any_store(draw: st.DrawFn, store_id: int) -> StoreInfo:
    changes: dict[str, Any] = {
        "meta_state_name": draw(st.sampled_from(STATES)),
        "meta_address": draw(st.text(max_size=10)),
        "age_seconds": draw(st.integers(0, 4000)),
        "capacity": draw(st.sampled_from(SIZES)),
        "available": draw(st.sampled_from(SIZES)),
        "leader_count": draw(st.integers(0, 100)),
        "leader_weight": draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
        "slow_score": draw(st.integers(0, 100)),
    }
    if draw(st.booleans()):
        changes["last_heartbeat_ts"] = None
    return make_store(store_id, **changes)


@st.composite
def any_region(draw: st.DrawFn, region_id: int) -> RegionInfo:
    stores = draw(st.lists(st.sampled_from(IDS), unique=True, max_size=5))
    return make_region(region_id, stores, draw(st.sampled_from([0, *IDS])))


@st.composite
def any_observation(draw: st.DrawFn) -> Observation:
    count = draw(st.integers(1, 6))
    return make_observation(
        [draw(any_store(store_id)) for store_id in IDS[:count]],
        regions=[draw(any_region(region_id)) for region_id in range(10, 10 + count)],
        evicted=draw(st.lists(st.sampled_from(IDS), unique=True)),
        paused=draw(st.sampled_from([[], ["balance-leader-scheduler"]])),
    )


@settings(max_examples=40, deadline=None)
@given(any_observation())
def test_every_picture_is_judged_and_explained(observation: Observation) -> None:
    for rule in INVARIANTS:
        violations = list(rule.check(observation))
        assert len({violation.key for violation in violations}) == len(violations)
        for violation in violations:
            assert violation.invariant == rule.name
            assert violation.message.isprintable()
            diagnosis = diagnose(violation, observation, HYPOTHESES, now=NOW)
            assert not [one for one in diagnosis.alternatives if "failed" in one.rejected_because]


@settings(max_examples=40, deadline=None)
@given(any_observation())
def test_no_workflow_is_recommended_for_a_store_that_is_not_well(observation: Observation) -> None:
    for rule in INVARIANTS:
        for violation in rule.check(observation):
            diagnosis = diagnose(violation, observation, HYPOTHESES, now=NOW)
            for workflow in diagnosis.workflows:
                named = {step.parameters.get("store_id") for step in workflow.actions} - {None}
                stores = observation.data("stores")
                assert all(stores[str(store_id)]["is_healthy"] for store_id in named)


@given(any_region(7), st.sets(st.sampled_from(IDS)))
def test_a_quorum_is_lost_exactly_when_half_of_the_voters_are_silent(
    region: RegionInfo, silent: set[int]
) -> None:
    voters = {peer.store_id for peer in region.peers}
    expected = bool(voters) and len(voters - silent) < len(voters) // 2 + 1
    assert facts.has_lost_quorum(region, silent) is expected
