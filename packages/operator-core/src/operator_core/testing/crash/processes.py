"""The driver's side of the nursery: starts workers, hears of their lives, lets them go on."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from operator_core.testing.crash.worker import Task


@dataclass
class Worker:
    """A worker process as its nursery tells of it."""

    pid: int = 0
    code: int | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def go_on(self) -> None:
        """Let a process that stands still go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End a process that runs or stands still, unless it has just ended by itself."""
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Nursery:
    """Forks worker processes; use it as a context manager."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ordered: dict[int, asyncio.Future[Worker]] = {}
        self._workers: dict[int, Worker] = {}

    async def __aenter__(self) -> Self:
        """Start it and wait until it has imported everything."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "operator_core.testing.crash.nursery",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # an interrupt at the terminal is the driver's alone
        )
        self._reader = asyncio.create_task(self._read())
        await self._ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it, and the workers with it."""
        if self._process is None or self._process.stdin is None or self._reader is None:
            return
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    async def start(self, task: Task, log: Path) -> Worker:
        """Start a worker.

        Args:
            task: what it is told.
            log: the file that it writes its log to.
        """
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the nursery is not open")
        number = len(self._ordered)
        born: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._ordered[number] = born
        order = {"order": number, "log": str(log), "task": asdict(task)}
        self._process.stdin.write(f"{json.dumps(order)}\n".encode())
        return await born

    async def _read(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        while line := await self._process.stdout.readline():
            event = json.loads(line)
            if event["event"] == "ready":
                self._ready.set()
            elif event["event"] == "born":
                worker = self._workers[event["pid"]] = Worker(event["pid"])
                self._ordered[event["order"]].set_result(worker)
            elif event["event"] == "stopped":
                self._workers[event["pid"]].stopped.set()
            else:
                worker = self._workers.pop(event["pid"])
                worker.code = event["code"]
                worker.ended.set()
