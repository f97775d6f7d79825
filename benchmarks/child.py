"""The process of one contender: does its job and leaves what it measured in a file.

Arguments: the work as ``module:function``, the job as JSON, the file for the metrics.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.model import Job, Metrics


def work_of(name: str) -> Callable[[Job], Metrics]:
    """Return the function of a case."""
    module, function = name.split(":")
    found: Callable[[Job], Metrics] = getattr(import_module(f"benchmarks.{module}"), function)
    return found


def _database(job: Job) -> AbstractContextManager[str]:
    if not job.url:
        return nullcontext("")
    from benchmarks.server import fresh_database  # noqa: PLC0415 - needs what not all runs need

    return fresh_database(job.url)


def main(arguments: list[str]) -> None:
    """Do one job."""
    name, text, answer = arguments
    job, work = Job.from_text(text), work_of(name)
    with _database(job) as url:
        metrics = work(replace(job, url=url))
        Path(answer).write_text(json.dumps(metrics), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # threads that a contender left running wait for a database that is gone
