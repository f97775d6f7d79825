"""What an action says of its effect when the way to PD goes wrong."""

from collections.abc import AsyncIterator

import httpx
import pytest

from operator_core.errors import (
    ActionFailedError,
    OutcomeUnknownError,
    SubjectError,
    SubjectUnreachableError,
)
from operator_core.subject import ActionCall, ProbeAnswer
from operator_tikv.pd.client import PdClient
from operator_tikv.simulator import SimulatedCluster
from operator_tikv.subject import TikvSubject
from tikv_support import PD_URL, ClusterClock, Meddler, simulated_subject

OPERATORS = "POST /operators"
SCHEDULERS = "POST /schedulers"
CREATED = '"The operator is created."'


@pytest.fixture
def cluster() -> SimulatedCluster:
    cluster = SimulatedCluster(seed=7, stores=4, regions=60)
    cluster.advance(30)
    return cluster


@pytest.fixture
def way(cluster: SimulatedCluster) -> Meddler:
    return Meddler(cluster)


@pytest.fixture
async def subject(cluster: SimulatedCluster, way: Meddler) -> AsyncIterator[TikvSubject]:
    subject = simulated_subject(cluster, way)
    yield subject
    await subject.close()


async def a_leader_transfer(subject: TikvSubject) -> ActionCall:
    region = (await subject._api.regions())[0]
    target = next(p.store_id for p in region.peers if p.store_id != region.leader_store_id)
    parameters = {"region_id": region.id, "to_store_id": target}
    return ActionCall("transfer_leader", parameters, "operator:test:1:1")


@pytest.mark.parametrize("status", ["TIMEOUT", "CANCEL", "REPLACE"])
async def test_a_200_is_queued_and_a_queued_transfer_that_pd_gave_up_has_failed(
    subject: TikvSubject, way: Meddler, status: str
) -> None:
    asked = await a_leader_transfer(subject)
    way.instead[OPERATORS] = httpx.Response(200, text=CREATED)
    way.instead[f"GET /operators/{asked.parameters['region_id']}"] = httpx.Response(
        200, json=f"status: {status}, operator: admin-transfer-leader {{}} (region:1(1, 1))"
    )
    with pytest.raises(ActionFailedError, match=status):
        await subject.perform(asked)
    assert await subject.probe(asked) is ProbeAnswer.NOT_HAPPENED


async def test_a_queued_transfer_whose_effect_never_shows_is_unknown(
    cluster: SimulatedCluster, subject: TikvSubject, way: Meddler
) -> None:
    asked = await a_leader_transfer(subject)
    way.instead[OPERATORS] = httpx.Response(200, text=CREATED)
    began = cluster.now_seconds
    with pytest.raises(OutcomeUnknownError, match="not to be seen"):
        await subject.perform(asked)
    assert 75 <= cluster.now_seconds - began < 80


async def test_a_lost_answer_is_unknown_and_the_probe_settles_it(
    cluster: SimulatedCluster, subject: TikvSubject, way: Meddler
) -> None:
    asked = await a_leader_transfer(subject)
    way.lost.add(OPERATORS)
    with pytest.raises(OutcomeUnknownError, match="no answer"):
        await subject.perform(asked)
    assert way.sent.count(OPERATORS) == 1
    cluster.advance(5)
    assert await subject.probe(asked) is ProbeAnswer.HAPPENED


async def test_a_lost_answer_of_a_drain_is_settled_by_the_probe(
    cluster: SimulatedCluster, subject: TikvSubject, way: Meddler
) -> None:
    way.lost.add(SCHEDULERS)
    with pytest.raises(OutcomeUnknownError):
        await subject.drain_store(store_id=3)
    asked = ActionCall("drain_store", {"store_id": 3}, "operator:test:1:1")
    # Begun and not ended: nobody may build on it yet.
    assert await subject.probe(asked) is ProbeAnswer.UNKNOWN
    cluster.advance(60)
    assert await subject.probe(asked) is ProbeAnswer.HAPPENED


async def test_looks_that_fail_while_waiting_say_nothing_of_the_effect(
    subject: TikvSubject, way: Meddler
) -> None:
    asked = await a_leader_transfer(subject)
    way.lost.add(f"GET /operators/{asked.parameters['region_id']}")
    with pytest.raises(SubjectUnreachableError):
        await subject.perform(asked)
    assert OPERATORS not in way.sent, "what cannot be looked at is not begun"


async def test_a_drain_that_leaves_leaders_behind_is_taken_back_and_names_them(
    subject: TikvSubject, way: Meddler
) -> None:
    # PD takes the eviction and nothing happens.
    way.instead[SCHEDULERS] = httpx.Response(200, json="The scheduler is created.")
    with pytest.raises(ActionFailedError, match=r"still leads 15 regions \(\d+, "):
        await subject.drain_store(store_id=3)
    assert "DELETE /schedulers/evict-leader-scheduler-3" in way.sent


async def test_an_eviction_that_cannot_be_taken_back_is_unknown(
    subject: TikvSubject, way: Meddler
) -> None:
    way.instead[SCHEDULERS] = httpx.Response(200, json="The scheduler is created.")
    way.lost.add("DELETE /schedulers/evict-leader-scheduler-3")
    with pytest.raises(OutcomeUnknownError, match="could not be taken back"):
        await subject.drain_store(store_id=3)


class FailoverClock(ClusterClock):
    """PD loses its leader while an action waits for the first time."""

    is_over = False

    async def sleep(self, seconds: float) -> None:
        if not self.is_over:
            self.cluster.apply_fault("pd_leader_change")
            self.is_over = True
        await super().sleep(seconds)


async def test_a_drain_survives_that_pd_elects_another_leader(
    cluster: SimulatedCluster, way: Meddler
) -> None:
    clock = FailoverClock(cluster)
    subject = TikvSubject(PdClient([PD_URL], transport=way), clock=clock)
    result = await subject.drain_store(store_id=3)
    assert result["after"]["leaders_by_store"]["3"] == 0
    assert way.sent.count(SCHEDULERS) == 1
    assert clock.is_over
    await subject.close()


async def test_an_undrain_without_a_running_balance_says_that_no_leader_returned(
    cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    await subject.drain_store(store_id=3)
    cluster.apply_fault("pause_scheduler", scheduler="balance-leader-scheduler")
    result = await subject.undrain_store(store_id=3)
    assert result["changed"] is True
    assert result["leaders_returned"] is False


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>login</html>"),
        httpx.Response(200, text='{"stores":'),
        httpx.Response(200, json={"stores": [{"store": {"id": "x"}}]}),
        httpx.Response(302, headers={"Location": "http://elsewhere.test"}),
        httpx.Response(403, text="forbidden"),
    ],
)
async def test_garbage_in_one_part_leaves_that_part_incomplete_and_begins_nothing(
    subject: TikvSubject, way: Meddler, answer: httpx.Response
) -> None:
    way.instead["GET /stores"] = answer
    observation = await subject.observe()
    assert not observation.parts["stores"].complete
    assert observation.parts["stores"].error
    assert observation.parts["schedulers"].complete
    with pytest.raises(SubjectError):
        await subject.drain_store(store_id=3)
    assert SCHEDULERS not in way.sent


async def test_a_cluster_that_nobody_answers_for_is_unreachable() -> None:
    class Dead(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

    subject = simulated_subject(SimulatedCluster(), Dead())
    with pytest.raises(SubjectUnreachableError, match="refused"):
        await subject.observe()
    asked = ActionCall("drain_store", {"store_id": 3}, "operator:test:1:1")
    assert await subject.probe(asked) is ProbeAnswer.UNKNOWN
    await subject.close()
