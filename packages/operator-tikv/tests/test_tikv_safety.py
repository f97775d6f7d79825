"""What must never be done is refused before anything is sent, and what goes on is told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)
from operator_core.subject import ActionCall, ProbeAnswer
from operator_tikv import facts, preflight, preflight_regions
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import ReplicateConfig, ScheduleConfig, StoreInfo
from operator_tikv.view import Trouble, View
from tikv_cases import LABEL_RULE, RULE, Stage, make_stage
from tikv_support import NOW, make_region, make_store

TIFLASH = [{"key": "engine", "value": "tiflash"}]
DOWN: dict[str, Any] = {"meta_state_name": "Down", "age_seconds": 3000}


def view(*stores: StoreInfo, evicted: tuple[int, ...] = (), **more: Any) -> View:  # noqa: ANN401 - any field of a view
    known = stores or tuple(make_store(number) for number in range(1, 5))
    return View(
        stores={store.id: store for store in known},
        healthy=facts.cluster_facts(known, NOW, evicted)["healthy_store_ids"],
        evicted=evicted,
        schedulers=["balance-leader-scheduler"],
        paused=[],
        config=ScheduleConfig.model_validate(more.pop("config", {})),
        **more,
    )


def five(**changed: Any) -> tuple[StoreInfo, ...]:  # noqa: ANN401 - any key of a store
    """Five stores; the third is changed."""
    return tuple(make_store(number, **(changed if number == 3 else {})) for number in range(1, 6))


# --- the whole cluster ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("healthy", "members", "is_enough"), [(2, 3, True), (1, 3, False), (1, 2, False), (1, 1, True)]
)
def test_nothing_is_changed_without_a_majority_of_pd(
    healthy: int, members: int, is_enough: bool
) -> None:
    seen = view(member_count=members, healthy_member_count=healthy)
    if is_enough:
        preflight.check_pd(seen)
    else:
        with pytest.raises(ActionFailedError, match="no majority"):
            preflight.check_pd(seen)


ELSEWHERE = Trouble(10, "down-peer", frozenset({2}))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (view(*five(**DOWN)), "does not hear store 3"),
        (view(*five(age_seconds=25)), "does not hear store 3"),
        (view(*five(meta_state=1, meta_state_name="Offline")), "Store 3 is on its way out"),
        (view(*five(), evicted=(3,)), "leaders of store 3 are being evicted"),
        (view(*five(), troubles=[ELSEWHERE]), "1 regions have replicas in trouble"),
        (view(*five(), troubles=[Trouble(10, "miss-peer", frozenset())]), "miss-peer: 10"),
        (view(*five(), config={"halt-scheduling": "true"}), "halted"),
        (view(*five(), config={"replica-schedule-limit": 0}), "makes no replicas"),
        (view(*five(), paused_checkers=["rule"]), "checker rule is paused"),
        (view(*five(), denied=["frozen"]), "frozen forbids scheduling"),
    ],
)
def test_a_store_is_not_deleted_while_something_else_goes_on(seen: View, words: str) -> None:
    with pytest.raises(ActionFailedError, match=words):
        preflight.check_delete(seen, 1)


@pytest.mark.parametrize(
    "seen",
    [
        view(*five()),
        view(*five(), troubles=[replace(ELSEWHERE, store_ids=frozenset({1}))]),
        view(*five(), troubles=[ELSEWHERE], busy={10}),
        view(make_store(1, **DOWN), *five()[1:]),
    ],
)
def test_a_store_is_deleted_where_its_own_troubles_are_the_only_ones(seen: View) -> None:
    preflight.check_delete(seen, 1)


FULL: dict[str, Any] = {"available": "10GiB"}


@pytest.mark.parametrize(
    ("stores", "words"),
    [
        # PD counts TiFlash and stores that are Down, and would accept.
        (
            (make_store(1), make_store(2), make_store(3), make_store(4, meta_labels=TIFLASH)),
            "Only 2 healthy TiKV stores would remain",
        ),
        ((make_store(1), make_store(2), make_store(3), make_store(4, **DOWN)), "Only 2 healthy"),
        ((make_store(1), make_store(2), make_store(3), make_store(4, **FULL)), "have room"),
        ((make_store(1, region_size=10**7), *five()[1:]), "do not fit"),
    ],
)
def test_a_store_is_not_deleted_when_too_few_remain_by_our_own_count(
    stores: tuple[StoreInfo, ...], words: str
) -> None:
    with pytest.raises(ActionFailedError, match=words):
        preflight.check_delete(view(*stores), 1)


def test_a_store_that_may_come_back_is_not_deleted() -> None:
    silent = make_store(1, meta_state_name="Disconnected", age_seconds=300)
    with pytest.raises(ActionFailedError, match="may come back"):
        preflight.check_delete(view(silent, *five()[1:]), 1)


# --- one region -------------------------------------------------------------------------


def peer(store_id: int) -> dict[str, Any]:
    return {"id": 1000 + store_id, "store_id": store_id, "role_name": "Voter"}


@pytest.mark.parametrize(
    ("stores", "more", "target", "expected"),
    [
        ([1, 2, 3, 4], {}, 4, None),
        ([1, 2, 3], {"down_peers": [{"peer": peer(3)}]}, 3, None),
        ([1, 2, 3], {"pending_peers": [peer(3)]}, 3, None),
        ([1, 2, 3], {}, 3, ActionRefusedError),
        ([1, 2, 3], {}, 4, ActionRefusedError),
        ([1, 2, 3], {"down_peers": [{"peer": peer(3)}, {"peer": peer(2)}]}, 3, ActionFailedError),
        ([1, 2], {"down_peers": [{"peer": peer(2)}]}, 2, ActionFailedError),
    ],
)
def test_a_replica_is_given_away_only_where_the_others_are_enough(
    stores: list[int], more: dict[str, Any], target: int, expected: type[SubjectError] | None
) -> None:
    region = make_region(10, stores, leader=1, **more)
    seen = view(replicate=ReplicateConfig())
    if expected is None:
        preflight_regions.check_peer_removal(seen, region, target, OperatorStatus.NONE)
    else:
        with pytest.raises(expected):
            preflight_regions.check_peer_removal(seen, region, target, OperatorStatus.NONE)


# --- against the simulator --------------------------------------------------------------


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = make_stage(regions=12)
    yield stage
    await stage.subject.close()


async def perform(stage: Stage, action: str, **parameters: Any) -> Any:  # noqa: ANN401 - JSON
    call = ActionCall(action, parameters, "operator:test:1:1", progress=stage.said.append)
    return await stage.subject.perform(call)


def effects(stage: Stage) -> list[str]:
    return [name for name in stage.way.sent if not name.startswith("GET ")]


@pytest.mark.parametrize(
    ("action", "parameters", "words"),
    [
        ("transfer_leader", {"region_id": 999_999, "to_store_id": 2}, "knows no region"),
        ("transfer_peer", {"region_id": 5, "from_store_id": 1, "to_store_id": 99}, "no store 99"),
        ("transfer_region", {"region_id": 5, "to_store_ids": [1, 2]}, "would have 2 voters"),
        ("transfer_region", {"region_id": 5, "to_store_ids": [1, 1, 2]}, "each store once"),
        (
            "transfer_region",
            {"region_id": 5, "to_store_ids": [1, 2, 3], "peer_roles": ["king"]},
            "peer_roles",
        ),
        ("remove_peer", {"region_id": 5, "store_id": 1}, "not given away"),
        ("split_region", {"region_id": 5, "policy": "usekey"}, "keys go with"),
        ("split_region", {"region_id": 5, "policy": "usekey", "keys": ["zz"]}, "Not inside"),
        ("merge_regions", {"source_region_id": 5, "target_region_id": 5}, "into another"),
        ("drain_store", {"store_id": 99}, "no store 99"),
        ("grant_leaders", {"store_id": 99}, "no store 99"),
        ("cancel_delete_store", {"store_id": 99}, "gone"),
        ("delete_store", {"store_id": 99}, "no store 99"),
        ("set_store_limit", {"store_id": 99, "rate": 5.0}, "no store 99"),
        (
            "set_store_weight",
            {"store_id": 99, "leader_weight": 1.0, "region_weight": 1.0},
            "no store 99",
        ),
        ("set_store_labels", {"store_id": 1, "labels": {"engine": "tiflash"}}, "engine"),
        ("set_store_labels", {"store_id": 1, "labels": {}}, "at least one"),
        ("pause_scheduler", {"name": "make-coffee", "seconds": 5}, "runs no scheduler"),
        ("remove_scheduler", {"name": "evict-leader-scheduler"}, "undrain_store"),
        (
            "configure_scheduler",
            {"name": "balance-hot-region-scheduler", "item": "x", "value": "1"},
            "no item",
        ),
        ("configure_scheduler", {"name": "nobody", "item": "x", "value": "1"}, "could be"),
        ("set_schedule_config", {"item": "no-such", "value": "1"}, "no item"),
        ("set_schedule_config", {"item": "max-store-down-time", "value": "5m"}, "below 30m"),
        ("set_schedule_config", {"item": "max-store-down-time", "value": "soon"}, "no duration"),
        ("set_schedule_config", {"item": "max-store-down-time", "value": "72h"}, "is lost"),
        ("set_schedule_config", {"item": "halt-scheduling", "value": "true"}, "repair nothing"),
        ("set_schedule_config", {"item": "replica-schedule-limit", "value": "0"}, "nothing"),
        ("set_schedule_config", {"item": "enable-make-up-replica", "value": "false"}, "less"),
        ("set_schedule_config", {"item": "low-space-ratio", "value": "0.99"}, "from 0 to 0.95"),
        (
            "set_replication_config",
            {"item": "enable-placement-rules", "value": "false"},
            "disable_placement_rules",
        ),
        ("set_rule_group", {"group_id": "x", "index": 9, "override": True}, "No rule would be"),
        ("set_replication_config", {"item": "max-replicas", "value": "5"}, "there are 4"),
        ("set_replication_config", {"item": "max-replicas", "value": "0"}, "whole number"),
        ("set_cluster_version", {"version": "8.1.0"}, "does not go back"),
        ("set_cluster_version", {"version": "9.0.0"}, "Stores are older"),
        ("set_replication_mode", {"settings": {"replication-mode": "x"}}, "majority or"),
        ("set_placement_rules", {"rules": [{**RULE, "count": 9}]}, "wants 9 replicas"),
        ("set_placement_rules", {"rules": []}, "at least one"),
        ("replace_placement_rules", {"rules": [{**RULE, "role": "learner"}]}, "keeps voters"),
        ("delete_placement_rule", {"group_id": "pd", "rule_id": "default"}, "keeps voters"),
        ("transfer_pd_leader", {"name": "pd-99"}, "no member"),
        ("delete_pd_member", {"name": "pd-1", "member_id": "1"}, "has the id"),
        ("delete_gc_safepoint", {"service_id": "gc_worker", "safe_point": "1"}, "itself"),
        ("unsafe_remove_failed_stores", {"store_ids": [1]}, "not Down"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_sent(
    stage: Stage, action: str, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(ActionRefusedError, match=words):
        await perform(stage, action, **parameters)
    assert effects(stage) == []


async def test_without_a_majority_of_pd_nothing_is_sent(stage: Stage) -> None:
    pd = stage.cluster.world.pd
    pd.stopped_members |= {m.name for m in pd.members if m.name != pd.leader_name}
    for action in ("drain_store", "delete_store"):
        with pytest.raises(ActionFailedError, match="no majority"):
            await perform(stage, action, store_id=3)
    assert effects(stage) == []


async def test_pd_would_delete_a_store_beside_a_dead_one_and_we_do_not(stage: Stage) -> None:
    stage.cluster.apply_fault("stop_store", 4)
    stage.cluster.advance(40)
    with pytest.raises(ActionFailedError, match="Only 2 healthy TiKV stores would remain"):
        await perform(stage, "delete_store", store_id=1)
    assert effects(stage) == []
    await stage.send("DELETE", "/store/1")  # PD takes it


async def test_a_delete_tells_how_many_replicas_are_left_until_the_store_is_gone(
    stage: Stage,
) -> None:
    result = await perform(stage, "delete_store", store_id=4)
    assert result["after"]["state_name"] == "Tombstone"
    left = [int(text.split(": ")[1].split(" of ")[0]) for text in stage.said if " of " in text]
    assert len(left) > 3
    assert left == sorted(left, reverse=True)
    assert result["undo"] is None, "what is gone is not brought back"


async def test_a_delete_that_comes_no_further_is_unknown_and_says_how_to_go_on(
    stage: Stage,
) -> None:
    call = ActionCall("delete_store", {"store_id": 4}, "operator:test:1:1")
    clock = stage.subject._hands.clock
    slept = clock.sleep

    async def halted(seconds: float) -> None:
        stage.cluster.world.pd.config.update("schedule.halt-scheduling", "true")
        await slept(seconds)

    clock.sleep = halted  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknownError, match=r"no further for 1800 s.*cancel_delete_store"):
        await stage.subject.perform(call)
    assert await stage.subject.probe(call) is ProbeAnswer.UNKNOWN
    clock.sleep = slept  # type: ignore[method-assign]
    await perform(stage, "cancel_delete_store", store_id=4)
    assert await stage.subject.probe(call) is ProbeAnswer.NOT_HAPPENED


async def test_a_cancelled_delete_puts_back_the_limit_that_pd_forgot(stage: Stage) -> None:
    await stage.send("DELETE", "/store/4")
    stage.cluster.world.pd.former_limits.clear()  # as after a change of PD's leader
    result = await perform(stage, "cancel_delete_store", store_id=4)
    assert result["remove_peer_limit_put_back"] is True
    limits = await stage.subject._api.read("/stores/limit")
    assert isinstance(limits, dict)
    assert limits["4"] == {"add-peer": 15, "remove-peer": 15}


async def test_a_range_that_is_not_scheduled_keeps_a_drain_from_being_begun(stage: Stage) -> None:
    await stage.send("POST", "/config/region-label/rule", {**LABEL_RULE, "id": "frozen"})
    stage.way.sent.clear()
    with pytest.raises(ActionFailedError, match="frozen forbids scheduling"):
        await perform(stage, "drain_store", store_id=3)
    assert effects(stage) == []


async def test_an_operator_of_somebody_else_is_not_cancelled(stage: Stage) -> None:
    region_id, _, having, lacking = await stage.region()
    body = {"name": "transfer-peer", "region_id": region_id, "from_store_id": having[0]}
    await stage.send("POST", "/operators", {**body, "to_store_id": lacking[0]})
    with pytest.raises(ActionFailedError, match="not 'admin-add-peer'"):
        await perform(stage, "cancel_operator", region_id=region_id, operator_name="admin-add-peer")


async def test_unsafe_recovery_wants_all_lost_stores_and_a_lost_majority(stage: Stage) -> None:
    stage.cluster.apply_fault("quorum_loss", store_ids=[1, 2])
    stage.cluster.advance(1900)
    with pytest.raises(ActionRefusedError, match="2 are left out"):
        await perform(stage, "unsafe_remove_failed_stores", store_ids=[1])
    assert effects(stage) == []


async def test_unsafe_recovery_of_a_minority_is_refused(stage: Stage) -> None:
    stage.cluster.apply_fault("stop_store", 1)
    stage.cluster.advance(1900)
    with pytest.raises(ActionRefusedError, match="no majority"):
        await perform(stage, "unsafe_remove_failed_stores", store_ids=[1])
    assert effects(stage) == []


async def test_unsafe_recovery_goes_through_its_stages(stage: Stage) -> None:
    stage.cluster.apply_fault("quorum_loss", store_ids=[1, 2])
    stage.cluster.advance(1900)
    result = await perform(stage, "unsafe_remove_failed_stores", store_ids=[1, 2])
    told = " / ".join(stage.said)
    for stage_name in ("collect report", "force leader", "demote failed voter"):
        assert stage_name in told
    assert result["after"]["tombstone_store_ids"] == [1, 2]
    stage.cluster.advance(30)
    observation = await stage.subject.observe()
    assert observation.data("leaders")["without_leader_count"] == 0


async def test_a_safe_point_that_moves_belongs_to_a_living_service(stage: Stage) -> None:
    stage.cluster.world.admin.safe_points["br"] = (700, 1)
    with pytest.raises(ActionRefusedError, match="moved on to 700"):
        await perform(stage, "delete_gc_safepoint", service_id="br", safe_point="699")


async def test_a_pd_member_that_is_not_ready_does_not_become_leader(stage: Stage) -> None:
    pd = stage.cluster.world.pd
    name = next(member.name for member in pd.members if member.name != pd.leader_name)

    async def still_loading(urls: object) -> bool:
        del urls
        return False

    stage.subject._api.client.is_ready = still_loading  # type: ignore[method-assign]
    with pytest.raises(ActionFailedError, match="still loading regions"):
        await perform(stage, "transfer_pd_leader", name=name)
    assert effects(stage) == []


async def test_a_healthy_pd_member_of_three_is_kept(stage: Stage) -> None:
    pd = stage.cluster.world.pd
    member = next(member for member in pd.members if member.name != pd.leader_name)
    arguments = {"name": member.name, "member_id": str(member.member_id)}
    with pytest.raises(ActionFailedError, match="survive no failure"):
        await perform(stage, "delete_pd_member", **arguments)
    leader = next(member for member in pd.members if member.name == pd.leader_name)
    with pytest.raises(ActionFailedError, match="transfer the leader first"):
        await perform(stage, "delete_pd_member", name=leader.name, member_id=str(leader.member_id))
    assert effects(stage) == []


async def test_a_moved_replica_is_watched(stage: Stage) -> None:
    for name in ("balance-region-scheduler", "balance-leader-scheduler"):
        await stage.send("POST", f"/schedulers/{name}", {"delay": 3600})
    region_id, leader, having, lacking = await stage.region()
    source = next(store_id for store_id in having if store_id != leader)
    result = await perform(
        stage, "transfer_peer", region_id=region_id, from_store_id=source, to_store_id=lacking[0]
    )
    assert result["stayed"] is True


async def test_a_replica_beyond_the_full_count_does_not_stay(stage: Stage) -> None:
    region_id, _, _, lacking = await stage.region()
    result = await perform(stage, "add_peer", region_id=region_id, store_id=lacking[0])
    assert result["stayed"] is False
