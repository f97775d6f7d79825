"""Metrics as parts of an observation: from Prometheus, from each process, or not at all."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from operator_core.errors import ConfigurationError
from operator_core.monitor.judge import judge
from operator_core.monitor.types import Observation, Part
from operator_tikv.invariants import INVARIANTS
from operator_tikv.metrics.sight import MetricsEye, MetricsSettings, member_pages
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import PdClient
from operator_tikv.pd.types import Member
from operator_tikv.plugin import metrics_settings
from operator_tikv.reads import PdState
from tikv_support import NOW, PD_URL, make_observation, make_store

STORES = [make_store(number, meta_status_address=f"kv-{number}:20180") for number in (1, 2, 10)]
MEMBERS = [
    Member(name=name, member_id=number, client_urls=[f"http://{name}:2379"])
    for number, name in enumerate(("pd-0", "pd-1"), start=1)
]
PD = PdState(MEMBERS, MEMBERS[0])


class MovedClock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class FakePrometheus(httpx.AsyncBaseTransport):
    """Answers with recorded series, by a part of the question."""

    def __init__(self, recorded: Mapping[str, Sequence[tuple[dict[str, str], str]]]) -> None:
        self.recorded = recorded
        self.asked: list[str] = []
        self.status = 200

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = (await request.aread()).decode()
        question = parse_qs(body)["query"][0]
        self.asked.append(question)
        if self.status != 200:
            error = {"status": "error", "errorType": "bad_data", "error": "parse error"}
            return httpx.Response(self.status, json=error)
        result = [
            {"metric": labels, "value": [1700000000.1, value]}
            for part, series in self.recorded.items()
            if part in question
            for labels, value in series
        ]
        data = {"resultType": "vector", "result": result}
        return httpx.Response(200, json={"status": "success", "data": data})


class Pages(httpx.AsyncBaseTransport):
    """The processes' own pages, by host; a host without a page is dead."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if request.url.host not in self.pages:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, text=self.pages[request.url.host])


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
async def api(pages: Pages) -> AsyncIterator[PdApi]:
    client = PdClient([PD_URL], transport=pages)
    yield PdApi(client)
    await client.close()


def seen(parts: Mapping[str, Part]) -> Observation:
    rest = make_observation(STORES)
    return rest.model_copy(update={"parts": {**rest.parts, **parts}})


def broken(parts: Mapping[str, Part]) -> set[str]:
    judged = judge(INVARIANTS, seen(parts))
    return {violation.key for one in judged for violation in one.violations}


# --- Prometheus ---------------------------------------------------------------------------

RECORDED = {
    "histogram_quantile(0.99, sum by (instance, le) (rate(tikv_raftstore_append_log": [
        ({"instance": "kv-1:20180"}, "1.5"),
        ({"instance": "kv-10:20180"}, "NaN"),
        ({"instance": "somebody:20180"}, "9"),
    ],
    "tikv_critical_error_total": [
        ({"instance": "kv-10:20180", "type": "sst_corruption"}, "0.2"),
        ({"instance": "kv-10:20180", "type": "other"}, "0"),
    ],
    "etcd_disk_wal_fsync": [({"instance": "pd-0:2379"}, "0.002")],
    "pd_client_request": [({"instance": "tidb-7:10080"}, "0.5")],
    "tidb_tikvclient_gc_action": [({"instance": "tidb-7:10080"}, "0.5")],
}


async def asked(
    api: PdApi, clock: MovedClock, fake: FakePrometheus, **labels: str
) -> dict[str, Part]:
    settings = MetricsSettings(
        prometheus_url="http://prom:9090/", prometheus_labels=labels, transport=fake
    )
    eye = MetricsEye(api, clock, settings)
    parts = await eye.look(STORES, PD)
    await eye.close()
    return parts


async def test_answers_of_prometheus_become_readings_of_their_processes(
    api: PdApi, clock: MovedClock, pages: Pages
) -> None:
    fake = FakePrometheus(RECORDED)
    parts = await asked(api, clock, fake, tidb_cluster="prod")
    readings = parts["store_metrics"].data["readings"]
    assert readings["raft_append_p99_seconds"] == {"1": 1.5}
    assert readings["critical_errors_per_second"] == {"10": {"sst_corruption": 0.2, "other": 0}}
    assert parts["pd_metrics"].data["readings"]["etcd_fsync_p99_seconds"] == {"pd-0": 0.002}
    assert list(parts["store_metrics"].data["unseen"]) == ["2"]
    assert all(part.source == "http://prom:9090" for part in parts.values())
    assert all('tidb_cluster="prod"' in question for question in fake.asked)
    assert pages.asked == []


async def test_what_prometheus_tells_breaks_the_rules_it_should(
    api: PdApi, clock: MovedClock
) -> None:
    parts = await asked(api, clock, FakePrometheus(RECORDED))
    assert broken(parts) == {
        "raft_append_slow:store-1",
        "tikv_critical_error:store-10",
        "client_tso_slow:client-tidb-7:10080",
        "client_gc_failing:client-tidb-7:10080",
    }


async def test_an_idle_cluster_has_no_data_and_that_is_no_error(
    api: PdApi, clock: MovedClock
) -> None:
    parts = await asked(api, clock, FakePrometheus({}))
    assert all(part.complete for part in parts.values())
    assert broken(parts) == set()


async def test_a_prometheus_that_refuses_makes_its_parts_incomplete(
    api: PdApi, clock: MovedClock
) -> None:
    fake = FakePrometheus(RECORDED)
    fake.status = 400
    parts = await asked(api, clock, fake)
    assert {part.complete for part in parts.values()} == {False}
    assert "parse error" in str(parts["store_metrics"].error)


async def test_another_service_in_the_place_of_prometheus_is_told(
    api: PdApi, clock: MovedClock
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"hello": 1}))
    settings = MetricsSettings(prometheus_url="http://prom", transport=transport)
    eye = MetricsEye(api, clock, settings)
    parts = await eye.look(STORES, PD)
    await eye.close()
    assert "is Prometheus's own URL" in str(parts["store_metrics"].error)


# --- the processes themselves -------------------------------------------------------------

STORE_PAGE = """process_start_time_seconds 1
process_cpu_seconds_total {cpu}
tikv_server_cpu_cores_quota 4
tikv_raftstore_leader_missing {missing}
tikv_server_report_failure_msg_total{{type="unreachable",store_id="2"}} {failures}
"""
PD_PAGE = "process_start_time_seconds 1\nprocess_cpu_seconds_total 1\npd_service_maxprocs 4\n"


def store_page(cpu: float = 0, missing: int = 0, failures: int = 0) -> str:
    return STORE_PAGE.format(cpu=cpu, missing=missing, failures=failures)


async def test_two_looks_at_the_processes_give_rates(
    api: PdApi, clock: MovedClock, pages: Pages
) -> None:
    pages.pages = {f"kv-{number}": store_page() for number in (1, 2, 10)}
    pages.pages |= {"pd-0": PD_PAGE, "pd-1": PD_PAGE}
    eye = MetricsEye(api, clock, MetricsSettings())
    first = await eye.look(STORES, PD)
    assert first["store_metrics"].data["unrated"] == ["1", "2", "10"]
    assert broken(first) == set()
    await clock.sleep(10)
    pages.pages |= {"kv-1": store_page(cpu=39, missing=3), "kv-10": store_page(failures=500)}
    found = broken(await eye.look(STORES, PD))
    assert found == {
        "tikv_cpu_high:store-1",
        "leader_missing:store-1",
        "partial_partition:store-2",
    }


async def test_rates_are_those_of_the_time_that_a_cluster_lives_in(
    api: PdApi, clock: MovedClock, pages: Pages
) -> None:
    pages.pages = {f"kv-{number}": store_page() for number in (1, 2, 10)}
    eye = MetricsEye(api, clock, metrics_settings({"time_scale": 20}))
    await eye.look(STORES, None)
    await clock.sleep(10)  # 200 s of the cluster
    pages.pages["kv-1"] = store_page(cpu=400)
    readings = (await eye.look(STORES, None))["store_metrics"].data["readings"]
    assert readings["cpu_cores"]["1"] == pytest.approx(2.0)


async def test_a_store_that_cannot_be_read_hides_only_its_own_rules(
    api: PdApi, clock: MovedClock, pages: Pages
) -> None:
    pages.pages = {"kv-1": store_page(), "kv-2": store_page(), "pd-0": PD_PAGE, "pd-1": PD_PAGE}
    parts = await MetricsEye(api, clock, MetricsSettings()).look(STORES, PD)
    assert parts["store_metrics"].complete
    assert broken(parts) == {"store_metrics_unreachable:store-10"}
    judged = {one.name: one for one in judge(INVARIANTS, seen(parts))}
    assert judged["leader_missing"].clears("store-1")
    assert not judged["leader_missing"].clears("store-10")
    assert not judged["write_stall"].clears("store-1")  # its rate is not known yet


async def test_where_no_process_answers_the_part_says_so(api: PdApi, clock: MovedClock) -> None:
    parts = await MetricsEye(api, clock, MetricsSettings()).look(STORES, PD)
    assert not parts["store_metrics"].complete
    assert "--no-read-metrics" in str(parts["store_metrics"].error)
    assert broken(parts) == {"source_unreadable:store_metrics", "source_unreadable:pd_metrics"}


async def test_metrics_can_be_turned_off(api: PdApi, clock: MovedClock, pages: Pages) -> None:
    parts = await MetricsEye(api, clock, MetricsSettings(is_on=False)).look(STORES, PD)
    assert pages.asked == []
    assert broken(parts) == set()
    judged = {one.name: one for one in judge(INVARIANTS, seen(parts))}
    assert not judged["leader_missing"].clears("store-1")


def test_members_behind_one_url_are_the_leader_to_us() -> None:
    shared = [one.model_copy(update={"client_urls": ["http://lb:1"]}) for one in MEMBERS]
    assert member_pages(shared, shared[1], PD_URL) == {"pd-1": "http://lb:1/metrics"}
    bare = [Member(name="pd-0", member_id=1)]
    assert member_pages(bare, bare[0], PD_URL) == {"pd-0": f"{PD_URL}/metrics"}


# --- settings -----------------------------------------------------------------------------


def test_the_settings_say_how_metrics_are_read() -> None:
    assert metrics_settings({}) == MetricsSettings()
    given = {"prometheus_url": "https://p/x", "prometheus_labels": 'a="b", c=d', "read_metrics": 1}
    found = metrics_settings(given)
    assert found.prometheus_labels == {"a": "b", "c": "d"}
    assert not metrics_settings({"read_metrics": False}).is_on


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prometheus_url": "p:9090"}, "prometheus_url is 'p:9090'"),
        ({"prometheus_url": "http://p/?q=1"}, "prometheus_url"),
        ({"prometheus_labels": "prod"}, "prometheus_labels has 'prod'"),
        ({"prometheus_labels": "a-b=c"}, "prometheus_labels"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        metrics_settings(given)
