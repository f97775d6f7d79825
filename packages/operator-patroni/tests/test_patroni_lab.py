"""The lab of Patroni reads its scenarios with care."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest

from doc_pages import DocPage
from operator_core.errors import ConfigurationError, RequestError
from operator_core.lab import lab_of
from operator_core.subject import complete
from operator_core.types import JsonObject
from operator_lab.names import unknown_names
from operator_lab.scenario import find_scenarios, load_scenario, read_scenario
from operator_patroni.client import PatroniClient
from operator_patroni.cluster import is_agreed
from operator_patroni.cluster_files import programs
from operator_patroni.lab import PatroniLab, PatroniLabCluster
from operator_patroni.lab_faults import _BEGIN, _END
from operator_patroni.lab_spec import HAVE_AN_END, FaultName, read_spec
from operator_patroni.plugin import plugin
from operator_patroni.subject import PatroniSubject

FILES = find_scenarios([PatroniLab.scenarios])
PAGE = DocPage("lab.md")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_patroni_is_read(path: Path) -> None:
    scenario = load_scenario(path)
    spec = read_spec({**scenario.table, "duration": scenario.duration})
    assert (scenario.set, scenario.subject) == ("real-patroni", "patroni")
    assert max(spec.fault_seconds) < scenario.duration <= 120
    subject = PatroniSubject(PatroniClient(["http://127.0.0.1:1"]))
    assert unknown_names(scenario.expect, subject) == ([], [])


def test_at_least_ten_scenarios_have_faults_and_four_have_nothing_wrong() -> None:
    quiet = [load_scenario(path).expect.is_control for path in FILES]
    assert quiet.count(False) >= 10
    assert quiet.count(True) >= 4


def test_every_fault_can_be_made_and_is_part_of_a_scenario() -> None:
    kinds = set(get_args(FaultName))
    played = {one["fault"] for path in FILES for one in load_scenario(path).table["faults"]}
    assert set(_BEGIN) == kinds == played
    assert set(_END) == HAVE_AN_END


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"cluster": {"members": 4}}, "cluster.members"),
        ({"clusters": {}}, "clusters"),
        ({"load": {"writes_per_second": float("nan")}}, "load.writes_per_second"),
        ({"faults": [{"at": "3s", "fault": "sneeze"}]}, "faults.0.fault"),
        (
            {"faults": [{"at": "soon", "fault": "stop_dcs"}]},
            "faults.0.at: 'soon' is no time: write",
        ),
        ({"faults": [{"at": "-3s", "fault": "stop_dcs"}]}, "faults.0.at: '-3s' is no time"),
        (
            {"duration": 45, "faults": [{"at": 45, "fault": "stop_dcs"}]},
            "fault 1 comes after its end, which is at 45 s",
        ),
        ({"faults": [{"at": 3, "fault": "stop_members"}]}, "stop_members needs members"),
        (
            {"faults": [{"at": 3, "fault": "stop_dcs", "members": ["pg1"]}]},
            "stop_dcs takes no members",
        ),
        ({"faults": [{"at": 3, "fault": "write_log"}]}, "write_log needs mib"),
        (
            {"faults": [{"at": 3, "fault": "switch_over", "members": ["pg1", "pg2"]}]},
            "switch_over needs one member",
        ),
        (
            {"faults": [{"at": 3, "until": 9, "fault": "change_setting"}]},
            "change_setting has no until",
        ),
        ({"faults": [{"at": 3, "until": 3, "fault": "stop_dcs"}]}, "until must be after at"),
        (
            {"faults": [{"at": 3, "fault": "kill_postgres", "members": ["pg4"]}]},
            "no member pg4; there are pg1, pg2, pg3",
        ),
    ],
)
def test_a_table_that_is_not_right_is_refused_with_its_place(table: JsonObject, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        read_spec(table)


def test_the_plugin_offers_its_lab_in_real_time() -> None:
    lab = lab_of(plugin)
    assert lab is not None
    assert lab.is_real_time


def test_without_the_programs_lab_and_demo_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for needs in (programs, lambda: PatroniLab().build({}, None)):
        with pytest.raises(ConfigurationError, match=r"pip install 'operator-patroni\[demo\]'"):
            needs()


def test_the_scenario_of_the_documentation_is_read() -> None:
    blocks = PAGE.blocks("toml")
    (shown,) = [tomllib.loads(one) for one in blocks if 'subject = "patroni"' in one]
    scenario = read_scenario(shown)
    spec = read_spec({**scenario.table, "duration": scenario.duration})
    assert spec.fault_seconds == (3.0, 40.0)


def test_the_documentation_names_every_fault() -> None:
    assert [kind for kind in get_args(FaultName) if f"| `{kind}` |" not in PAGE.text] == []


def test_what_a_cluster_calls_things_is_known_before_it_starts() -> None:
    cluster = PatroniLabCluster(read_spec({"cluster": {"members": 2}}))
    assert cluster.targets() == {"cluster", "pg1", "pg2"}
    subject = complete(cluster.catalogue())
    assert "postgres_down" in {one.name for one in subject.invariants()}
    assert "restart_patroni" in {one.name for one in subject.get_action_definitions()}


@pytest.mark.parametrize("agreed", ["3.5.0", "3.6.1"])
def test_patroni_starts_once_etcd_has_a_version(agreed: str) -> None:
    assert is_agreed({"etcdserver": "3.5.9", "etcdcluster": agreed})


@pytest.mark.parametrize(
    "version", [{"etcdserver": "3.5.9", "etcdcluster": "not_decided"}, {}, [], {"etcdcluster": 3}]
)
def test_patroni_waits_for_an_etcd_that_has_not_decided(version: object) -> None:
    """It took "not_decided" for a number, and ended."""
    assert not is_agreed(version)
