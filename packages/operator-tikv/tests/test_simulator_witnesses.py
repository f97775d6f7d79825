"""Witnesses: replicas that vote without data, where they are enabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.bootstrap import ClusterSpec
from operator_tikv.simulator.invariants import broken
from simulator_kit import Pd

if TYPE_CHECKING:
    from simulator_kit import Json

REGIONS = 9


def rule(name: str, count: int, *, is_witness: bool = False) -> Json:
    return {
        "group_id": "pd",
        "id": name,
        "role": "voter",
        "count": count,
        "start_key": "",
        "end_key": "",
        "is_witness": is_witness,
    }


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=5, stores=5, regions=REGIONS))


async def enable(pd: Pd, *, on: bool = True) -> None:
    answer = await pd.send("POST", "/config", {"schedule.enable-witness": on})
    assert answer.status_code == 200


async def with_witnesses(pd: Pd) -> None:
    """Two replicas and one witness of each region, made from three replicas."""
    await enable(pd)
    rules = [rule("default", 2), rule("witness", 1, is_witness=True)]
    await pd.send("POST", "/config/rules/batch", [{**one, "action": "add"} for one in rules])
    pd.cluster.advance(300)


async def regions(pd: Pd) -> list[Json]:
    return list((await pd.get("/regions"))["regions"])


def witnesses(region: Json) -> list[Json]:
    return [peer for peer in region["peers"] if peer.get("is_witness")]


def names(pd: Pd) -> set[str]:
    """The names of the operators that ended."""
    return {one.plan.description for one in pd.cluster.world.pd.records}


async def test_a_rule_for_witnesses_takes_the_data_of_one_follower(pd: Pd) -> None:
    await with_witnesses(pd)
    for region in await regions(pd):
        assert len(region["peers"]) == 3
        assert len(witnesses(region)) == 1
        assert witnesses(region)[0]["id"] != region["leader"]["id"]
        assert witnesses(region)[0]["role_name"] == "Voter"
    assert names(pd) - {"balance-region", "balance-leader"} == {"fix-witness-peer"}
    assert broken(pd.cluster.world) == []


async def test_a_witness_holds_no_data_and_is_counted(pd: Pd) -> None:
    before = sum([(await pd.store(n))["status"]["region_size"] for n in range(1, 6)])
    await with_witnesses(pd)
    counted, size_mib = 0, 0
    for store_id in range(1, 6):
        status = (await pd.store(store_id))["status"]
        listed = (await pd.get(f"/regions/store/{store_id}?type=witness"))["count"]
        assert status.get("witness_count", 0) == listed
        counted, size_mib = counted + listed, size_mib + status["region_size"]
    assert (counted, round(size_mib / before, 2)) == (REGIONS, 0.67)
    metrics = await pd.metrics()
    shown = [
        n
        for key, n in metrics.items()
        if key.startswith("pd_cluster_status{") and 'type="witness_count"' in key
    ]
    assert sum(shown) == REGIONS


async def test_a_new_witness_needs_no_snapshot_and_no_store_limit(pd: Pd) -> None:
    await enable(pd)
    for store_id in range(1, 6):
        pd.cluster.begin_fault("slow_snapshots", stores=[store_id], mib_per_second=0.001)
    await pd.send("POST", "/stores/limit", {"rate": 0.01, "type": "add-peer"})
    await pd.send("POST", "/config/rule", rule("witness", 1, is_witness=True))
    pd.cluster.advance(120)
    assert [len(witnesses(region)) for region in await regions(pd)] == [1] * REGIONS


async def test_a_witness_votes_and_never_leads(pd: Pd) -> None:
    await with_witnesses(pd)
    pd.cluster.begin_fault("stop", stores=[2])
    pd.cluster.advance(60)
    for region in await regions(pd):
        assert region["leader"]["store_id"] != 2
        assert not region["leader"].get("is_witness")
    assert broken(pd.cluster.world) == []


async def test_pd_refuses_to_let_a_witness_lead(pd: Pd) -> None:
    await with_witnesses(pd)
    region = (await regions(pd))[0]
    to_store_id = witnesses(region)[0]["store_id"]
    body = {"name": "transfer-leader", "region_id": region["id"], "to_store_id": to_store_id}
    answer = await pd.send("POST", "/operators", body)
    refusal = "cannot create operator: target leader is not allowed"
    assert (answer.status_code, answer.json()) == (500, refusal)


async def test_a_witness_gets_its_data_when_a_voter_is_down_and_keeps_them_for_a_while() -> None:
    pd = Pd(SimulatedCluster(spec=ClusterSpec(seed=5, stores=5, regions=3, replicas=4)))
    await enable(pd)
    await pd.send("POST", "/config", {"schedule.swtich-witness-interval": "20m"})
    await pd.send("POST", "/config/rule", rule("witness", 1, is_witness=True))
    pd.cluster.advance(300)
    short = [r["id"] for r in await regions(pd) if keeps_data_on(r, 2)]
    number = pd.cluster.begin_fault("stop", stores=[2])
    pd.cluster.advance(1200)
    assert "promote-witness-for-down" in names(pd)
    assert not any(witnesses(r) for r in await regions(pd) if r["id"] in short)
    pd.cluster.end_fault(number)
    pd.cluster.advance(300)
    assert not any(witnesses(r) for r in await regions(pd) if r["id"] in short)
    pd.cluster.advance(900)
    assert all(len(witnesses(r)) == 1 for r in await regions(pd))
    assert broken(pd.cluster.world) == []


def keeps_data_on(region: Json, store_id: int) -> bool:
    """Whether a region has a replica with its data on a store."""
    held = {peer["store_id"] for peer in region["peers"] if not peer.get("is_witness")}
    return store_id in held


async def test_tikv_refuses_what_would_leave_one_voter_of_two(pd: Pd) -> None:
    await with_witnesses(pd)
    pd.cluster.begin_fault("stop", stores=[2])
    pd.cluster.advance(1200)
    asked = [r for r in pd.cluster.world.pd.operators.values() if r.current_step == 0]
    assert {one.plan.description for one in asked} == {"promote-witness-for-down"}
    for region in await regions(pd):
        assert len(witnesses(region)) == 1
        assert {peer["role_name"] for peer in region["peers"]} == {"Voter"}
    assert pd.cluster.world.unled == {}


async def test_a_lost_peer_is_replaced_by_a_witness_first(pd: Pd) -> None:
    await enable(pd)
    pd.cluster.begin_fault("stop", stores=[2])
    seen = set()
    for _ in range(60):
        pd.cluster.advance(60)
        seen |= names(pd)
    assert {"fast-replace-rule-down-peer", "fix-non-witness-peer"} <= seen
    assert "replace-rule-down-peer" not in seen
    for region in await regions(pd):
        assert (len(region["peers"]), witnesses(region)) == (3, [])
        assert 2 not in {peer["store_id"] for peer in region["peers"]}


async def test_witnesses_become_replicas_when_they_are_turned_off(pd: Pd) -> None:
    await with_witnesses(pd)
    await enable(pd, on=False)
    pd.cluster.advance(600)
    assert not any(witnesses(region) for region in await regions(pd))
    assert "fix-non-witness-peer" in names(pd)
    assert [len(region["peers"]) for region in await regions(pd)] == [3] * REGIONS


async def test_a_voter_without_data_has_no_voice_while_it_gets_them(pd: Pd) -> None:
    await with_witnesses(pd)
    region_id = (await regions(pd))[0]["id"]
    await enable(pd, on=False)
    texts = set()
    for _ in range(200):
        pd.cluster.advance(0.1)
        answer = await pd.send("GET", f"/operators/{region_id}")
        texts.add(answer.json())
    steps = next(text for text in texts if "fix-non-witness-peer" in text)
    for part in (
        "0:{use joint consensus, demote voter peer",
        "2:{batch switch witness, switch peer",
        "to non-witness}, 3:{use joint consensus, promote learner peer",
    ):
        assert part in steps


async def test_balance_moves_no_witness(pd: Pd) -> None:
    await with_witnesses(pd)
    before = {r["id"]: witnesses(r)[0]["store_id"] for r in await regions(pd)}
    pd.cluster.begin_fault("join")
    pd.cluster.advance(1800)
    assert await pd.peers(max(pd.cluster.world.stores)) > 0
    after = {r["id"]: witnesses(r)[0]["store_id"] for r in await regions(pd)}
    assert after == before
