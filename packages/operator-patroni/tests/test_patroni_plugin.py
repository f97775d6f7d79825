"""The plugin: settings that cannot mean a cluster are refused with what to do about it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from operator_core.actions.registry import ActionRegistry
from operator_core.agent.paths import resolve
from operator_core.errors import ConfigurationError
from operator_core.monitor.types import Observation
from operator_core.plugin_settings import credentials
from operator_core.runtime.plugins import load_plugin, plugin_names
from operator_core.subject import sees_effects
from operator_patroni.client import PatroniClient, normal_endpoint
from operator_patroni.cluster import LocalPatroniCluster
from operator_patroni.definitions import DEFINITIONS
from operator_patroni.plugin import plugin
from patroni_samples import LEADER, SECOND, THIRD, look

if TYPE_CHECKING:
    from pathlib import Path

    import respx

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "list of addresses"),
    ({"url": ""}, "at least one member"),
    ({"url": 7}, "list of addresses"),
    ({"url": "ftp://pg1"}, "no address of Patroni"),
    ({"url": "http://"}, "no address of Patroni"),
    ({"url": "http://pg1:8008/cluster"}, "no address of Patroni"),
    ({"url": "http://me:secret@pg1:8008"}, "no address of Patroni"),
    ({"url": "http://pg1:99999"}, "no address of Patroni"),
    ({"url": "pg1", "colour": "blue"}, "Unknown Patroni settings: colour"),
    ({"url": "pg1", "username": "me"}, "go together"),
    ({"url": "pg1", "username": "me", "password_file": "/no/such"}, "cannot be read"),
    ({"url": "pg1", "username": 1, "password_file": "/no/such"}, "must be text"),
    ({"url": "pg1", "supervisor_file": "/no/such"}, "Supervisor file /no/such"),
    ({"url": "pg1", "read_timeout_seconds": 0}, "number from 0 to 60"),
    ({"url": "pg1", "read_timeout_seconds": True}, "number from 0 to 60"),
    ({"url": "pg1", "ca_file": "/no/such"}, "names ./no/such.: No such file"),
    ({"url": "pg1", "key_file": "/no/such"}, "needs cert_file"),
]


@pytest.mark.parametrize(("settings", "words"), BAD)
async def test_settings_that_mean_no_cluster(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await plugin.connect(settings)


async def test_a_password_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("", "utf-8")
    settings = {"url": "pg1:8008", "username": "me", "password_file": str(file)}
    with pytest.raises(ConfigurationError, match="first line"):
        await plugin.connect(settings)
    file.write_text("only-for-tests\n", "utf-8")
    subject = await plugin.connect(settings | {"read_timeout_seconds": 1})
    await subject.close()
    assert subject.name == "patroni"


async def test_a_changed_password_is_used_with_the_next_change(
    tmp_path: Path, respx_mock: respx.Router
) -> None:
    told = respx_mock.post("http://pg1:8008/reload").mock(return_value=httpx.Response(202))
    file = tmp_path / "password"
    file.write_text("first\n", "utf-8")
    read = credentials({"username": "me", "password_file": str(file)})
    client = PatroniClient(["pg1:8008"], credentials=read)
    await client.reload("http://pg1:8008")
    file.write_text("second\n", "utf-8")
    await client.reload("http://pg1:8008")
    await client.close()
    sent = [call.request.headers["Authorization"].split()[1] for call in told.calls]
    assert [base64.b64decode(one) for one in sent] == [b"me:first", b"me:second"]


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("pg1:8008", "http://pg1:8008"),
        (" https://pg1:8008/ ", "https://pg1:8008"),
        ("http://10.0.0.1:8008/patroni", "http://10.0.0.1:8008"),
        ("http://[::1]:8008", "http://[::1]:8008"),
    ],
)
def test_an_address_is_made_normal(given: str, endpoint: str) -> None:
    assert normal_endpoint(given) == endpoint


async def test_core_finds_the_plugin_and_its_actions() -> None:
    assert "patroni" in plugin_names()
    assert load_plugin("patroni") is plugin
    subject = await plugin.connect({"url": "pg1"})
    known = {one.name for one in ActionRegistry(subject).list_definitions()}
    assert {one.name for one in DEFINITIONS} <= known
    assert sees_effects(subject)
    capacity = subject.capacity(look(LEADER, SECOND, THIRD))
    assert capacity is not None
    assert capacity.members == {"members": ("pg1", "pg2", "pg3")}
    assert subject.capacity(Observation()) is None
    await subject.close()


async def test_where_its_programs_are_missing_the_demo_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'operator-patroni\[demo\]'"):
        await plugin.demo(tmp_path).start()


async def test_a_folder_with_a_cluster_is_not_used_twice(tmp_path: Path) -> None:
    cluster = LocalPatroniCluster(tmp_path)
    cluster.file.write_text("{}")
    with pytest.raises(ConfigurationError, match="stop it first"):
        await cluster.start()


GIVEN = {"candidate": "pg2", "member_name": "pg2", "key": "ttl", "value": 30}


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)
def test_what_an_action_is_bound_to_stands_in_a_look(definition: Any) -> None:  # noqa: ANN401 - of core's words
    seen = look(LEADER, SECOND, THIRD)
    assert definition.needs_sources
    assert seen.sees(definition.needs_sources)
    for path in definition.facts:
        assert resolve(seen, path.format_map(GIVEN)).found, path
    known = {one.name for one in DEFINITIONS}
    assert {definition.inverse, definition.restored_by} - {None} <= known
    assert definition.target_parameters
