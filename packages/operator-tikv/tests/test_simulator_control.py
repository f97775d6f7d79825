"""The controls under `/sim`, and every fault by its name."""

from __future__ import annotations

import pytest

from operator_tikv.simulator import ClusterSpec, SimulatedCluster
from operator_tikv.simulator.faults.by_hand import FAULTS
from operator_tikv.simulator.invariants import broken
from simulator_kit import Pd


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=8, stores=4, regions=12))


async def test_the_state_shows_clock_seed_and_digest(pd: Pd) -> None:
    first = (await pd.raw("GET", "/sim/state")).json()
    assert (first["virtual_seconds"], first["seed"]) == (0, 8)
    assert first["broken_invariants"] == []
    answer = await pd.raw("POST", "/sim/advance", b'{"seconds": 90.5}')
    assert answer.json() == {"virtual_seconds": 90.5}
    await pd.raw("POST", "/sim/fault", b'{"name": "stop_store", "store_id": 2}')
    second = (await pd.raw("GET", "/sim/state")).json()
    assert second["digest"] != first["digest"]
    assert second["stores"][1]["running"] is False
    history = (await pd.raw("GET", "/sim/history?limit=1")).json()
    assert history == [
        {"at_seconds": 90.5, "kind": "fault", "detail": "stop_store: store 2 stopped"}
    ]


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_every_fault_can_be_applied_over_http(pd: Pd, name: str) -> None:
    body = f'{{"name": "{name}", "store_id": 2}}'.encode()
    answer = await pd.raw("POST", "/sim/fault", body)
    assert answer.status_code == 200
    assert answer.json()["done"]
    pd.cluster.advance(700)
    assert broken(pd.cluster.world) == []


async def test_the_names_of_the_faults_can_be_asked(pd: Pd) -> None:
    assert (await pd.raw("GET", "/sim/faults")).json() == sorted(FAULTS)


async def test_the_model_chooses_a_store_when_none_is_named(pd: Pd) -> None:
    answer = await pd.raw("POST", "/sim/fault", b'{"name": "stop_store"}')
    assert answer.json()["done"].startswith("store ")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sim/fault", b"{}"),
        ("/sim/fault", b'{"name": "odd"}'),
        ("/sim/fault", b'{"name": "stop_store", "store_id": 99}'),
        ("/sim/fault", b'{"name": "stop_store", "store_id": true}'),
        ("/sim/fault", b'{"name": "stop_store", "odd": 1}'),
        ("/sim/fault", b'{"name": "load", "factor": -1}'),
        ("/sim/fault", b'{"name": "load", "factor": NaN}'),
        ("/sim/fault", b'{"name": "quorum_loss", "store_ids": ["1"]}'),
        ("/sim/fault", b'{"name": "pd_member_down", "member": "odd"}'),
        ("/sim/fault", b'{"name": "pause_scheduler", "scheduler": "odd"}'),
        ("/sim/fault", b"nonsense"),
        ("/sim/advance", b'{"seconds": -1}'),
        ("/sim/advance", b'{"seconds": "1"}'),
        ("/sim/advance", b'{"seconds": 1e300}'),
    ],
)
async def test_bad_controls_are_refused_with_a_reason(pd: Pd, path: str, body: bytes) -> None:
    answer = await pd.raw("POST", path, body)
    assert answer.status_code == 400
    assert answer.json()


async def test_an_unknown_control_is_a_404(pd: Pd) -> None:
    assert (await pd.raw("GET", "/sim/odd")).status_code == 404
    assert (await pd.raw("GET", "/odd")).status_code == 404


async def test_a_forgotten_evict_leader_looks_like_a_real_one(pd: Pd) -> None:
    pd.cluster.apply_fault("forgotten_evict_leader", 3)
    pd.cluster.advance(30)
    assert await pd.leaders(3) == 0
    path = "/scheduler-config/evict-leader-scheduler/list"
    assert list((await pd.get(path))["store-id-ranges"]) == ["3"]


@pytest.mark.parametrize(
    "spec", [ClusterSpec(stores=2), ClusterSpec(regions=0), ClusterSpec(pd_members=0)]
)
def test_a_cluster_that_cannot_be_is_refused(spec: ClusterSpec) -> None:
    with pytest.raises(ValueError, match="cannot build"):
        SimulatedCluster(spec=spec)
