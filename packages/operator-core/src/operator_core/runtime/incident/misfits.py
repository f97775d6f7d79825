"""What an incident's audit says otherwise than its rows, and whether its seal is its own; pure."""

import hashlib
import json
from collections.abc import Collection
from itertools import islice

from operator_core.clock import from_text, to_text
from operator_core.db import audit
from operator_core.db.engine import Row
from operator_core.db.exports import LOOKS, SEALED, WATCHING, IncidentRows
from operator_core.errors import RequestError
from operator_core.monitor.verification import Verdict
from operator_core.runtime.incident.shapes import NO_ROW, faults, in_words
from operator_core.types import JsonObject

_MAX_NAME_CHARS = 60
_MAX_REASON_CHARS = 200
_MAX_FAULTS = 2


class ArchiveError(RequestError):
    """An archive that cannot be used as it is; the text says what does not match."""


def no_row(error: Exception) -> ArchiveError:
    """Return what to say of an archive of which a row cannot be read.

    Args:
        error: one of `NO_ROW`.
    """
    return ArchiveError(f"The archive holds a row that is none: {on_a_line(in_words(error))}.")


def require_rows(incident: IncidentRows) -> None:
    """See that the tables of an archive hold rows of a ledger.

    Args:
        incident: the tables as they were read.

    Raises:
        ArchiveError: some are none; names the first of them.
    """
    wrong = [on_a_line(one) for one in islice(faults(incident), _MAX_FAULTS)]
    if wrong:
        raise ArchiveError(f"The archive holds rows that are none: {'; '.join(wrong)}.")


def require_none(what: str, wrong: Collection[str]) -> None:
    """See that nothing is wrong.

    Args:
        what: what those that are named would be.
        wrong: names, which whoever made the file has chosen.

    Raises:
        ArchiveError: something is.
    """
    if wrong:
        shown = ", ".join(sorted(on_a_line(one, _MAX_NAME_CHARS) for one in wrong)[:5])
        raise ArchiveError(f"The archive does not match: {what}: {shown}.")


def on_a_line(text: str, limit: int = _MAX_REASON_CHARS) -> str:
    """Return a text of an archive without what would colour it or begin another line."""
    return text.encode("unicode_escape").decode()[:limit]


def digest_of(content: bytes | str) -> str:
    """Return the digest of a file or of a row's content."""
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


def is_seal_of(seal: Row, ticket_id: object, digest: str) -> bool:
    """Return whether an audit row seals an archive: it tells of its export, with its digest.

    Args:
        seal: a row of the audit.
        ticket_id: of the incident.
        digest: of the archive's manifest.
    """
    try:
        told = json.loads(seal["event_data"])
        is_told = seal["event_type"] == SEALED and seal["ticket_id"] == ticket_id
        return is_told and not _is_broken(seal) and bool(told["digest"] == digest)
    except NO_ROW:
        return False


def misfits(rows: IncidentRows) -> set[str]:
    """Name what the audit's rows contradict."""
    try:
        if not rows["tickets"]:
            return {"tickets.json has no ticket"}
        told = (*rows["events"], *rows["switches"], *rows[WATCHING])
        broken = {f"event {one['id']}" for one in told if _is_broken(one)}
        known = _changed_looks(rows) | _changed_diagnoses(rows)
        return broken | known | _changed_effects(rows) | _changed_proofs(rows)
    except NO_ROW as error:
        raise no_row(error) from error


def _is_broken(event: Row) -> bool:
    return bool(event["hash"] != audit.row_hash(event))


def _changed_looks(rows: IncidentRows) -> set[str]:
    known = {str(row["id"]): digest_of(row["content"]) for row in rows[LOOKS]}
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
        f"diagnosis {row['id']}"
        for row in rows["diagnoses"]
        if digest_of(row["content"]) not in told
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
