"""Reading a ledger file that must not be changed: a copy, a backup, or a file nobody may write."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from operator_core.db.sqlite.place import adopt_copy
from operator_core.errors import LedgerUnavailableError

_LOG = "-wal"
_IN_USE = "-shm"
"""The file beside a ledger that somebody has open, or had when the machine went down."""


@contextmanager
def undisturbed(path: Path | str) -> Iterator[Path | str]:
    """Give a path under which a ledger can be opened, and a file at rest stays as it is.

    Opening a ledger brings it up to date, and a backup begins anew. So a file that nobody has open
    is copied to a temporary folder, which is gone afterwards; also one that nobody may write. A
    ledger in use, or one on a server, is opened itself.

    Raises:
        LedgerUnavailableError: there is no room for it.
    """
    if isinstance(path, str) or not path.is_file() or _is_in_use(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="operator-") as folder:
        copy = Path(folder) / "ledger.db"
        try:
            whole = _copied(path, copy)
        except OSError as error:
            raise LedgerUnavailableError(f"{path} cannot be read: {error}.") from error
        if whole:
            adopt_copy(copy)
        yield copy if whole else path


def _is_in_use(path: Path) -> bool:
    return os.access(path, os.W_OK) and Path(f"{path}{_IN_USE}").exists()


def _copied(path: Path, copy: Path) -> bool:
    """Copy a file with its log; False: somebody has opened it meanwhile."""
    before = _state(path)
    for suffix in ("", _LOG):
        if Path(f"{path}{suffix}").exists():
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    return not _is_in_use(path) and _state(path) == before


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
