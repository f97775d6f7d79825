"""Whether files are still as they were when they were read."""

from collections.abc import Iterable
from pathlib import Path

from operator_core.clock import utc_now

_JUST_NOW_SECONDS = 2.0
"""The longest step in which a file system counts time; most take some milliseconds."""


def state_of(paths: Iterable[Path | str]) -> tuple[object, ...]:
    """Return what is equal as long as files are the same and have not changed.

    Ask before they are read. What was written just now is equal to nothing: it may be written
    again within the same step of its file system's time, which would show nowhere.

    Raises:
        OSError: one cannot be found.
    """
    now_seconds = utc_now().timestamp()
    found = [Path(one).stat() for one in paths]
    state = tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)
    if any(abs(now_seconds - one.st_mtime) < _JUST_NOW_SECONDS for one in found):
        return (*state, object())
    return state
