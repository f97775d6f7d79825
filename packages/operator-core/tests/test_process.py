"""What the system tells of the processes that own leases."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from operator_core import process
from operator_core.owner import Sighting, name_of, process_of

NAMES_ITSELF = """
from operator_core.process import new_owner
import sys
print(new_owner(), flush=True)
sys.stdin.read()
"""


FORKS = """
import os
from operator_core.process import OwnName
own, given = OwnName(), OwnName("me")
print(os.getpid(), own, given, flush=True)
if os.fork():
    os.wait()
else:
    print(os.getpid(), own, given, flush=True)
    print(os.getpid(), own, given, flush=True)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """Run a process that says its name as an owner and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", NAMES_ITSELF],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def name_by(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_this_process_is_alive_and_each_owner_has_a_name_of_its_own() -> None:
    first, second = process.new_owner(), process.new_owner()
    assert first != second
    assert process_of(first) == process_of(second) == process.this_process()
    assert not process.is_dead(first)


@pytest.mark.real
def test_a_forked_process_is_an_owner_of_its_own() -> None:
    """It had its parent's name, and was taken for dead when that had ended."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    parent, child, again = (line.split() for line in done.stdout.splitlines())
    for pid, own, given in (parent, child):
        who = process_of(own)
        assert who is not None
        assert (str(who.pid), given) == (pid, "me")
    assert child == again
    assert parent[1] != child[1]


@pytest.mark.real
def test_a_process_is_dead_once_it_was_killed_even_if_its_parent_takes_no_note(
    child: subprocess.Popen[str],
) -> None:
    name = name_by(child)
    assert not process.is_dead(name)
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert not process.is_dead(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.look_for(child.pid).ended
    assert process.is_dead(name)
    child.wait()
    assert process.look_for(child.pid) == Sighting(there=False)
    assert process.is_dead(name)


def test_a_number_that_was_given_again_is_another_process() -> None:
    here = process.this_process()
    assert here is not None
    assert process.is_dead(name_of(here._replace(started_ticks=here.started_ticks - 1), "a"))
    assert not process.is_dead(name_of(here._replace(host="elsewhere", pid=2**31), "a"))
    assert process.is_dead(name_of(here._replace(pid=2**70), "a"))


def test_a_thread_that_has_the_number_is_not_the_process() -> None:
    here, ids, done = process.this_process(), queue.SimpleQueue[int](), threading.Event()
    assert here is not None

    def stay() -> None:
        ids.put(threading.get_native_id())
        done.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    assert process.is_dead(name_of(here._replace(pid=ids.get(), started_ticks=1), "a"))
    done.set()
    thread.join()


@pytest.mark.parametrize("text", ["", "17 (a) b) S 1", "17 (x) S " + "y " * 40])
def test_a_line_that_cannot_be_read_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "stat").write_text(text)
    monkeypatch.setattr(process, "_PROC", tmp_path)
    assert process.look_for(os.getpid()) == Sighting(there=True)


def test_a_leader_that_ended_before_its_threads_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = ["0"] * 20
    fields[0], fields[17], fields[19] = "Z", "2", "55"
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "stat").write_text(f"1 (a (b) c) {' '.join(fields)}")
    monkeypatch.setattr(process, "_PROC", tmp_path)
    assert process.look_for(os.getpid()) == Sighting(there=True, started_ticks=55)


def test_where_the_system_tells_nothing_an_owner_has_a_name_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path)
    process._process.cache_clear()
    try:
        name = process.new_owner()
        assert process_of(name) is None
        assert f":{os.getpid()}:" in name
        assert not process.is_dead(name)
    finally:
        process._process.cache_clear()
