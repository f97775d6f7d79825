"""What a ledger file lies on: SQLite's log is memory that processes share, and machines do not."""

import os
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

_MOUNTS = Path("/proc/self/mounts")
_SHARED = frozenset(
    [
        "afs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
    ]
)
_FLEETING = frozenset(("overlay", "ramfs", "tmpfs"))
_ESCAPES = {ord(char): f"\\{ord(char):03o}" for char in " \t\n\\"}
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Kind(StrEnum):
    """What a file system is worth to a ledger."""

    LASTING = "lasting"
    FLEETING = "fleeting"
    """It goes with the machine's memory, or with its container."""
    SHARED = "shared"
    """Other machines reach it too, and neither see SQLite's locks nor its log."""


class Disk(NamedTuple):
    """A file system, by its type's name, and what it is worth."""

    name: str
    kind: Kind


def disk_of(path: Path, mounts: Path = _MOUNTS) -> Disk | None:
    """Return what a file lies on; None: nobody can tell.

    Args:
        path: the file.
        mounts: where the system says what is mounted.
    """
    place = Path(os.path.realpath(path))
    above = [one for one in _mounted(mounts) if place.is_relative_to(one[0])]
    if not above:
        return None
    # Of those at one place the last one hides the others.
    _, name = max(reversed(above), key=lambda one: len(one[0].parts))
    return Disk(name, _kind(name))


def trouble_of_names(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return why a file would have logs in several places, as SQLite names them after the file.

    None of them knows what the other one holds (sqlite.org/howtocorrupt, section 2.5).

    Args:
        path: the file.
        mounts: where the system says what is mounted.

    Returns:
        What is wrong, and what to do; None: nothing is.

    Raises:
        OSError: the file cannot be looked at.
    """
    names = path.stat().st_nlink
    if names > 1:
        return f"has {names} names (hard links): replace the others by copies, or delete them"
    if _is_mounted_alone(path, mounts):
        return "is mounted as a single file, so its log is left outside: mount its folder"
    return None


def _is_mounted_alone(path: Path, mounts: Path) -> bool:
    # Asked at each opening: to take the table apart, as `_mounted` does, costs three times as much.
    place = os.path.realpath(path).translate(_ESCAPES)
    try:
        return f" {place} ".encode(errors="surrogateescape") in mounts.read_bytes()
    except OSError:
        return False


def _kind(name: str) -> Kind:
    if name in _SHARED:
        return Kind.SHARED
    return Kind.FLEETING if name in _FLEETING else Kind.LASTING


def _mounted(mounts: Path) -> Iterator[tuple[Path, str]]:
    """Yield where each file system is mounted, and its type."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, point, name, *_ = line.split(" ")
        yield Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), point)), name
