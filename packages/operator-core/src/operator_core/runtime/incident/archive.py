"""One incident as one file: a zip of JSON whose every byte is accounted for.

The manifest has the digest of each file; the audit's rows in it have the digests of diagnoses
and of the looks they rest on, and a hash of their own. So what was changed afterwards is found,
unless somebody makes the audit's rows anew, which the ledger itself would show.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operator_core.clock import from_text, to_text
from operator_core.db import audit
from operator_core.db.engine import Row
from operator_core.db.exports import LOOKS, TABLES, IncidentRows
from operator_core.errors import RequestError
from operator_core.monitor.verification import Verdict
from operator_core.types import JsonObject

FORMAT = 1
MANIFEST = "manifest.json"
MAX_FILES = 5_000
MAX_BYTES = 1 << 30
"""What an archive may hold unpacked, so that a small file cannot fill the memory."""

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
_ADDED_LATER = frozenset({"effects", "group", "group_diagnoses", "verifications"})
"""Tables that an archive of an older version does not have."""


class ArchiveError(RequestError):
    """An archive that cannot be used as it is; the text says what does not match."""


@dataclass(frozen=True)
class Archive:
    """An incident, read back.

    Attributes:
        rows: the ledger's rows by table.
        versions: of Operator and its plugins, when it was written.
        digest: of the whole.
    """

    rows: IncidentRows
    versions: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    @property
    def ticket(self) -> Row:
        """The ticket that it is about."""
        return self.rows["tickets"][0]


def pack(rows: IncidentRows, versions: Mapping[str, str]) -> bytes:
    """Return the archive of an incident; the same rows give the same bytes.

    Args:
        rows: as `ExportDB.incident` returns them.
        versions: of Operator and its plugins.
    """
    files = {f"{name}.json": canonical(found) for name, found in rows.items() if name != LOOKS}
    files |= {f"{LOOKS}/{row['id']}.json": canonical(row) for row in rows[LOOKS]}
    manifest: JsonObject = {
        "format": FORMAT,
        "versions": dict(versions),
        "files": {name: _digest(content) for name, content in files.items()},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted({**files, MANIFEST: canonical(manifest)}.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def unpack(packed: bytes) -> Archive:
    """Return the incident of an archive, after all of it was checked.

    Raises:
        ArchiveError: it is no archive, or something in it does not match.
    """
    files = _files(packed)
    manifest = _manifest(files)
    named: Mapping[str, str] = manifest["files"]
    _match("files that the manifest does not name", files.keys() - named.keys() - {MANIFEST})
    _match("files that are missing", named.keys() - files.keys())
    changed = {name for name, digest in named.items() if _digest(files[name]) != digest}
    _match("files that were changed", changed)
    absent = {name for name in _ADDED_LATER if f"{name}.json" not in named}
    rows: IncidentRows = {name: [] for name in absent}
    rows |= {name: _rows(files, f"{name}.json") for name in sorted(TABLES - absent - {LOOKS})}
    looks = sorted(name for name in files if name.startswith(f"{LOOKS}/"))
    rows[LOOKS] = sorted((_row(files, name) for name in looks), key=lambda row: int(row["id"]))
    _match("what does not fit the audit", _misfits(rows))
    return Archive(rows, manifest["versions"], _digest(files[MANIFEST]))


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _digest(content: bytes | str) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


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
            return {one.filename: archive.read(one) for one in listed}
    except _NO_ZIP as error:
        raise ArchiveError(f"This is no archive of an incident: {error}.") from error


def _limit(listed: Sequence[zipfile.ZipInfo]) -> None:
    if len(listed) > MAX_FILES or sum(one.file_size for one in listed) > MAX_BYTES:
        raise ArchiveError("The archive is too large to be an incident.")
    counted = Counter(one.filename for one in listed)
    _match("names that stand twice", {name for name, count in counted.items() if count > 1})


def _manifest(files: Mapping[str, bytes]) -> JsonObject:
    manifest = _parsed(files, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
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


def _row(files: Mapping[str, bytes], name: str) -> Row:
    found = _parsed(files, name)
    if not isinstance(found, dict) or f"{LOOKS}/{found.get('id')}.json" != name:
        raise ArchiveError(f"The archive's {name} is not the look of that number.")
    return found


# --- what the audit says --------------------------------------------------------------


def _misfits(rows: IncidentRows) -> set[str]:
    """Name what the audit's rows contradict."""
    try:
        if not rows["tickets"]:
            return {"tickets.json has no ticket"}
        broken = {f"event {one['id']}" for one in rows["events"] if _is_broken(one)}
        known = _changed_looks(rows) | _changed_diagnoses(rows)
        return broken | known | _changed_effects(rows) | _changed_proofs(rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArchiveError(f"The archive holds a row that is none: {error!r}.") from error


def _is_broken(event: Row) -> bool:
    return bool(event["hash"] != audit.row_hash(event))


def _changed_looks(rows: IncidentRows) -> set[str]:
    known = {str(row["id"]): _digest(row["content"]) for row in rows[LOOKS]}
    own = {
        f"observation {row['id']}" for row in rows[LOOKS] if known[str(row["id"])] != row["digest"]
    }
    told = {key: digest for one in _told(rows) for key, digest in one.get("looks", {}).items()}
    return own | {f"observation {key}" for key in told if key in known and known[key] != told[key]}


def _changed_diagnoses(rows: IncidentRows) -> set[str]:
    told = {one["digest"] for one in _told(rows) if "digest" in one}
    if not told:
        return set()  # made by a version that did not write digests
    return {
        f"diagnosis {row['id']}" for row in rows["diagnoses"] if _digest(row["content"]) not in told
    }


def _changed_effects(rows: IncidentRows) -> set[str]:
    """Name leases that the audit tells otherwise: each change of one is told with its end."""
    told = {
        (one.get("lease_id"), one.get("effect"), one.get("until")) for one in _said(rows, "effect_")
    }
    named = {lease_id for lease_id, *_ in told}
    return {
        f"effect {row['id']}"
        for row in rows["effects"]
        if (row["id"] in named or _is_whole(rows))
        and (row["id"], row["effect"], row["expires_at"]) not in told
    }


def _changed_proofs(rows: IncidentRows) -> set[str]:
    """Name proofs that the audit tells otherwise: how they began, and what was decided."""
    told = {
        _verdict(str(one.get("diagnosed_at")), one.get("verdict"), one.get("reasons"))
        for one in _said(rows, "remedy_")
    }
    return {
        f"verification {row['id']}"
        for row in rows["verifications"]
        if (told or _is_whole(rows))
        and _verdict(row["diagnosed_at"], row["verdict"], json.loads(row["reasons"])) not in told
    }


def _verdict(diagnosed_at: str, verdict: object, reasons: object) -> tuple[str, str, str]:
    """Return what is told of a proof; why it still waits is not."""
    why = "" if verdict == Verdict.WAITING else json.dumps(reasons)
    return to_text(from_text(diagnosed_at)), str(verdict), why


def _is_whole(rows: IncidentRows) -> bool:
    """Return whether the beginning of the audit was not pruned."""
    return any(one["event_type"] == "ticket_opened" for one in rows["events"])


def _told(rows: IncidentRows) -> list[JsonObject]:
    return _said(rows, "ticket_diagnosed")


def _said(rows: IncidentRows, kind: str) -> list[JsonObject]:
    """Return what the audit's events of a kind say."""
    events = (one for one in rows["events"] if one["event_type"].startswith(kind))
    return [json.loads(one["event_data"]) for one in events]
