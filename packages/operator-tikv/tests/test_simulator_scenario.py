"""Scenarios as files: what they make, and what is said of a wrong one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from operator_core.errors import RequestError
from operator_tikv.lab import TikvLab
from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.scenario import (
    ScenarioError,
    build,
    load_scenario,
    read_scenario,
)
from simulator_kit import Pd

DOCUMENT = Path(__file__).parents[3] / "docs" / "simulator.md"


def example() -> str:
    """The scenario of the document."""
    found = re.search(r"```toml\n(.+?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_example_of_the_document_does_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    path.write_text(example(), encoding="utf-8")
    pd = Pd(build(load_scenario(path)))
    assert (await pd.get("/config/replicate"))["location-labels"] == "zone,host"
    labels = (await pd.store(4))["store"]["labels"]
    assert {"key": "zone", "value": "z1"} in labels
    states = []
    for minutes in (9, 12, 29, 31):
        pd.cluster.advance_to(minutes * 60)
        states.append(await pd.state_name(1))
    assert states == ["Up", "Disconnected", "Disconnected", "Up"]


def test_faults_happen_at_their_times_whatever_the_steps() -> None:
    table = tomllib.loads(example())
    whole, parts = build(read_scenario(table)), build(read_scenario(table))
    whole.advance(2400)
    for _ in range(24):
        parts.advance(100)
    assert whole.digest == parts.digest
    assert [e.at_seconds for e in whole.world.history.entries if e.kind == "fault"] == [600, 1800]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"odd": 1}, "odd: is no key here; known: cluster"),
        ({"cluster": {"stores": 0}}, "cluster.stores: Input should be greater than or equal to 1"),
        ({"cluster": {"seed": "x"}}, "cluster.seed: Input should be a valid integer"),
        ({"load": {"factor": -1}}, "load.factor: Input should be greater than or equal to 0"),
        ({"duration": "soon"}, "duration: 'soon' is no duration"),
        ({"faults": {}}, "faults: must be a list of tables"),
        ({"faults": [1]}, "fault 1: must be a table with a fault"),
        ({"faults": [{"at": "1m"}]}, "fault 1: must be a table with a fault"),
        ({"faults": [{"fault": "stop"}, {"fault": "odd"}]}, "fault 2: unknown fault 'odd'"),
        ({"faults": [{"fault": "stop", "at": "x"}]}, "fault 1: at: 'x' is no duration"),
        (
            {"faults": [{"fault": "stop", "at": "5m", "until": "5m"}]},
            "fault 1: until must be later than at",
        ),
    ],
)
def test_a_wrong_scenario_is_refused_with_the_place(
    table: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ScenarioError, match=re.escape(complaint)):
        read_scenario(table)


@pytest.mark.parametrize(
    ("cluster", "complaint"),
    [
        ({"stores": 2}, "cluster: cannot build 60 regions with 3 replicas on 2 stores"),
        ({"config": {"odd": 1}}, "cluster: config item odd not found"),
        ({"labels": {"9": {"zone": "z1"}}}, "cluster: labels: no store '9'"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(cluster: dict[str, object], complaint: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(complaint)):
        build(read_scenario({"cluster": cluster}))


@pytest.mark.parametrize("text", ["x = ", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "odd.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=re.escape(str(path))):
        load_scenario(path)


async def test_faults_of_the_language_over_the_control_api() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=12))
    body = b'{"fault": "partition", "stores": [1], "from": "pd"}'
    number = (await pd.raw("POST", "/sim/fault", body)).json()["number"]
    active = (await pd.raw("GET", "/sim/active")).json()
    assert [(a["number"], a["fault"], a["from"]) for a in active] == [(number, "partition", "pd")]
    later = b'{"fault": "stop", "stores": [2], "at": "1m", "until": "2m"}'
    assert "planned" in (await pd.raw("POST", "/sim/fault", later)).json()
    pd.cluster.advance(90)
    assert await pd.state_name(1) == "Disconnected"
    assert not pd.cluster.world.stores[2].process.running
    end = f'{{"number": {number}}}'.encode()
    assert (await pd.raw("POST", "/sim/end", end)).status_code == 200
    pd.cluster.advance(60)
    assert pd.cluster.world.active == {}
    assert (await pd.raw("POST", "/sim/end", end)).json() == f"no fault {number} is active"
    kinds = (await pd.raw("GET", "/sim/kinds")).json()
    assert kinds["partition"]["properties"]["direction"]["default"] == "both"


async def test_logs_and_metrics_of_each_node_over_the_control_api() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=12))
    pd.cluster.begin_fault("kill", stores=[2])
    pd.cluster.advance(60)
    nodes = (await pd.raw("GET", "/sim/nodes")).json()
    assert list(nodes) == ["pd-0", "pd-1", "pd-2", "store-1", "store-2", "store-3", "store-4"]
    assert "Welcome to TiKV" in (await pd.raw("GET", "/sim/logs?node=store-2")).text
    assert "process_start_time" in (await pd.raw("GET", "/sim/metrics?node=store-2")).text
    pd.cluster.begin_fault("stop", stores=[3])
    assert (await pd.raw("GET", "/sim/metrics?node=store-3")).status_code == 503
    assert (await pd.raw("GET", "/sim/logs?node=odd")).status_code == 400


UNIFIED = re.compile(
    r"\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} \+00:00\] \[(INFO|WARN|ERROR|FATAL)\] "
    r'\[[a-z_]+\.(go|rs):\d+\] \[("([^"\\]|\\.)*"|[^\[\]" =]+)\]'
    r'( \[("([^"\\]|\\.)*"|[^\[\]" =]+)=("([^"\\]|\\.)*"|[^\[\]" =]*)\])*'
)


def test_every_log_line_is_in_the_unified_format() -> None:
    cluster = SimulatedCluster(seed=5, stores=4, regions=24)
    faults = {
        "slow_disk": {},
        "full_disk": {"stores": [3]},
        "stop": {"stores": [4]},
        "clock_offset": {},
        "lost_data": {"stores": [1]},
        "delete_store": {"stores": [2]},
        "pd_flap": {},
    }
    for name, fields in faults.items():
        cluster.begin_fault(name, **fields)
        cluster.advance(300)
    lines = [
        line
        for node in cluster.world.logs.nodes()
        for line in cluster.log_text(node, 2000).splitlines()
    ]
    assert [line for line in lines if not UNIFIED.fullmatch(line)] == []
    text = "\n".join(lines)
    for words in (
        "add operator",
        "operator finish",
        "leader changed",
        "region ConfVer changed",
        "store has been offline",
        "duplicated store address",
        "wait connect timeout",
        "disk usage Normal->AlreadyFull",
        "start to campaign PD leader",
        "clock offset",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ({"fault": "stop", "stores": [99]}, "no store 99; there are 1 to 4"),
        ({"fault": "pd_stop", "members": ["pd-9"]}, "no PD server 'pd-9'"),
        ({"fault": "config", "item": "replica-limit", "value": 0}, "replica-limit not found"),
        (
            {"fault": "config", "item": "replica-schedule-limit", "value": "none"},
            "invalid value of replica-schedule-limit: none; such as 64",
        ),
        (
            {"fault": "config", "item": "enable-make-up-replica", "value": "flase"},
            "invalid value of enable-make-up-replica: flase; such as true",
        ),
        (
            {"fault": "pause_scheduler", "scheduler": "balance-leaders"},
            "no scheduler 'balance-leaders'; did you mean 'balance-leader-scheduler'",
        ),
    ],
)
def test_a_fault_that_names_what_is_not_there_is_refused_at_once(
    fault: dict[str, object], what: str
) -> None:
    table = {"duration": "5m", "faults": [{"at": "1m", **fault}]}
    with pytest.raises(ScenarioError, match=f"fault 1: .*{what}"):
        build(read_scenario(table))


@pytest.mark.parametrize(
    ("at", "complaint"),
    [("1m", "delete_store at 60 s: .*number of up stores"), ("5m", "fault 1: .*after its end")],
)
def test_a_fault_that_cannot_be_made_or_never_comes_ends_a_play(at: str, complaint: str) -> None:
    fault = {"at": at, "fault": "delete_store", "stores": [3]}
    table = {"duration": "5m", "cluster": {"stores": 3}, "faults": [fault]}
    with pytest.raises(RequestError, match=complaint):
        TikvLab().build(table, None).advance_to(90)


def test_a_store_that_joins_later_may_be_named() -> None:
    faults = [{"at": "1m", "fault": "join"}, {"at": "2m", "fault": "stop", "stores": [99]}]
    build(read_scenario({"duration": "5m", "faults": faults}))


def test_replicas_stand_apart_as_the_labels_ask_from_the_beginning() -> None:
    labels = {str(number): {"rack": f"r{number % 4}"} for number in range(1, 9)}
    cluster = {"stores": 8, "regions": 40, "config": {"location-labels": "rack"}, "labels": labels}
    world = build(read_scenario({"name": "racks", "cluster": cluster})).world
    for region in world.raft:
        racks = {world.stores[peer.store_id].labels["rack"] for peer in region.peers}
        assert len(racks) == len(region.peers)
