"""Time limits and settings for every test of the repository."""

import gc
import json
import os
import shutil
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import pytest
from hypothesis import HealthCheck, settings

UNIT_LIMIT_SECONDS = 2
REAL_LIMIT_SECONDS = 60
PROPERTY_LIMIT_SECONDS = 20
"""A property runs its body a hundred times."""

QUICK_SECONDS = 0.035
"""How long `_some_work` takes the processor of a machine that the limits are meant for."""

QUICK_SYNC_SECONDS = 0.004
"""How long that machine waits for its disk, at most."""

# The same examples on every machine: a red run is one that anybody can repeat.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


MEMORY = Path("/dev/shm")  # noqa: S108 - of Linux, for whoever may write there
MEMORY_NEEDED_BYTES = 4 * 1024**3


def pytest_configure(config: pytest.Config) -> None:
    """Keep the files of unit tests in memory where there is room: a disk may stall for seconds.

    They have two seconds each, in which SQLite waits for the disk again and again. Real tests
    stay on it.
    """
    units_alone = "not real" in str(config.getoption("markexpr"))
    if units_alone and os.access(MEMORY, os.W_OK) and _has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _has_room(folder: Path) -> bool:
    return shutil.disk_usage(folder).free >= MEMORY_NEEDED_BYTES


def times_slower() -> float:
    """Return how much longer things take now than on a quick machine that does nothing else.

    Its processors are slower, or several programs want each of them while a clock goes on, or what
    the tests write waits for a slow disk.
    """
    crowd = os.getloadavg()[0] / (os.cpu_count() or 1)
    work = max(1.0, crowd) * max(1.0, min(_some_work() for _ in range(3)) / QUICK_SECONDS)
    return max(work, min(_one_sync() for _ in range(3)) / QUICK_SYNC_SECONDS)


def _some_work() -> float:
    """Return how long the processor takes for some Python."""
    start = process_time()
    for number in range(6_000):
        json.loads(json.dumps({"a": [number, 2, 3], "b": {"c": "d"}}))
    return process_time() - start


def _one_sync() -> float:
    """Return how long the disk of the tests' files is waited for."""
    with tempfile.TemporaryFile(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as file:
        file.write(bytes(4096))
        file.flush()
        start = perf_counter()
        os.fsync(file.fileno())
        return perf_counter() - start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests their limit; fixtures count for real ones alone. Some say their own."""
    slower = times_slower()
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("slow", "timeout")):
            limit, is_real = limit_seconds(item) * slower, item.get_closest_marker("real")
            item.add_marker(pytest.mark.timeout(limit, func_only=not is_real))


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at what all tests keep: one took 2 s of a test's time."""
    gc.collect()
    gc.freeze()


def limit_seconds(item: pytest.Item) -> int:
    """Return how long a test may take on a machine that does nothing else."""
    if item.get_closest_marker("real"):
        return REAL_LIMIT_SECONDS
    is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return PROPERTY_LIMIT_SECONDS if is_property else UNIT_LIMIT_SECONDS
