"""The same seed and calls give the same history, and the model stays sound whatever happens."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.api.http import Call
from operator_tikv.simulator.faults.by_hand import FAULTS
from operator_tikv.simulator.faults.words import FaultError
from operator_tikv.simulator.front import answer
from operator_tikv.simulator.invariants import broken
from operator_tikv.simulator.journal import Journal, replay

if TYPE_CHECKING:
    from pathlib import Path

Step = tuple[str, int, float]

STORE_CALLS = ("DELETE /store/{}", "POST /store/{}/state?state=Up")
steps = st.lists(
    st.tuples(
        st.sampled_from([*sorted(FAULTS), *STORE_CALLS, "transfer", "evict", "unevict"]),
        st.integers(min_value=1, max_value=4),
        st.sampled_from([0.0, 0.3, 12.0, 90.0, 700.0, 1900.0]),
    ),
    max_size=7,
)


def send(cluster: SimulatedCluster, method: str, path: str, body: object = None) -> None:
    bare, _mark, query = path.partition("?")
    pairs = tuple((k, v) for k, _, v in (part.partition("=") for part in query.split("&") if part))
    content = b"" if body is None else json.dumps(body).encode()
    answer(cluster, Call(method, f"/pd/api/v1{bare}", pairs, content))


def take_step(cluster: SimulatedCluster, step: Step) -> None:
    name, store_id, seconds = step
    if name in FAULTS:
        with suppress(FaultError):  # a tombstone cannot be hurt
            cluster.apply_fault(name, store_id)
    elif name in STORE_CALLS:
        method, path = name.format(store_id).split()
        send(cluster, method, path)
    elif name == "evict":
        body = {"name": "evict-leader-scheduler", "store_id": store_id}
        send(cluster, "POST", "/schedulers", body)
    elif name == "unevict":
        send(cluster, "DELETE", f"/schedulers/evict-leader-scheduler-{store_id}")
    else:
        region = next(iter(cluster.world.raft))
        source = region.peers[0].store_id
        body = {"name": "transfer-peer", "region_id": region.region_id}
        stores = {"from_store_id": source, "to_store_id": store_id}
        send(cluster, "POST", "/operators", {**body, **stores})
    cluster.advance(seconds)


def run(seed: int, plan: list[Step]) -> SimulatedCluster:
    cluster = SimulatedCluster(seed=seed, stores=4, regions=8)
    for step in plan:
        take_step(cluster, step)
    return cluster


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), plan=steps)
def test_the_model_is_sound_after_every_step(seed: int, plan: list[Step]) -> None:
    cluster = SimulatedCluster(seed=seed, stores=4, regions=8)
    for step in plan:
        take_step(cluster, step)
        assert broken(cluster.world) == []


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), plan=steps)
def test_the_same_seed_and_calls_give_the_same_digest(seed: int, plan: list[Step]) -> None:
    assert run(seed, plan).digest == run(seed, plan).digest


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    plan=steps,
    cuts=st.lists(st.floats(min_value=0.001, max_value=900), min_size=1, max_size=12),
)
def test_the_size_of_the_steps_of_time_does_not_matter(
    seed: int, plan: list[Step], cuts: list[float]
) -> None:
    whole, parts = run(seed, plan), run(seed, plan)
    end_seconds = whole.now_seconds + sum(cuts)
    for cut in cuts:
        parts.advance_to(min(end_seconds, parts.now_seconds + cut))
    for cluster in (whole, parts):
        cluster.advance_to(end_seconds)
    assert whole.digest == parts.digest


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), plan=steps)
def test_a_cluster_heals_when_all_faults_are_undone(seed: int, plan: list[Step]) -> None:
    cluster = run(seed, [step for step in plan if "DELETE" not in step[0]])
    for name in ("start_all", "pd_recover"):
        cluster.apply_fault(name)
    for store_id in (1, 2, 3, 4):
        cluster.apply_fault("resume_store", store_id)
        cluster.apply_fault("restore_disk", store_id)
    cluster.advance(1500)
    regions = list(cluster.world.pd.regions)
    assert all(region.leader is not None for region in regions)
    assert not any(region.down or region.pending or region.in_joint_state for region in regions)
    assert {len(region.peers) for region in regions} == {3}


def test_other_seeds_give_other_histories() -> None:
    plan: list[Step] = [("stop_store", 1, 60.0)]
    assert run(1, plan).digest != run(2, plan).digest


def test_a_journal_rebuilds_the_same_cluster(tmp_path: Path) -> None:
    first = SimulatedCluster(seed=6, stores=4, regions=12)
    journal = Journal(tmp_path / "state")
    assert journal.read() is None
    journal.begin(first.spec)
    calls = (
        Call("POST", "/sim/fault", (), b'{"name": "stop_store", "store_id": 2}'),
        Call("POST", "/sim/advance", (), b'{"seconds": 700}'),
        Call("POST", "/pd/api/v1/schedulers", (), b'{"name": "evict-leader-scheduler"}'),
        Call("DELETE", "/pd/api/v1/store/3", (("force", ""),)),
    )
    for call in calls:
        first.advance(3.25)
        journal.append(first.now_seconds, call)
        answer(first, call)
    first.advance(40)
    journal.mark(first.now_seconds)
    with (tmp_path / "state").open("a") as file:
        file.write('{"at_seconds": 99')  # the process died here
    found = journal.read()
    assert found is not None
    second = SimulatedCluster(spec=found[0])
    replay(second, found[1])
    assert (second.now_seconds, second.digest) == (first.now_seconds, first.digest)
