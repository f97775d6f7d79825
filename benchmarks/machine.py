"""What the figures were measured on, without the name of anything that is somebody's."""

import os
import platform
import sqlite3
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PEERS = (
    "absurd-sdk",
    "apscheduler",
    "dbos",
    "huey",
    "litequeue",
    "persist-queue",
    "pgqueuer",
    "procrastinate",
    "psycopg",
    "sqlalchemy",
)


def described(folder: Path) -> dict[str, str]:
    """Return what the machine is.

    Args:
        folder: where the contenders keep their files.
    """
    return {
        "processors": f"{os.cpu_count()} x {_processor()}",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _postgres(),
    }


def versions() -> Mapping[str, str]:
    """Return the versions of the peers that are installed."""
    found = {}
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", maxsplit=1)[1].strip()
    return platform.machine()


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / 1024**2:.0f} GiB"
    return "unknown"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _file_system(folder: Path) -> str:
    return _said(["stat", "--file-system", "--format=%T", str(folder)])


def _postgres() -> str:
    from operator_core.testing.postgres import programs  # noqa: PLC0415 - may not be installed

    try:
        return _said([str(programs() / "postgres"), "--version"]).rpartition(" ")[2]
    except FileNotFoundError:
        return "not installed"


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    return done.stdout.strip() or "unknown"
