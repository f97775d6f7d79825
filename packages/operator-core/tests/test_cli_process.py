"""The installed command as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

OPERATOR = str(Path(sys.executable).parent / "operator")

pytestmark = pytest.mark.real


def operator(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command on a ledger in a folder."""
    return subprocess.run(
        [OPERATOR, *words],
        env={**os.environ, "OPERATOR_DB": str(folder / "x.db"), "TZ": "UTC", **env},
        capture_output=True,
        encoding=env.get("PYTHONIOENCODING", "utf-8"),
        check=False,
        timeout=30,
    )


@contextmanager
def running(
    *command: str, stdout: int | None = None, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a command that minds each signal; whatever happens, nothing of it is left."""
    minding = ["env", "--default-signal", *command]  # also where the tests run under nohup
    with subprocess.Popen(minding, stdout=stdout, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_ticket_from_the_shell(tmp_path: Path) -> None:
    opened = operator(tmp_path, "tickets", "open", "-m", "disk", "--json")
    assert json.loads(opened.stdout)["id"] == 1
    assert "UTC" in operator(tmp_path, "tickets", "list").stdout
    assert operator(tmp_path, "tickets", "show", "2").returncode == 2
    assert operator(tmp_path, "actions", "propose", "wait", "-p", "seconds=1").returncode == 3
    assert operator(tmp_path, "tickets", "unhold", "1").returncode == 4


def test_the_package_is_the_command(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "operator_core", "--db", str(tmp_path / "x.db"), "tickets"]
    done = subprocess.run([*words, "show", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 5  # there is no ledger
    assert done.stderr.startswith("Error: ")


def test_a_failing_command_ends_and_says_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no ledger" * 1000)
    done = operator(tmp_path, "tickets", "list")
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [OPERATOR.encode(), b"--db", bytes(tmp_path / "x.db"), b"tickets", b"open", b"-m", b"\xff"],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert b"no valid Unicode" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("words", [("--help",), ("tickets", "list"), ("tickets", "show", "1")])
def test_a_terminal_that_knows_few_letters_shows_what_it_can(
    tmp_path: Path, encoding: str, words: tuple[str, ...]
) -> None:
    operator(tmp_path, "tickets", "open", "-m", "disk … ü 漢")
    done = operator(tmp_path, *words, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert words == ("--help",) or "disk ? " in done.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    operator(tmp_path, "tickets", "open", "-m", "x")
    for output in ("--json", "--all"):
        read, write = os.pipe()
        os.close(read)
        try:
            done = subprocess.run(
                [OPERATOR, "--db", str(tmp_path / "x.db"), "tickets", "list", output],
                stdout=write,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=30,
            )
        finally:
            os.close(write)
        assert done.stderr == ""


@pytest.mark.parametrize("words", [("--help",), ("mode", "--help"), ("mode",)])
def test_an_output_without_room_is_told_in_a_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [OPERATOR, "--db", str(tmp_path / "x.db"), *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
        )
    said = "Error: the output cannot be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("words", [("kill",), ("kill", "--json"), ("--help",)])
def test_an_output_that_is_closed_ends_like_one_that_nobody_reads(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    operator(tmp_path, "tickets", "open", "-m", "x")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", OPERATOR, "--db", str(tmp_path / "x.db"), *words],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (1, "")
    killed = json.loads(operator(tmp_path, "mode", "--json").stdout)["killed_at"] is not None
    assert killed is ("kill" in words), "what was asked for is done"


def connected(folder: Path) -> str:
    """Connect a cluster that is not there; return the ledger's path."""
    words = ("connect", "etcd", "--endpoints", "http://127.0.0.1:9", "--no-check")
    done = operator(folder, *words)
    assert done.returncode == 0, done.stderr
    return str(folder / "x.db")


def looking(db: str) -> list[str]:
    """Return the command of an Operator that tells of each look."""
    return [OPERATOR, "--debug", "--db", db, "up", "--interval-seconds", "0.1"]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains(tmp_path: Path, told: signal.Signals) -> None:
    """SIGHUP too: who closes a terminal must not cut off a call that runs."""
    up = [OPERATOR, "--db", connected(tmp_path), "up", "--json"]
    with running(*up, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert "is in force" in process.stdout.readline()  # the shipped policy
        assert "watching etcd" in process.stdout.readline()
        process.send_signal(told)
        rest = process.stdout.read()
        assert process.wait(timeout=20) == 0
    assert "stopping" in rest


def test_an_operator_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    with running(
        "nohup", *looking(connected(tmp_path)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        looks = (line for line in process.stderr if "observation_failed" in line)
        next(looks)
        process.send_signal(signal.SIGHUP)
        for _ in range(10):  # it would have ended meanwhile
            next(looks)
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("output", ["/dev/full", "a pipe that nobody reads"])
def test_an_operator_whose_output_is_lost_goes_on(tmp_path: Path, output: str) -> None:
    """A full disk under its log ended it, in the night in which it was needed."""
    db = connected(tmp_path)
    with ExitStack() as stack:
        if output == "/dev/full":
            written = os.open(output, os.O_WRONLY)
        else:
            read, written = os.pipe()
            os.close(read)
        stack.callback(os.close, written)
        process = stack.enter_context(running(*looking(db), stdout=written, stderr=subprocess.PIPE))
        assert process.stderr is not None
        looks = (line for line in process.stderr if "observation_failed" in line)
        for _ in range(3):
            next(looks)
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(timeout=20) == 0
    assert "Error" not in rest


_LEFT_BEHIND = """
import asyncio, sys, threading, time
from operator_core.cli import leaving, main, run
from operator_core.errors import LedgerGoneError

async def loop(*_):
    HOW
    await asyncio.sleep(0.1)
    raise LedgerGoneError("It was replaced.")

run.run_loop, leaving.LONGEST_SECONDS = loop, 0.2
sys.argv = ["operator", "agent", "start"]
main.main()
"""


@pytest.mark.parametrize(
    "how",
    [
        "threading.Thread(target=time.sleep, args=[50]).start()",
        "task = asyncio.create_task(asyncio.to_thread(time.sleep, 50))",
    ],
)
def test_a_thread_that_a_subject_has_left_behind_keeps_no_process_that_has_ended(how: str) -> None:
    """Nobody started the agent again: it was still there, and did nothing."""
    program = _LEFT_BEHIND.replace("HOW", how)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 5, done.stderr
    assert "A thread was left behind" in done.stderr
    assert "It was replaced." in done.stderr
