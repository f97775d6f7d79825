"""Local server processes that outlive whoever started them, found again by their pid file.

A process is started through a shell that goes away at once, so that nobody has to wait for
it; it writes its own pid before it becomes the server, so that no crash of ours loses it.
"""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from operator_core.clock import monotonic_seconds
from operator_core.errors import ActionFailedError

POLL_SECONDS = 0.02

_START = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 &'
_WRITE_PID = 'echo $$ > "$1.new" && mv "$1.new" "$1" && shift && exec "$@"'
_PID_FILE_SECONDS = 5.0
_LATE_PID_SECONDS = 0.2
_KILLED_SECONDS = 5.0
_ENDED = frozenset("ZX")
"""The letters of processes that have ended."""

_WAYS_TO_BE_ANYBODY = (
    ("unshare", "-U", "--map-user=1000", "--map-group=1000"),
    # In a container, or a chroot, no user has a namespace of its own. The last word lets `access`
    # tell the truth, by which PostgreSQL looks for its programs.
    (
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        "--securebits=+no_setuid_fixup",
    ),
)


class ProcessState(StrEnum):
    """What the operating system says of a process."""

    RUNNING = "running"
    FROZEN = "frozen"
    STOPPED = "stopped"


class ProcessSpec(BaseModel):
    """How to start one server, and where its traces are."""

    model_config = ConfigDict(frozen=True)

    name: str
    argv: list[str]
    marker: str
    """A word of the command line that no other process has: its data folder."""
    pid_file: Path
    log_file: Path


def carried_by(package: str, *parts: str) -> Path | None:
    """Return a file or folder that a package carries; None where that is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    place = Path(found.origin).parent.joinpath(*parts)
    return place if place.exists() else None


def free_addresses(count: int) -> list[str]:
    """Return so many addresses on loopback as host:port, where nobody listens at this moment.

    Linux has sixteen million loopback hosts. On one of its own a cluster meets neither another
    cluster nor an outgoing connection, also not after a member was away for a while.
    """
    host = f"127.{secrets.randbelow(255)}.{secrets.randbelow(255)}.{secrets.randbelow(253) + 2}"
    host = host if sys.platform == "linux" else "127.0.0.1"
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((host, 0))
        return [f"{host}:{one.getsockname()[1]}" for one in sockets]


async def start(spec: ProcessSpec, max_lifetime_seconds: int) -> None:
    """Start the server in a session of its own; it ends by itself after the lifetime.

    Raises:
        ActionFailedError: the shell could not start it.
    """
    spec.pid_file.unlink(missing_ok=True)
    server = ["sh", "-c", _WRITE_PID, "sh", str(spec.pid_file), *spec.argv]
    command = ["sh", "-c", _START, "sh", str(spec.log_file), *_limited(max_lifetime_seconds)]
    shell = await asyncio.create_subprocess_exec(*command, *server, start_new_session=True)
    end = monotonic_seconds() + _PID_FILE_SECONDS
    if await shell.wait() == 0:
        while monotonic_seconds() < end:
            if spec.pid_file.exists():
                return
            await asyncio.sleep(POLL_SECONDS)
    raise ActionFailedError(f"{spec.name} could not be started: see {spec.log_file}.")


def _limited(max_lifetime_seconds: int) -> list[str]:
    """Return the command prefix that ends an orphan; empty where there is no `timeout`."""
    timeout = shutil.which("timeout")
    return [timeout, "-k", "5", str(max_lifetime_seconds)] if timeout else []


def pid_of(spec: ProcessSpec) -> int | None:
    """Return the pid of the server, None where it does not run."""
    try:
        pid = int(spec.pid_file.read_text("ascii"))
    except (OSError, ValueError):
        return None
    state, command = _look(pid)
    # Pids are given out again: it must still be our server. One that becomes another program at
    # this moment, as each start does, shows no command line; nor does one that has ended.
    becomes = not command and state not in _ENDED
    return pid if becomes or spec.marker in command else None


def log_of(spec: ProcessSpec) -> str:
    """Return what the server has written so far, empty where it has not begun."""
    return spec.log_file.read_text("utf-8", "replace") if spec.log_file.exists() else ""


def last_line_of(spec: ProcessSpec) -> str:
    """Return the end of the server's log: most often the reason why it ended."""
    return " ".join(log_of(spec).strip().splitlines()[-1:])[:300]


def state_of(spec: ProcessSpec) -> ProcessState:
    """Return what the operating system says of the server."""
    pid = pid_of(spec)
    letter = _look(pid)[0] if pid else "Z"
    states = {"T": ProcessState.FROZEN, "t": ProcessState.FROZEN}
    return ProcessState.STOPPED if letter in _ENDED else states.get(letter, ProcessState.RUNNING)


def _look(pid: int) -> tuple[str, str]:
    """Return the letter of a process's state and its command line; Z where there is none."""
    if not Path("/proc/self").exists():
        return _look_with_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        command = Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    except OSError:
        return "Z", ""
    return stat.rpartition(")")[2].split()[0], command


def _look_with_ps(pid: int) -> tuple[str, str]:
    """Do the same where there is no /proc, as on macOS."""
    asked = ["ps", "-o", "state=,command=", "-p", str(pid)]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return (answer.stdout.strip()[:1] or "Z"), answer.stdout


def send(spec: ProcessSpec, number: signal.Signals) -> None:
    """Send a signal to the server's whole process group; nothing where it does not run."""
    pid = pid_of(spec)
    if pid is None:
        return
    try:
        os.killpg(os.getpgid(pid), number)
    except ProcessLookupError:
        return


async def wait_gone(spec: ProcessSpec, seconds: float) -> bool:
    """Wait until the server has ended; False where it still runs after the time."""
    end = monotonic_seconds() + seconds
    while state_of(spec) is not ProcessState.STOPPED:
        if monotonic_seconds() > end:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def stop(spec: ProcessSpec, grace_seconds: float = 3.0) -> None:
    """End the server: politely, then by force."""
    await _until_known(spec)
    send(spec, signal.SIGCONT)
    send(spec, signal.SIGTERM)
    if not await wait_gone(spec, grace_seconds):
        send(spec, signal.SIGKILL)
        await wait_gone(spec, grace_seconds)
    spec.pid_file.unlink(missing_ok=True)


async def kill(spec: ProcessSpec) -> None:
    """End the server at once, as a crash does; its pid file stays."""
    await _until_known(spec)
    send(spec, signal.SIGKILL)
    await wait_gone(spec, _KILLED_SECONDS)


async def _until_known(spec: ProcessSpec) -> None:
    """Wait a moment for a pid that may still come: a start was cut short."""
    if spec.log_file.exists() and not spec.pid_file.exists():
        await asyncio.sleep(_LATE_PID_SECONDS)


@cache
def as_anybody() -> tuple[str, ...]:
    """Return what stands before a command that refuses to run as root, as PostgreSQL does.

    It is somebody else then who reaches the same files. Whoever is not root needs nothing.
    """
    if os.geteuid() != 0:
        return ()
    return next(filter(_works, _WAYS_TO_BE_ANYBODY), _WAYS_TO_BE_ANYBODY[0])


def _works(prefix: tuple[str, ...]) -> bool:
    with suppress(OSError):
        command = [*prefix, "true"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own words
    return False
