"""The simulator as a process that outlives the one that started it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.errors import SubjectUnreachableError
from operator_tikv.pd.parse import shorten

LIFETIME_SECONDS: Final = 3600
MODULE: Final = "operator_tikv.simulator"
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05
# The alarm ends a simulator that everybody forgot.
_RUN: Final = (
    "import runpy, signal, sys; signal.alarm(int(sys.argv.pop(1))); "
    f"runpy.run_module('{MODULE}', run_name='__main__', alter_sys=True)"
)


class SimulatorProcess:
    """One simulator, known by the files in its folder.

    Args:
        folder: where its pid, its first line and its complaints are kept.
        options: arguments of the simulator's command line.
        clock: time, for waiting.
    """

    def __init__(self, folder: Path, options: Sequence[str], clock: Clock = SYSTEM_CLOCK) -> None:
        self._folder = folder
        self._options = tuple(options)
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self) -> str:
        """Start the simulator, or find the one that runs already, and return its URL.

        Raises:
            SubjectUnreachableError: it does not start.
        """
        if not self._is_running():
            await asyncio.to_thread(self._spawn)
        start = self._clock.now()
        while not (url := self._read_url()):
            seconds = (self._clock.now() - start).total_seconds()
            if not self._is_running() or seconds > _START_SECONDS:
                complaint = self._complaint()
                await self.stop()
                raise SubjectUnreachableError(f"The simulator did not start: {complaint}")
            await self._clock.sleep(_LOOK_SECONDS)
        return url

    def url(self) -> str:
        """Return the URL of the simulator.

        Raises:
            SubjectUnreachableError: none was started in this folder.
        """
        url = self._read_url()
        if not url:
            raise SubjectUnreachableError(f"No simulator was started in {self._folder}.")
        return url

    async def stop(self) -> None:
        """End the simulator and remove its files; harmless where it has ended."""
        pid = self._pid()
        if pid and self._is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            await self._until_gone(pid)
        if self._child is not None:
            await asyncio.to_thread(self._child.wait)
        for path in (self._pid_file, self._line_file, self._error_file):
            path.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self._folder / "simulator.pid"

    @property
    def _line_file(self) -> Path:
        return self._folder / "simulator.json"

    @property
    def _error_file(self) -> Path:
        return self._folder / "simulator.err"

    def _spawn(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", _RUN, str(LIFETIME_SECONDS), *self._options]
        with self._line_file.open("wb") as out, self._error_file.open("wb") as err:
            self._child = subprocess.Popen(  # noqa: S603 - nothing in it comes from outside
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        self._pid_file.write_text(str(self._child.pid), encoding="ascii")

    async def _until_gone(self, pid: int) -> None:
        start = self._clock.now()
        while self._is_running():
            if (self._clock.now() - start).total_seconds() > _STOP_SECONDS:
                os.kill(pid, signal.SIGKILL)
                return
            await self._clock.sleep(_LOOK_SECONDS)

    def _is_running(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        pid = self._pid()
        return bool(pid) and _is_simulator(pid)

    def _pid(self) -> int:
        try:
            return int(self._pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def _read_url(self) -> str:
        try:
            line = self._line_file.read_text(encoding="utf-8").partition("\n")
            found: dict[str, object] = json.loads(line[0]) if line[1] else {}
        except (OSError, ValueError):
            return ""
        return str(found.get("url", ""))

    def _complaint(self) -> str:
        try:
            lines = self._error_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return shorten(lines[-1]) if lines else "it says nothing about why."


def _is_simulator(pid: int) -> bool:
    """Return whether a process lives and is a simulator: an old pid may be somebody else's."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return not Path("/proc/self").exists()
    return MODULE.encode() in command
