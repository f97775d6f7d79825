"""This process and its neighbours, as Linux's ``/proc`` tells of them."""

import hashlib
import os
import socket
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

from operator_core import owner
from operator_core.owner import Process, Sighting

_PROC = Path("/proc")
_NAMESPACES = ("pid", "time")
_NONCE_CHARS = 8
_PLACE_CHARS = 12
# Where they stand in the line of /proc/PID/stat, counted behind the program's name.
_STATE, _THREADS, _STARTED = 0, 17, 19
_ENDED = frozenset("ZXx")


def new_owner() -> str:
    """Return a name for an owner of leases in this process, one that nobody else has.

    It is made where the owner lives: not before a fork.
    """
    process, nonce = this_process(), uuid.uuid4().hex[:_NONCE_CHARS]
    if process is None:
        return f"{socket.gethostname()}:{os.getpid()}:{nonce}"
    return owner.name_of(process, nonce)


class OwnName:
    """The name of an owner that lives as long as this process; a forked child has another one."""

    def __init__(self, given: str | None = None) -> None:
        """Take the name, or make one where it is needed."""
        self._given = given
        self._made_by, self._made = 0, ""

    def __str__(self) -> str:
        """Return the name in this process."""
        if self._given:
            return self._given
        if self._made_by != os.getpid():
            self._made_by, self._made = os.getpid(), new_owner()
        return self._made


def is_dead(name: str) -> bool:
    """Return whether the process of an owner surely runs no more.

    Args:
        name: as `new_owner` gave it, perhaps on another machine.
    """
    return _is(owner.is_dead, name)


def is_living(name: str) -> bool:
    """Return whether an owner surely is another process of this machine, which is still there.

    Args:
        name: as `new_owner` gave it, perhaps on another machine.
    """
    return _is(owner.is_living, name)


def _is(rule: Callable[[Process, Process, Sighting], bool], name: str) -> bool:
    process, here = owner.process_of(name), this_process()
    if process is None or here is None:
        return False
    return rule(process, here, look_for(process.pid))


def this_process() -> Process | None:
    """Return this process; None: the system does not tell enough."""
    return _process(os.getpid())


@cache
def _process(pid: int) -> Process | None:
    place, started_ticks = _place(pid), look_for(pid).started_ticks
    if place is None or started_ticks is None:
        return None
    return Process(socket.gethostname(), pid, started_ticks, place)


def _place(pid: int) -> str | None:
    """Return what stands for this boot and the namespaces that this process sees."""
    try:
        if str((_PROC / "self").readlink()) != str(pid):
            return None  # a /proc of another namespace, where our number is somebody else's
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        spaces = [_namespace(name) for name in _NAMESPACES]
    except OSError:
        return None
    if not boot or not spaces[0]:
        return None
    return hashlib.sha256(" ".join([boot, *spaces]).encode()).hexdigest()[:_PLACE_CHARS]


def _namespace(name: str) -> str:
    link = _PROC / "self/ns" / name
    return str(link.readlink()) if link.is_symlink() else ""


def look_for(pid: int) -> Sighting:
    """Return what is to be seen of a process's number; the process may be another user's.

    Args:
        pid: the number, more than 0.
    """
    try:
        os.kill(pid, 0)  # sends nothing; sees also what /proc may hide from this user
    except (ProcessLookupError, OverflowError):
        return Sighting(there=False)
    except PermissionError:
        pass  # it is there, and somebody else's
    except OSError:
        return Sighting(there=None)
    return _read(pid)


def libraries() -> frozenset[str]:
    """Return the files of shared libraries in this process; none where the system does not tell."""
    try:
        lines = (_PROC / "self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    files = (line[line.index("/") :] for line in lines if "/" in line)
    return frozenset(file for file in files if ".so" in file)


def _read(pid: int) -> Sighting:
    try:
        line = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        fields = line.rpartition(")")[2].split()
        ended = fields[_STATE] in _ENDED and int(fields[_THREADS]) <= 1
        return Sighting(there=True, started_ticks=int(fields[_STARTED]), ended=ended)
    except (OSError, ValueError, IndexError):
        return Sighting(there=True)
