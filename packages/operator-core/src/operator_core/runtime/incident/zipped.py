"""Reads the zip of an incident: each of its bytes is a file's, or tells of one; pure.

Programs that unpack zips differ in whom they believe where a file's own header and the list at the
end disagree, and what stands between files is seen by none of them. So nothing of the kind is
taken: what is read here is what everybody reads.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence

from operator_core.runtime.incident.misfits import ArchiveError, require_none

MAX_FILES = 5_000
MAX_BYTES = 1 << 30
"""What an archive may hold unpacked, so that a small file cannot fill the memory."""

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER, _HEADER_BYTES = "<4sHHHHHLLLHH", 30
_LISTED_BYTES = 46
"""What the list at the end takes for a file, besides its name."""

_FOLDER = 0x10
"""How DOS marks a folder."""

_END, _END_BYTES = "<4sHHHHLLH", 22

_NO_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    ValueError,
)


def files_of(packed: bytes) -> dict[str, bytes]:
    """Return the files of a zip by name.

    Args:
        packed: the zip.

    Raises:
        ArchiveError: it is none, or one that no export writes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            listed = sorted(archive.infolist(), key=lambda one: one.header_offset)
            _limit(listed)
            _require_nothing_else(packed, listed, archive.start_dir)
            return {one.filename: _content(packed, one) for one in listed}
    except ArchiveError:
        raise
    except _NO_ZIP as error:
        raise ArchiveError(f"This is no archive of an incident: {error}.") from error


def _limit(listed: Sequence[zipfile.ZipInfo]) -> None:
    if len(listed) > MAX_FILES or sum(one.file_size for one in listed) > MAX_BYTES:
        raise ArchiveError("The archive is too large to be an incident.")
    require_none(
        "files that no export writes so", {one.filename for one in listed if not _is_plain(one)}
    )
    counted = Counter(one.filename for one in listed)
    require_none("names that stand twice", {name for name, count in counted.items() if count > 1})


def _is_plain(one: zipfile.ZipInfo) -> bool:
    """Return whether a file is as an export writes it: no link, no folder, no word beside it."""
    mode = one.external_attr >> 16
    is_file = stat.S_IFMT(mode) in {0, stat.S_IFREG} and not (
        mode & 0o7000 or one.external_attr & _FOLDER
    )
    is_bare = not (one.extra or one.comment or one.flag_bits or one.volume)
    is_named = one.filename != "" and one.filename == one.orig_filename and one.filename.isascii()
    return is_file and is_bare and is_named and one.compress_type in _COMPRESSIONS


def _require_nothing_else(packed: bytes, listed: Sequence[zipfile.ZipInfo], start: int) -> None:
    """See that a zip's bytes are its files, each under the header that the list tells, and that."""
    place = 0
    for one in listed:
        if one.header_offset != place or not _fits(packed, one):
            raise ArchiveError("The archive does not match: a file is not as its list tells it.")
        place = _begin(one) + one.compress_size
    size = sum(_LISTED_BYTES + len(one.filename) for one in listed)
    end = struct.pack(_END, b"PK\x05\x06", 0, 0, len(listed), len(listed), size, start, 0)
    if place != start or packed[-_END_BYTES:] != end or start + size + len(end) != len(packed):
        raise ArchiveError("The archive does not match: it holds bytes beside its files.")


def _begin(one: zipfile.ZipInfo) -> int:
    """Return where the bytes of a file begin."""
    return one.header_offset + _HEADER_BYTES + len(one.filename)


def _fits(packed: bytes, one: zipfile.ZipInfo) -> bool:
    """Return whether the header before a file says what the list says; its time may be any."""
    header = struct.unpack_from(_HEADER, packed, one.header_offset)
    name = packed[one.header_offset + _HEADER_BYTES : _begin(one)]
    sizes = one.compress_size, one.file_size, len(one.filename), 0
    told = b"PK\x03\x04", one.flag_bits, one.compress_type, one.CRC, *sizes
    return (header[0], *header[2:4], *header[6:]) == told and name == one.filename.encode()


def _content(packed: bytes, one: zipfile.ZipInfo) -> bytes:
    body = packed[_begin(one) : _begin(one) + one.compress_size]
    found, is_whole = (
        (body, True) if one.compress_type == zipfile.ZIP_STORED else _inflated(body, one.file_size)
    )
    if not is_whole or len(found) != one.file_size or zlib.crc32(found) != one.CRC:
        raise ArchiveError(f"The archive does not match: {one.filename} is not whole.")
    return found


def _inflated(body: bytes, size: int) -> tuple[bytes, bool]:
    """Return what was deflated, no more than its size and a byte, and whether nothing is left."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    found = inflate.decompress(body, size + 1)
    return found, inflate.eof and not inflate.unused_data
