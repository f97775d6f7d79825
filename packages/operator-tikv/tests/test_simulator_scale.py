"""What keeps the model fast, in numbers of events, and what keeps it one history for one seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operator_tikv.simulator import ClusterSpec, SimulatedCluster
from operator_tikv.simulator.faults.timeline import KINDS
from operator_tikv.simulator.faults.words import FaultError
from operator_tikv.simulator.invariants import broken

NEEDS: dict[str, dict[str, object]] = {
    "config": {"item": "leader-schedule-limit", "value": 0},
    "labels": {"labels": {"zone": "z9"}},
}


def events(cluster: SimulatedCluster, seconds: float) -> int:
    """How many events are scheduled while time passes."""
    before = cluster.world.queue.scheduled
    cluster.advance(seconds)
    return cluster.world.queue.scheduled - before


def test_regions_that_do_nothing_cost_no_events() -> None:
    few = SimulatedCluster(spec=ClusterSpec(stores=10, regions=100))
    many = SimulatedCluster(spec=ClusterSpec(stores=10, regions=3000))
    for cluster in (few, many):
        cluster.advance(60)
    assert events(many, 600) <= events(few, 600) + 50


def test_a_new_pd_leader_hears_of_all_regions_in_one_event_a_second() -> None:
    cluster = SimulatedCluster(spec=ClusterSpec(stores=10, regions=3000))
    cluster.advance(60)
    idle = events(cluster, 120)
    cluster.begin_fault("pd_stop")
    assert events(cluster, 120) <= idle + 200
    assert cluster.world.pd.regions.unheard_count == 0


def test_a_lost_store_costs_events_by_its_own_regions_only() -> None:
    cluster = SimulatedCluster(spec=ClusterSpec(stores=10, regions=1000))
    cluster.begin_fault("stop", stores=[4])
    hit = cluster.world.raft.region_count(4)
    assert events(cluster, 1200) <= 4 * hit + 2500


def digest_in_a_process(hash_seed: str) -> str:
    """The digest of an eventful hour, computed by a new interpreter."""
    program = (
        "from operator_tikv.simulator import SimulatedCluster as C\n"
        "c = C(seed=3, stores=5, regions=40)\n"
        "for f in ('stop', 'pd_flap', 'hot_region', 'partition', 'join'): c.begin_fault(f)\n"
        "c.advance(3600); print(c.digest)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
    )
    return done.stdout


@pytest.mark.real
def test_the_history_does_not_depend_on_the_seed_of_hashes() -> None:
    assert digest_in_a_process("1") == digest_in_a_process("2")


steps = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)),
        st.integers(1, 4),
        st.sampled_from([1.0, 15.0, 120.0, 700.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def take(cluster: SimulatedCluster, step: tuple[str, int, float, bool]) -> None:
    """Begin a fault, or leave out one that cannot be; perhaps end one; let time pass."""
    name, store_id, seconds, ends = step
    fields = dict(NEEDS.get(name, {}))
    if "stores" in KINDS[name].model_fields and name != "clock_offset":
        fields["stores"] = [store_id]
    try:
        cluster.begin_fault(name, **fields)
    except FaultError as error:
        cluster.world.record("refused", str(error))
    if ends and cluster.world.active:
        cluster.end_fault(min(cluster.world.active))
    cluster.advance(seconds)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), plan=steps)
def test_any_mix_of_faults_keeps_the_model_sound(
    seed: int, plan: list[tuple[str, int, float, bool]]
) -> None:
    cluster = SimulatedCluster(seed=seed, stores=4, regions=6)
    regions, safe_point = len(cluster.world.raft), 0
    terms: dict[tuple[int, int], int] = {}
    for step in plan:
        take(cluster, step)
        world = cluster.world
        assert broken(world) == []
        assert len(world.raft) == regions
        for region in world.raft:
            if region.leader_peer_id:
                key = (region.region_id, region.term)
                assert terms.setdefault(key, region.leader_peer_id) == region.leader_peer_id
        running = [op for op in world.pd.operators.values() if not op.is_admin]
        leaders = [op for op in running if op.plan.kinds[0] == "leader"]
        assert len(leaders) <= 4
        assert world.safe_point >= safe_point or any(p[0] == "gc_block" for p in plan)
        safe_point = world.safe_point


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32), plan=steps)
def test_the_same_faults_give_the_same_history(
    seed: int, plan: list[tuple[str, int, float, bool]]
) -> None:
    digests = []
    for _ in range(2):
        cluster = SimulatedCluster(seed=seed, stores=4, regions=6)
        for step in plan:
            take(cluster, step)
        digests.append(cluster.digest)
    assert digests[0] == digests[1]


def test_quiet_hours_have_no_operator_and_no_change_of_leaders() -> None:
    cluster = SimulatedCluster(seed=11, stores=4, regions=60)
    before = {r.region_id: r.leader_peer_id for r in cluster.world.raft}
    cluster.advance(4 * 3600)
    assert {r.region_id: r.leader_peer_id for r in cluster.world.raft} == before
    assert cluster.world.pd.records == []
