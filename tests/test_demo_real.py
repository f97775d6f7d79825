"""The demo as a person runs it: on real processes, also when the agent is killed in the middle."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OPERATOR = [sys.executable, "-m", "operator_core.cli.main"]
pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
"""A demo takes half a minute, and ten times as long on a machine that does much else."""


@contextmanager
def demo(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demo; whatever happens, nothing of it is left."""
    command = [*OPERATOR, "demo", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as it:
        try:
            yield it
        finally:
            if it.poll() is None:
                it.send_signal(signal.SIGINT)
                it.wait(30)


def output_of(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield what the demo prints, line by line, until it ends."""
    assert process.stdout is not None
    yield from process.stdout


def told(folder: Path, *command: str) -> list[dict[str, object]]:
    """Return what a command says as JSON."""
    run = [*OPERATOR, "--db", str(folder / "operator.db"), *command, "--json"]
    answer = subprocess.run(run, check=True, capture_output=True, text=True, timeout=30)
    found: list[dict[str, object]] = json.loads(answer.stdout)
    return found


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes that name the folder."""
    lines = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    return [line for line in lines.stdout.splitlines() if str(folder) in line]


def assert_each_command_that_is_offered_works(lines: list[str]) -> None:
    """Assert that what the demo offers for looking around can be run, as it stands there."""
    offered = [line.partition(" --db ")[2].split("  ")[0] for line in lines if " --db " in line]
    assert len(offered) == 5, lines
    for command in offered:
        subprocess.run(
            [*OPERATOR, "--db", *command.split()], check=True, capture_output=True, timeout=30
        )


def assert_each_step_was_done_once(folder: Path, most_tickets: int = 1) -> None:
    """Assert that every step was completed once, and that no attempt is left open."""
    steps = told(folder, "actions", "list")
    if most_tickets > 1:  # a remedy may have helped against another ticket before its own began
        steps = [step for step in steps if step["status"] not in {"validated", "cancelled"}]
    assert steps
    assert {step["status"] for step in steps} == {"completed"}
    done = [
        e["proposal_id"]
        for e in told(folder, "audit", "list", "--limit", "1000")
        if e["event_type"] == "execution_completed"
    ]
    assert sorted(done, key=str) == sorted((step["id"] for step in steps), key=str)
    tickets = told(folder, "tickets", "list", "--all")
    assert 1 <= len(tickets) <= most_tickets
    assert {ticket["status"] for ticket in tickets} == {"resolved"}


@pytest.mark.parametrize("subject", ["tikv", "etcd", "patroni"])
def test_the_demo_repairs_its_cluster_and_leaves_nothing_behind(
    tmp_path: Path, subject: str
) -> None:
    with demo("--subject", subject, "--folder", str(tmp_path)) as process:
        lines = list(output_of(process))
    assert process.returncode == 0, "".join(lines)
    assert any("proof" in line for line in lines)
    assert_each_command_that_is_offered_works(lines)
    # Where PostgreSQL is down for long, that is a ticket beside the one that nobody takes writes.
    assert_each_step_was_done_once(tmp_path, most_tickets=2 if subject == "patroni" else 1)
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("subject", "moment"),
    [
        ("tikv", "step 2/4"),
        pytest.param("etcd", "step 2/7", marks=pytest.mark.slow),
        pytest.param("patroni", "step 1/1", marks=pytest.mark.slow),
    ],
)
def test_killing_the_agent_in_the_middle_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, subject: str, moment: str
) -> None:
    seen = ""
    killed = False
    with demo("--subject", subject, "--folder", str(tmp_path)) as process:
        for line in output_of(process):
            seen += line
            if not killed and moment in line:
                agent = re.search(r"process (\d+) watches", seen)
                assert agent is not None
                os.kill(int(agent[1]), signal.SIGKILL)
                killed = True
    assert killed, seen
    assert process.returncode == 0, seen
    assert "killed by signal 9" in seen
    assert_each_step_was_done_once(tmp_path, most_tickets=2 if subject == "patroni" else 1)
    assert processes_of(tmp_path) == []


def test_a_demo_that_was_killed_itself_can_be_resumed(tmp_path: Path) -> None:
    with demo("--subject", "tikv", "--folder", str(tmp_path)) as process:
        for line in output_of(process):
            if "step 1/4" in line:
                process.kill()
                break
    with demo("--resume", str(tmp_path)) as process:
        lines = list(output_of(process))
    assert process.returncode == 0, "".join(lines)
    assert_each_step_was_done_once(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_stops_its_cluster(
    tmp_path: Path, number: signal.Signals
) -> None:
    with demo("--subject", "etcd", "--folder", str(tmp_path)) as process:
        for line in output_of(process):
            if "fault" in line:
                process.send_signal(number)
        process.wait(30)
    assert process.returncode == 128 + number
    assert processes_of(tmp_path) == []
