"""Every case of the benchmarks."""

from collections.abc import Iterable
from dataclasses import replace

from benchmarks.model import COMMIT_ON, NO_STORE, OURS, POSTGRES, Case

LIMITS = "limits of the disk"
LIFE_CYCLES = "life cycles"
WORKFLOWS = "workflows of 3 steps"
IDLE = "dispatch when idle"
LOADED = "dispatch under load"
ACROSS = "dispatch across processes"
HISTORY = "beside rows of history"
FUTURE = "beside rows of future work"
SHARING = "one process and two"
RECOVERY = "killed and restarted"
MEMORY = "memory when idle"
START_UP = "start-up"

ONE_INSERT = "SQLite, one insert a commit"
DIRECT, QUEUE = "DBOS, called directly", "DBOS, queue"
APPROVED = "from approved to the start of the effect, through the agent's own loop"
AUTO = "policy auto, no twin; 4 durable transitions, 1 record, 5 audit rows each"
IN_ONE_GO = f"`run_action` or `run_workflow`; {AUTO}"
BY_CALL = "Operator, call by call"
LAST_EFFECT = "timed to the last effect, not to its record"

LIMIT_CASES = (
    Case(LIMITS, "fdatasync of 4 KiB", "limits:fdatasync", 2000, 500, 1, NO_STORE, "on the disk"),
    Case(LIMITS, ONE_INSERT, "limits:sqlite_commits", 2000, 500, options={"rows_a_commit": "1"}),
    Case(
        LIMITS,
        "SQLite, 100 inserts a commit",
        "limits:sqlite_commits",
        500,
        100,
        options={"rows_a_commit": "100"},
        remark="rows a second",
    ),
)


def _ours(measure: str, who: str, work: str, tasks: int, at_once: int) -> Case:
    return Case(
        measure,
        who,
        f"ours.work:{work}",
        tasks,
        max(100, tasks // 4),
        at_once,
        remark=IN_ONE_GO if who == OURS else AUTO,
        profiled=True,
    )


OUR_WORK = (
    _ours(LIFE_CYCLES, OURS, "life_cycles", 4000, 64),
    _ours(LIFE_CYCLES, BY_CALL, "life_cycles_by_call", 4000, 64),
    _ours(LIFE_CYCLES, OURS, "life_cycles", 400, 1),
    _ours(LIFE_CYCLES, BY_CALL, "life_cycles_by_call", 400, 1),
    _ours(WORKFLOWS, OURS, "workflows", 1000, 64),
    _ours(WORKFLOWS, BY_CALL, "workflows_by_call", 1000, 64),
)

OUR_DISPATCH = (
    Case(IDLE, OURS, "ours.dispatch:idle", 100, 40, remark=APPROVED),
    Case(LOADED, OURS, "ours.dispatch:loaded", 100, 40, 8, remark=APPROVED),
    Case(ACROSS, OURS, "ours.dispatch:across", 25, 10, remark=APPROVED),
)

_SIZES = "10 rows due; SQL alone, then a whole dispatch; the records of history included"

OUR_SIZES = (
    Case(HISTORY, OURS, "ours.size:history", 60, 30, remark=_SIZES, once=True),
    Case(FUTURE, OURS, "ours.size:future", 60, 30, remark=_SIZES, once=True),
)

_KILLED = "SIGKILL with 16 in flight, whose effects never end; from the restart on"
_LEASE = "; the interrupted ones wait for the end of their lease"

OTHERS = (
    Case(SHARING, OURS, "ours.share:one_and_two", 3000, 600, 64, POSTGRES, COMMIT_ON, "64 in all"),
    Case(RECOVERY, OURS, "recovery:ours", 300, 100, 16, remark=_KILLED + _LEASE),
    Case(
        RECOVERY,
        QUEUE,
        "recovery:dbos",
        300,
        100,
        16,
        remark=_KILLED,
        requires=("dbos",),
    ),
    Case(MEMORY, OURS, "memory:ours", 1, 1, remark="ledger and agent loop, one cluster"),
    Case(MEMORY, QUEUE, "memory:dbos", 1, 1, remark="launched, one queue", requires=("dbos",)),
    Case(
        START_UP,
        OURS,
        "startup:help_pages",
        11,
        5,
        store=NO_STORE,
        durability="",
        remark="`operator --help` and a bare typer program's, in turn; medians",
    ),
)


def _dbos(measure: str, who: str, work: str, concurrency: int, steps: int = 1) -> Case:
    return Case(
        measure,
        who,
        f"peers.dbos_tasks:{work}",
        300 // steps,
        120 // steps,
        concurrency,
        remark=f"{LAST_EFFECT}; polls every 10 ms" if work == "queue" else "",
        options={"steps": str(steps)},
        requires=("dbos",),
    )


DBOS_CASES = (
    _dbos(LIFE_CYCLES, DIRECT, "direct", 1),
    _dbos(LIFE_CYCLES, DIRECT, "direct", 4),
    _dbos(LIFE_CYCLES, QUEUE, "queue", 64),
    _dbos(WORKFLOWS, DIRECT, "direct", 1, 3),
    _dbos(WORKFLOWS, DIRECT, "direct", 4, 3),
    _dbos(WORKFLOWS, QUEUE, "queue", 64, 3),
    Case(
        IDLE,
        QUEUE,
        "peers.dbos_tasks:dispatch",
        40,
        15,
        remark="from enqueued to started; polls every 10 ms (its default is 1 s)",
        requires=("dbos",),
    ),
)

SQLITE_PEERS = (
    Case(
        LIFE_CYCLES,
        "huey",
        "peers.huey_tasks:tasks",
        1500,
        500,
        remark=f"a queue: no states, no audit; a killed worker loses its task; {LAST_EFFECT}",
        requires=("huey",),
    ),
    Case(
        LIFE_CYCLES,
        "APScheduler 3",
        "peers.apscheduler_tasks:tasks",
        600,
        200,
        10,
        remark=f"its default is a rollback journal; a killed one loses its jobs; {LAST_EFFECT}",
        requires=("apscheduler", "sqlalchemy"),
    ),
    Case(
        LIFE_CYCLES,
        "persist-queue, acknowledged",
        "peers.queues:persist_queue",
        1500,
        400,
        remark="a queue only",
        requires=("persistqueue", "litequeue"),
    ),
    Case(
        LIFE_CYCLES,
        "litequeue",
        "peers.queues:lite_queue",
        1500,
        400,
        remark="a queue only; its default is NORMAL",
        requires=("persistqueue", "litequeue"),
    ),
)

POSTGRES_PEERS = (
    Case(
        LIFE_CYCLES,
        "procrastinate",
        "peers.procrastinate_tasks:tasks",
        600,
        250,
        16,
        POSTGRES,
        COMMIT_ON,
        requires=("procrastinate",),
    ),
    Case(
        LIFE_CYCLES,
        "pgqueuer",
        "peers.pgqueuer_tasks:tasks",
        5000,
        2000,
        64,
        POSTGRES,
        f"{COMMIT_ON}, logged tables (its default)",
        f"enqueues and takes batches of 64; {LAST_EFFECT}",
        requires=("pgqueuer",),
    ),
    Case(
        LIFE_CYCLES,
        "absurd",
        "peers.absurd_tasks:tasks",
        400,
        200,
        64,
        POSTGRES,
        COMMIT_ON,
        f"1 step; {LAST_EFFECT}; polls every 5 ms",
        requires=("absurd_sdk", "absurdctl"),
    ),
    Case(
        WORKFLOWS,
        "absurd",
        "peers.absurd_tasks:tasks",
        200,
        100,
        64,
        POSTGRES,
        COMMIT_ON,
        f"{LAST_EFFECT}; polls every 5 ms",
        options={"steps": "3"},
        requires=("absurd_sdk", "absurdctl"),
    ),
)


def on_postgres(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return the same cases on PostgreSQL."""
    return tuple(replace(one, store=POSTGRES, durability=COMMIT_ON) for one in cases)


CASES = (
    *LIMIT_CASES,
    *OUR_WORK,
    *DBOS_CASES,
    *SQLITE_PEERS,
    *on_postgres(OUR_WORK),
    *on_postgres(DBOS_CASES),
    *POSTGRES_PEERS,
    *OUR_DISPATCH,
    *on_postgres(OUR_DISPATCH),
    *OTHERS,
    *OUR_SIZES,
)
