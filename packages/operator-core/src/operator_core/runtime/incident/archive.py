"""One incident as one file: a zip of JSON whose every byte is accounted for.

The manifest has the digest of each file, and the seal has the manifest's: a row of the audit, which
the ledger wrote when it exported. The audit's rows have a hash of their own, and the digests of
diagnoses and of the looks they rest on. So what was changed afterwards is found, unless somebody
makes the audit's rows anew, which the ledger itself would show.
"""

import io
import json
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from operator_core.db.engine import Row
from operator_core.db.exports import LOOKS, TABLES, IncidentRows
from operator_core.runtime.incident.misfits import (
    ArchiveError,
    digest_of,
    is_seal_of,
    misfits,
)
from operator_core.types import JsonObject

FORMAT = 2
UNSEALED = 1
"""The format of what is not sealed: of older versions, and of ledgers that cannot be written."""

_FORMATS = frozenset({str(FORMAT), str(UNSEALED)})
"""As text: true and 1.0 are equal to 1, and no format."""

MANIFEST = "manifest.json"
SEAL = "seal.json"
MAX_FILES = 5_000
MAX_BYTES = 1 << 30
"""What an archive may hold unpacked, so that a small file cannot fill the memory."""

MAX_PACKED_BYTES = 1 << 28
"""What an archive may take as it is; a file without end cannot fill the memory either."""

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER_BYTES, _LENGTHS_AT = 30, 26
"""Of the header before each file in a zip: its size, and where two lengths of it stand."""

_TAIL, _TAIL_BYTES = b"PK\x05\x06", 22
"""How the end of a zip begins, and its size where no comment follows."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A fixed time of all files, so that the same incident is the same archive."""

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
_ADDED_LATER = frozenset({"effects", "group", "group_diagnoses", "switches", "verifications"})
"""Tables that an archive of an older version does not have."""


@dataclass(frozen=True)
class Archive:
    """An incident, read back.

    Attributes:
        rows: the ledger's rows by table.
        versions: of Operator and its plugins, when it was written.
        digest: of the whole.
        seal: the audit's row of the export; None: nobody sealed the archive.
    """

    rows: IncidentRows
    versions: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    seal: Row | None = None

    @property
    def ticket(self) -> Row:
        """The ticket that it is about."""
        return self.rows["tickets"][0]


class Parcel(NamedTuple):
    """An incident that is ready to be sealed.

    Attributes:
        files: its files by name, with the manifest.
        digest: of the manifest, which a seal must tell.
    """

    files: Mapping[str, bytes]
    digest: str

    def sealed(self, seal: Row | None) -> bytes:
        """Return the archive; the same files and the same seal give the same bytes.

        Args:
            seal: the audit's row of the export; None: an archive that is not sealed.
        """
        files = {**self.files, **({SEAL: canonical(seal)} if seal else {})}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        return packed.getvalue()


def parcel(rows: IncidentRows, versions: Mapping[str, str], form: int = FORMAT) -> Parcel:
    """Return an incident as files; the same rows give the same files.

    Args:
        rows: as `ExportDB.incident` returns them.
        versions: of Operator and its plugins.
        form: the archive's format.
    """
    files = {f"{name}.json": canonical(found) for name, found in rows.items() if name != LOOKS}
    files |= {f"{LOOKS}/{row['id']}.json": canonical(row) for row in rows[LOOKS]}
    named: JsonObject = {
        "format": form,
        "versions": dict(versions),
        "files": {name: digest_of(content) for name, content in files.items()},
    }
    manifest = canonical({**named, "sealed": False} if form == UNSEALED else named)
    return Parcel({**files, MANIFEST: manifest}, digest_of(manifest))


def pack(rows: IncidentRows, versions: Mapping[str, str]) -> bytes:
    """Return the archive of an incident without a seal; its manifest says so."""
    return parcel(rows, versions, UNSEALED).sealed(None)


def unpack(packed: bytes) -> Archive:
    """Return the incident of an archive, after all of it was checked.

    Raises:
        ArchiveError: it is no archive, or something in it does not match.
    """
    files = _files(packed)
    manifest = _manifest(files)
    named: Mapping[str, str] = manifest["files"]
    _match("files that the manifest does not name", files.keys() - named.keys() - {MANIFEST, SEAL})
    _match("files that are missing", named.keys() - files.keys())
    changed = {name for name, digest in named.items() if digest_of(files[name]) != digest}
    _match("files that were changed", changed)
    absent = {name for name in _ADDED_LATER if f"{name}.json" not in named}
    rows: IncidentRows = {name: [] for name in absent}
    rows |= {name: _rows(files, f"{name}.json") for name in sorted(TABLES - absent - {LOOKS})}
    looks = sorted(name for name in files if name.startswith(f"{LOOKS}/"))
    rows[LOOKS] = sorted((_row(files, name) for name in looks), key=lambda row: int(row["id"]))
    _match("what does not fit the audit", misfits(rows))
    digest = digest_of(files[MANIFEST])
    seal = None
    if manifest["format"] != UNSEALED or SEAL in files:
        seal = _seal(files, rows["tickets"][0].get("id"), digest)
    return Archive(rows, manifest["versions"], digest, seal)


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _match(what: str, wrong: set[str] | frozenset[str]) -> None:
    if wrong:
        shown = ", ".join(sorted(wrong)[:5])
        raise ArchiveError(f"The archive does not match: {what}: {shown}.")


# --- reading --------------------------------------------------------------------------


def _files(packed: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            listed = archive.infolist()
            _limit(listed)
            _require_nothing_else(packed, archive, listed)
            return {one.filename: archive.read(one) for one in listed}
    except _NO_ZIP as error:
        raise ArchiveError(f"This is no archive of an incident: {error}.") from error


def _limit(listed: Sequence[zipfile.ZipInfo]) -> None:
    if len(listed) > MAX_FILES or sum(one.file_size for one in listed) > MAX_BYTES:
        raise ArchiveError("The archive is too large to be an incident.")
    odd = {
        one.filename for one in listed if one.compress_type not in _COMPRESSIONS or _is_link(one)
    }
    _match("files that no export writes so", odd)
    counted = Counter(one.filename for one in listed)
    _match("names that stand twice", {name for name, count in counted.items() if count > 1})


def _require_nothing_else(
    packed: bytes, archive: zipfile.ZipFile, listed: Sequence[zipfile.ZipInfo]
) -> None:
    """See that the archive's bytes are its files and their list; nobody vouches for others."""
    end = 0
    for one in sorted(listed, key=lambda one: one.header_offset):
        if one.header_offset != end:
            break
        name_length, extra_length = struct.unpack_from("<HH", packed, end + _LENGTHS_AT)
        end += _HEADER_BYTES + name_length + extra_length + one.compress_size
    is_last = packed[-_TAIL_BYTES:].startswith(_TAIL) and not archive.comment
    if end != archive.start_dir or not is_last:
        raise ArchiveError("The archive does not match: it holds bytes beside its files.")


def _is_link(one: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(one.external_attr >> 16)


def _manifest(files: Mapping[str, bytes]) -> JsonObject:
    manifest = _parsed(files, MANIFEST)
    if not isinstance(manifest, dict) or str(manifest.get("format")) not in _FORMATS:
        raise ArchiveError(f"The archive has another format than {FORMAT}; use another version.")
    if not all(isinstance(manifest.get(key), dict) for key in ("files", "versions")):
        raise ArchiveError("The archive's manifest names no files.")
    return manifest


def _parsed(files: Mapping[str, bytes], name: str) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return json.loads(files[name])
    except (KeyError, ValueError, RecursionError) as error:
        raise ArchiveError(f"The archive has no readable {name}.") from error


def _rows(files: Mapping[str, bytes], name: str) -> list[Row]:
    found = _parsed(files, name)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ArchiveError(f"The archive's {name} holds no rows.")
    return found


def _seal(files: Mapping[str, bytes], ticket_id: object, digest: str) -> Row:
    seal = _parsed(files, SEAL)
    if not isinstance(seal, dict) or not is_seal_of(seal, ticket_id, digest):
        raise ArchiveError(
            "The archive does not match its seal: something was changed after it was exported."
        )
    return seal


def _row(files: Mapping[str, bytes], name: str) -> Row:
    found = _parsed(files, name)
    if not isinstance(found, dict) or f"{LOOKS}/{found.get('id')}.json" != name:
        raise ArchiveError(f"The archive's {name} is not the look of that number.")
    return found
