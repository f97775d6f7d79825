"""The client against every kind of answer that a cluster, or what stands before it, gives."""

import base64
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import respx
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_gateway import METRICS_PAGE, Gateway, status_answer
from etcd_samples import QUOTA, url
from operator_core.call_failures import CallFailure, FailureKind, GarbageError
from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    ConfigurationError,
    OutcomeUnknownError,
    SubjectError,
)
from operator_etcd.client import EtcdClient, normal_endpoint
from operator_etcd.failures import failure_from_answer
from operator_etcd.shapes import MemberStatus, parse_metrics

HERE = url("11")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with respx.mock(assert_all_called=False) as router:
        yield Gateway(router)


@pytest.fixture
async def client() -> AsyncIterator[EtcdClient]:
    made = EtcdClient([HERE])
    yield made
    await made.close()


def error(message: str, code: int) -> dict[str, object]:
    return {"error": message, "code": code, "message": message}


@pytest.mark.parametrize(
    ("status", "body", "expected", "reason"),
    [
        (400, error("etcdserver: bad leader transferee", 9), ActionRefusedError, "bad leader"),
        (404, error("etcdserver: member not found", 5), ActionRefusedError, "not found"),
        (400, error("etcdserver: given member URLs are invalid", 3), ActionRefusedError, "URLs"),
        (400, error("etcdserver: not leader", 9), ActionFailedError, "not leader"),
        (412, error("etcdserver: not leader", 9), ActionFailedError, "not leader"),
        (503, error("etcdserver: unhealthy cluster", 14), ActionFailedError, "unhealthy"),
        (429, error("etcdserver: mvcc: database space exceeded", 8), ActionFailedError, "space"),
        (503, error("etcdserver: no leader", 14), ActionFailedError, "no leader"),
        (503, error("etcdserver: request timed out", 14), OutcomeUnknownError, "timed out"),
        (500, error("context deadline exceeded", 2), OutcomeUnknownError, "deadline"),
        (500, error("etcdserver: server stopped", 2), OutcomeUnknownError, "stopped"),
        (401, error("etcdserver: user name is empty", 16), ActionRefusedError, "user name"),
        (500, error("auth: user name is empty", 2), ActionRefusedError, "password_file"),
        (500, error("auth: permission denied", 2), ActionRefusedError, "roles"),
        (404, "Not Found\n", ActionRefusedError, "no etcd v3 gateway"),
        (503, "<html>Service Unavailable</html>", ActionFailedError, "Service"),
        (502, "<html>Bad Gateway</html>", OutcomeUnknownError, "502"),
        (500, "", OutcomeUnknownError, "500"),
        (301, "", OutcomeUnknownError, "301"),
        (200, "<html>Welcome</html>", OutcomeUnknownError, "not a JSON object"),
        (200, "[1]", OutcomeUnknownError, "not a JSON object"),
        (200, "[" * 5000, OutcomeUnknownError, "not a JSON object"),
        (200, b"\xff\xfe\x00", OutcomeUnknownError, "not a JSON object"),
        (400, '{"error": {"deep": 1}, "code": "x"}', ActionRefusedError, "deep"),
    ],
)
async def test_an_answer_says_what_became_of_an_effect(
    gateway: Gateway,
    client: EtcdClient,
    status: int,
    body: object,
    expected: type[SubjectError],
    reason: str,
) -> None:
    gateway.post("11", "cluster/member/remove", body, status)
    with pytest.raises(expected, match=reason) as caught:
        await client.remove(HERE, "22")
    assert isinstance(caught.value, CallFailure)
    assert HERE in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "expected", "kind"),
    [
        (httpx.ConnectError("refused"), ActionFailedError, FailureKind.UNREACHABLE),
        (httpx.ConnectTimeout("slow"), ActionFailedError, FailureKind.UNREACHABLE),
        (httpx.PoolTimeout("full"), ActionFailedError, FailureKind.UNREACHABLE),
        (httpx.ReadTimeout("slow"), OutcomeUnknownError, FailureKind.TIMEOUT),
        (httpx.WriteTimeout("slow"), OutcomeUnknownError, FailureKind.TIMEOUT),
        (httpx.ReadError("reset"), OutcomeUnknownError, FailureKind.RESET),
        (httpx.WriteError("pipe"), OutcomeUnknownError, FailureKind.RESET),
        (httpx.RemoteProtocolError("Server disconnected"), OutcomeUnknownError, FailureKind.RESET),
        (httpx.RemoteProtocolError("illegal line"), OutcomeUnknownError, FailureKind.GARBAGE),
        (httpx.DecodingError("gzip"), OutcomeUnknownError, FailureKind.GARBAGE),
    ],
)
async def test_a_broken_line_says_what_became_of_an_effect(
    gateway: Gateway,
    client: EtcdClient,
    raised: Exception,
    expected: type[SubjectError],
    kind: FailureKind,
) -> None:
    route = gateway.post("11", "maintenance/defragment", raised)
    with pytest.raises(expected) as caught:
        await client.defragment(HERE)
    assert isinstance(caught.value, CallFailure)
    assert caught.value.kind is kind
    assert route.call_count == 1, "an effect is sent once"


async def test_a_refused_connection_is_told_apart() -> None:
    client = EtcdClient(["http://127.0.0.1:1"])
    with pytest.raises(ActionFailedError, match="connection refused") as caught:
        await client.status("http://127.0.0.1:1")
    assert isinstance(caught.value, CallFailure)
    assert caught.value.kind is FailureKind.REFUSED
    await client.close()


async def test_a_read_is_tried_again_after_a_cut_connection(
    gateway: Gateway, client: EtcdClient
) -> None:
    answers: list[httpx.Response | Exception] = [httpx.ReadError("reset")]
    answers += [httpx.Response(200, json=status_answer("11"))]
    route = gateway.router.post(f"{HERE}/v3/maintenance/status").mock(side_effect=answers)
    assert (await client.status(HERE)).db_size_bytes == 20480
    assert route.call_count == 2


async def test_an_endless_answer_is_cut_off(
    gateway: Gateway, client: EtcdClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operator_etcd.transport.MAX_ANSWER_BYTES", 1000)
    gateway.get("11", "/metrics", "x" * 2000)
    with pytest.raises(GarbageError, match="longer than 1000 bytes"):
        await client.metrics(HERE)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"version": 3},
        status_answer("11", dbSize="many"),
        status_answer("11", dbSize="-1"),
        status_answer("11", leader="-5"),
        status_answer("11", leader=["x"]),
        status_answer("11", errors="none"),
        status_answer("x"),
        status_answer("11", header="none"),
    ],
)
async def test_a_status_of_another_shape_is_garbage(
    gateway: Gateway, client: EtcdClient, answer: dict[str, object]
) -> None:
    gateway.post("11", "maintenance/status", answer)
    with pytest.raises(GarbageError, match="maintenance/status"):
        await client.status(HERE)


async def test_zero_fields_may_be_left_out_or_null(gateway: Gateway, client: EtcdClient) -> None:
    bare = status_answer("11", leader=None, raftIndex=None) | {"errors": None, "isLearner": None}
    gateway.post("11", "maintenance/status", bare)
    status = await client.status(HERE)
    assert (status.leader_id, status.raft_index, status.errors) == (None, 0, [])


async def test_ids_keep_all_their_digits(gateway: Gateway, client: EtcdClient) -> None:
    large = 2**64 - 1
    listed = {"members": [{"ID": str(large)}, {"ID": large - 1, "isLearner": True}]}
    gateway.post("11", "cluster/member/list", listed)
    first, second = await client.member_list(HERE)
    assert (first.id, second.id) == (str(large), str(large - 1))
    assert second.is_learner
    assert not first.is_learner


async def test_alarms_without_the_key_are_none(gateway: Gateway, client: EtcdClient) -> None:
    assert await client.alarms(HERE) == []
    raised = [{"memberID": "11", "alarm": "NOSPACE"}, {"memberID": "22"}]
    gateway.post("11", "maintenance/alarm", {"alarms": raised})
    assert [(one.member_id, one.alarm) for one in await client.alarms(HERE)] == [("11", "NOSPACE")]


def test_alarms_are_also_read_from_a_status() -> None:
    texts = ["etcdserver: no leader", "memberID:11 alarm:NOSPACE ", "memberID:22  alarm:CORRUPT"]
    status = MemberStatus.model_validate(status_answer("11", errors=texts))
    assert [(one.member_id, one.alarm) for one in status.alarms()] == [
        ("11", "NOSPACE"),
        ("22", "CORRUPT"),
    ]


async def test_health_of_both_versions(gateway: Gateway, client: EtcdClient) -> None:
    gateway.get("11", "/health", {"health": "false", "reason": "RAFT NO LEADER"}, 503)
    assert (await client.health(HERE)).reason == "RAFT NO LEADER"
    gateway.get("11", "/health", {"health": "false"}, 503)
    health = await client.health(HERE)
    assert (health.healthy, health.reason) == (False, "")
    gateway.get("11", "/health", "<html>", 200)
    with pytest.raises(GarbageError):
        await client.health(HERE)


def test_metrics_are_picked_and_summed() -> None:
    assert parse_metrics(METRICS_PAGE) == {
        "has_leader": 1,
        "quota_backend_bytes": QUOTA,
        "active_peers": 2,
        "keys": 6,
        "compact_revision": -1,
    }


@pytest.mark.parametrize("page", ["", "<html>", "etcd_server_has_leader x\n", "up 1\n"])
def test_a_page_without_our_metrics_is_garbage(page: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_metrics(page)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_metrics_or_a_value_error(text: str) -> None:
    try:
        parse_metrics("etcd_server_has_leader" + text)
    except ValueError:
        return


@settings(deadline=None)
@given(st.integers(100, 599), st.none() | st.integers(-1, 20), st.text())
def test_any_error_answer_becomes_a_failure(status: int, code: int | None, reason: str) -> None:
    failure = failure_from_answer(HERE, status, code, reason)
    kinds = (ActionFailedError, ActionRefusedError, OutcomeUnknownError)
    assert isinstance(failure, kinds)
    assert len(failure.reason) <= 400


async def test_values_travel_as_base64(gateway: Gateway, client: EtcdClient) -> None:
    route = gateway.post("11", "kv/put", {})
    await client.put(HERE, b"\x00key", b"\xffvalue")
    sent = json.loads(route.calls.last.request.content)
    assert base64.b64decode(sent["key"]) == b"\x00key"
    assert base64.b64decode(sent["value"]) == b"\xffvalue"


@pytest.mark.parametrize("answer", [{"kvs": 1}, {"kvs": [1]}, {"kvs": [{"value": "*"}]}])
async def test_a_value_of_another_shape_is_garbage(
    gateway: Gateway, client: EtcdClient, answer: dict[str, object]
) -> None:
    gateway.post("11", "kv/range", answer)
    with pytest.raises(GarbageError):
        await client.get(HERE, b"key")


async def test_compacting_what_is_compacted_is_done(gateway: Gateway, client: EtcdClient) -> None:
    gone = error("etcdserver: mvcc: required revision has been compacted", 11)
    gateway.post("11", "kv/compaction", gone, 400)
    assert await client.compact(HERE, 5) is False
    gateway.post("11", "kv/range", gone, 400)
    assert await client.is_compacted(HERE, 5) is True
    future = error("etcdserver: mvcc: required revision is a future revision", 11)
    gateway.post("11", "kv/compaction", future, 400)
    with pytest.raises(ActionRefusedError, match="future"):
        await client.compact(HERE, 5)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("http://a:1/", "http://a:1"),
        (" a:1 ", "http://a:1"),
        ("https://a:1", "https://a:1"),
        ("http://[::1]:2379", "http://[::1]:2379"),
    ],
)
def test_endpoints_are_written_in_one_way(written: str, expected: str) -> None:
    assert normal_endpoint(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ftp://a",
        "http://",
        "http://a/b",
        "http://u:p@a",
        "a b",
        "http://a:x",
        "http://a:99999",
        "http://[a",
    ],
)
def test_what_is_no_endpoint_is_refused(written: str) -> None:
    with pytest.raises(ConfigurationError):
        normal_endpoint(written)


def test_a_client_needs_an_endpoint() -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        EtcdClient([])
