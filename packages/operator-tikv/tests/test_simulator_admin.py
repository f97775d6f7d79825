"""What else PD keeps, with the texts and statuses of the real one."""

import pytest

from operator_tikv.simulator import ClusterSpec, SimulatedCluster
from simulator_kit import Json, Pd

INVALID = "[PD:unsaferecovery:ErrUnsafeRecoveryInvalidInput]invalid input"
RULE = {"group_id": "pd", "id": "zone", "role": "follower", "count": 1}


@pytest.fixture
def pd() -> Pd:
    cluster = SimulatedCluster(spec=ClusterSpec(seed=7, stores=4, regions=12))
    cluster.advance(30)
    return Pd(cluster)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        (
            "POST",
            "/operators",
            {"name": "transfer-region", "region_id": 5},
            400,
            "invalid store ids to transfer region to",
        ),
        (
            "POST",
            "/operators",
            {"name": "transfer-region", "region_id": 5, "to_store_ids": [1]},
            500,
            "transfer region without peer role is not supported when placement rules enabled",
        ),
        (
            "POST",
            "/operators",
            {"name": "split-region", "region_id": 5},
            400,
            "missing split policy",
        ),
        (
            "POST",
            "/operators",
            {"name": "split-region", "region_id": 5, "policy": "usekey"},
            400,
            "bad format keys",
        ),
        (
            "POST",
            "/operators",
            {"name": "split-region", "region_id": 5, "policy": "x"},
            500,
            "check policy x is not supported",
        ),
        (
            "POST",
            "/operators",
            {"name": "merge-region", "source_region_id": 5},
            400,
            "invalid target region id to merge to",
        ),
        (
            "POST",
            "/operators",
            {"name": "scatter-region", "region_id": 99_999},
            500,
            "[PD:region:ErrRegionNotFound]region 99999 not found",
        ),
        (
            "POST",
            "/config/rule",
            {"id": "x"},
            400,
            "[PD:placement:ErrRuleContent]invalid rule content, rule is not complete",
        ),
        ("POST", "/config/rule", RULE, 200, "Update rule successfully."),
        (
            "DELETE",
            "/config/rule/pd/default",
            None,
            500,
            "[PD:placement:ErrBuildRuleList]build rule list failed, no leader or voter rule",
        ),
        (
            "POST",
            "/config/rule_group",
            {"id": "pd", "index": 1},
            200,
            "Update rule group successfully.",
        ),
        (
            "POST",
            "/config/cluster-version",
            {"cluster-version": "8.5.8"},
            200,
            "The cluster version is updated.",
        ),
        ("POST", "/config/label-property", {"action": "x"}, 500, "unknown action x"),
        ("POST", "/admin/log", "debug", 200, "The log level is updated."),
        ("POST", "/admin/log", "loud", 400, "unknown log level: loud"),
        ("DELETE", "/gc/safepoint/ticdc", None, 200, "Delete service GC safepoint successfully."),
        ("DELETE", "/members/name/pd-9", None, 404, "not found, pd: pd-9"),
        (
            "POST",
            "/stores/limit/scene?type=add-peer",
            {"Idle": 5},
            200,
            "Set store limit scene successfully.",
        ),
        ("POST", "/schedulers", {"name": "scatter-range-scheduler"}, 400, "missing range name"),
        ("POST", "/schedulers", {"name": "make-coffee"}, 400, "unknown scheduler"),
        (
            "POST",
            "/admin/unsafe/remove-failed-stores",
            {"stores": ["a"]},
            400,
            "Store ids are invalid",
        ),
        (
            "POST",
            "/admin/unsafe/remove-failed-stores",
            {"stores": [1]},
            500,
            f"{INVALID} store 1 is up and connected",
        ),
        (
            "POST",
            "/admin/unsafe/remove-failed-stores",
            {"stores": [9]},
            500,
            f"{INVALID} store 9 doesn't exist",
        ),
    ],
)
async def test_pd_answers_in_its_own_words(
    pd: Pd,
    method: str,
    path: str,
    body: Json,
    status: int,
    text: str,
) -> None:
    answer = await pd.send(method, path, body)
    assert (answer.status_code, answer.json()) == (status, text)


async def test_a_split_makes_two_neighbours_and_a_merge_one_again(pd: Pd) -> None:
    before = (await pd.get("/regions/count"))["count"]
    region = (await pd.get("/regions"))["regions"][0]
    body = {"name": "split-region", "region_id": region["id"], "policy": "approximate"}
    assert (await pd.send("POST", "/operators", body)).json() == "The operator is created."
    pd.cluster.advance(5)
    assert (await pd.get("/regions/count"))["count"] == before + 1
    right = await pd.get(f"/region/id/{region['id']}")
    assert right["epoch"]["version"] == region["epoch"]["version"] + 1
    left = next(
        one for one in (await pd.get("/regions"))["regions"] if one["end_key"] == right["start_key"]
    )
    assert left["start_key"] == region["start_key"]
    assert left["leader"]["store_id"] == right["leader"]["store_id"]
    merge = {"source_region_id": left["id"], "target_region_id": right["id"]}
    await pd.send("POST", "/operators", {"name": "merge-region", **merge})
    pd.cluster.advance(5)
    assert (await pd.get("/regions/count"))["count"] == before
    assert (await pd.get(f"/region/id/{left['id']}"))["id"] == 0
    whole = await pd.get(f"/region/id/{right['id']}")
    assert (whole["start_key"], whole["end_key"]) == (region["start_key"], region["end_key"])


async def test_regions_that_do_not_touch_are_not_merged(pd: Pd) -> None:
    regions = sorted((await pd.get("/regions"))["regions"], key=lambda one: one["start_key"])
    merge = {"source_region_id": regions[0]["id"], "target_region_id": regions[2]["id"]}
    answer = await pd.send("POST", "/operators", {"name": "merge-region", **merge})
    assert answer.status_code == 500
    assert "ErrRegionNotAdjacent" in answer.json()


async def test_without_rules_there_is_nothing_to_list(pd: Pd) -> None:
    assert [rule["id"] for rule in await pd.get("/config/rules")] == ["default"]
    await pd.send("POST", "/config", {"enable-placement-rules": "false"})
    answer = await pd.send("GET", "/config/rules")
    assert answer.status_code == 412
    assert "ErrPlacementDisabled" in answer.json()


async def test_the_default_rule_follows_the_number_of_replicas(pd: Pd) -> None:
    await pd.send("POST", "/config", {"replication.max-replicas": 5})
    assert (await pd.get("/config/rule/pd/default"))["count"] == 5


async def test_a_paused_scheduler_runs_again_when_its_time_is_over(pd: Pd) -> None:
    await pd.send("POST", "/schedulers/balance-leader-scheduler", {"delay": 30})
    assert await pd.get("/schedulers?status=paused") == ["balance-leader-scheduler"]
    pd.cluster.advance(31)
    assert await pd.get("/schedulers?status=paused") == []


async def test_the_safe_points_tell_who_holds_garbage_back(pd: Pd) -> None:
    pd.cluster.world.admin.safe_points["ticdc"] = (700, 1_705_900_402)
    found = await pd.get("/gc/safepoint")
    assert [one["service_id"] for one in found["service_gc_safe_points"]] == ["gc_worker", "ticdc"]
    assert found["gc_safe_point"] == 700


async def test_unsafe_recovery_is_staged_and_its_stores_are_tombstones(pd: Pd) -> None:
    path = "/admin/unsafe/remove-failed-stores"
    assert (await pd.get(f"{path}/show"))[0]["info"] == "No on-going recovery."
    pd.cluster.apply_fault("quorum_loss", store_ids=[1, 2])
    pd.cluster.advance(60)
    accepted = await pd.send("POST", path, {"stores": [1, 2], "timeout": 600})
    assert accepted.json() == "Request has been accepted."
    again = await pd.send("POST", path, {"stores": [1, 2]})
    assert "ErrUnsafeRecoveryIsRunning" in again.json()
    pd.cluster.advance(40)
    stages = await pd.get(f"{path}/show")
    assert stages[-1]["info"] == "Unsafe recovery finished"
    assert "actions" in stages[1]
    assert await pd.state_name(1) == "Tombstone"


async def test_a_pd_member_that_was_deleted_is_gone(pd: Pd) -> None:
    world = pd.cluster.world
    victim = next(m for m in world.pd.members if m.name != world.pd.leader_name)
    answer = await pd.send("DELETE", f"/members/id/{victim.member_id}")
    assert answer.json() == f"removed, pd: {victim.name}"
    names = [member["name"] for member in (await pd.get("/members"))["members"]]
    assert victim.name not in names
