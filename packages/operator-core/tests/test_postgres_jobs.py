"""Who takes what waits for PostgreSQL's writers, and when."""

import threading

import pytest

from operator_core.db.postgres import jobs as of_postgres
from operator_core.db.postgres.jobs import Job, Jobs

_MOST = 8


def _take(jobs: Jobs) -> list[Job]:
    group: list[Job] = []
    jobs.take(group, _MOST)
    return group


def _take_beside(jobs: Jobs) -> tuple[threading.Thread, list[list[Job]]]:
    """Let another worker take what waits."""
    taken: list[list[Job]] = []
    worker = threading.Thread(target=lambda: taken.append(_take(jobs)), daemon=True)
    worker.start()
    return worker, taken


async def test_work_gathers_until_the_worker_before_is_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_postgres, "_GATHER_SECONDS", 60.0)
    jobs = Jobs()
    first, second, third = Job(), Job(), Job()
    jobs.put(first)
    assert _take(jobs) == [first]
    jobs.put(second)
    worker, taken = _take_beside(jobs)
    jobs.put(third)
    assert taken == []
    jobs.through()
    worker.join()
    assert taken == [[second, third]]


async def test_a_worker_that_stands_still_holds_up_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_postgres, "_GATHER_SECONDS", 0.0)
    jobs = Jobs()
    first, second = Job(), Job()
    jobs.put(first)
    assert _take(jobs) == [first]
    jobs.put(second)
    worker, taken = _take_beside(jobs)
    worker.join()
    assert taken == [[second]]


async def test_who_was_overtaken_does_not_say_that_the_next_one_is_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_postgres, "_GATHER_SECONDS", 0.0)
    jobs, taken, go_on = Jobs(), threading.Event(), threading.Event()

    def work() -> None:
        _take(jobs)
        taken.set()
        go_on.wait()
        jobs.through()

    jobs.put(Job())
    _take(jobs)
    jobs.put(Job())
    threading.Thread(target=work, daemon=True).start()
    taken.wait()
    monkeypatch.setattr(of_postgres, "_GATHER_SECONDS", 60.0)
    jobs.through()  # of this thread, which was overtaken
    first, second = Job(), Job()
    jobs.put(first)
    worker, found = _take_beside(jobs)
    jobs.put(second)
    go_on.set()
    worker.join()
    assert found == [[first, second]]
