"""Looking at a cluster whose members answer, stay silent, or talk nonsense."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import respx

from etcd_gateway import METRICS_PAGE, Gateway, header, member_answer, status_answer
from etcd_samples import IDS, QUOTA, broken, url
from operator_core.errors import ConfigurationError, SubjectUnreachableError
from operator_core.monitor.types import Observation
from operator_core.process_supervisor import ProcessStatus
from operator_etcd.client import EtcdClient
from operator_etcd.subject import EtcdSubject

REFUSED = httpx.ConnectError("refused")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with respx.mock(assert_all_called=False) as router:
        yield Gateway(router)


@pytest.fixture
async def subject() -> AsyncIterator[EtcdSubject]:
    made = EtcdSubject(EtcdClient([url(one) for one in IDS]), name="sample")
    yield made
    await made.close()


async def test_a_healthy_cluster(gateway: Gateway, subject: EtcdSubject) -> None:
    seen = await subject.observe()
    assert seen.subject == "sample"
    assert seen.complete
    assert broken(seen) == []
    assert seen.data("members")["members"]["22"]["name"] == "n2"
    assert seen.data("status")["11"]["is_leader"] is True
    assert seen.data("cluster")["leader_id"] == "11"
    assert seen.data("keyspace") == {
        "revision": 100,
        "compact_revision": 0,
        "history_revisions": 99,
        "keys": 6,
        "kept_revisions": 99,
        "superseded_revisions": 93,
        "superseded_share": 0.9394,
    }
    assert Observation.model_validate_json(seen.model_dump_json()) == seen


async def test_one_named_endpoint_is_enough_to_see_all(gateway: Gateway) -> None:
    subject = EtcdSubject(EtcdClient([url("22")]))
    assert len((await subject.observe()).data("status")) == 3
    gateway.silence("22", REFUSED)
    seen = await subject.observe()
    assert seen.data("cluster")["unreachable"] == ["22"], "the others were learnt"
    await subject.close()


async def test_addresses_that_only_the_members_reach_do_not_matter(gateway: Gateway) -> None:
    inside = [member_answer(one) | {"clientURLs": [f"http://10.0.0.{one}:2379"]} for one in IDS]
    for one in IDS:
        gateway.post(one, "cluster/member/list", {"members": inside})
    subject = EtcdSubject(EtcdClient([url(one) for one in IDS]))
    seen = await subject.observe()
    assert broken(seen) == []
    assert seen.data("status")["22"]["endpoint"] == url("22")
    await subject.close()


async def test_a_silent_member_is_a_fact(gateway: Gateway, subject: EtcdSubject) -> None:
    gateway.silence("33", httpx.ReadTimeout("frozen"))
    seen = await subject.observe()
    assert seen.complete
    assert seen.data("status")["33"]["failure"] == "timeout"
    assert broken(seen) == ["member_down:member-33", "quorum_at_risk:cluster"]


async def test_no_answer_at_all_is_no_observation(gateway: Gateway, subject: EtcdSubject) -> None:
    for one in IDS:
        gateway.silence(one, REFUSED)
    with pytest.raises(SubjectUnreachableError, match="No etcd endpoint answers"):
        await subject.observe()


async def test_nonsense_from_everybody_is_no_observation(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    for one in IDS:
        gateway.post(one, "maintenance/status", "<html>hello</html>")
    with pytest.raises(SubjectUnreachableError, match="not a JSON object"):
        await subject.observe()


async def test_members_of_two_clusters_are_not_mixed(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    other = status_answer("22", header=header("22") | {"cluster_id": "8"})
    gateway.post("22", "maintenance/status", other)
    with pytest.raises(SubjectUnreachableError, match="different etcd clusters"):
        await subject.observe()


async def test_etcd_3_4_leaves_the_header_out(gateway: Gateway, subject: EtcdSubject) -> None:
    for one in IDS:
        answer = status_answer(one, header=None, version="3.4.23")
        gateway.post(one, "maintenance/status", answer)
        gateway.get(one, "/health", {"health": "true"})
    seen = await subject.observe()
    assert seen.complete
    assert broken(seen) == []
    assert len(seen.data("status")) == 3


async def test_an_unreadable_member_list_leaves_the_part_incomplete(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    for one in IDS:
        gateway.post(one, "cluster/member/list", {"members": []})
    seen = await subject.observe()
    assert not seen.parts["members"].complete
    assert not seen.parts["cluster"].complete
    assert "empty member list" in str(seen.parts["members"].error)
    assert len(seen.data("status")) == 3
    assert broken(seen) == []


async def test_unreadable_metrics_and_health_leave_their_parts_incomplete(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    gateway.get("22", "/metrics", "<html>")
    gateway.get("33", "/health", "<html>")
    seen = await subject.observe()
    assert not seen.parts["metrics"].complete
    assert not seen.parts["health"].complete
    assert set(seen.data("metrics")) == {"11", "33"}
    assert seen.parts["cluster"].complete


async def test_without_the_metric_the_keys_are_counted(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    for one in IDS:
        lines = [line for line in METRICS_PAGE.splitlines() if "mvcc" not in line]
        gateway.get(one, "/metrics", "\n".join(lines))
        gateway.post(one, "kv/range", {"header": header(one), "count": "40"})
    seen = await subject.observe()
    assert seen.data("keyspace")["keys"] == 40
    for one in IDS:
        gateway.post(one, "kv/range", {"error": "denied", "code": 7, "message": "denied"}, 403)
    seen = await subject.observe()
    assert not seen.parts["keyspace"].complete


async def test_where_space_is_short_it_is_asked_what_the_compaction_left(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    page = METRICS_PAGE.replace("compact_revision -1", "compact_revision 90")
    for one in IDS:
        gateway.get(one, "/metrics", page)
    left = [gateway.post(one, "kv/range", {"header": header(one), "count": "8"}) for one in IDS]
    assert (await subject.observe()).data("keyspace")["superseded_revisions"] == 4
    assert not any(one.called for one in left), "it takes a while where there are many keys"
    for one in IDS:
        gateway.post(one, "maintenance/status", status_answer(one, dbSize=str(QUOTA)))
    keyspace = (await subject.observe()).data("keyspace")
    assert keyspace["kept_revisions"] == 8 + 10, "what was left, and what was written since"
    assert keyspace["superseded_revisions"] == 12
    gone = {"error": "required revision has been compacted", "code": 11}
    for one in IDS:
        gateway.post(one, "kv/range", gone, 400)
    seen = await subject.observe()
    assert seen.data("keyspace")["superseded_revisions"] == 4
    assert seen.parts["keyspace"].complete


async def test_without_a_leader_alarms_come_from_the_members(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    errors = ["etcdserver: no leader", "memberID:22 alarm:NOSPACE "]
    for one in IDS:
        gateway.post(one, "maintenance/status", status_answer(one, leader=None, errors=errors))
    alarms = gateway.post("11", "maintenance/alarm", {}, 500)
    seen = await subject.observe()
    assert seen.data("alarms")["alarms"] == [{"member_id": "22", "alarm": "NOSPACE"}]
    assert alarms.call_count == 0, "it could only time out"
    assert broken(seen) == ["no_leader:cluster", "alarm_nospace:cluster"]


async def test_an_alarm_call_that_fails_falls_back_to_the_members(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    errors = ["memberID:22 alarm:CORRUPT "]
    for one in IDS:
        gateway.post(one, "maintenance/status", status_answer(one, errors=errors))
    gateway.post("11", "maintenance/alarm", "<html>", 502)
    assert broken(await subject.observe()) == ["alarm_corrupt:member-22"]


async def test_an_address_that_belongs_to_another_member_is_told(
    gateway: Gateway, subject: EtcdSubject
) -> None:
    gateway.post("33", "maintenance/status", status_answer("22"))
    seen = await subject.observe()
    assert seen.data("status")["33"]["failure"] == "garbage"


class _LostFile:
    available = True

    async def status(self, member_name: str) -> ProcessStatus:
        raise ConfigurationError(f"{member_name}: the file is gone")

    async def restart(self, member_name: str) -> ProcessStatus:
        raise NotImplementedError


async def test_a_supervisor_that_fails_does_not_hide_the_cluster(gateway: Gateway) -> None:
    subject = EtcdSubject(EtcdClient([url("11")]), _LostFile())
    seen = await subject.observe()
    assert not seen.parts["processes"].complete
    assert seen.parts["status"].complete
    await subject.close()
