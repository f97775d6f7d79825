"""Servers on this machine: where they listen, and what ends them."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from operator_core import local_processes
from operator_core.local_processes import ProcessSpec, ProcessState

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more loopback hosts")


@linux
def test_clusters_have_a_loopback_host_of_their_own() -> None:
    clusters = [local_processes.free_addresses(3) for _ in range(20)]
    hosts = [{address.partition(":")[0] for address in one} for one in clusters]
    assert all(len(one) == 1 for one in hosts)
    assert len(set.union(*hosts)) == len(clusters)
    assert all(one.startswith("127.") for one in set.union(*hosts) - {"127.0.0.1"})


@linux
async def test_whoever_connects_takes_no_port_of_a_cluster() -> None:
    (address,) = local_processes.free_addresses(1)
    host, _, port = address.partition(":")
    server = await asyncio.start_server(lambda _, writer: writer.close(), host, int(port))
    async with server:
        _, writer = await asyncio.open_connection(host, int(port))
        assert writer.get_extra_info("sockname")[0] != host
        writer.close()
        await writer.wait_closed()


def test_a_package_that_is_not_there_carries_nothing() -> None:
    assert local_processes.carried_by("no_such_package", "bin") is None
    assert local_processes.carried_by("operator_core", "nothing") is None
    assert local_processes.carried_by("operator_core", "clock.py") is not None


def sleeper(folder: Path) -> ProcessSpec:
    mark = str(folder / "mark")
    return ProcessSpec(
        name="sleeper",
        argv=["sh", "-c", "sleep 60; : $0", mark],
        marker=mark,
        pid_file=folder / "sleeper.pid",
        log_file=folder / "sleeper.log",
    )


def test_the_end_of_a_log_says_why_a_server_ended(tmp_path: Path) -> None:
    spec = sleeper(tmp_path)
    assert local_processes.last_line_of(spec) == ""
    spec.log_file.write_text("it begins\nits port is taken\n", encoding="utf-8")
    assert local_processes.last_line_of(spec) == "its port is taken"


@pytest.mark.real
@pytest.mark.parametrize("is_frozen", [False, True])
async def test_a_server_is_killed_frozen_or_not(tmp_path: Path, is_frozen: bool) -> None:
    spec = sleeper(tmp_path)
    await local_processes.start(spec, 60)
    if is_frozen:
        local_processes.send(spec, signal.SIGSTOP)
    await local_processes.kill(spec)
    assert local_processes.state_of(spec) is ProcessState.STOPPED


@pytest.mark.real
async def test_a_server_that_becomes_another_program_has_not_ended(tmp_path: Path) -> None:
    program = tmp_path / "mark"
    program.write_text('exec sh "$0"\n', encoding="utf-8")
    spec = sleeper(tmp_path).model_copy(update={"argv": ["sh", str(program)]})
    await local_processes.start(spec, 60)
    try:
        seen = {local_processes.state_of(spec) for _ in range(5000)}
    finally:
        await local_processes.kill(spec)
    assert seen == {ProcessState.RUNNING}
    assert local_processes.state_of(spec) is ProcessState.STOPPED


@pytest.mark.real
@pytest.mark.parametrize("way", local_processes._WAYS_TO_BE_ANYBODY)
def test_root_is_somebody_else_who_reaches_the_same_files(
    way: tuple[str, ...], tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "file").write_text("it")
    ask = 'test "$(id -u)" != 0 && test -r "$0" && cat "$0"'
    told = ["sh", "-c", ask, str(tmp_path / "file")]
    if os.geteuid() != 0:
        assert local_processes.as_anybody() == ()
    elif local_processes._works(way):  # not all do everywhere, and one must
        done = subprocess.run([*way, *told], capture_output=True, text=True, check=True)
        assert done.stdout == "it"
    assert os.geteuid() != 0 or local_processes._works(local_processes.as_anybody())


def test_the_first_way_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        local_processes, "_WAYS_TO_BE_ANYBODY", (("false",), ("nowhere",), ("env",))
    )
    assert local_processes.as_anybody.__wrapped__() == ("env",)
