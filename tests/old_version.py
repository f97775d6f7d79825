"""The version before this one, run from its wheel in processes of its own."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

DATA = Path(__file__).parent / "data"
WHEEL = DATA / "operator_core-0.1.0-py3-none-any.whl"
VERSION = "0.1.0"
CLI = ("-c", "from operator_core.cli.main import main; main()")


def unpacked(folder: Path) -> Path:
    """Unpack the wheel and return what goes onto the path of a process."""
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(folder)
    return folder


def environment(place: Path) -> Mapping[str, str]:
    """Return the environment of a process that runs the old version."""
    return {**os.environ, "PYTHONPATH": str(place)}


def run_cli(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the old version and return what came of it."""
    return subprocess.run(
        [sys.executable, *CLI, *arguments],
        env=environment(place),
        capture_output=True,
        text=True,
        check=False,
    )


def sql(name: str) -> str:
    """Return the text of one of its SQL files."""
    with zipfile.ZipFile(WHEEL) as wheel:
        return wheel.read(f"operator_core/db/sql/{name}").decode()
