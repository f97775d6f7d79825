"""Placement rules of one's own: what PD does with the regions, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.invariants import broken
from simulator_kit import Pd

if TYPE_CHECKING:
    from simulator_kit import Json

SSD = {"key": "disk", "op": "in", "values": ["ssd"]}


def rule(name: str, role: str, count: int, *constraints: Json, **more: Json) -> Json:
    return {
        "group_id": "pd",
        "id": name,
        "role": role,
        "count": count,
        "start_key": "",
        "end_key": "",
        "label_constraints": list(constraints),
        **more,
    }


@pytest.fixture
async def pd() -> Pd:
    """Six stores, of which 1, 2 and 6 have the better disks."""
    made = Pd(SimulatedCluster(seed=3, stores=6, regions=24))
    for store_id in (1, 2, 6):
        await made.send("POST", f"/store/{store_id}/label", {"disk": "ssd"})
    return made


async def regions(pd: Pd) -> list[Json]:
    return list((await pd.get("/regions"))["regions"])


def stores_of(region: Json) -> set[int]:
    return {peer["store_id"] for peer in region["peers"]}


async def test_the_default_rule_alone_changes_nothing(pd: Pd) -> None:
    before = [stores_of(region) for region in await regions(pd)]
    await pd.get("/config/rules")
    pd.cluster.advance(600)
    assert [stores_of(region) for region in await regions(pd)] == before


async def test_a_rule_besides_adds_its_replicas_on_the_stores_that_it_names(pd: Pd) -> None:
    answer = await pd.send("POST", "/config/rule", rule("extra", "voter", 1, SSD))
    assert answer.json() == "Update rule successfully."
    assert await pd.count("miss-peer") == 24
    pd.cluster.advance(300)
    for region in await regions(pd):
        assert len(region["peers"]) == 4
        assert stores_of(region) & {1, 2, 6}
    assert (await pd.count("miss-peer"), await pd.count("extra-peer")) == (0, 0)
    assert broken(pd.cluster.world) == []


async def test_a_learner_rule_makes_learners_that_stay_learners(pd: Pd) -> None:
    await pd.send("POST", "/config/rule", rule("read", "learner", 1))
    pd.cluster.advance(300)
    for region in await regions(pd):
        roles = sorted(peer["role_name"] for peer in region["peers"])
        assert roles == ["Learner", "Voter", "Voter", "Voter"]


async def test_replicas_move_to_the_only_stores_that_a_rule_admits(pd: Pd) -> None:
    await pd.send("POST", "/config/rule", rule("default", "voter", 3, SSD))
    pd.cluster.advance(300)
    assert [stores_of(region) for region in await regions(pd)] == [{1, 2, 6}] * 24
    assert broken(pd.cluster.world) == []


async def test_what_a_rule_forbids_is_taken_by_pd_and_moved_back(pd: Pd) -> None:
    await pd.send("POST", "/config/rule", rule("default", "voter", 3, SSD))
    pd.cluster.advance(300)
    region_id = (await regions(pd))[0]["id"]
    body = {"name": "transfer-peer", "region_id": region_id, "from_store_id": 6, "to_store_id": 4}
    assert (await pd.send("POST", "/operators", body)).status_code == 200
    seen = []
    for _ in range(60):
        pd.cluster.advance(2)
        seen.append(stores_of((await regions(pd))[0]))
    assert {1, 2, 4} in seen
    assert seen[-1] == {1, 2, 6}


async def test_a_leader_leaves_the_peers_that_may_only_follow(pd: Pd) -> None:
    await pd.send(
        "POST",
        "/config/rules/batch",
        [
            {**rule("default", "voter", 2, SSD), "action": "add"},
            {
                **rule("far", "follower", 1, {"key": "disk", "op": "notExists"}),
                "action": "add",
            },
        ],
    )
    pd.cluster.advance(300)
    for region in await regions(pd):
        assert region["leader"]["store_id"] in {1, 2, 6}
        assert len(stores_of(region) & {3, 4, 5}) == 1
    region = (await regions(pd))[0]
    far = (stores_of(region) & {3, 4, 5}).pop()
    body = {"name": "transfer-leader", "region_id": region["id"], "to_store_id": far}
    refused = await pd.send("POST", "/operators", body)
    assert refused.json() == "cannot create operator: target leader is not allowed"


async def test_a_region_is_split_where_a_rule_begins(pd: Pd) -> None:
    first = (await regions(pd))[0]
    inside = first["end_key"][:-2]
    assert "" < inside < first["end_key"]
    await pd.send("POST", "/config/rule", rule("extra", "voter", 1, SSD, start_key=inside))
    pd.cluster.advance(300)
    found = await regions(pd)
    assert inside in {region["start_key"] for region in found}
    assert {len(one["peers"]) for one in found if one["start_key"] < inside} == {3}
    assert {len(one["peers"]) for one in found if one["start_key"] >= inside} == {4}


async def test_a_rule_that_overrides_stands_alone_in_its_group(pd: Pd) -> None:
    own = rule("z", "voter", 3, SSD, index=9, override=True)
    await pd.send("POST", "/config/rule", own)
    region_id = (await regions(pd))[0]["id"]
    applied = await pd.get(f"/config/rules/region/{region_id}")
    assert [one["id"] for one in applied] == ["z"]


async def test_an_unmet_rule_is_counted_and_shown_in_the_fit_of_a_region(pd: Pd) -> None:
    nowhere = {"key": "disk", "op": "in", "values": ["tape"]}
    await pd.send("POST", "/config/rule", rule("tape", "voter", 1, nowhere))
    pd.cluster.advance(120)
    region_id = (await regions(pd))[0]["id"]
    fit = await pd.get(f"/config/rules/region/{region_id}/detail")
    held = {one["rule"]["id"]: len(one["peers"]) for one in fit["rule-fits"]}
    assert (held, fit["orphan-peers"]) == ({"default": 3, "tape": 0}, None)
    page = pd.cluster.metrics_text("pd-0")
    assert 'pd_checker_event_count{type="rule_checker",name="no-store-add"}' in page


async def test_replicas_are_removed_again_when_their_rule_goes(pd: Pd) -> None:
    await pd.send("POST", "/config/rule", rule("extra", "voter", 1, SSD))
    pd.cluster.advance(300)
    await pd.send("DELETE", "/config/rule/pd/extra")
    assert await pd.count("extra-peer") == 24
    pd.cluster.advance(300)
    assert {len(region["peers"]) for region in await regions(pd)} == {3}


async def test_rules_that_are_off_are_told_so(pd: Pd) -> None:
    await pd.send("POST", "/config", {"replication.enable-placement-rules": False})
    answer = await pd.send("GET", "/config/rules/region/1/detail")
    assert answer.status_code == 412


async def test_a_voter_that_only_a_rule_for_learners_wants_is_demoted(pd: Pd) -> None:
    batch = [
        {**rule("default", "voter", 2), "action": "add"},
        {**rule("read", "learner", 1), "action": "add"},
    ]
    before = [stores_of(region) for region in await regions(pd)]
    await pd.send("POST", "/config/rules/batch", batch)
    pd.cluster.advance(300)
    found = await regions(pd)
    roles = [sorted(peer["role_name"] for peer in region["peers"]) for region in found]
    assert roles == [["Learner", "Voter", "Voter"]] * 24
    assert [stores_of(region) for region in found] == before, "no replica had to be made"
    names = {one.plan.description for one in pd.cluster.world.pd.records}
    assert names == {"fix-demote-voter"}
    assert broken(pd.cluster.world) == []


async def test_a_rule_for_the_leader_brings_it_to_its_stores_and_keeps_it_there(pd: Pd) -> None:
    batch = [
        {**rule("default", "voter", 2), "action": "add"},
        {**rule("head", "leader", 1, SSD), "action": "add"},
    ]
    await pd.send("POST", "/config/rules/batch", batch)
    pd.cluster.advance(600)
    found = await regions(pd)
    assert {region["leader"]["store_id"] for region in found} <= {1, 2, 6}
    assert {len(region["peers"]) for region in found} == {3}
    ended = len(pd.cluster.world.pd.records)
    pd.cluster.advance(60)
    assert len(pd.cluster.world.pd.records) <= ended, "it does not move in circles"


async def test_a_rule_for_more_than_one_leader_is_refused(pd: Pd) -> None:
    answer = await pd.send("POST", "/config/rule", rule("head", "leader", 2))
    assert (answer.status_code, "multiple leaders" in answer.json()) == (400, True)


async def test_a_witness_rule_means_a_usual_replica_while_witnesses_are_not_enabled(pd: Pd) -> None:
    await pd.send("POST", "/config/rule", rule("extra", "voter", 1, SSD, is_witness=True))
    pd.cluster.advance(300)
    for region in await regions(pd):
        assert [peer["role_name"] for peer in region["peers"]] == ["Voter"] * 4
        assert not any(peer.get("is_witness") for peer in region["peers"])
