"""The client of PD against everything that breaks naive clients."""

import json

import httpx
import pytest
import respx

from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
    SubjectUnreachableError,
)
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import PdClient
from operator_tikv.pd.errors import PdAnswerError, PdRefusalError
from operator_tikv.pd.operators import OperatorStatus
from tikv_support import API_URL, PD_URL, fixture

OTHER_URL = "http://pd-other.test:2379"
OTHER_API = f"{OTHER_URL}/pd/api/v1"
NO_LEADER = "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader"


@pytest.fixture
def api() -> PdApi:
    return PdApi(PdClient([PD_URL, f"{OTHER_URL}/"]))


@respx.mock
async def test_the_content_type_says_nothing(api: PdApi) -> None:
    body = b'{"id":10,"peers":[{"id":11,"store_id":1,"role_name":"Voter"}]}'
    respx.get(f"{API_URL}/region/id/10").respond(
        content=body, headers={"Content-Type": "application/octet-stream"}
    )
    region = await api.region(10)
    assert region is not None
    assert region.id == 10


@respx.mock
@pytest.mark.parametrize(
    "body",
    [b'{"id":0,"start_key":"","end_key":"","leader":{"role_name":""},"cpu_usage":0}', b"null"],
)
async def test_an_unknown_region_is_not_found_although_pd_answers_200(
    api: PdApi, body: bytes
) -> None:
    respx.get(f"{API_URL}/region/id/10").respond(content=body)
    assert await api.region(10) is None


@respx.mock
async def test_a_transfer_names_the_store_as_pd_wants_it(api: PdApi) -> None:
    route = respx.post(f"{API_URL}/operators").respond(json="The operator is created.")
    await api.add_operator("transfer-leader", region_id=10, to_store_id=2)
    sent = json.loads(route.calls.last.request.content)
    assert sent == {"name": "transfer-leader", "region_id": 10, "to_store_id": 2}


@respx.mock
async def test_another_member_is_asked_when_one_finds_no_leader(api: PdApi) -> None:
    respx.get(f"{API_URL}/stores").respond(503, text=NO_LEADER)
    respx.get(f"{OTHER_API}/stores").respond(json=fixture("fx_stores_v4.0.14.json"))
    stores, _ = await api.stores()
    assert len(stores) == 3
    assert api.client.url == OTHER_URL


@respx.mock
async def test_the_member_that_answered_is_asked_first_the_next_time(api: PdApi) -> None:
    dead = respx.get(f"{API_URL}/regions/count").mock(side_effect=httpx.ConnectError("refused"))
    respx.get(f"{OTHER_API}/regions/count").respond(json={"count": 7, "regions": None})
    assert await api.region_count() == 7
    assert await api.region_count() == 7
    assert dead.call_count == 1


@respx.mock
async def test_unreachable_members_are_named(api: PdApi) -> None:
    respx.get(f"{API_URL}/stores").mock(side_effect=httpx.ConnectError("refused"))
    respx.get(f"{OTHER_API}/stores").mock(side_effect=httpx.ReadTimeout("slow"))
    with pytest.raises(SubjectUnreachableError, match=r"pd\.test.*refused.*pd-other\.test.*slow"):
        await api.stores()


@respx.mock
async def test_the_reason_of_a_refusal_reaches_the_person(api: PdApi) -> None:
    respx.get(f"{API_URL}/stores").respond(
        500, json="[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped"
    )
    with pytest.raises(PdRefusalError, match="not bootstrapped"):
        await api.stores()


@respx.mock
@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b'{"count":1,"stores":[', b"[1,2]", b'{"stores":[{"x":1}]}']
)
async def test_garbage_is_a_clear_error(api: PdApi, body: bytes) -> None:
    respx.get(f"{API_URL}/stores").respond(content=body)
    respx.get(f"{OTHER_API}/stores").respond(content=body)
    with pytest.raises(PdAnswerError):
        await api.stores()


# --- effects --------------------------------------------------------------------------


@respx.mock
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, "[PD:region:ErrRegionNotFound]region 9 not found", ActionRefusedError),
        (500, "region has no voter in store 5", ActionRefusedError),
        (500, "[PD:core:ErrStoreNotFound]store 9 not found", ActionRefusedError),
        (410, "[PD:core:ErrStoreRemoved]store 4 has been removed", ActionRefusedError),
        (400, "missing region id", ActionRefusedError),
        (400, {"code": "input", "msg": "bad id", "data": None}, ActionRefusedError),
        (500, "no operator step is built", ActionRefusedError),
        (500, "[PD:operator:ErrAddOperator]failed to add operator", ActionFailedError),
        (500, "cannot build operator for region with no leader", ActionFailedError),
        (500, "cannot transfer leader to 3: unhealthy", ActionFailedError),
        (500, "[PD:core:ErrStoreUnhealthy]store 3 is unhealthy", ActionFailedError),
        (500, "cannot create operator: target leader is not allowed", ActionFailedError),
        (429, "too many requests", ActionFailedError),
        (500, "something new", ActionFailedError),
        (502, "bad gateway", OutcomeUnknownError),
        (504, "gateway time-out", OutcomeUnknownError),
        (500, "<html>error</html>", OutcomeUnknownError),
    ],
)
async def test_a_refusal_says_what_became_of_the_effect(
    api: PdApi, status: int, body: object, expected: type[SubjectError]
) -> None:
    respx.post(f"{API_URL}/operators").respond(status, json=body)
    with pytest.raises(expected) as caught:
        await api.add_operator("transfer-leader", region_id=9, to_store_id=5)
    text = str(body["msg"] if isinstance(body, dict) else body)
    assert text in str(caught.value)


@respx.mock
async def test_what_was_never_sent_has_surely_failed(api: PdApi) -> None:
    respx.post(f"{API_URL}/operators").mock(side_effect=httpx.ConnectError("refused"))
    respx.post(f"{OTHER_API}/operators").respond(503, text=NO_LEADER)
    with pytest.raises(ActionFailedError, match=r"refused.*redirect finds no leader"):
        await api.add_operator("transfer-leader", region_id=9, to_store_id=5)


@respx.mock
@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), httpx.RemoteProtocolError("cut")],
)
async def test_what_was_sent_without_an_answer_is_unknown_and_not_sent_again(
    api: PdApi, error: httpx.HTTPError
) -> None:
    respx.post(f"{API_URL}/operators").mock(side_effect=error)
    other = respx.post(f"{OTHER_API}/operators").respond(json="The operator is created.")
    with pytest.raises(OutcomeUnknownError):
        await api.add_operator("transfer-leader", region_id=9, to_store_id=5)
    assert not other.called


@respx.mock
async def test_a_200_that_is_not_pds_is_unknown(api: PdApi) -> None:
    respx.post(f"{API_URL}/operators").respond(html="<html>Welcome</html>")
    with pytest.raises(OutcomeUnknownError, match="not by PD"):
        await api.add_operator("transfer-leader", region_id=9, to_store_id=5)


@respx.mock
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "null"),
        (404, "null"),
        (404, '"[PD:scheduler:ErrSchedulerNotFound]scheduler not found"'),
    ],
)
async def test_ending_an_eviction_that_nobody_runs_is_no_error(
    api: PdApi, status: int, body: str
) -> None:
    url = f"{API_URL}/schedulers/evict-leader-scheduler-4"
    route = respx.delete(url).respond(status, text=body)
    await api.stop_evicting(4)
    assert route.call_count == 1


# --- schedulers and operators ---------------------------------------------------------


@respx.mock
async def test_nobody_is_evicted_where_the_scheduler_does_not_run(api: PdApi) -> None:
    url = f"{API_URL}/scheduler-config/evict-leader-scheduler/list"
    respx.get(url).respond(404, text="404 page not found")
    assert await api.evicted_store_ids(["balance-leader-scheduler"]) == []


@respx.mock
async def test_evicted_stores_are_found_in_new_and_old_forms(api: PdApi) -> None:
    url = f"{API_URL}/scheduler-config/evict-leader-scheduler/list"
    ranges = {"1": [{"start-key": "", "end-key": ""}]}
    respx.get(url).respond(json={"store-id-ranges": ranges, "batch": 3})
    names = ["evict-leader-scheduler", "evict-leader-scheduler-7", "balance-leader-scheduler"]
    assert await api.evicted_store_ids(names) == [1, 7]


@respx.mock
async def test_schedulers_of_a_captured_answer_are_listed(api: PdApi) -> None:
    respx.get(f"{API_URL}/schedulers").respond(json=fixture("fx_schedulers_v8.1.0_evicting.json"))
    assert "evict-leader-scheduler" in await api.schedulers()


@respx.mock
async def test_an_operator_that_pd_forgot_is_none_although_it_answers_500(api: PdApi) -> None:
    url = f"{API_URL}/operators/10"
    respx.get(url).respond(500, json="[PD:operator:ErrOperatorNotFound]operator not found")
    assert await api.operator_status(10) is OperatorStatus.NONE
