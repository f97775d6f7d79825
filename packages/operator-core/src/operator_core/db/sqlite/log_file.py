"""What a write-ahead log holds, read without SQLite (the file's format: sqlite.org/fileformat2)."""

from pathlib import Path

_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


def holds_page(log: Path, number: int, page_bytes: int) -> bool:
    """Return whether a log holds a page of a transaction that was committed.

    Such a page is written into the file only once the log is on the disk, and the log is begun
    anew only once the file is: so SQLite writes it again, however little of it the file has.

    Args:
        log: the log; it need not be there.
        number: the page's, from 1.
        page_bytes: how large a page is.
    """
    found = False
    try:
        with log.open("rb") as file:
            salts = file.read(_HEADER_BYTES)[16:24]
            while len(frame := file.read(_FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES:
                if frame[8:16] != salts:
                    return False  # what follows is older than the log's beginning
                found |= int.from_bytes(frame[:4], "big") == number
                if found and any(frame[4:8]):  # it ends a transaction
                    return True
                file.seek(page_bytes, 1)
    except OSError:
        return False
    return False
