"""What may trouble a ledger from outside: somebody else's lock, cut connections, a full disk."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import psycopg

from operator_core.testing.postgres import PostgresServer

_MIB = 1024 * 1024
_DISK_MIB = 2048
_PATIENCE_SECONDS = 1
NOT_HELD = (
    sqlite3.OperationalError,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.UndefinedTable,
)
"""Somebody else holds the lock already, or nobody has made the ledger yet."""

_TABLES = "action_proposals, audit_log, workflows"
_CUT_HALF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < 0.5"
)


@contextmanager
def file_held(path: Path) -> Iterator[None]:
    """Hold the lock of a ledger file, as somebody does who writes to it by hand.

    Raises:
        sqlite3.OperationalError: somebody else holds it, who may stand still.
    """
    with closing(sqlite3.connect(path, timeout=_PATIENCE_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def tables_held(server: PostgresServer) -> Iterator[None]:
    """Lock the tables of a ledger, as a change of its schema by hand does.

    Raises:
        psycopg.errors.LockNotAvailable: somebody else holds them, who may stand still.
    """
    with psycopg.connect(server.url) as connection:
        connection.execute(f"SET lock_timeout = '{_PATIENCE_SECONDS}s'")
        connection.execute(f"LOCK TABLE {_TABLES} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def cut_half(server: PostgresServer) -> None:
    """End half of all connections, as an administrator or a pooler does."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(_CUT_HALF)


class SmallDisk:
    """A disk of its own in a folder, which can be filled; use it as a context manager."""

    def __init__(self, folder: Path, mib: int = _DISK_MIB) -> None:
        """Take the folder, which must be empty, and the disk's size in MiB."""
        self._folder = folder
        self._mib = mib
        self._filler = folder / "filler"

    @staticmethod
    def can_be_made() -> bool:
        """Return whether one can be mounted: root may, but not in every container."""
        try:
            with TemporaryDirectory() as folder, SmallDisk(Path(folder), mib=1):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False

    def __enter__(self) -> Self:
        """Mount it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run("mount", "-t", "tmpfs", "-o", f"size={self._mib}m", "tmpfs")
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it; what is on it is gone."""
        self._run("umount", "--lazy")

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room on it."""
        try:
            with self._filler.open("wb", buffering=0) as file:
                for size in (_MIB, 4096, 1):
                    _write_until_full(file.write, bytes(size))
            yield
        finally:
            self._filler.unlink(missing_ok=True)

    def _run(self, *command: str) -> None:
        told = [*command, str(self._folder)]
        subprocess.run(told, check=True, capture_output=True)  # noqa: S603 - our own words


def _write_until_full(write: Callable[[bytes], object], data: bytes) -> None:
    with suppress(OSError):
        while True:
            write(data)
