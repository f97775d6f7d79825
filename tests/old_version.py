"""The versions before this one, run from their wheels in processes of their own."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"
CLI = ("-c", "from operator_core.cli.main import main; main()")


@dataclass(frozen=True)
class OldVersion:
    """A version before this one.

    Attributes:
        version: its number.
        schema: the last migration that it knows.
    """

    version: str
    schema: int

    @property
    def wheel(self) -> Path:
        """Where it lies."""
        return DATA / f"operator_core-{self.version}-py3-none-any.whl"

    def unpacked(self, folder: Path) -> "Unpacked":
        """Unpack it, so that processes can run it."""
        with zipfile.ZipFile(self.wheel) as wheel:
            wheel.extractall(folder)
        return Unpacked(self, folder)

    def sql(self, name: str) -> str:
        """Return the text of one of its SQL files."""
        with zipfile.ZipFile(self.wheel) as wheel:
            return wheel.read(f"operator_core/db/sql/{name}").decode()

    def migrations(self) -> list[str]:
        """Return the texts of its migrations of PostgreSQL, in their order."""
        with zipfile.ZipFile(self.wheel) as wheel:
            steps = [name for name in sorted(wheel.namelist()) if "/migrations/" in name]
            return [wheel.read(name).decode() for name in steps if name.endswith(".postgres.sql")]


@dataclass(frozen=True)
class Unpacked:
    """An old version that can be run.

    Attributes:
        old: which one.
        place: what goes onto the path of a process.
    """

    old: OldVersion
    place: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a process that runs it."""
        return {**os.environ, "PYTHONPATH": str(self.place)}

    def run_cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of it and return what came of that."""
        return subprocess.run(
            [sys.executable, *CLI, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


OLD_VERSIONS = (OldVersion("0.1.0", 2), OldVersion("0.2.0", 4))
