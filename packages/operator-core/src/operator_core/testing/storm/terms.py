"""What a process in a storm is told, the time that it goes by, and where effects are counted."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

from operator_core.clock import SystemClock, monotonic_seconds


@dataclass(frozen=True)
class Terms:
    """What one process is told, in a form that JSON carries.

    Attributes:
        address: the ledger.
        folder: where effects are counted, and the time is set.
        seed: of its own choices.
        lease_seconds: how long its claims hold.
        settles: whether it only brings to an end what the others have left.
    """

    address: str
    folder: str
    seed: int
    lease_seconds: float
    settles: bool = False

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return what a process was told."""
        return cls(**json.loads(text))

    def to_text(self) -> str:
        """Return it as an argument of a process."""
        return json.dumps(asdict(self))

    @property
    def clock(self) -> "SetClock":
        """The time of day in this storm."""
        return SetClock(Path(self.folder) / "clock")

    @property
    def effects(self) -> "EffectFile":
        """What has really happened."""
        return EffectFile(Path(self.folder) / "effects")


class SetClock(SystemClock):
    """The machine's clock, with a time of day that somebody sets for all processes at once."""

    def __init__(self, file: Path) -> None:
        """Take the file that says by how much it is ahead."""
        self._file = file

    def set_ahead(self, seconds: float) -> None:
        """Set the time of day, as a person or a time server does."""
        part = self._file.with_suffix(".part")
        part.write_text(str(seconds), encoding="ascii")
        part.replace(self._file)

    def now(self) -> datetime:
        """Return the time of day."""
        try:
            ahead = float(self._file.read_text(encoding="ascii"))
        except FileNotFoundError:
            ahead = 0.0
        return super().now() + timedelta(seconds=ahead)


class Effect(NamedTuple):
    """Something that has happened: of which action and item, by whose request, and when."""

    action: str
    item: int
    key: str
    pid: int
    at_seconds: float


class EffectFile:
    """Counts effects outside of the engine: a line for each, which no crash takes away."""

    def __init__(self, path: Path) -> None:
        """Take the file."""
        self._path = path

    def add(self, action: str, item: int, key: str) -> None:
        """Let something happen."""
        line = json.dumps([action, item, key, os.getpid(), monotonic_seconds()])
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{line}\n".encode())
        finally:
            os.close(file)

    def read(self) -> list[Effect]:
        """Return all that has happened so far."""
        if not self._path.exists():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return [Effect(*json.loads(line)) for line in lines]
