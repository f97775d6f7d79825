"""The subject against the simulated cluster, over PD's HTTP API, in virtual time."""

from collections.abc import AsyncIterator

import pytest

from operator_core.agent.rules import diagnose
from operator_core.errors import ActionFailedError, ActionRefusedError, OutcomeUnknownError
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.types import JsonObject
from operator_tikv.lab import Site
from operator_tikv.simulator import ClusterSpec, SimulatedCluster
from operator_tikv.subject import TikvSubject
from tikv_support import NOW, simulated_subject


@pytest.fixture
def cluster() -> SimulatedCluster:
    cluster = SimulatedCluster(seed=7, stores=4, regions=60)
    cluster.advance(30)
    return cluster


@pytest.fixture
async def subject(cluster: SimulatedCluster) -> AsyncIterator[TikvSubject]:
    subject = simulated_subject(cluster)
    yield subject
    await subject.close()


def broken(subject: TikvSubject, observation: Observation) -> set[str]:
    return {
        violation.key
        for rule in subject.invariants()
        if observation.sees(rule.needs)
        for violation in rule.check(observation)
    }


async def region_to_move(subject: TikvSubject) -> tuple[int, int, list[int], list[int]]:
    """A region: its id, its leader's store, the stores with and without a replica."""
    region = (await subject._api.regions())[0]
    having = [peer.store_id for peer in region.peers]
    lacking = [store_id for store_id in (1, 2, 3, 4) if store_id not in having]
    return region.id, region.leader_store_id, having, lacking


def call(action: str, **parameters: object) -> ActionCall:
    return ActionCall(action, parameters, "operator:test:1:1")


# --- observing ------------------------------------------------------------------------


async def test_a_healthy_cluster_is_seen_whole_and_nothing_is_broken(
    subject: TikvSubject,
) -> None:
    observation = await subject.observe()
    assert {name: part.error for name, part in observation.parts.items() if part.error} == {}
    assert observation.complete
    assert broken(subject, observation) == set()
    assert observation.data("cluster")["healthy_store_ids"] == [1, 2, 3, 4]
    assert observation.data("leaders")["region_count"] == 60
    assert all(0 <= store["last_heartbeat_age_seconds"] <= 11 for store in stores_of(observation))


async def test_tiflash_takes_no_part_in_leaders() -> None:
    cluster = SimulatedCluster(spec=ClusterSpec(stores=3, tiflash_stores=2, regions=60))
    cluster.advance(30)
    subject = simulated_subject(cluster)
    observation = await subject.observe()
    assert broken(subject, observation) == set()
    assert observation.data("cluster")["healthy_store_ids"] == [1, 2, 3]
    await subject.close()


def stores_of(observation: Observation) -> list[JsonObject]:
    return list(observation.data("stores").values())


@pytest.mark.parametrize(
    ("fault", "seconds", "expected"),
    [
        ({"name": "stop_store", "store_id": 2}, 40, {"store_disconnected:store-2"}),
        ({"name": "pause_store", "store_id": 2}, 40, {"store_disconnected:store-2"}),
        ({"name": "low_space", "store_id": 2}, 20, {"low_space:store-2"}),
        ({"name": "forgotten_evict_leader", "store_id": 2}, 30, {"evict_leader_left_over:store-2"}),
        (
            {"name": "leader_imbalance", "store_id": 2},
            70,
            {"leader_imbalance:cluster", "scheduler_paused:balance-leader-scheduler"},
        ),
        ({"name": "pd_no_leader"}, 1, {"pd_no_leader:pd"}),
    ],
)
async def test_a_fault_breaks_its_invariant_and_no_other(
    cluster: SimulatedCluster,
    subject: TikvSubject,
    fault: JsonObject,
    seconds: float,
    expected: set[str],
) -> None:
    details = dict(fault)
    cluster.apply_fault(details.pop("name"), **details)
    cluster.advance(seconds)
    assert broken(subject, await subject.observe()) == expected


async def test_a_store_that_stays_away_is_down_and_its_replicas_are_told(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    cluster.apply_fault("stop_store", 2)
    cluster.advance(1500)
    assert "down_peers:regions" in broken(subject, await subject.observe())
    cluster.advance(400)
    assert "store_down:store-2" in broken(subject, await subject.observe())


async def test_a_lost_quorum_is_seen_although_pd_shows_the_old_leaders(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    cluster.apply_fault("quorum_loss", store_ids=[1, 2])
    cluster.advance(90)
    observation = await subject.observe()
    assert "region_without_leader:regions" in broken(subject, observation)
    violation = next(
        violation
        for rule in subject.invariants()
        for violation in rule.check(observation)
        if violation.invariant == "region_without_leader"
    )
    diagnosis = diagnose(violation, observation, subject.hypotheses(), now=NOW)
    assert diagnosis.hypothesis == "quorum_lost"
    assert diagnosis.escalate
    assert not diagnosis.actions
    assert not diagnosis.workflows


async def test_without_a_leader_of_pd_the_parts_are_incomplete_and_say_why(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    cluster.apply_fault("pd_no_leader")
    observation = await subject.observe()
    assert not observation.parts["stores"].complete
    assert "leader" in str(observation.parts["stores"].error)
    assert observation.parts["pd"].complete


async def test_a_pd_that_nobody_can_ask_for_minutes_is_not_said_to_contradict(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    observation = await subject.observe()
    cluster.apply_fault("pd_no_leader")
    for _ in range(4):
        cluster.advance(60)
        observation = await subject.observe()
    assert not observation.parts["stores"].complete
    assert {name for name, part in observation.parts.items() if not part.agrees} == set()


# --- acting ---------------------------------------------------------------------------


async def test_a_leader_is_transferred_and_the_probe_sees_it(subject: TikvSubject) -> None:
    region_id, leader, having, _ = await region_to_move(subject)
    target = next(store_id for store_id in having if store_id != leader)
    asked = call("transfer_leader", region_id=region_id, to_store_id=target)
    assert await subject.probe(asked) is ProbeAnswer.NOT_HAPPENED
    result = await subject.perform(asked)
    stores = {"peer_store_ids": sorted(having)}
    assert result == {
        "region_id": region_id,
        "to_store_id": target,
        "changed": True,
        "before": {"leader_store_id": leader, **stores},
        "after": {"leader_store_id": target, **stores},
        "undo": {
            "action_name": "transfer_leader",
            "parameters": {"region_id": region_id, "to_store_id": leader},
        },
    }
    assert await subject.probe(asked) is ProbeAnswer.HAPPENED


async def test_a_leader_that_is_there_already_is_left_alone(subject: TikvSubject) -> None:
    region_id, leader, _, _ = await region_to_move(subject)
    result = await subject.transfer_leader(region_id=region_id, to_store_id=leader)
    assert result["changed"] is False


async def test_a_leader_transfer_to_a_store_without_a_voter_is_refused(
    subject: TikvSubject,
) -> None:
    region_id, _, _, lacking = await region_to_move(subject)
    with pytest.raises(ActionRefusedError, match="no voter on store"):
        await subject.transfer_leader(region_id=region_id, to_store_id=lacking[0])


async def test_an_unknown_region_or_store_is_refused(subject: TikvSubject) -> None:
    with pytest.raises(ActionRefusedError, match="knows no region 999999"):
        await subject.transfer_leader(region_id=999_999, to_store_id=1)
    with pytest.raises(ActionRefusedError, match="knows no store 99"):
        await subject.drain_store(store_id=99)


async def test_a_replica_is_moved_with_its_data(subject: TikvSubject) -> None:
    region_id, _, having, lacking = await region_to_move(subject)
    asked = call(
        "transfer_peer", region_id=region_id, from_store_id=having[0], to_store_id=lacking[0]
    )
    assert await subject.probe(asked) is ProbeAnswer.NOT_HAPPENED
    result = await subject.perform(asked)
    assert isinstance(result, dict)
    assert result["after"]["peer_store_ids"] == sorted([*having[1:], lacking[0]])
    assert await subject.probe(asked) is ProbeAnswer.HAPPENED


async def test_a_store_is_drained_and_undrained(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    drain, undrain = call("drain_store", store_id=3), call("undrain_store", store_id=3)
    assert await subject.probe(drain) is ProbeAnswer.NOT_HAPPENED
    assert await subject.probe(undrain) is ProbeAnswer.HAPPENED
    drained = await subject.drain_store(store_id=3)
    assert drained["before"]["leader_count"] > 0
    assert drained["after"]["leaders_by_store"]["3"] == 0
    assert await subject.probe(drain) is ProbeAnswer.HAPPENED
    cluster.advance(120)
    assert (await subject.observe()).data("stores")["3"]["leader_count"] == 0
    undrained = await subject.undrain_store(store_id=3)
    assert undrained["leaders_returned"] is True
    assert undrained["after"]["leader_count"] > 0
    assert await subject.probe(undrain) is ProbeAnswer.HAPPENED


async def test_draining_and_undraining_twice_does_no_more_than_once(subject: TikvSubject) -> None:
    await subject.drain_store(store_id=3)
    assert (await subject.drain_store(store_id=3))["changed"] is False
    await subject.undrain_store(store_id=3)
    assert (await subject.undrain_store(store_id=3))["changed"] is False


async def test_a_second_store_is_not_drained_beside_the_first(subject: TikvSubject) -> None:
    await subject.drain_store(store_id=3)
    with pytest.raises(ActionFailedError, match="one store at a time"):
        await subject.drain_store(store_id=2)


async def test_a_drain_without_safe_takers_is_not_begun(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    cluster.apply_fault("stop_store", 1)
    cluster.apply_fault("stop_store", 2)
    cluster.advance(40)
    with pytest.raises(ActionFailedError, match="Only 1 other healthy"):
        await subject.drain_store(store_id=3)
    assert (await subject.observe()).data("schedulers")["evict_leader_store_ids"] == []


async def test_a_drain_that_cannot_end_is_taken_back(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    # The followers of store 3 do not follow, and PD still calls the stores healthy.
    for store_id in (1, 2, 4):
        cluster.apply_fault("partition_from_peers", store_id)
    with pytest.raises((ActionFailedError, OutcomeUnknownError)):
        await subject.drain_store(store_id=3)
    assert (await subject.observe()).data("schedulers")["evict_leader_store_ids"] == []


async def test_a_paused_scheduler_is_resumed(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    cluster.apply_fault("pause_scheduler", scheduler="balance-leader-scheduler")
    asked = call("resume_scheduler", name="balance-leader-scheduler")
    assert await subject.probe(asked) is ProbeAnswer.NOT_HAPPENED
    assert (await subject.resume_scheduler(name="balance-leader-scheduler"))["changed"] is True
    assert await subject.probe(asked) is ProbeAnswer.HAPPENED
    with pytest.raises(ActionRefusedError, match="runs no scheduler"):
        await subject.resume_scheduler(name="make-coffee-scheduler")


async def test_nothing_is_known_of_an_action_that_nobody_registered(subject: TikvSubject) -> None:
    assert await subject.probe(call("make_coffee")) is ProbeAnswer.UNKNOWN


# --- from the fault to the repair -----------------------------------------------------


async def test_an_interrupted_maintenance_is_found_and_its_workflow_repairs_it(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    cluster.apply_fault("pause_scheduler", scheduler="balance-leader-scheduler")
    cluster.apply_fault("forgotten_evict_leader", 4)
    cluster.advance(70)
    observation = await subject.observe()
    violation = next(
        found
        for rule in subject.invariants()
        for found in rule.check(observation)
        if found.invariant == "evict_leader_left_over"
    )
    diagnosis = diagnose(violation, observation, subject.hypotheses(), now=NOW)
    assert diagnosis.hypothesis == "interrupted_maintenance"
    assert len(diagnosis.alternatives) == 2
    names = [step.action_name for step in diagnosis.workflows[0].actions]
    assert names == ["resume_scheduler", "undrain_store", "wait", "log_message"]
    for step in diagnosis.workflows[0].actions[:2]:
        await subject.perform(call(step.action_name, **step.parameters))
    after = await subject.observe()
    assert broken(subject, after) == set()
    assert after.data("stores")["4"]["leader_count"] > 5


async def test_a_slow_disk_that_pd_leaves_alone_is_found_and_its_store_drained(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    await subject._api.client.send("DELETE", "/schedulers/evict-slow-store-scheduler")
    cluster.apply_fault("slow_disk", 2)
    cluster.advance(100)
    observation = await subject.observe()
    assert broken(subject, observation) == {"slow_store:store-2"}
    violation = next(
        found
        for rule in subject.invariants()
        for found in rule.check(observation)
        if found.invariant == "slow_store"
    )
    diagnosis = diagnose(violation, observation, subject.hypotheses(), now=NOW)
    assert diagnosis.hypothesis == "slow_disk"
    step = diagnosis.workflows[0].actions[0]
    await subject.perform(call(step.action_name, **step.parameters))
    # Drained while it is slow: nothing is broken, and the eviction is not called left over.
    assert broken(subject, await subject.observe()) == set()
    cluster.apply_fault("restore_disk", 2)
    cluster.advance(600)
    assert broken(subject, await subject.observe()) == {"evict_leader_left_over:store-2"}


# --- PD's servers, each for itself ------------------------------------------------------


@pytest.fixture
async def networked(cluster: SimulatedCluster) -> AsyncIterator[TikvSubject]:
    subject = simulated_subject(cluster, Site(cluster))
    yield subject
    await subject.close()


async def looks(subject: TikvSubject, cluster: SimulatedCluster, count: int) -> Observation:
    for _ in range(count - 1):
        await subject.observe()
        cluster.advance(30)
    return await subject.observe()


async def test_a_slow_disk_of_a_pd_server_that_does_not_lead_is_seen_at_that_server(
    cluster: SimulatedCluster, networked: TikvSubject
) -> None:
    cluster.begin_fault("pd_slow_disk", members=["pd-1"])
    assert broken(networked, await looks(networked, cluster, 4)) == {"pd_disk_slow:pd-pd-1"}


async def test_a_clock_that_steps_back_is_a_wrong_clock_and_no_restart(
    cluster: SimulatedCluster, networked: TikvSubject
) -> None:
    await looks(networked, cluster, 3)
    number = cluster.begin_fault("clock_offset", members=["pd-0"], offset="-2s")
    assert broken(networked, await looks(networked, cluster, 4)) == {"pd_clock_slow:pd-pd-0"}
    cluster.end_fault(number)
    assert broken(networked, await looks(networked, cluster, 2)) == {"pd_clock_slow:pd-pd-0"}
