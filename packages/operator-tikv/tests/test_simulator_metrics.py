"""The metrics of every process: real names, labels and types, and what each fault shows in them."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.nodes import NodeError, names
from simulator_kit import FIXTURES, Pd, samples

if TYPE_CHECKING:
    from collections.abc import Callable

INVENTORY = json.loads((FIXTURES / "metrics_v8.5.7.json").read_text(encoding="utf-8"))
OF_LIBRARIES = re.compile(r"(process|go|etcd|grpc_server|pd_client)_|tikv_thread_cpu_seconds")
ONE_HOT = [f"store_{state}_count" for state in ("up", "disconnected", "unhealth", "down", "slow")]


def of(cluster: SimulatedCluster, node: str, name: str) -> float:
    """The sum over the series of a metric that have these labels."""
    bare, _brace, labels = name.partition("{")
    wanted = [part for part in labels.rstrip("}").split(",") if part]
    found = samples(cluster.metrics_text(node)).items()
    return sum(
        value
        for series, value in found
        if series.partition("{")[0] == bare and all(part in series for part in wanted)
    )


@pytest.fixture
def cluster() -> SimulatedCluster:
    return SimulatedCluster(seed=5, stores=4, regions=24)


def test_names_labels_and_types_are_those_of_the_real_ones(cluster: SimulatedCluster) -> None:
    for fault in ("corruption", "stop", "clock_offset", "write_stall"):
        cluster.begin_fault(fault)
    cluster.advance(2400)
    wrong = []
    for node in ("pd-0", "pd-1", *(s.node for s in cluster.world.stores.values())):
        if node.startswith("store") and not cluster.world.stores[int(node[6:])].process.alive:
            continue
        for family in text_string_to_metric_families(cluster.metrics_text(node)):
            name = family.name + ("_total" if f"{family.name}_total" in INVENTORY else "")
            known = INVENTORY.get(name)
            labels = {label for s in family.samples for label in s.labels} - {"le"}
            if known is None and not OF_LIBRARIES.match(name):
                wrong.append(f"{name} is not known")
            elif known is not None and [family.type, sorted(labels)] != [
                known[0],
                sorted(known[1]),
            ]:
                wrong.append(f"{name}: {family.type} {labels}, not {known}")
    assert wrong == []


def test_what_the_shipped_rules_read_is_there_but_what_never_existed(
    cluster: SimulatedCluster,
) -> None:
    for fault in ("corruption", "stop", "clock_offset", "store_limit"):
        cluster.begin_fault(fault, **({"stores": [1]} if fault != "clock_offset" else {}))
    cluster.end_fault(2)  # store 1 is heard again, so it exports, and others counted its silence
    cluster.begin_fault("stop", stores=[4])
    cluster.advance(2400)
    text = cluster.metrics_text("pd-0") + cluster.metrics_text("store-1")
    exported = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert set(INVENTORY) - exported <= {"pd_scheduler_event_count"}
    assert "tikv_pd_heartbeat_tick_total" not in exported
    assert "tikv_coprocessor_pending_request" not in exported


@settings(max_examples=6)
@given(
    faults=st.lists(
        st.sampled_from(
            ["slow_disk", "write_stall", "overload", "load", "hot_region", "partition"]
        ),
        min_size=1,
        max_size=3,
    ),
    steps=st.lists(st.sampled_from([1.0, 9.0, 31.0, 200.0]), min_size=2, max_size=5),
)
def test_counters_never_fall_while_a_process_lives(faults: list[str], steps: list[float]) -> None:
    cluster = SimulatedCluster(seed=5, stores=3, regions=6)
    pages: list[dict[str, float]] = []
    for place, seconds in enumerate(steps):
        if place < len(faults):
            cluster.begin_fault(faults[place])
        cluster.advance(seconds)
        text = cluster.metrics_text("store-1") + cluster.metrics_text("pd-0")
        counters = "|".join(re.findall(r"^# TYPE (\S+) (?:counter|histogram)$", text, re.MULTILINE))
        growing = re.compile(rf"({counters})(_bucket|_sum|_count)?(\{{|$)")
        pages.append({name: v for name, v in samples(text).items() if growing.match(name)})
    for before, after in pairwise(pages):
        assert [n for n, value in before.items() if after.get(n, 0.0) < value - 1e-9] == []


def test_buckets_grow_with_their_bounds(cluster: SimulatedCluster) -> None:
    cluster.begin_fault("slow_disk", stores=[1])
    cluster.advance(300)
    for family in text_string_to_metric_families(cluster.metrics_text("store-1")):
        by_series: dict[str, list[tuple[float, float]]] = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                rest = str({k: v for k, v in sample.labels.items() if k != "le"})
                by_series.setdefault(rest, []).append((float(sample.labels["le"]), sample.value))
        for buckets in by_series.values():
            assert buckets == sorted(buckets)
            assert [count for _le, count in buckets] == sorted(count for _le, count in buckets)
            assert buckets[-1][0] == float("inf")


def test_reading_changes_nothing(cluster: SimulatedCluster) -> None:
    other = SimulatedCluster(seed=5, stores=4, regions=24)
    for _ in range(20):
        cluster.advance(7)
        for node in names(cluster.world):
            cluster.metrics_text(node)
    other.advance(140)
    assert cluster.digest == other.digest
    assert cluster.metrics_text("store-1") == other.metrics_text("store-1")


def test_a_new_process_counts_from_zero(cluster: SimulatedCluster) -> None:
    cluster.advance(600)
    started = of(cluster, "store-2", "process_start_time_seconds")
    before = of(cluster, "store-2", "process_cpu_seconds_total")
    cluster.begin_fault("kill", stores=[2])
    with pytest.raises(NodeError, match="store-2 does not answer"):
        cluster.metrics_text("store-2")
    cluster.advance(30)
    assert of(cluster, "store-2", "process_start_time_seconds") > started
    assert of(cluster, "store-2", "process_cpu_seconds_total") < before


async def test_only_the_leader_exports_the_cluster(cluster: SimulatedCluster) -> None:
    pd = Pd(cluster)
    assert not any(n.startswith("pd_cluster_status") for n in samples(cluster.metrics_text("pd-1")))
    cluster.begin_fault("pd_stop")
    cluster.advance(60)
    leader = (await pd.get("/leader"))["name"]
    exporting = [
        node
        for node in ("pd-1", "pd-2")
        if any(n.startswith("pd_cluster_status") for n in samples(cluster.metrics_text(node)))
    ]
    assert exporting == [leader]
    with pytest.raises(NodeError, match="pd-0 does not answer"):
        cluster.metrics_text("pd-0")


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(9, "up"), (60, "disconnected"), (700, "unhealth"), (1900, "down")],
)
def test_a_silent_store_is_in_one_state(
    cluster: SimulatedCluster, seconds: float, state: str
) -> None:
    cluster.begin_fault("stop", stores=[3])
    cluster.advance(seconds)
    text = samples(cluster.metrics_text("pd-0"))
    hot = [s for s in ONE_HOT if text[f'pd_cluster_status{{type="{s}",engine="tikv",store="3"}}']]
    assert hot == [f"store_{state}_count"]


def test_a_lost_quorum_shows_after_ten_minutes(cluster: SimulatedCluster) -> None:
    cluster.begin_fault("stop", stores=[1, 2])
    cluster.advance(500)
    assert of(cluster, "store-3", "tikv_raftstore_leader_missing") == 0
    cluster.advance(200)
    assert of(cluster, "store-3", "tikv_raftstore_leader_missing") > 0


def share_above(metric: str, bound: float) -> Callable[[SimulatedCluster, str], float]:
    """How much of what a histogram saw is above a bound that is one of its buckets' or more."""

    def measure(cluster: SimulatedCluster, node: str) -> float:
        below = total = 0.0
        for family in text_string_to_metric_families(cluster.metrics_text(node)):
            for sample in family.samples:
                if sample.name == f"{metric}_bucket" and float(sample.labels["le"]) <= bound:
                    below = max(below, sample.value)
                elif sample.name == f"{metric}_count":
                    total = max(total, sample.value)
        return (total - below) / max(1.0, total)

    return measure


@pytest.mark.parametrize(
    ("fault", "fields", "node", "metric", "bound"),
    [
        ("slow_disk", {}, "store-1", "tikv_raftstore_append_log_duration_seconds", 1.0),
        ("slow_disk", {}, "store-1", "tikv_scheduler_command_duration_seconds", 1.0),
        ("write_stall", {}, "store-1", "tikv_raftstore_apply_log_duration_seconds", 1.0),
        ("overload", {}, "store-1", "tikv_raftstore_raft_process_duration_secs", 2.0),
        (
            "overload",
            {"pool": "scheduler"},
            "store-1",
            "tikv_scheduler_latch_wait_duration_seconds",
            1.0,
        ),
        (
            "overload",
            {"pool": "coprocessor"},
            "store-1",
            "tikv_coprocessor_request_wait_seconds",
            10.0,
        ),
        ("pd_slow_disk", {}, "pd-0", "etcd_disk_wal_fsync_duration_seconds", 1.0),
        ("pd_slow_network", {}, "pd-0", "etcd_network_peer_round_trip_time_seconds", 1.0),
        ("pd_overload", {}, "pd-0", "pd_client_request_handle_requests_duration_seconds", 0.1),
    ],
)
def test_latencies_cross_the_threshold_of_the_shipped_rule(
    fault: str, fields: dict[str, object], node: str, metric: str, bound: float
) -> None:
    cluster = SimulatedCluster(seed=5, stores=4, regions=24)
    measure = share_above(metric, bound)
    cluster.advance(60)
    assert measure(cluster, node) == 0.0
    where = {} if node.startswith("pd") else {"stores": [1]}
    cluster.begin_fault(fault, **where, **fields)
    cluster.advance(600)
    assert measure(cluster, node) > 0.5


@pytest.mark.parametrize(
    ("fault", "fields", "metric", "rate"),
    [
        ("overload", {}, "tikv_channel_full_total", 0.0),
        ("overload", {}, 'tikv_thread_cpu_seconds_total{name="raftstore', 1.6),
        ("overload", {"pool": "apply"}, 'tikv_thread_cpu_seconds_total{name="apply_0"', 0.9),
        ("corruption", {}, "tikv_critical_error_total", 0.0),
        ("memory_leak", {"mib_per_minute": 1500}, "process_resident_memory_bytes", 5 * 2**30 / 300),
        ("write_stall", {}, 'tikv_engine_write_stall{type="write_stall_average"', 0.0),
    ],
)
def test_counters_and_gauges_grow_as_fast_as_the_shipped_rule_asks(
    cluster: SimulatedCluster, fault: str, fields: dict[str, object], metric: str, rate: float
) -> None:
    cluster.advance(60)
    before = of(cluster, "store-1", metric)
    cluster.begin_fault(fault, stores=[1], **fields)
    cluster.advance(300)
    assert (of(cluster, "store-1", metric) - before) / 300 > rate


def test_a_log_runs_ahead_of_a_follower_that_lags(cluster: SimulatedCluster) -> None:
    def far_behind() -> float:
        name = "tikv_raftstore_log_lag"
        seen = of(cluster, "store-1", f"{name}_count")
        return seen - of(cluster, "store-1", f'{name}_bucket{{le="5120"}}')

    cluster.advance(60)
    assert far_behind() == 0
    number = cluster.begin_fault("lagging_replicas", stores=[2])
    cluster.advance(600)
    assert far_behind() > 0.05 * of(cluster, "store-1", "tikv_raftstore_log_lag_count")
    cluster.end_fault(number)
    cluster.advance(20)
    before = far_behind()
    cluster.advance(60)
    assert far_behind() == before


def test_behind_a_closed_status_port_a_store_serves_all_the_same(cluster: SimulatedCluster) -> None:
    number = cluster.begin_fault("closed_status_port", stores=[1])
    cluster.advance(600)
    with pytest.raises(NodeError, match="status port"):
        cluster.metrics_text("store-1")
    assert of(cluster, "pd-0", 'pd_cluster_status{type="store_up_count",store="1"') == 1.0
    cluster.end_fault(number)
    assert of(cluster, "store-1", "process_start_time_seconds") > 0


def test_the_database_of_pd_uses_the_share_that_was_asked_for(cluster: SimulatedCluster) -> None:
    quota = of(cluster, "pd-1", "etcd_server_quota_backend_bytes")
    usual = of(cluster, "pd-1", "etcd_mvcc_db_total_size_in_bytes")
    number = cluster.begin_fault("pd_database", share=0.9)
    assert of(cluster, "pd-1", "etcd_mvcc_db_total_size_in_bytes") == int(0.9 * quota)
    cluster.end_fault(number)
    assert of(cluster, "pd-1", "etcd_mvcc_db_total_size_in_bytes") == usual < 0.1 * quota


def test_gc_tasks_stop_while_a_service_holds_the_safe_point(cluster: SimulatedCluster) -> None:
    cluster.begin_fault("gc_block", age="30h")
    cluster.advance(20)
    before = of(cluster, "store-1", 'tikv_gcworker_gc_tasks_vec{task="gc"}')
    compactions = of(cluster, "store-1", "tikv_engine_event_total")
    cluster.advance(7200)
    assert of(cluster, "store-1", 'tikv_gcworker_gc_tasks_vec{task="gc"}') == before
    assert of(cluster, "store-1", "tikv_engine_event_total") > compactions


def test_peers_report_a_dead_store_by_its_id(cluster: SimulatedCluster) -> None:
    cluster.begin_fault("stop", stores=[2])
    cluster.advance(600)
    name = 'tikv_server_report_failure_msg_total{store_id="2"}'
    assert sum(of(cluster, f"store-{i}", name) for i in (1, 3, 4)) / 600 > 10
