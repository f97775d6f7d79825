"""What the package offers: settings, a connection, and a demo with real processes."""

import inspect
import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from operator_core.agent.rules import diagnose
from operator_core.clock import SYSTEM_CLOCK
from operator_core.errors import ConfigurationError, SubjectError, SubjectUnreachableError
from operator_core.subject import ActionCall, complete
from operator_core.types import ENTRY_POINT_GROUP
from operator_tikv.actions.table import DEFINITIONS
from operator_tikv.demo import TikvDemo
from operator_tikv.plugin import pd_urls, plugin
from operator_tikv.process import SimulatorProcess
from operator_tikv.subject import TikvSubject
from tikv_support import NOW


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ("http://a:2379", ["http://a:2379"]),
        ("http://a:2379/, b:2379 ,", ["http://a:2379", "http://b:2379"]),
        (["https://a:2379"], ["https://a:2379"]),
        ("http://[::1]:2379", ["http://[::1]:2379"]),
    ],
)
def test_the_addresses_of_pd_are_read(value: object, urls: list[str]) -> None:
    assert pd_urls(value) == urls


@pytest.mark.parametrize(
    "value",
    [None, "", " , ", 7, [], "ftp://a:2379", "http://", "http://a:x", "http://a:1/metrics"],
)
def test_addresses_that_cannot_mean_a_cluster_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError):
        pd_urls(value)


@pytest.mark.parametrize("value", [0, 0.5, "fast", True, float("nan"), 1e9])
async def test_a_time_scale_that_makes_no_sense_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="time_scale"):
        await plugin.connect({"pd": "a:2379", "time_scale": value})


async def test_a_connection_does_not_reach_for_the_cluster_yet() -> None:
    subject = await plugin.connect({"pd": "127.0.0.1:1", "name": "prod"})
    assert isinstance(subject, TikvSubject)
    assert complete(subject) is subject
    assert subject.name == "prod"
    with pytest.raises(SubjectUnreachableError, match=r"127\.0\.0\.1:1"):
        await subject.observe()
    await subject.close()


def test_the_plugin_is_found_by_its_entry_point() -> None:
    found = entry_points(group=ENTRY_POINT_GROUP, name="tikv")
    assert [entry.load() for entry in found] == [plugin]


def test_every_registered_action_is_a_method_that_takes_its_parameters() -> None:
    for definition in DEFINITIONS:
        method = getattr(TikvSubject, definition.name)
        assert inspect.iscoroutinefunction(method)
        assert set(inspect.signature(method).parameters) - {"self"} == set(definition.parameters)
        assert definition.inverse is None or definition.inverse in {d.name for d in DEFINITIONS}


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_stopping_what_was_never_started_is_harmless(tmp_path: Path) -> None:
    demo = plugin.demo(tmp_path)
    await demo.stop()
    with pytest.raises(SubjectError, match="No simulator was started"):
        await demo.prove_healthy()


async def test_a_pid_that_belongs_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "simulator.pid").write_text(str(os.getpid()), encoding="ascii")
    await SimulatorProcess(tmp_path, ()).stop()
    assert not files_in(tmp_path)


@pytest.mark.real
async def test_a_simulator_that_cannot_start_says_why(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, ["--stores=1"])
    with pytest.raises(SubjectUnreachableError, match="1 stores"):
        await process.start()
    await process.stop()


@pytest.mark.real
async def test_the_demo_runs_from_the_fault_to_the_repair(tmp_path: Path) -> None:
    demo = TikvDemo(tmp_path)
    settings = await demo.start()
    subject = complete(await plugin.connect(settings))
    try:
        story = [line async for line in demo.break_it()]
        assert story
        with pytest.raises(SubjectError, match="store 4 idles"):
            await demo.prove_healthy()
        observation = await subject.observe()
        rules = subject.invariants()
        violations = [found for rule in rules for found in rule.check(observation)]
        assert [violation.key for violation in violations] == [
            "evict_leader_left_over:store-4",
            "scheduler_paused:balance-leader-scheduler",
        ]
        diagnosis = diagnose(violations[0], observation, subject.hypotheses(), now=NOW)
        for step in diagnosis.workflows[0].actions:
            if step.action_name not in {"wait", "log_message"}:
                await subject.perform(ActionCall(step.action_name, step.parameters, "key"))
        await SYSTEM_CLOCK.sleep(1)
        # Another process would find the cluster by its folder alone.
        proof = await TikvDemo(tmp_path).prove_healthy()
        assert "240 regions are led" in proof
        assert "while broken" in proof
        assert await TikvDemo(tmp_path).start() == settings
    finally:
        await subject.close()
        await demo.stop()
    assert not files_in(tmp_path)
