"""One incident as one file: a zip of JSON whose every byte is accounted for.

The manifest has the digest of each file, and the seal has the manifest's: a row of the audit, which
the ledger wrote when it exported. The audit's rows have a hash of their own, and the digests of
diagnoses and of the looks they rest on. So what was changed afterwards is found, unless somebody
makes the audit's rows anew, which the ledger itself would show.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from operator_core.db.engine import Row
from operator_core.db.exports import LOOKS, TABLES, IncidentRows
from operator_core.runtime.incident.misfits import (
    ArchiveError,
    digest_of,
    is_seal_of,
    misfits,
    require_none,
    require_rows,
)
from operator_core.runtime.incident.zipped import files_of
from operator_core.types import JsonObject

FORMAT = 2
UNSEALED = 1
"""The format of what is not sealed: of older versions, and of ledgers that cannot be written."""

_FORMATS = frozenset({str(FORMAT), str(UNSEALED)})
"""As text: true and 1.0 are equal to 1, and no format."""

MANIFEST = "manifest.json"
SEAL = "seal.json"
MAX_PACKED_BYTES = 1 << 28
"""What an archive may take as it is, so that a file without end cannot fill the memory."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A fixed time of all files, so that the same incident is the same archive."""

_ADDED_LATER = frozenset(
    {"attempts", "effects", "group", "group_diagnoses", "switches", "verifications", "watching"}
)
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
    files = files_of(packed)
    manifest = _manifest(files)
    named: Mapping[str, str] = manifest["files"]
    require_none(
        "files that the manifest does not name", files.keys() - named.keys() - {MANIFEST, SEAL}
    )
    require_none("files that are missing", named.keys() - files.keys())
    changed = {name for name, digest in named.items() if digest_of(files[name]) != digest}
    require_none("files that were changed", changed)
    absent = {name for name in _ADDED_LATER if f"{name}.json" not in named}
    rows: IncidentRows = {name: [] for name in absent}
    rows |= {name: _rows(files, f"{name}.json") for name in sorted(TABLES - absent - {LOOKS})}
    looks = sorted(name for name in files if name.startswith(f"{LOOKS}/"))
    rows[LOOKS] = sorted((_row(files, name) for name in looks), key=lambda row: row["id"])
    require_rows(rows)
    require_none("what does not fit the audit", misfits(rows))
    digest = digest_of(files[MANIFEST])
    seal = None
    if manifest["format"] != UNSEALED or SEAL in files:
        seal = _seal(files, rows["tickets"][0].get("id"), digest)
    return Archive(rows, manifest["versions"], digest, seal)


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


# --- reading --------------------------------------------------------------------------


def _manifest(files: Mapping[str, bytes]) -> JsonObject:
    manifest = _parsed(files, MANIFEST)
    if not isinstance(manifest, dict) or str(manifest.get("format")) not in _FORMATS:
        raise ArchiveError(f"The archive has another format than {FORMAT}; use another version.")
    if not all(isinstance(manifest.get(key), dict) for key in ("files", "versions")):
        raise ArchiveError("The archive's manifest names no files.")
    return manifest


def _parsed(files: Mapping[str, bytes], name: str) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        found = json.loads(files[name], parse_constant=_refused)
        is_canonical = canonical(found) == files[name]
    except (KeyError, ValueError, RecursionError) as error:
        raise ArchiveError(f"The archive has no readable {name}.") from error
    if not is_canonical:
        raise ArchiveError(f"The archive's {name} is not written as an export writes it.")
    return found


def _refused(number: str) -> NoReturn:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError(number)


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
    require_rows({"events": [seal]})
    return seal


def _row(files: Mapping[str, bytes], name: str) -> Row:
    found: Row | None = _parsed(files, name)
    look_id = found.get("id") if isinstance(found, dict) else None
    if found is None or type(look_id) is not int or f"{LOOKS}/{look_id}.json" != name:
        raise ArchiveError(f"The archive's {name} is not the look of that number.")
    return found
