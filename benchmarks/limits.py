"""What the disk under all contenders gives at most, measured in the same run."""

import os
import sqlite3
from contextlib import closing
from time import perf_counter

from benchmarks.model import Job, Metrics, rate

BLOCK_BYTES = 4096


def fdatasync(job: Job) -> Metrics:
    """Append a block and wait until it is on the disk, again and again."""
    block = os.urandom(BLOCK_BYTES)
    file = os.open(job.folder / "blocks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        start = perf_counter()
        for _ in range(job.tasks):
            os.write(file, block)
            os.fdatasync(file)
        return rate(job.tasks, perf_counter() - start)
    finally:
        os.close(file)


def sqlite_commits(job: Job) -> Metrics:
    """Insert rows, as many a commit as the job says; a second's count is one of rows."""
    rows_a_commit = int(job.options["rows_a_commit"])
    with closing(sqlite3.connect(job.folder / "raw.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        start = perf_counter()
        for _ in range(job.tasks):
            connection.execute("BEGIN IMMEDIATE")
            for _ in range(rows_a_commit):
                connection.execute("INSERT INTO t (text) VALUES (?)", ("x" * 100,))
            connection.execute("COMMIT")
        return rate(job.tasks * rows_a_commit, perf_counter() - start)
