"""Owners that die or stand still, on one PostgreSQL ledger: others have their work in time."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import engine_worker
import monitor_worker
from engine_bench import Bench, id_of, recommend
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.clock import SYSTEM_CLOCK
from operator_core.db.control import ControlDB
from operator_core.db.ledger import open_ledger
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject

pytestmark = pytest.mark.real

LEASE_SECONDS = 4.0
SLACK_SECONDS = 2.0
"""Starting and scheduling processes on a busy machine takes time that no lease counts."""
LONG_LEASE_SECONDS = 600.0


KILLED, STOPPED, BESIDE = "killed", "stopped", "beside"


@dataclass(frozen=True)
class Look:
    """One look at a cluster, by a clock that all processes share."""

    subject: str
    pid: int
    seconds: float


def looks_in(file: Path) -> list[Look]:
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    words = [line.split() for line in lines]
    return [Look(subject, int(pid), float(seconds)) for subject, pid, seconds in words]


async def first_look(file: Path, subject: str, pid: int) -> float:
    """Wait until a process has looked at a cluster, and return when it did first."""
    while True:
        for look in looks_in(file):
            if (look.subject, look.pid) == (subject, pid):
                return look.seconds
        await asyncio.sleep(0.02)


@contextmanager
def monitors(url: str, file: Path) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """Run a process for each cluster: two on other machines, one on this one for a long time."""
    places = {KILLED: "one", STOPPED: "two", BESIDE: ""}
    with ExitStack() as stack:
        started = {}
        for subject, machine in places.items():
            lease_seconds = LEASE_SECONDS if machine else LONG_LEASE_SECONDS
            command = [sys.executable, monitor_worker.__file__, url, str(file)]
            command += [str(lease_seconds), subject, machine]
            started[subject] = stack.enter_context(subprocess.Popen(command))
            stack.callback(started[subject].kill)
        yield started


@asynccontextmanager
async def standby(url: str, file: Path) -> AsyncIterator[None]:
    """Let this process wait for the right to watch each of the clusters."""
    task = asyncio.create_task(
        monitor_worker.watch(url, file, LEASE_SECONDS, KILLED, STOPPED, BESIDE)
    )
    try:
        yield
    finally:
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)  # as anybody stops it
        await task


@pytest.mark.timeout(180)  # three programs start, which takes long on a busy machine
async def test_a_monitor_that_dies_or_stands_still_is_followed_within_one_lease(
    postgres_url: str, tmp_path: Path
) -> None:
    file, me = tmp_path / "looks", os.getpid()
    async with ControlDB(postgres_url) as control:
        for subject in (KILLED, STOPPED, BESIDE):
            await control.connect_subject(subject, "fake", {}, actor="test")
    with monitors(postgres_url, file) as victims:
        for subject, victim in victims.items():
            await first_look(file, subject, victim.pid)
        async with standby(postgres_url, file):
            await asyncio.sleep(LEASE_SECONDS / 2)
            assert me not in {look.pid for look in looks_in(file)}
            for subject, victim in victims.items():
                victim.send_signal(signal.SIGSTOP if subject == STOPPED else signal.SIGKILL)
            died = time.monotonic()
            taken = {subject: await first_look(file, subject, me) for subject in victims}
            victims[STOPPED].send_signal(signal.SIGCONT)
            await asyncio.sleep(LEASE_SECONDS / 2)
            seen = looks_in(file)
    for subject in (KILLED, STOPPED):
        assert LEASE_SECONDS / 4 < taken[subject] - died < LEASE_SECONDS + SLACK_SECONDS
    assert taken[BESIDE] - died < LEASE_SECONDS  # of a lease of many minutes
    late = [
        look for look in seen if look.pid == victims[STOPPED].pid and look.seconds > taken[STOPPED]
    ]
    assert len(late) <= 1  # a look that had begun before it was stopped


@asynccontextmanager
async def acting(url: str) -> AsyncIterator[Bench]:
    ledger = await open_ledger(url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    one.clock = SYSTEM_CLOCK  # type: ignore[assignment] # real processes, real time
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    yield one
    await ledger.engine.close()


async def test_the_work_of_a_dead_process_on_the_same_machine_is_settled_at_once(
    postgres_url: str, tmp_path: Path
) -> None:
    async with acting(postgres_url) as one:
        executor = one.executor()
        for _ in range(8):
            stored = await executor.propose_action(recommend("act_again"))
            await executor.validate_proposal(id_of(stored))
        effects = tmp_path / "effects"
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, engine_worker.__file__, postgres_url, str(effects)),
            *("hang_after_effect", str(LONG_LEASE_SECONDS)),
        )
        while not effects.exists() or effects.read_text(encoding="utf-8").count("\n") < 8:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.01)
        assert await executor.settle_expired(one.subject) == []  # it lives
        os.kill(worker.pid, signal.SIGKILL)
        await worker.wait()
        one.subject.probe_answer = ProbeAnswer.HAPPENED
        assert len(await executor.settle_expired(one.subject)) == 8
        assert len(await one.db.list_proposals(ActionStatus.COMPLETED)) == 8
        assert await one.control.first_broken_audit_row() is None
