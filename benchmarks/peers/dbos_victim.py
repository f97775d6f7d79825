"""A process that runs a queue of DBOS, to be killed or to take over.

Arguments: the job as JSON, and whether effects hang or act.
"""

import sys
import threading
from collections.abc import Callable

from dbos import DBOS  # type: ignore[import-not-found]

from benchmarks.model import Job
from benchmarks.peers.dbos_tasks import POLL_SECONDS, QUEUE, declared, launched
from benchmarks.processes import HANG, IN_FLIGHT, EffectFile


def prepare(job: Job) -> None:
    """Do nothing: the victim enqueues its work itself."""


def main(text: str, mode: str) -> None:
    """Run the queue until somebody ends it; the victim fills it first."""
    job = Job.from_text(text)
    workflow = declared(_effect(EffectFile(job.folder / mode), hangs=mode == HANG))
    with launched(job):
        if mode == HANG:
            for number in range(job.tasks):
                DBOS.enqueue_workflow(QUEUE, workflow, number)
        DBOS.register_queue(QUEUE, worker_concurrency=IN_FLIGHT, polling_interval_sec=POLL_SECONDS)
        threading.Event().wait()


def _effect(effects: EffectFile, *, hangs: bool) -> Callable[[int], None]:
    def effect(value: int) -> None:
        effects.add(value)
        if hangs:
            threading.Event().wait()

    return effect


if __name__ == "__main__":
    main(*sys.argv[1:])
