"""What a write-ahead log holds, read without SQLite (the file's format: sqlite.org/fileformat2)."""

from pathlib import Path
from typing import NamedTuple

_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


class Held(NamedTuple):
    """What a log holds of transactions that were committed.

    Attributes:
        pages: the numbers of its pages, from 1.
        size_pages: how many the ledger has after the last one; 0: there is none.
    """

    pages: frozenset[int] = frozenset()
    size_pages: int = 0


def held_by(log: Path, page_bytes: int) -> Held:
    """Return what a log holds.

    Such a page is written into the file only once the log is on the disk, and the log is begun
    anew only once the file is: so SQLite writes it again, however little of it the file has.

    Args:
        log: the log; it need not be there.
        page_bytes: how large a page is.
    """
    pages: list[int] = []
    committed, size_pages = 0, 0
    try:
        with log.open("rb") as file:
            salts = file.read(_HEADER_BYTES)[16:24]
            while len(frame := file.read(_FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES:
                if frame[8:16] != salts:
                    break  # what follows is older than the log's beginning
                pages.append(int.from_bytes(frame[:4], "big"))
                if any(frame[4:8]):  # it ends a transaction
                    committed, size_pages = len(pages), int.from_bytes(frame[4:8], "big")
                file.seek(page_bytes, 1)
    except OSError:
        return Held()
    return Held(frozenset(pages[:committed]), size_pages)
