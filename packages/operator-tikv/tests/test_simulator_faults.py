"""The fault language: every fault by its name, what it shows, and that it ends."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.faults.timeline import KINDS
from operator_tikv.simulator.faults.words import FaultError, read_seconds
from operator_tikv.simulator.invariants import broken
from operator_tikv.simulator.scenario import build, read_scenario
from simulator_kit import Pd, samples

DOCUMENT = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
FAILURES = {int(number): faults for number, _name, faults in _ROW.findall(DOCUMENT)}
NEEDS: dict[str, dict[str, object]] = {
    "config": {"item": "leader-schedule-limit", "value": 0},
    "labels": {"labels": {"zone": "z9"}},
}


def tables(row: str) -> list[dict[str, object]]:
    """Read the inline tables of one row."""
    texts = re.findall(r"`(\{.+?\})`(?= |$)", row)
    return [tomllib.loads(f"it = {text}")["it"] for text in texts]


@pytest.fixture
def cluster() -> SimulatedCluster:
    return SimulatedCluster(seed=5, stores=4, regions=24)


def test_all_38_failures_are_in_the_document() -> None:
    assert sorted(FAILURES) == list(range(1, 39))


@pytest.mark.parametrize("number", sorted(FAILURES))
def test_every_failure_of_the_document_can_be_made(number: int) -> None:
    faults = tables(FAILURES[number])
    scenario = read_scenario({"cluster": {"stores": 4, "regions": 24}, "faults": faults})
    cluster = build(scenario)
    cluster.advance(900)
    refused = [e for e in cluster.world.history.entries if "refused" in e.detail]
    begun = {active.name for active in cluster.world.active.values()}
    lasting = {p.name for p in scenario.faults if not p.until_seconds and p.at_seconds < 900}
    assert faults
    assert refused == []
    assert lasting <= begun
    assert broken(cluster.world) == []


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_fault_is_documented_with_its_parameters(name: str) -> None:
    row = next(line for line in DOCUMENT.splitlines() if line.startswith(f"| `{name}` |"))
    fields = {field.alias or key for key, field in KINDS[name].model_fields.items()}
    assert all(f"`{field}`" in row for field in fields), (fields, row)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_fault_begins_and_ends(cluster: SimulatedCluster, name: str) -> None:
    number = cluster.begin_fault(name, **NEEDS.get(name, {}))
    cluster.advance(120)
    assert broken(cluster.world) == []
    cluster.end_fault(number)
    cluster.advance(120)
    assert broken(cluster.world) == []
    assert cluster.world.active == {}
    gone = {"ghost_store", "delete_store"}  # these stores do not come back
    assert name in gone or all(s.process.alive for s in cluster.world.stores.values())


@pytest.mark.parametrize(
    ("name", "fields", "complaint"),
    [
        ("odd", {}, "unknown fault 'odd'; known: broken_peers"),
        ("stop", {"stores": ["1"]}, "stop: stores.0: must be a whole number"),
        ("stop", {"stores": [9]}, "no store 9"),
        ("stop", {"shop": 1}, "stop: shop: is no key here; known"),
        ("slow_disk", {"latency": "soon"}, "slow_disk: latency: 'soon' is no duration"),
        ("slow_disk", {"latency": True}, "slow_disk: latency: True is no duration"),
        ("pd_stop", {"members": ["pd-9"]}, "no PD member 'pd-9'; there are pd-0, pd-1, pd-2"),
        ("config", {"item": "odd", "value": 1}, "config item odd not found"),
        ("pause_scheduler", {"scheduler": "odd"}, "no scheduler 'odd' runs"),
        ("hot_region", {"region": 999_999}, "no region 999999"),
        ("full_disk", {"left": 2}, "full_disk: left: Input should be less than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    cluster: SimulatedCluster, name: str, fields: dict[str, object], complaint: str
) -> None:
    with pytest.raises(FaultError, match=re.escape(complaint)):
        cluster.begin_fault(name, **fields)
    assert cluster.world.active == {}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), (7, 7), ("2d", 172_800)]
)
def test_durations(text: object, seconds: float) -> None:
    assert read_seconds(text) == seconds


def test_two_faults_of_a_kind_end_each_for_itself(cluster: SimulatedCluster) -> None:
    first = cluster.begin_fault("stop", stores=[1, 2])
    second = cluster.begin_fault("stop", stores=[2])
    cluster.end_fault(first)
    running = {s.store_id: s.process.running for s in cluster.world.stores.values()}
    assert running == {1: True, 2: False, 3: True, 4: True}
    cluster.end_fault(second)
    assert cluster.world.stores[2].process.running


def test_a_setting_that_somebody_changed_is_not_put_back(cluster: SimulatedCluster) -> None:
    config = cluster.world.pd.config
    number = cluster.begin_fault("config", item="leader-schedule-limit", value=0)
    config.update("leader-schedule-limit", 8)
    cluster.end_fault(number)
    assert config.number("leader-schedule-limit") == 8
    number = cluster.begin_fault("config", item="leader-schedule-limit", value=0)
    cluster.end_fault(number)
    assert config.number("leader-schedule-limit") == 8


@pytest.mark.parametrize("direction", ["in", "out", "both"])
async def test_a_store_cut_from_its_peers_is_up_for_pd_and_missed_by_them(direction: str) -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=24))
    pd.cluster.begin_fault("partition", stores=[2], direction=direction)
    pd.cluster.advance(720)
    assert await pd.state_name(2) == "Up"
    assert await pd.leaders(2) == 0
    assert await pd.count("down-peer") > 0
    blaming = [
        node
        for node in ("store-1", "store-2", "store-3")
        if any("report_failure" in name for name in samples(pd.cluster.metrics_text(node)))
    ]
    assert (
        blaming
        == {
            "in": ["store-1", "store-3"],
            "out": ["store-2"],
            "both": ["store-1", "store-2", "store-3"],
        }[direction]
    )


async def test_a_link_between_two_stores_costs_no_leader_but_a_peer() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=3, regions=12))
    before = [await pd.leaders(store_id) for store_id in (1, 2, 3)]
    pd.cluster.begin_fault("partition", stores=[1], **{"from": [2]})
    pd.cluster.advance(60)
    assert [await pd.leaders(store_id) for store_id in (1, 2, 3)] == before
    pd.cluster.advance(700)
    assert await pd.count("down-peer") == sum(before[:2])


async def test_a_hung_pd_leader_answers_nobody_until_it_resigns() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=12))
    pd.cluster.begin_fault("pd_freeze")
    pd.cluster.advance(120)
    assert (await pd.send("GET", "/stores")).status_code == 503
    health = {m["name"]: m["health"] for m in await pd.get("/health")}
    assert health == {"pd-0": False, "pd-1": True, "pd-2": True}
    assert (await pd.send("POST", "/leader/resign")).status_code == 200
    pd.cluster.advance(15)
    assert (await pd.get("/leader"))["name"] in {"pd-1", "pd-2"}


async def test_a_dead_service_holds_the_safe_point_until_it_is_deleted() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=3, regions=3))
    pd.cluster.begin_fault("gc_block", age="30h")
    first = (await pd.get("/gc/safepoint"))["gc_safe_point"]
    pd.cluster.advance(3600)
    assert (await pd.get("/gc/safepoint"))["gc_safe_point"] == first
    await pd.send("DELETE", "/gc/safepoint/ticdc-default-old-feed")
    assert (await pd.get("/gc/safepoint"))["gc_safe_point"] > first


async def test_a_split_spreads_a_hot_range_over_both_halves() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=3, regions=3))
    region_id = next(iter(pd.cluster.world.raft)).region_id
    pd.cluster.begin_fault("hot_region", region=region_id, mib_per_second=60)
    pd.cluster.advance(60)
    whole = (await pd.get(f"/region/id/{region_id}"))["written_bytes"]
    body = {"name": "split-region", "region_id": region_id, "policy": "approximate"}
    assert (await pd.send("POST", "/operators", body)).status_code == 200
    pd.cluster.advance(60)
    half = (await pd.get(f"/region/id/{region_id}"))["written_bytes"]
    assert half == pytest.approx(whole / 2, rel=0.4)


async def test_denied_regions_are_left_alone() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=24))
    number = pd.cluster.begin_fault("deny_schedule")
    pd.cluster.begin_fault("evict_leader", stores=[2])
    pd.cluster.advance(120)
    assert await pd.leaders(2) > 0
    pd.cluster.end_fault(number)
    pd.cluster.advance(60)
    assert await pd.leaders(2) == 0


def test_what_ends_when_another_begins_ends_first() -> None:
    fill = {"fault": "full_disk", "stores": [3]}
    faults = [
        {"at": "1m", "until": "2m", "left": 0.5, **fill},
        {"at": "2m", "left": 0.1, **fill},
    ]
    made = build(read_scenario({"name": "fills", "faults": faults}))
    made.advance(180)
    sizes = samples(made.metrics_text("store-3"))
    names = (f'tikv_store_size_bytes{{type="{kind}"}}' for kind in ("available", "capacity"))
    free, whole = (sizes[name] for name in names)
    assert free / whole == pytest.approx(0.1, abs=0.01)


def test_a_clock_that_was_ahead_goes_back_when_it_is_put_right(cluster: SimulatedCluster) -> None:
    number = cluster.begin_fault("clock_offset", members=["pd-0"], offset="2s")
    cluster.advance(60)
    assert "system_time_slow" not in cluster.metrics_text("pd-0")
    cluster.end_fault(number)
    assert "system_time_slow" in cluster.metrics_text("pd-0")
