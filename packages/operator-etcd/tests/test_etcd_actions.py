"""Actions against a gateway that answers 200 and does nothing, or is busy with something else."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import respx

from etcd_gateway import METRICS_PAGE, Gateway, member_answer, status_answer
from etcd_samples import IDS, url
from operator_core.errors import ActionFailedError, ActionRefusedError, OutcomeUnknownError
from operator_etcd.client import EtcdClient
from operator_etcd.subject import EtcdSubject

RAISED = {"alarms": [{"memberID": "22", "alarm": "NOSPACE"}]}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with respx.mock(assert_all_called=False) as router:
        yield Gateway(router)


@pytest.fixture
async def subject() -> AsyncIterator[EtcdSubject]:
    made = EtcdSubject(EtcdClient([url(one) for one in IDS]), settle_seconds=0.0)
    yield made
    await made.close()


async def test_a_disarming_that_does_nothing_is_noticed(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    route = gateway.post("11", "maintenance/alarm", RAISED)
    with pytest.raises(ActionFailedError, match="still raised"):
        await subject.disarm_alarm("22")
    assert route.call_count == 3, "read, disarm, read again"


async def test_a_disarming_that_cannot_be_checked_is_in_doubt(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    answers: list[httpx.Response | Exception] = [
        httpx.Response(200, json=RAISED),
        httpx.Response(200, json={}),
        httpx.ReadTimeout("slow"),
    ]
    gateway.router.post(f"{url('11')}/v3/maintenance/alarm").mock(side_effect=answers)
    with pytest.raises(OutcomeUnknownError):
        await subject.disarm_alarm("22")


async def test_a_look_before_that_fails_is_a_sure_failure(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    gateway.post("11", "maintenance/alarm", httpx.ReadTimeout("slow"))
    with pytest.raises(ActionFailedError, match="Nothing was done"):
        await subject.disarm_alarm("22")
    for one in IDS:
        gateway.silence(one, httpx.ReadTimeout("slow"))
    with pytest.raises(ActionFailedError, match="Nothing was done"):
        await subject.compact()


async def test_one_member_is_defragmented_at_a_time(gateway: Gateway, subject: EtcdSubject) -> None:
    gateway.get("33", "/metrics", METRICS_PAGE + "etcd_disk_defrag_inflight 1\n")
    route = gateway.post("22", "maintenance/defragment", {})
    with pytest.raises(ActionFailedError, match="n3 is being defragmented"):
        await subject.defragment("22")
    async with subject._hands.rewriting:
        with pytest.raises(ActionFailedError, match="one at a time"):
            await subject.defragment("22")
    assert route.call_count == 0
    gateway.get("33", "/metrics", METRICS_PAGE)
    assert (await subject.defragment("22"))["changed"] is False
    assert route.call_count == 1


async def test_a_leader_that_does_not_change_is_in_doubt(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    route = gateway.post("11", "maintenance/transfer-leadership", {})
    with pytest.raises(OutcomeUnknownError, match="effect was not seen"):
        await subject.move_leader("22")
    assert route.call_count == 1


async def test_learners_do_not_lead(gateway: Gateway, subject: EtcdSubject) -> None:
    members = [member_answer(one) | {"isLearner": one == "33"} for one in IDS]
    gateway.post("11", "cluster/member/list", {"members": members})
    with pytest.raises(ActionRefusedError, match="learner"):
        await subject.move_leader("33")


async def test_a_learner_that_lags_is_promoted_later(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    members = [member_answer(one) | {"isLearner": one == "33"} for one in IDS]
    gateway.post("11", "cluster/member/list", {"members": members})
    lags = "etcdserver: can only promote a learner member which is in sync with leader"
    gateway.post("11", "cluster/member/promote", {"message": lags, "code": 9}, 400)
    with pytest.raises(ActionFailedError, match="in sync"):
        await subject.promote_member("33")


async def test_a_peer_address_that_has_a_vote_is_not_added(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    with pytest.raises(ActionRefusedError, match="belongs to n2"):
        await subject.add_learner("http://etcd-22:2380")


async def test_the_leader_is_removed_by_way_of_another(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    route = gateway.post("22", "cluster/member/remove", {})
    with pytest.raises(OutcomeUnknownError):
        await subject.remove_member("11")
    assert route.call_count == 1


async def test_a_compaction_that_is_in_doubt_stays_in_doubt(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    gateway.post("11", "kv/compaction", httpx.ReadTimeout("slow"))
    with pytest.raises(OutcomeUnknownError):
        await subject.compact(revision=50)


async def test_without_a_leader_nothing_is_sent(gateway: Gateway, subject: EtcdSubject) -> None:
    for one in IDS:
        gateway.post(one, "maintenance/status", status_answer(one, leader=None))
    with pytest.raises(ActionFailedError, match="no leader"):
        await subject.compact(revision=50)
    with pytest.raises(ActionFailedError, match="no leader"):
        await subject.disarm_alarm("22")
