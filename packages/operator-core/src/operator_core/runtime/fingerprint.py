"""What this process is made of, in one short text: its code, its libraries, this boot.

Operator's own code counts whole: some of it is loaded later, when it is first used.

Two processes with the same text run the same code on the same machine, as far as the interpreter
itself can tell: it too goes by size and time of a file when it takes a compiled one for fresh.
"""

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from operator_core.process import libraries, this_process

_PACKAGE = str(Path(__file__).parents[1])


def of_this_process() -> str | None:
    """Return what this process is made of; None: the system does not tell enough."""
    here = this_process()
    if here is None:
        return None
    files = (getattr(one, "__file__", None) for one in tuple(sys.modules.values()))
    loaded = {file for file in files if file} | libraries()
    return of((sys.version, here.host, here.place), loaded | _own())


def _own() -> set[str]:
    """Return the files of this package: its modules, and the statements that they read."""
    return {
        os.path.join(folder, name)  # noqa: PTH118 - as below
        for folder, _, names in os.walk(_PACKAGE)
        for name in names
        if not name.endswith(".pyc")
    }


def of(words: Iterable[str], files: Iterable[str]) -> str | None:
    """Return a text that stands for words, and for files as they lie there now.

    Args:
        words: what counts beside the files.
        files: their paths.

    Returns:
        None: a file cannot be looked at.
    """
    parts = [*words]
    for file in sorted(files):
        try:
            seen = os.stat(file)  # noqa: PTH116 - hundreds of files, before the first effect
        except OSError:
            return None
        parts.append(f"{file} {seen.st_ino} {seen.st_size} {seen.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
