"""The simulator as a process of its own, and how its clock follows the real one."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.realtime import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Process = subprocess.Popen[str]


def launch(*arguments: str) -> Process:
    command = [sys.executable, "-m", "operator_tikv.simulator", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[Process, str]]]:
    processes: list[Process] = []

    def begin(*arguments: str) -> tuple[Process, str]:
        process = launch(*arguments)
        processes.append(process)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 30)
        assert ready
        return process, json.loads(process.stdout.readline())["url"]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


@pytest.mark.real
def test_the_process_says_where_it_serves_and_ends_on_sigterm(
    start: Callable[..., tuple[Process, str]],
) -> None:
    process, url = start("--port", "0", "--seed", "7", "--speed", "50")
    with httpx.Client(base_url=url, timeout=10) as client:
        first = client.get("/sim/state").json()["virtual_seconds"]
        members = client.get("/pd/api/v1/members").json()
        assert {member["client_urls"][0] for member in members["members"]} == {url}
        assert "server" not in client.get("/pd/api/v1/stores").headers
        while client.get("/sim/state").json()["virtual_seconds"] < first + 10:
            pass  # time runs by itself: 50 virtual seconds a second
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


@pytest.mark.real
def test_a_scenario_file_is_played_and_every_store_has_a_status_port(
    start: Callable[..., tuple[Process, str]], tmp_path: Path
) -> None:
    path = tmp_path / "night.toml"
    path.write_text('[cluster]\nstores = 3\n[[faults]]\nat = "5m"\nfault = "stop"\nstores = [2]\n')
    _process, url = start("--scenario", str(path), "--speed", "1")
    found = httpx.get(f"{url}/pd/api/v1/stores", timeout=10).json()["stores"]
    status = {each["store"]["id"]: each["store"]["status_address"] for each in found}
    assert sorted(status) == [1, 2, 3]
    page = httpx.get(f"http://{status[2]}/metrics", timeout=10)
    assert page.text.count('tikv_store_size_bytes{type="capacity"}') == 1
    httpx.post(f"{url}/sim/advance", json={"seconds": 400}, timeout=10)
    assert httpx.get(f"http://{status[2]}/metrics", timeout=10).status_code == 503
    assert httpx.get(f"http://{status[1]}/metrics", timeout=10).status_code == 200
    nodes = httpx.get(f"{url}/sim/nodes", timeout=10).json()
    follower = httpx.get(f"http://{nodes['pd-1']}/metrics", timeout=10).text
    assert "etcd_server_is_leader 0" in follower


@pytest.mark.real
def test_the_process_ends_with_its_parent(start: Callable[..., tuple[Process, str]]) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process, _url = start("--exit-with-parent", str(parent.pid))
    parent.communicate(b"\n", timeout=20)
    assert process.wait(timeout=20) == 0


@pytest.mark.real
def test_a_state_file_carries_a_cluster_over_a_kill(
    start: Callable[..., tuple[Process, str]], tmp_path: Path
) -> None:
    arguments = ("--state-file", str(tmp_path / "state"), "--regions", "12")
    process, url = start(*arguments)
    httpx.post(f"{url}/sim/fault", json={"name": "stop_store", "store_id": 2}, timeout=10)
    httpx.post(f"{url}/sim/advance", json={"seconds": 3000}, timeout=10)
    before = httpx.get(f"{url}/pd/api/v1/store/2", timeout=10).json()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=20)
    _process, url = start(*arguments)
    after = httpx.get(f"{url}/pd/api/v1/store/2", timeout=10).json()
    for answer in (before, after):
        answer["store"].pop("status_address")  # the ports are new
    assert after["store"] == before["store"]
    assert after["store"]["state_name"] == "Down"


@pytest.mark.real
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--stores", "2"), "cannot build 60 regions with 3 replicas on 2 stores"),
        (("--state-file", "/dev/null/x"), "simulator: "),
        (("--scenario", "/dev/null/x"), "simulator: /dev/null/x: "),
    ],
)
def test_bad_arguments_end_with_a_reason(arguments: tuple[str, ...], complaint: str) -> None:
    process = launch(*arguments)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert complaint in err
    assert "Traceback" not in err


def test_the_pacer_multiplies_real_time() -> None:
    cluster = SimulatedCluster(stores=3, regions=3)
    real_seconds = [100.0]
    pacer = Pacer(cluster, speed=30.0, read_clock=lambda: real_seconds[0])
    pacer.tick()
    assert cluster.now_seconds == 0
    real_seconds[0] += 2.0
    pacer.tick()
    assert cluster.now_seconds == pytest.approx(60.0)
    cluster.advance(1000)
    real_seconds[0] += 1.0
    pacer.tick()
    assert cluster.now_seconds == pytest.approx(1090.0)
