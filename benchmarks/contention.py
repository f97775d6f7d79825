"""How processes that share one queue on PostgreSQL get into each other's way.

Each process runs the agent's loop on a queue that is full from the beginning. It counts its
claims, those that another process won, and how long a claim took; the server counts who waited
for a lock. Run it with ``python -m benchmarks.contention [tasks] [processes]``.
"""

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import psycopg

from benchmarks.model import Job
from benchmarks.ours.agent import agent
from benchmarks.ours.still import Still
from benchmarks.ours.waiting import prepare
from benchmarks.processes import program
from operator_core.actions.types import ActionStatus
from operator_core.db.actions import ActionDB
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.executions import ExecutionDB
from operator_core.errors import ConflictError
from operator_core.testing.postgres import PostgresServer

TASKS, PROCESSES = 1_000, 2
LOOK_SECONDS = 0.01
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
SETTINGS = {"log_lock_waits": "on", "deadlock_timeout": "50ms", "log_min_error_statement": "error"}


async def _share(url: str, folder: str) -> None:
    """Work until nothing is left, and store what happened to the claims."""
    told: Counter[str] = Counter()
    claim = ExecutionDB.claim

    async def counted(db: ExecutionDB, proposal_id: int, terms: ClaimTerms) -> Attempt:
        start = time.perf_counter()
        try:
            return await claim(db, proposal_id, terms)
        except ConflictError:
            told["lost"] += 1
            raise
        finally:
            told["claims"] += 1
            told["claim_microseconds"] += int(1e6 * (time.perf_counter() - start))

    with patch.object(ExecutionDB, "claim", counted):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        async with agent(url, Still(), require_approval=False), ActionDB(url) as db:
            while await db.list_proposals(ActionStatus.VALIDATED, limit=1):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(LOOK_SECONDS)
    (Path(folder) / str(time.monotonic_ns())).write_text(json.dumps(told), encoding="ascii")


def _watch(url: str, over: threading.Event, seen: Counter[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        while not over.wait(LOOK_SECONDS):
            row = connection.execute(WAITS).fetchone()
            seen["looks"] += 1
            seen["waiting"] += row[0] if row else 0


def measure(tasks: int, processes: int) -> dict[str, float]:
    """Let processes empty one queue, and return what they had to wait for."""
    with PostgresServer(SETTINGS) as server, tempfile.TemporaryDirectory() as folder:
        prepare(Job(Path(folder), tasks, url=server.url))
        over, seen = threading.Event(), Counter[str]()
        watcher = threading.Thread(target=_watch, args=(server.url, over, seen))
        watcher.start()
        seconds = _emptied(server.url, folder, processes)
        over.set()
        watcher.join()
        told = Counter[str]()
        for one in Path(folder).iterdir():
            told.update(json.loads(one.read_text(encoding="ascii")))
        log = server.log
    return {
        "processes": processes,
        "tasks_per_second": round(tasks / seconds, 1),
        "claims": told["claims"],
        "claims_lost": told["lost"],
        "claims_lost_share": round(told["lost"] / told["claims"], 3),
        "claim_ms_mean": round(told["claim_microseconds"] / told["claims"] / 1000, 2),
        "sessions_waiting_for_locks_mean": round(seen["waiting"] / seen["looks"], 3),
        "lock_waits_over_50_ms": log.count("still waiting for"),
        "lock_timeouts": log.count("due to lock timeout"),
        "deadlocks": log.count("deadlock detected"),
    }


def _emptied(url: str, folder: str, processes: int) -> float:
    """Let processes work until the queue is empty, and return how many seconds they took."""
    with ExitStack() as stack:
        sharers = [
            stack.enter_context(program("contention", "share", url, folder))
            for _ in range(processes)
        ]
        for sharer in sharers:
            if sharer.stdout is None or not sharer.stdout.readline():
                raise RuntimeError("a process went away")
        start = time.perf_counter()
        for sharer in sharers:
            print("go", file=sharer.stdin, flush=True)
        for sharer in sharers:
            sharer.wait()
        return time.perf_counter() - start


if __name__ == "__main__":
    if sys.argv[1:2] == ["share"]:
        asyncio.run(_share(*sys.argv[2:4]))
    else:
        numbers = [int(text) for text in sys.argv[1:]]
        found = measure(*(numbers + [TASKS, PROCESSES][len(numbers) :]))
        sys.stdout.write(f"{json.dumps(found, indent=2)}\n")
