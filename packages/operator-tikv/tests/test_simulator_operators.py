"""Operators: PD's refusals word by word, their steps, their ends."""

from __future__ import annotations

import pytest

from operator_tikv.simulator import SimulatedCluster
from simulator_kit import Json, Pd


@pytest.fixture
def pd() -> Pd:
    cluster = SimulatedCluster(seed=5, stores=4, regions=12)
    pd = Pd(cluster)
    for name in ("balance-region-scheduler", "balance-leader-scheduler"):
        del cluster.world.pd.schedulers[name]
    return pd


async def create(pd: Pd, name: str, region: int, **fields: object) -> tuple[int, str]:
    body = {"name": name, "region_id": region, **fields}
    answer = await pd.send("POST", "/operators", body)
    return answer.status_code, answer.json()


def other_voter(region: Json) -> int:
    leader = region["leader"]["store_id"]
    return int(next(p["store_id"] for p in region["peers"] if p["store_id"] != leader))


def free_store(region: Json) -> int:
    held = {peer["store_id"] for peer in region["peers"]}
    return next(store_id for store_id in (1, 2, 3, 4) if store_id not in held)


async def test_transfer_leader_is_queued_then_done(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    target = other_voter(region)
    created = await create(pd, "transfer-leader", region["id"], to_store_id=target)
    assert created == (200, "The operator is created.")
    path = f"/region/id/{region['id']}"
    assert (await pd.get(path))["leader"]["store_id"] == 1  # 200 meant queued, not done
    assert (await pd.get(f"/operators/{region['id']}")).startswith("status: RUNNING, operator: ")
    pd.cluster.advance(1)
    assert (await pd.get(path))["leader"]["store_id"] == target
    text = await pd.get(f"/operators/{region['id']}")
    assert text.startswith("status: SUCCESS, operator: admin-transfer-leader {")
    assert text.endswith("finished")
    assert await pd.get("/operators") == []
    assert len(await pd.get("/operators/records")) == 1


async def test_a_result_stays_readable_for_ten_minutes(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    await create(pd, "transfer-leader", region["id"], to_store_id=other_voter(region))
    pd.cluster.advance(590)
    assert (await pd.send("GET", f"/operators/{region['id']}")).status_code == 200
    pd.cluster.advance(30)
    assert (await pd.send("GET", f"/operators/{region['id']}")).status_code == 500


async def test_a_second_operator_on_a_region_is_refused(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    await create(pd, "transfer-leader", region["id"], to_store_id=other_voter(region))
    again = await create(pd, "transfer-leader", region["id"], to_store_id=other_voter(region))
    assert again == (
        500,
        "[PD:operator:ErrAddOperator]failed to add operator, maybe already have one",
    )


async def test_an_admin_operator_replaces_one_of_lower_priority(pd: Pd) -> None:
    await pd.send("DELETE", "/store/1")
    pd.cluster.advance(1.5)
    repairing = (await pd.get("/operators?object"))[0]
    assert repairing["desc"].startswith("replace-rule-offline")
    region = await pd.get(f"/region/id/{repairing['region_id']}")
    target = next(
        p["store_id"]
        for p in region["peers"]
        if p["store_id"] not in {1, region["leader"]["store_id"]} and "role" not in p
    )
    status, _text = await create(pd, "transfer-leader", region["id"], to_store_id=target)
    assert status == 200
    key = f'pd_schedule_operators_count{{type="{repairing["desc"]}",event="replace"}}'
    assert (await pd.metrics())[key] == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "missing operator name"),
        ({"name": "odd"}, "unknown operator"),
        ({"name": "transfer-leader"}, "missing region id"),
        (
            {"name": "transfer-leader", "region_id": 5},
            "missing store id to transfer leader to",
        ),
        (
            {"name": "transfer-leader", "region_id": 5, "store_id": 2},
            "missing store id to transfer leader to",
        ),
        (
            {"name": "transfer-leader", "region_id": 5, "to_store_id": "2"},
            "missing store id to transfer leader to",
        ),
        (
            {"name": "transfer-peer", "region_id": 5},
            "invalid store id to transfer peer from",
        ),
        (
            {"name": "transfer-peer", "region_id": 5, "from_store_id": 1},
            "invalid store id to transfer peer to",
        ),
    ],
)
async def test_missing_or_textual_fields_are_refused(
    pd: Pd, body: dict[str, object], text: str
) -> None:
    answer = await pd.send("POST", "/operators", body)
    assert (answer.status_code, answer.json()) == (400, text)


async def test_refusals_of_transfer_leader(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    region_id, free, voter = region["id"], free_store(region), other_voter(region)
    name = "transfer-leader"
    assert await create(pd, name, 9999, to_store_id=1) == (
        500,
        "[PD:region:ErrRegionNotFound]region 9999 not found",
    )
    no_voter = f"region has no voter in store {free}"
    assert await create(pd, name, region_id, to_store_id=free) == (500, no_voter)
    nothing = (500, "no operator step is built")
    assert await create(pd, name, region_id, to_store_id=1) == nothing
    pd.cluster.apply_fault("stop_store", voter)
    pd.cluster.advance(40)
    not_allowed = (500, "cannot create operator: target leader is not allowed")
    assert await create(pd, name, region_id, to_store_id=voter) == not_allowed
    pd.cluster.advance(700)
    unhealthy = (500, f"cannot transfer leader to {voter}: unhealthy")
    assert await create(pd, name, region_id, to_store_id=voter) == unhealthy


async def test_transfer_leader_to_an_evicted_store_is_refused(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    voter = other_voter(region)
    body = {"name": "evict-leader-scheduler", "store_id": voter}
    await pd.send("POST", "/schedulers", body)
    refused = await create(pd, "transfer-leader", region["id"], to_store_id=voter)
    assert refused == (500, "cannot create operator: target leader is not allowed")


async def test_a_leader_transfer_that_cannot_reach_the_leader_times_out(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    pd.cluster.apply_fault("partition_from_pd", 1)
    await create(pd, "transfer-leader", region["id"], to_store_id=other_voter(region))
    pd.cluster.advance(59)
    assert (await pd.get(f"/operators/{region['id']}")).startswith("status: RUNNING")
    pd.cluster.advance(40)
    text = await pd.get(f"/operators/{region['id']}")
    assert text.startswith("status: TIMEOUT")
    assert text.endswith(" timeout")


async def test_transfer_peer_goes_over_a_learner_and_a_joint_state(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    source, target = other_voter(region), free_store(region)
    created = await create(
        pd, "transfer-peer", region["id"], from_store_id=source, to_store_id=target
    )
    assert created[0] == 200
    path = f"/region/id/{region['id']}"
    pd.cluster.advance(0.5)
    half = await pd.get(path)
    learner = next(p for p in half["peers"] if p["store_id"] == target)
    assert (learner["role_name"], learner["role"], learner["is_learner"]) == ("Learner", 1, True)
    assert half["pending_peers"] == [learner]
    assert await pd.count("extra-peer") == 1
    pd.cluster.advance(10)
    done = await pd.get(path)
    assert {p["store_id"] for p in done["peers"]} == (
        {p["store_id"] for p in region["peers"]} - {source} | {target}
    )
    assert {p["role_name"] for p in done["peers"]} == {"Voter"}
    assert done["epoch"]["conf_ver"] == region["epoch"]["conf_ver"] + 4


async def test_transfer_peer_moves_the_leader_first(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    target = free_store(region)
    await create(pd, "transfer-peer", region["id"], from_store_id=1, to_store_id=target)
    (text,) = await pd.get("/operators")
    steps = text[text.index("steps:[") :]
    assert steps.index("add learner") < steps.index("transfer leader") < steps.index("use joint")
    pd.cluster.advance(15)
    done = await pd.get(f"/region/id/{region['id']}")
    assert done["leader"]["store_id"] != 1
    assert 1 not in {p["store_id"] for p in done["peers"]}


async def test_refusals_of_transfer_peer(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    region_id, free, voter = region["id"], free_store(region), other_voter(region)
    name = "transfer-peer"
    assert await create(pd, name, region_id, from_store_id=free, to_store_id=1) == (
        500,
        f"region has no peer in store {free}",
    )
    assert await create(pd, name, region_id, from_store_id=1, to_store_id=99) == (
        500,
        "[PD:core:ErrStoreNotFound]store 99 not found",
    )
    status, text = await create(pd, name, region_id, from_store_id=1, to_store_id=voter)
    assert status == 500
    assert text.startswith("cannot add peer id:")
    assert ": already have peer id:" in text


async def test_transfer_peer_is_accepted_towards_a_store_disconnected_for_nine_minutes(
    pd: Pd,
) -> None:
    region = await pd.region_led_by(1)
    free = free_store(region)
    pd.cluster.apply_fault("stop_store", free)
    pd.cluster.advance(540)
    fields = {"from_store_id": other_voter(region), "to_store_id": free}
    assert (await create(pd, "transfer-peer", region["id"], **fields))[0] == 200
    await pd.send("DELETE", f"/operators/{region['id']}")
    pd.cluster.advance(90)
    refused = await create(pd, "transfer-peer", region["id"], **fields)
    assert refused == (500, f"[PD:core:ErrStoreUnhealthy]store {free} is unhealthy")


async def test_transfer_peer_is_accepted_towards_a_store_low_on_space(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    free = free_store(region)
    pd.cluster.apply_fault("low_space", free)
    pd.cluster.advance(11)
    fields = {"from_store_id": other_voter(region), "to_store_id": free}
    assert (await create(pd, "transfer-peer", region["id"], **fields))[0] == 200


async def test_cancelling_an_operator(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    await create(pd, "transfer-leader", region["id"], to_store_id=other_voter(region))
    answer = await pd.send("DELETE", f"/operators/{region['id']}")
    assert answer.json() == "The pending operator is canceled."
    assert (await pd.get(f"/operators/{region['id']}")).startswith("status: CANCEL")
    assert (await pd.send("DELETE", "/operators")).json() == "All pending operators are canceled."


async def test_add_and_remove_a_peer(pd: Pd) -> None:
    await pd.send("POST", "/checker/rule", {"delay": 3600})
    region = await pd.region_led_by(1)
    free = free_store(region)
    assert (await create(pd, "add-peer", region["id"], store_id=free))[0] == 200
    pd.cluster.advance(10)
    assert len((await pd.get(f"/region/id/{region['id']}"))["peers"]) == 4
    assert (await create(pd, "add-peer", region["id"], store_id=free)) == (
        500,
        f"region already has peer in store {free}",
    )
    assert (await create(pd, "remove-peer", region["id"], store_id=1))[0] == 200
    pd.cluster.advance(5)
    after = await pd.get(f"/region/id/{region['id']}")
    assert 1 not in {p["store_id"] for p in after["peers"]}


async def test_operators_as_objects(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    await create(pd, "transfer-leader", region["id"], to_store_id=other_voter(region))
    (found,) = await pd.get("/operators?object")
    assert found["desc"] == "admin-transfer-leader"
    assert found["kind"] == "admin,leader"
    assert found["region_id"] == region["id"]
    assert found["status"] == "RUNNING"
