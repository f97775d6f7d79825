"""The lab of etcd reads its scenarios with care, and keeps pace with real time."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import pytest

from doc_pages import DocPage
from operator_core.errors import ActionFailedError, RequestError
from operator_core.lab import lab_of
from operator_core.subject import complete
from operator_core.types import JsonObject
from operator_etcd import lab_faults
from operator_etcd.lab import EtcdLab, EtcdLabCluster
from operator_etcd.lab_spec import FaultPart, read_spec
from operator_etcd.plugin import plugin
from operator_etcd.shapes import MemberStatus
from operator_lab.clock import VirtualClock, keep_pace
from operator_lab.scenario import find_scenarios, load_scenario, read_scenario

if TYPE_CHECKING:
    from operator_etcd.client import EtcdClient
    from operator_etcd.cluster import LocalEtcdCluster

FILES = find_scenarios([EtcdLab.scenarios])
PAGE = DocPage("lab.md")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_etcd_is_read(path: Path) -> None:
    scenario = load_scenario(path)
    spec = read_spec({**scenario.table, "duration": scenario.duration})
    assert (scenario.set, scenario.subject) == ("real-etcd", "etcd")
    assert max(spec.fault_seconds) < scenario.duration <= 130


def test_at_least_five_scenarios_have_faults_and_two_have_nothing_wrong() -> None:
    quiet = [load_scenario(path).expect.is_control for path in FILES]
    assert quiet.count(False) >= 5
    assert quiet.count(True) >= 2


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"cluster": {"members": 0}}, "cluster.members"),
        ({"clusters": {}}, "clusters"),
        ({"load": {"writes_per_second": float("nan")}}, "load.writes_per_second"),
        ({"duration": 4000}, "duration"),
        ({"faults": [{"at": "3s", "fault": "sneeze"}]}, "faults.0.fault"),
        (
            {"faults": [{"at": "soon", "fault": "fill_with_data"}]},
            "faults.0.at: 'soon' is no time: write",
        ),
        ({"faults": [{"at": "-3s", "fault": "fill_with_data"}]}, "faults.0.at: '-3s' is no time"),
        (
            {"duration": 45, "faults": [{"at": 45, "fault": "fill_with_data"}]},
            "fault 1 comes after its end, which is at 45 s",
        ),
        ({"faults": [{"at": 3, "fault": "stop_members"}]}, "stop_members needs members"),
        (
            {"faults": [{"at": 3, "fault": "fill_with_data", "members": ["n1"]}]},
            "fill_with_data takes no members",
        ),
        (
            {"faults": [{"at": 3, "fault": "move_leader", "members": ["n1", "n2"]}]},
            "move_leader needs one member",
        ),
        (
            {"faults": [{"at": 3, "until": 9, "fault": "fill_with_data"}]},
            "fill_with_data has no until",
        ),
        (
            {"faults": [{"at": 3, "until": 3, "fault": "stop_members", "members": ["n1"]}]},
            "until must be after at",
        ),
        (
            {"faults": [{"at": 3, "fault": "stop_members", "members": ["n1", "n4"]}]},
            "no member n4; there are n1, n2, n3",
        ),
    ],
)
def test_a_table_that_is_not_right_is_refused_with_its_place(table: JsonObject, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        read_spec(table)


def test_moments_are_told_in_order_and_members_by_name() -> None:
    stop = {"at": "1m", "until": "1.5m", "fault": "stop_members", "members": ["n2"]}
    spec = read_spec({"duration": 120, "faults": [stop, {"at": 4, "fault": "fill_with_data"}]})
    assert spec.fault_seconds == (4.0, 60.0, 90.0)
    assert spec.member_names == ["n1", "n2", "n3"]


def test_the_plugin_offers_its_lab_in_real_time() -> None:
    lab = lab_of(plugin)
    assert lab is not None
    assert lab.is_real_time


async def test_a_clock_that_keeps_pace_tells_what_a_fault_failed_with() -> None:
    moved: list[float] = []

    def move(seconds: float) -> None:
        moved.append(seconds)
        if len(moved) > 1:
            raise ActionFailedError("it cannot be broken")

    clock = VirtualClock(EtcdLabCluster(read_spec({})).started_at, move)
    with pytest.raises(ActionFailedError, match="cannot be broken"):
        await keep_pace(clock)
    assert 0 < moved[0] == clock.seconds < moved[1]


def test_the_scenario_of_the_documentation_is_read() -> None:
    blocks = PAGE.blocks("toml")
    (shown,) = [tomllib.loads(one) for one in blocks if 'subject = "etcd"' in one]
    scenario = read_scenario(shown)
    spec = read_spec({**scenario.table, "duration": scenario.duration})
    assert spec.fault_seconds == (3.0, 30.0)


def test_the_documentation_names_every_fault() -> None:
    kinds = get_args(FaultPart.model_fields["fault"].annotation)
    assert kinds
    assert [kind for kind in kinds if f"| `{kind}` |" not in PAGE.text] == []


def test_what_a_cluster_calls_things_is_known_before_it_starts() -> None:
    cluster = EtcdLabCluster(read_spec({"cluster": {"members": 3}}))
    assert cluster.targets() == {"cluster", "n1", "n2", "n3"}
    subject = complete(cluster.catalogue())
    assert "member_down" in {one.name for one in subject.invariants()}
    assert "restart_member" in {one.name for one in subject.get_action_definitions()}


class UncommittedEtcd:
    """A member that takes everything, and has not committed any of it yet."""

    configured = ("http://n1",)
    quota_bytes = 16_000_000

    def __init__(self) -> None:
        self.taken_bytes = 0

    async def status(self, endpoint: str) -> MemberStatus:
        """Tell the size of the last commit."""
        del endpoint
        told = {"version": "3.5.9", "dbSize": 32_768, "dbSizeInUse": 20_480}
        return MemberStatus.model_validate(told)

    async def put(self, endpoint: str, key: bytes, value: bytes) -> None:
        """Take a value."""
        del endpoint, key
        self.taken_bytes += len(value)


async def test_a_database_is_not_filled_by_more_than_was_asked_for() -> None:
    """A member tells its size a tenth of a second late: a quick one was filled to its quota."""
    member = UncommittedEtcd()
    fault = FaultPart(at=3.0, fault="fill_with_data", share=0.6)
    cluster, client = cast("LocalEtcdCluster", member), cast("EtcdClient", member)
    await lab_faults.begin(fault, cluster, client)
    assert 0.59 < member.taken_bytes / member.quota_bytes < 0.62
