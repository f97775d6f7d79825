"""Reading a ledger file that must not be changed: a backup, or a file that nobody may write."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from operator_core.errors import LedgerUnavailableError

_COMPANIONS = ("", "-wal")


@contextmanager
def undisturbed(path: Path | str) -> Iterator[Path | str]:
    """Give a path under which a ledger can be opened, and a copy stays as it is.

    A ledger in use, or one on a server, is opened itself. A backup would begin anew as soon as it
    is opened, so it is copied to a temporary folder, which is gone afterwards.

    Raises:
        LedgerUnavailableError: there is no room for it.
    """
    if (
        isinstance(path, str)
        or not path.is_file()
        or (os.access(path, os.W_OK) and not _is_backup(path))
    ):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="operator-") as folder:
        try:
            for suffix in _COMPANIONS:
                if Path(f"{path}{suffix}").exists():
                    shutil.copyfile(f"{path}{suffix}", Path(folder) / f"ledger.db{suffix}")
        except OSError as error:
            raise LedgerUnavailableError(f"{path} cannot be read: {error}.") from error
        yield Path(folder) / "ledger.db"


def _is_backup(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT backup_at FROM ledger").fetchone()
    except sqlite3.Error:
        return False  # opening it as a ledger says in words what is wrong with it
    return found is not None and found[0] is not None
